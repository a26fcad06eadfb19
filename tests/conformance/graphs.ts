// Random graphs for differential fuzzing: every primitive, odd shapes, values shared and fed through movements.
// Discontinuous primitives take only values that float32 holds exactly, so that rounding cannot flip them.
import fc from "fast-check";
import * as ops from "../../packages/nabla/src/ops/build.ts";
import { type DType, isFloating } from "../../packages/nabla/src/ops/dtype.ts";
import type { GraphNode } from "../../packages/nabla/src/ops/graph.ts";
import type { HostValue } from "../../packages/nabla/src/ops/rule.ts";
import { host } from "../../packages/nabla/src/ops/sample.ts";
import { sameShape, type Shape, sizeOf } from "../../packages/nabla/src/ops/shape.ts";
import { checkpoint } from "../../packages/nabla/src/transform/checkpoint.ts";
import { vjp } from "../../packages/nabla/src/transform/reverse.ts";
import { placeholder } from "./run.ts";

/** A graph to run: `outputs` as functions of `leaves`, which have `values`. */
export interface RandomGraph {
  readonly leaves: readonly GraphNode[];
  readonly values: readonly HostValue[];
  readonly outputs: readonly GraphNode[];
  /** The leaf that each output overwrites, if any. */
  readonly donate: readonly (number | undefined)[];
  /** One line a step, for the report of a failure. */
  readonly [fc.toStringMethod]: () => string;
}

/** A node and, for floats, the binary digits it needs: multiples of 2^−fraction below 2^whole are exact while the two fit in 24 bits. */
interface Value {
  readonly node: GraphNode;
  readonly fraction: number;
  readonly whole: number;
}

interface Step {
  readonly move: number;
  /** Choices of operands, axes and sizes, used as each move needs them. */
  readonly picks: readonly number[];
}

const leafShapes: readonly Shape[] = [[], [1], [3], [7], [17], [1, 5], [3, 7], [5, 1], [2, 3, 5], [1, 1, 3], [4, 16], [33, 9], [5, 5], [3, 3, 3], [0, 3]];
const leafDTypes: readonly DType[] = ["float32", "float32", "float32", "float32", "int32", "bool", "uint8", "float64"];
const INEXACT = 99;
const MOST_ELEMENTS = 4096;

const exact = ({ node, fraction, whole }: Value): boolean => !isFloating(node.dtype) || fraction + whole <= 24;

class GraphBuilder {
  readonly leaves: GraphNode[] = [];
  readonly values: HostValue[] = [];
  readonly known: Value[] = [];
  readonly recipe: string[] = [];
  #picks: readonly number[] = [];
  #next = 0;

  leaf(shape: Shape, dtype: DType, seed: number): void {
    // Quarters below 4, without a pattern.
    const numbers = Array.from({ length: sizeOf(shape) }, (_, index) => (Math.imul(index * 2654435761 + seed + 1, 1597334677) >>> 16) % 32);
    const value = host(dtype, shape, numbers.map((number) => (dtype === "bool" ? number % 2 : isFloating(dtype) ? number / 4 - 4 : dtype === "int32" ? number - 16 : number * 7)));
    const node = placeholder(value);
    this.leaves.push(node);
    this.values.push(value);
    this.known.push({ node, fraction: 2, whole: 3 });
    this.recipe.push(`${node.id} = leaf ${dtype} [${shape.join(", ")}]`);
  }

  run({ move, picks }: Step): void {
    this.#picks = picks;
    this.#next = 0;
    const [name, make] = moves[move % moves.length]!;
    const made = make(this);
    if (made === undefined || sizeOf(made.node.shape) > MOST_ELEMENTS) return;
    this.known.push(made);
    this.recipe.push(`${made.node.id} = ${name} → ${made.node.dtype} [${made.node.shape.join(", ")}]`);
  }

  pick(below: number): number {
    const pick = this.#picks[this.#next++ % this.#picks.length]!;
    return pick % Math.max(1, below);
  }

  /** A known value that `accepts`, if there is one. */
  take(accepts: (value: Value) => boolean): Value | undefined {
    const candidates = this.known.filter(accepts);
    return candidates.length === 0 ? undefined : candidates[this.pick(candidates.length)];
  }
}

const isFloat = ({ node }: Value): boolean => isFloating(node.dtype);
const isFloat32 = ({ node }: Value): boolean => node.dtype === "float32";
const isSigned = ({ node }: Value): boolean => isFloating(node.dtype) || node.dtype === "int32";
const hasAxis = ({ node }: Value): boolean => node.shape.length > 0;
const isBool = ({ node }: Value): boolean => node.dtype === "bool";

const same = (value: Value, node: GraphNode): Value => ({ ...value, node });
const inexact = (node: GraphNode): Value => ({ node, fraction: INEXACT, whole: INEXACT });
const integer = (node: GraphNode): Value => ({ node, fraction: 0, whole: 12 });
const bits = (count: number): number => Math.ceil(Math.log2(Math.max(1, count)));

/** `x` brought to `shape`: broadcast where axes allow it, otherwise its elements cut or padded and laid out anew. */
function fitted({ node, fraction, whole }: Value, shape: Shape): Value {
  const result = (fit: GraphNode): Value => ({ node: fit, fraction, whole });
  if (sameShape(node.shape, shape)) return result(node);
  const missing = shape.length - node.shape.length;
  const aligned = [...new Array<number>(Math.max(0, missing)).fill(1), ...node.shape];
  if (missing >= 0 && aligned.every((extent, axis) => extent === 1 || extent === shape[axis])) {
    return result(ops.broadcast(ops.reshape(node, aligned), shape));
  }
  const [have, want] = [sizeOf(node.shape), sizeOf(shape)];
  const flat = ops.reshape(node, [have]);
  const cut = have >= want ? ops.slice(flat, [0], [want]) : ops.pad(flat, [0], [want - have], 0);
  return result(ops.reshape(cut, shape));
}

function unary(make: (x: GraphNode) => GraphNode, accepts: (value: Value) => boolean, after: (value: Value, node: GraphNode) => Value) {
  return (b: GraphBuilder): Value | undefined => {
    const x = b.take(accepts);
    return x && after(x, make(x.node));
  };
}

/** Two operands of one dtype, the second brought to the first's shape. */
function operands(b: GraphBuilder, accepts: (value: Value) => boolean): [Value, Value] | undefined {
  const x = b.take(accepts);
  const y = x && b.take((value) => accepts(value) && value.node.dtype === x.node.dtype);
  return x && y && [x, fitted(y, x.node.shape)];
}

function binary(make: (x: GraphNode, y: GraphNode) => GraphNode, accepts: (value: Value) => boolean, after: (x: Value, y: Value, node: GraphNode) => Value) {
  return (b: GraphBuilder): Value | undefined => {
    const pair = operands(b, accepts);
    return pair && after(pair[0], pair[1], make(pair[0].node, pair[1].node));
  };
}

const larger = (x: Value, y: Value, node: GraphNode): Value => ({ node, fraction: Math.max(x.fraction, y.fraction), whole: Math.max(x.whole, y.whole) });
const added = (x: Value, y: Value, node: GraphNode): Value => ({ ...larger(x, y, node), whole: Math.max(x.whole, y.whole) + 1 });
const multiplied = (x: Value, y: Value, node: GraphNode): Value => ({ node, fraction: x.fraction + y.fraction, whole: x.whole + y.whole });

const one = (x: GraphNode): GraphNode => ops.scalarLike(1, x);
const aboveOne = (x: GraphNode): GraphNode => ops.add(ops.abs(x), one(x));

/** Axes to reduce: one, or all. */
function reducedAxes(b: GraphBuilder, { shape }: GraphNode): number[] {
  const axis = b.pick(shape.length + 1);
  return axis === shape.length ? shape.map((_, at) => at) : [axis];
}

function reduction(op: "sum" | "max") {
  return (b: GraphBuilder): Value | undefined => {
    const x = b.take((value) => isSigned(value) && hasAxis(value) && (op === "sum" || (exact(value) && sizeOf(value.node.shape) > 0)));
    if (x === undefined) return undefined;
    const axes = reducedAxes(b, x.node);
    const terms = axes.reduce((product, axis) => product * x.node.shape[axis]!, 1);
    return { ...x, node: ops[op](x.node, axes), whole: x.whole + (op === "sum" ? bits(terms) : 0) };
  };
}

/** Every move by name; `exact` guards what a rounding error would turn over. */
const moves: readonly (readonly [string, (b: GraphBuilder) => Value | undefined])[] = [
  ["neg", unary(ops.neg, isSigned, same)],
  ["abs", unary(ops.abs, isSigned, same)],
  ["relu", unary(ops.relu, (value) => isSigned(value) && exact(value), same)],
  ["sign", unary(ops.sign, (value) => isSigned(value) && exact(value), (_, node) => integer(node))],
  ["floor", unary(ops.floor, (value) => isFloat(value) && exact(value), (x, node) => ({ ...x, node, fraction: 0 }))],
  ["exp(−|x|)", unary((x) => ops.exp(ops.neg(ops.abs(x))), isFloat, (_, node) => inexact(node))],
  ["expm1(−|x|)", unary((x) => ops.expm1(ops.neg(ops.abs(x))), isFloat, (_, node) => inexact(node))],
  ["log1p(|x|)", unary((x) => ops.log1p(ops.abs(x)), isFloat, (_, node) => inexact(node))],
  ["softplus", unary(ops.softplus, isFloat, (_, node) => inexact(node))],
  ["log(1 + |x|)", unary((x) => ops.log(aboveOne(x)), isFloat, (_, node) => inexact(node))],
  ["sqrt(1 + |x|)", unary((x) => ops.sqrt(aboveOne(x)), isFloat, (_, node) => inexact(node))],
  ["sin", unary(ops.sin, isFloat, (_, node) => inexact(node))],
  ["cos", unary(ops.cos, isFloat, (_, node) => inexact(node))],
  ["tanh", unary(ops.tanh, isFloat, (_, node) => inexact(node))],
  ["sigmoid", unary(ops.sigmoid, isFloat, (_, node) => inexact(node))],
  ["logicalNot", unary(ops.logicalNot, isBool, same)],
  ["stopGradient", unary(ops.stopGradient, () => true, same)],
  ["after", (b) => {
    const x = b.take(() => true);
    const other = b.take(() => true);
    return x && other && same(x, ops.after(x.node, [other.node]));
  }],
  ["checkpoint", unary(checkpoint((x: GraphNode) => ops.mul(ops.tanh(x), ops.sin(ops.add(x, one(x))))), isFloat, (_, node) => inexact(node))],
  ["cast", (b) => {
    const x = b.take(exact);
    const dtype = leafDTypes[b.pick(leafDTypes.length)]!;
    // What leaves the range of a byte or the digits of float32 is covered by the samples.
    return x && (x.node.dtype === "int32" && isFloating(dtype) ? undefined : { node: ops.cast(x.node, dtype), fraction: isFloat(x) && isFloating(dtype) ? x.fraction : 0, whole: Math.max(x.whole, 8) });
  }],
  ["add", binary(ops.add, (value) => !isBool(value), added)],
  ["sub", binary(ops.sub, (value) => !isBool(value), added)],
  ["mul", binary(ops.mul, (value) => !isBool(value), multiplied)],
  ["div", binary((x, y) => ops.div(x, aboveOne(y)), isFloat, (_, __, node) => inexact(node))],
  ["pow", binary((x, y) => ops.pow(aboveOne(ops.tanh(x)), ops.tanh(y)), isFloat, (_, __, node) => inexact(node))],
  ["maximum", binary(ops.maximum, (value) => !isBool(value) && exact(value), larger)],
  ["minimum", binary(ops.minimum, (value) => !isBool(value) && exact(value), larger)],
  ["equal", binary(ops.equal, exact, (_, __, node) => integer(node))],
  ["less", binary(ops.less, exact, (_, __, node) => integer(node))],
  ["lessEqual", binary(ops.lessEqual, exact, (_, __, node) => integer(node))],
  ["logicalAnd", binary(ops.logicalAnd, isBool, larger)],
  ["logicalOr", binary(ops.logicalOr, isBool, larger)],
  ["select", (b) => {
    const condition = b.take(isBool);
    const pair = condition && operands(b, () => true);
    return pair && larger(pair[0], pair[1], ops.select(fitted(condition, pair[0].node.shape).node, pair[0].node, pair[1].node));
  }],
  ["reshape", (b) => {
    const x = b.take(() => true);
    if (x === undefined) return undefined;
    const size = sizeOf(x.node.shape);
    const divisors = Array.from({ length: size }, (_, index) => index + 1).filter((divisor) => size % divisor === 0);
    const first = divisors[b.pick(divisors.length)] ?? 0;
    return same(x, ops.reshape(x.node, size === 0 ? [3, 0] : [first, size / first]));
  }],
  ["transpose", (b) => {
    const x = b.take(({ node }) => node.shape.length >= 2);
    if (x === undefined) return undefined;
    const shift = 1 + b.pick(x.node.shape.length - 1);
    return same(x, ops.transpose(x.node, x.node.shape.map((_, axis) => (axis + shift) % x.node.shape.length)));
  }],
  ["broadcast", (b) => {
    const x = b.take(({ node }) => node.shape.includes(1));
    return x && same(x, ops.broadcast(x.node, x.node.shape.map((extent) => (extent === 1 ? [1, 3, 5, 8][b.pick(4)]! : extent))));
  }],
  ["slice", (b) => {
    const x = b.take(hasAxis);
    if (x === undefined) return undefined;
    const { shape } = x.node;
    const begin = shape.map((extent) => b.pick(extent));
    const end = shape.map((extent, axis) => begin[axis]! + b.pick(extent - begin[axis]! + 1));
    return same(x, ops.slice(x.node, begin, end, shape.map(() => 1 + b.pick(3))));
  }],
  ["pad", (b) => {
    const x = b.take(hasAxis);
    return x && same(x, ops.pad(x.node, x.node.shape.map(() => b.pick(3)), x.node.shape.map(() => b.pick(3)), b.pick(2)));
  }],
  ["concat", (b) => {
    const x = b.take(hasAxis);
    const y = x && b.take(({ node }) => node.dtype === x.node.dtype);
    if (x === undefined || y === undefined) return undefined;
    const axis = b.pick(x.node.shape.length);
    const other = fitted(y, x.node.shape.with(axis, 1 + b.pick(4)));
    return larger(x, y, ops.concat([x.node, other.node, x.node], axis));
  }],
  ["sum", reduction("sum")],
  ["max", reduction("max")],
  ["argmax", (b) => {
    const x = b.take((value) => isSigned(value) && exact(value) && hasAxis(value) && sizeOf(value.node.shape) > 0);
    return x && integer(ops.argmax(x.node, b.pick(x.node.shape.length)));
  }],
  ["softmax", (b) => {
    const x = b.take((value) => isFloat(value) && hasAxis(value) && exact(value) && sizeOf(value.node.shape) > 0);
    if (x === undefined) return undefined;
    const { shape } = x.node;
    const axis = shape.length - 1;
    const shifted = ops.exp(ops.sub(x.node, ops.restoreAxes(ops.stopGradient(ops.max(x.node, [axis])), [axis], shape)));
    return inexact(ops.div(shifted, ops.restoreAxes(ops.sum(shifted, [axis]), [axis], shape)));
  }],
  ["matmul", (b) => {
    const x = b.take((value) => isFloat(value) && value.node.shape.length >= 2);
    const y = x && b.take(({ node }) => node.dtype === x.node.dtype);
    if (x === undefined || y === undefined) return undefined;
    const [transposeA, transposeB] = [b.pick(2) === 1, b.pick(2) === 1];
    const { shape } = x.node;
    const k = shape.at(transposeA ? -2 : -1)!;
    const n = [1, 3, 7, 16][b.pick(4)]!;
    const right = fitted(y, [...shape.slice(0, -2), ...(transposeB ? [n, k] : [k, n])]);
    const product = ops.matmul(x.node, right.node, transposeA, transposeB);
    return { ...multiplied(x, y, product), whole: x.whole + y.whole + bits(k) };
  }],
  ["gather", (b) => {
    const x = b.take((value) => hasAxis(value) && sizeOf(value.node.shape) > 0);
    const indices = b.take(({ node }) => node.dtype === "int32") ?? integer(ops.iota([5], 0));
    return x && same(x, ops.gather(x.node, indices.node));
  }],
  ["scatterAdd", (b) => {
    const x = b.take((value) => isSigned(value) && hasAxis(value));
    if (x === undefined) return undefined;
    const indices = b.take(({ node }) => node.dtype === "int32") ?? integer(ops.iota([5], 0));
    const at = fitted(indices, [x.node.shape[0]!]);
    return { ...x, node: ops.scatterAdd(at.node, x.node, 1 + b.pick(6)), whole: x.whole + bits(x.node.shape[0]!) };
  }],
  ["iota", (b) => {
    const shape = leafShapes[1 + b.pick(leafShapes.length - 1)]!;
    return integer(ops.iota(shape, b.pick(shape.length)));
  }],
  ["constant", (b) => {
    const x = b.take(isFloat);
    return x && { node: ops.scalarLike([0, 1, -1, 0.5, 2][b.pick(5)]!, x.node), fraction: 1, whole: 2 };
  }],
  ["dropout", (b) => {
    const x = b.take(isFloat32);
    if (x === undefined) return undefined;
    const key = ops.concat([ops.reshape(ops.constant(b.pick(1000), "int32"), [1]), ops.reshape(ops.constant(7, "int32"), [1])], 0);
    const drawn = ops.randomBits(key, x.node.shape);
    return larger(x, x, ops.select(ops.less(drawn, ops.scalarLike(0, drawn)), x.node, ops.scalarLike(0, x.node)));
  }],
];

function build(leaves: readonly { shape: number; dtype: number; seed: number }[], steps: readonly Step[], extra: number): RandomGraph {
  const builder = new GraphBuilder();
  for (const { shape, dtype, seed } of leaves) builder.leaf(leafShapes[shape]!, leafDTypes[dtype]!, seed);
  for (const step of steps) builder.run(step);
  const last = builder.known.at(-1)!.node;
  const outputs = [last, builder.known[extra % builder.known.length]!.node];
  const floating = builder.leaves.filter(({ dtype }) => isFloating(dtype));
  if (isFloating(last.dtype)) outputs.push(...vjp([last], floating, [one(last)]).filter((gradient) => gradient !== null));
  const donate: (number | undefined)[] = outputs.map(() => undefined);
  if (extra % 2 === 1) builder.leaves.forEach((leaf, index) => {
    outputs.push(updateOf(leaf, builder.known, extra + 3 * index));
    donate.push(index);
  });
  const written = outputs.map(({ id }, index) => (donate[index] === undefined ? id : `${id} over ${builder.leaves[donate[index]]!.id}`));
  const recipe = [...builder.recipe, `outputs ${written.join(", ")}`].join("\n");
  return { leaves: builder.leaves, values: builder.values, outputs, donate, [fc.toStringMethod]: () => recipe };
}

/** A value to overwrite `leaf` with: any of its dtype, alone, added to the old value, or added to the old value in reverse. */
function updateOf(leaf: GraphNode, known: readonly Value[], choice: number): GraphNode {
  const candidates = known.filter(({ node }) => node.dtype === leaf.dtype);
  const { node } = fitted(candidates[choice % candidates.length]!, leaf.shape);
  if (leaf.dtype === "bool") return ops.logicalNot(node);
  const backward = leaf.shape.length > 0 && sizeOf(leaf.shape) > 0 ? reversed(leaf) : leaf;
  return [ops.add(leaf, node), ops.sub(node, ops.scalarLike(1, node)), ops.add(node, backward)][choice % 3]!;
}

/** The rows of `x`, last first. */
function reversed(x: GraphNode): GraphNode {
  const rows = x.shape[0]!;
  const forward = ops.iota([rows], 0);
  return ops.gather(x, ops.sub(ops.scalarLike(rows - 1, forward), forward));
}

/** Graphs of up to 15 moves on one to three leaves; the gradient of the last value is computed beside it. Half of them update leaves in place. */
export const randomGraphs: fc.Arbitrary<RandomGraph> = fc
  .tuple(
    fc.array(fc.record({ shape: fc.nat(leafShapes.length - 1), dtype: fc.nat(leafDTypes.length - 1), seed: fc.nat(1000) }), { minLength: 1, maxLength: 3 }),
    fc.array(fc.record({ move: fc.nat(moves.length - 1), picks: fc.array(fc.nat(1000), { minLength: 8, maxLength: 8 }) }), { maxLength: 15 }),
    fc.nat(100),
  )
  .map(([leaves, steps, extra]) => build(leaves, steps, extra));
