// Kinds of primitives: what the compiler may assume of one. Whatever it does with a primitive it decides by kind,
// and by name only among those of one kind.
import type { BinaryOp, UnaryOp } from "./elementwise.ts";
import type { AnyNode, OpName } from "./graph.ts";

/** The primitives of each kind; each belongs to exactly one. */
export interface OpsOfKind {
  /** Without inputs: an element follows from its position, or is bound. */
  leaf: "source" | "constant" | "iota";
  /** An element of the output is made of the same element of every input. */
  elementwise: UnaryOp | BinaryOp | "select" | "stopGradient" | "cast";
  /** An element of the output is an element of the first input, at a place that is affine in its own. Further inputs are only waited for. */
  movement: "reshape" | "transpose" | "broadcast" | "slice" | "flip" | "after";
  /** An element of the output is made of a few elements of the inputs, wherever they are. */
  lookup: "gather" | "randomBits";
  /** Axes of the one input are folded. */
  reduction: "sum" | "max" | "argmax";
  /** Sums of products of two inputs. */
  contraction: "matmul";
  /** Inputs are added up where the first of them says. */
  scatter: "scatterAdd";
  /** A body of primitives is repeated; nodes that share the body and the inputs are values of one loop. */
  loop: "scan";
  /** The inputs lie in the output beside each other, a constant around them. */
  assembly: "pad" | "concat";
}

export type Kind = keyof OpsOfKind;

/** The kind of primitive `P`; never for one that {@link OpsOfKind} forgot, so that its rule does not compile. */
export type KindOf<P extends OpName> = { [K in Kind]: P extends OpsOfKind[K] ? K : never }[Kind];

export type NodeOfKind<K extends Kind> = Extract<AnyNode, { readonly op: OpsOfKind[K] }>;

/** The axes that a reduction folds. */
export function reducedAxes(node: NodeOfKind<"reduction">): readonly number[] {
  return node.op === "argmax" ? [node.params.axis] : node.params.axes;
}

/** A node beside its kind, which discriminates it. */
export type KindedNode = { readonly [K in Kind]: { readonly kind: K; readonly node: NodeOfKind<K> } }[Kind];
