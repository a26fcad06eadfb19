// Every primitive's rule. The type is exhaustive: a primitive without a rule does not compile.
import { afterRule } from "./after.ts";
import { matmulRule } from "./contraction.ts";
import * as elementwise from "./elementwise.ts";
import type { GraphNode, OpName } from "./graph.ts";
import { gatherRule, scatterAddRule } from "./indexing.ts";
import { constantRule, iotaRule, sourceRule } from "./leaf.ts";
import * as movement from "./movement.ts";
import { randomBitsRule } from "./random.ts";
import { argmaxRule, maxRule, sumRule } from "./reduce.ts";
import type { Rule } from "./rule.ts";

/** The rule of every primitive, by name. */
export const rules: { readonly [P in OpName]: Rule<P> } = {
  source: sourceRule,
  constant: constantRule,
  iota: iotaRule,

  neg: elementwise.negRule,
  abs: elementwise.absRule,
  sign: elementwise.signRule,
  floor: elementwise.floorRule,
  exp: elementwise.expRule,
  log: elementwise.logRule,
  sqrt: elementwise.sqrtRule,
  sin: elementwise.sinRule,
  cos: elementwise.cosRule,
  tanh: elementwise.tanhRule,
  sigmoid: elementwise.sigmoidRule,
  relu: elementwise.reluRule,
  logicalNot: elementwise.logicalNotRule,
  cast: elementwise.castRule,
  stopGradient: elementwise.stopGradientRule,
  after: afterRule,

  add: elementwise.addRule,
  sub: elementwise.subRule,
  mul: elementwise.mulRule,
  div: elementwise.divRule,
  pow: elementwise.powRule,
  maximum: elementwise.maximumRule,
  minimum: elementwise.minimumRule,
  equal: elementwise.equalRule,
  less: elementwise.lessRule,
  lessEqual: elementwise.lessEqualRule,
  logicalAnd: elementwise.logicalAndRule,
  logicalOr: elementwise.logicalOrRule,
  select: elementwise.selectRule,

  reshape: movement.reshapeRule,
  transpose: movement.transposeRule,
  broadcast: movement.broadcastRule,
  slice: movement.sliceRule,
  pad: movement.padRule,
  concat: movement.concatRule,

  sum: sumRule,
  max: maxRule,
  argmax: argmaxRule,

  matmul: matmulRule,

  gather: gatherRule,
  scatterAdd: scatterAddRule,

  randomBits: randomBitsRule,
};

/** The rule of `node`'s primitive. */
export function ruleOf<P extends OpName>(node: GraphNode<P>): Rule<P> {
  return rules[node.op];
}
