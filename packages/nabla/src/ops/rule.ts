// The contract of a primitive: everything nabla must know of it, in one object.
// The registry (registry.ts) is an exhaustive mapped type over it, so a missing rule is a compile error.
import type { TypedArray } from "./dtype.ts";
import { type Aval, GraphNode, type OpName, type OpParams } from "./graph.ts";
import type { KindOf } from "./kind.ts";

/** A host value the reference device computes with. `data` is row-major; float32 values may be held in a Float64Array. */
export interface HostValue extends Aval {
  readonly data: TypedArray;
}

/** What a gradient rule sees: the node's inputs and output, and its parameters. */
export interface RuleContext<P extends OpName> {
  readonly inputs: readonly GraphNode[];
  readonly output: GraphNode;
  readonly params: OpParams[P];
}

/** The values of `outputs` with `leaves` bound to `data`. */
export type Evaluate = (outputs: readonly GraphNode[], leaves: readonly GraphNode[], data: readonly TypedArray[]) => readonly HostValue[];

/** Reverse mode, for the rules of primitives made of others; see transform/reverse.ts. */
export type Vjp = (outputs: readonly GraphNode[], inputs: readonly GraphNode[], cotangents: readonly (GraphNode | null)[]) => readonly (GraphNode | null)[];

/** Forward mode, see transform/forward.ts. */
export type Jvp = (outputs: readonly GraphNode[], inputs: readonly GraphNode[], tangents: readonly (GraphNode | null)[]) => readonly (GraphNode | null)[];

/** Batching, see transform/batch.ts. */
export type Vmap = (outputs: readonly GraphNode[], inputs: readonly GraphNode[], stacked: readonly GraphNode[], size: number) => readonly GraphNode[];

/** A forward case every device must reproduce, and every gradient rule is checked on. */
export interface Sample<P extends OpName> {
  readonly inputs: readonly HostValue[];
  readonly params: OpParams[P];
  /** Why this case is here when it is not plain, e.g. "saturates", "odd sizes". */
  readonly name?: string;
  /** False where central differences do not apply (a kink, an extreme). Default true. */
  readonly differentiable?: boolean;
}

/** Wrong inputs and a piece of the message they must produce. */
export interface ErrorSample<P extends OpName> {
  readonly inputs: readonly Aval[];
  readonly params: OpParams[P];
  readonly message: RegExp;
}

/** Error that a device may make in float32, in half units in the last place. */
export interface RoundingError {
  /** Relative to the result; 1: correctly rounded. */
  readonly relative: number;
  /** Of the size of 1, whatever the result: where terms cancel, and near zeros. */
  absolute(inputs: readonly HostValue[], out: HostValue): number;
}

/** The nearest number to the true result. */
export const correctlyRounded: RoundingError = { relative: 1, absolute: () => 0 };

/** The rule of primitive `P`. */
export interface Rule<P extends OpName> {
  readonly op: P;
  /** What the compiler may assume of it. */
  readonly kind: KindOf<P>;
  /** Rough instructions an element where its value is read: an addition, or a load of what a kernel stored, is 1. */
  readonly cost: number;
  /** Infers the output, or throws ShapeError / DTypeError naming the primitive, the shapes and the axis. */
  shape(inputs: readonly Aval[], params: OpParams[P]): Aval;
  /** Plain evaluation in the precision of `out`: the oracle. `evaluate` is for primitives made of others. */
  reference(inputs: readonly HostValue[], params: OpParams[P], out: HostValue, evaluate: Evaluate): void;
  readonly roundingError: RoundingError;
  /** Cotangents of the inputs from the output's, written in nodes; null for an input without one. "none": not differentiable, the derivative is zero. */
  readonly vjp: "none" | ((context: RuleContext<P>, cotangent: GraphNode, transform: Vjp) => readonly (GraphNode | null)[]);
  /** Tangent of the output from the inputs' (null = zero; at least one is not), written in nodes; null where the output has none. */
  readonly jvp: "none" | ((context: RuleContext<P>, tangents: readonly (GraphNode | null)[], transform: Jvp) => GraphNode | null);
  /** The node on inputs that gained a leading batch axis where `batched` says so (at least once); the result has it as axis 0. "none": no inputs. */
  readonly batch: "none" | ((inputs: readonly GraphNode[], batched: readonly boolean[], params: OpParams[P], size: number, transform: Vmap) => GraphNode);
  /** Made when asked for: only tests do. */
  samples(): readonly Sample<P>[];
  readonly errors: readonly ErrorSample<P>[];
}

/** The node of a primitive on `inputs`, always a new one; throws what its shape rule throws. */
export function apply<P extends OpName>(rule: Rule<P>, inputs: readonly GraphNode[], params: OpParams[P]): GraphNode<P> {
  return new GraphNode(rule.op, inputs, params, rule.shape(inputs, params));
}
