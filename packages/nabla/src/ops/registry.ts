// Every primitive's rule. The type is exhaustive: a primitive without a rule does not compile.
import { afterRule } from "./after.ts";
import { broadcastRule, sumRule } from "./broadcast.ts";
import { concatRule } from "./concat.ts";
import { matmulRule } from "./contraction.ts";
import { binaryRules, castRule, selectRule, stopGradient, unaryRules } from "./elementwise.ts";
import type { GraphNode, OpName, OpParams } from "./graph.ts";
import { gatherRule, scatterAddRule } from "./indexing.ts";
import type { Kind, KindedNode } from "./kind.ts";
import { constantRule, iotaRule, sourceRule } from "./leaf.ts";
import { flipRule, padRule, reshapeRule, sliceRule, transposeRule } from "./movement.ts";
import { randomBitsRule } from "./random.ts";
import { argmaxRule, maxRule } from "./reduce.ts";
import { apply, type Rule } from "./rule.ts";
import { scanRule } from "./scan.ts";

/** The rule of every primitive, by name. */
export const rules: { readonly [P in OpName]: Rule<P> } = {
  source: sourceRule,
  constant: constantRule,
  iota: iotaRule,

  ...unaryRules,
  ...binaryRules,
  select: selectRule,
  stopGradient: stopGradient.rule,
  cast: castRule,
  after: afterRule,

  reshape: reshapeRule,
  transpose: transposeRule,
  slice: sliceRule,
  flip: flipRule,
  pad: padRule,
  concat: concatRule,
  broadcast: broadcastRule,

  sum: sumRule,
  max: maxRule,
  argmax: argmaxRule,

  matmul: matmulRule,

  gather: gatherRule,
  scatterAdd: scatterAddRule,

  randomBits: randomBitsRule,

  scan: scanRule,
};

/** The rule of `node`'s primitive. */
export function ruleOf<P extends OpName>(node: GraphNode<P>): Rule<P> {
  return rules[node.op];
}

/** The kind of `node`'s primitive. */
export function kindOf(node: GraphNode): Kind {
  return rules[node.op].kind;
}

/** `node` beside its kind: a switch on the kind knows the node's primitives. */
export function byKind(node: GraphNode): KindedNode {
  return { kind: kindOf(node), node } as KindedNode;
}

/** The node of primitive `op` on `inputs`; throws what its shape rule throws. */
export function node<P extends OpName>(op: P, inputs: readonly GraphNode[], params: OpParams[P]): GraphNode<P> {
  return apply(rules[op], inputs, params);
}
