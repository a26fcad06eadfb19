// One function per primitive: checks its operands, infers the output and returns the node.
// Nothing is implied: shapes and dtypes match, axes are resolved, and a node is always a new one.
import type { DType } from "./dtype.ts";
import { type Aval, GraphNode, type OpName, type OpParams } from "./graph.ts";
import { infer } from "./infer.ts";
import { sameShape, type Shape } from "./shape.ts";

/** The node of primitive `op` on `inputs`; throws what its shape rule throws. */
export function node<P extends OpName>(op: P, inputs: readonly GraphNode[], params: OpParams[P]): GraphNode<P> {
  return new GraphNode(op, inputs, params, infer[op](inputs, params));
}

/** A placeholder, or the home of a stored value. */
export function source({ shape, dtype }: Aval): GraphNode<"source"> {
  return node("source", [], { shape, dtype });
}

/** A scalar known at trace time. */
export function constant(value: number, dtype: DType): GraphNode<"constant"> {
  return node("constant", [], { value, dtype });
}

/** int32 positions along `axis`. */
export function iota(shape: Shape, axis: number): GraphNode<"iota"> {
  return node("iota", [], { shape, axis });
}

export const neg = (x: GraphNode): GraphNode<"neg"> => node("neg", [x], {});
export const abs = (x: GraphNode): GraphNode<"abs"> => node("abs", [x], {});
export const sign = (x: GraphNode): GraphNode<"sign"> => node("sign", [x], {});
export const floor = (x: GraphNode): GraphNode<"floor"> => node("floor", [x], {});
export const exp = (x: GraphNode): GraphNode<"exp"> => node("exp", [x], {});
/** Natural logarithm. */
export const log = (x: GraphNode): GraphNode<"log"> => node("log", [x], {});
export const sqrt = (x: GraphNode): GraphNode<"sqrt"> => node("sqrt", [x], {});
export const sin = (x: GraphNode): GraphNode<"sin"> => node("sin", [x], {});
export const cos = (x: GraphNode): GraphNode<"cos"> => node("cos", [x], {});
export const tanh = (x: GraphNode): GraphNode<"tanh"> => node("tanh", [x], {});
export const sigmoid = (x: GraphNode): GraphNode<"sigmoid"> => node("sigmoid", [x], {});
export const relu = (x: GraphNode): GraphNode<"relu"> => node("relu", [x], {});
export const logicalNot = (x: GraphNode): GraphNode<"logicalNot"> => node("logicalNot", [x], {});
/** The same values, through which no derivative passes. */
export const stopGradient = (x: GraphNode): GraphNode<"stopGradient"> => node("stopGradient", [x], {});
/** `x`, but what is computed from it waits for `others`, and is kept apart from what is computed from `x` itself. */
export const after = (x: GraphNode, others: readonly GraphNode[]): GraphNode<"after"> => node("after", [x, ...others], {});
/** Conversion: to int32 truncates and saturates, to uint8 then keeps the low byte, to bool is ≠ 0. */
export const cast = (x: GraphNode, dtype: DType): GraphNode<"cast"> => node("cast", [x], { dtype });

export const add = (a: GraphNode, b: GraphNode): GraphNode<"add"> => node("add", [a, b], {});
export const sub = (a: GraphNode, b: GraphNode): GraphNode<"sub"> => node("sub", [a, b], {});
export const mul = (a: GraphNode, b: GraphNode): GraphNode<"mul"> => node("mul", [a, b], {});
/** On integers truncates toward zero; by zero gives 0. */
export const div = (a: GraphNode, b: GraphNode): GraphNode<"div"> => node("div", [a, b], {});
export const pow = (a: GraphNode, b: GraphNode): GraphNode<"pow"> => node("pow", [a, b], {});
export const maximum = (a: GraphNode, b: GraphNode): GraphNode<"maximum"> => node("maximum", [a, b], {});
export const minimum = (a: GraphNode, b: GraphNode): GraphNode<"minimum"> => node("minimum", [a, b], {});
export const equal = (a: GraphNode, b: GraphNode): GraphNode<"equal"> => node("equal", [a, b], {});
export const less = (a: GraphNode, b: GraphNode): GraphNode<"less"> => node("less", [a, b], {});
export const lessEqual = (a: GraphNode, b: GraphNode): GraphNode<"lessEqual"> => node("lessEqual", [a, b], {});
export const logicalAnd = (a: GraphNode, b: GraphNode): GraphNode<"logicalAnd"> => node("logicalAnd", [a, b], {});
export const logicalOr = (a: GraphNode, b: GraphNode): GraphNode<"logicalOr"> => node("logicalOr", [a, b], {});
/** `condition ? a : b`, element by element. */
export const select = (condition: GraphNode, a: GraphNode, b: GraphNode): GraphNode<"select"> => node("select", [condition, a, b], {});

export const reshape = (x: GraphNode, shape: Shape): GraphNode<"reshape"> => node("reshape", [x], { shape });
/** Output axis i is input axis permutation[i]. */
export const transpose = (x: GraphNode, permutation: readonly number[]): GraphNode<"transpose"> => node("transpose", [x], { permutation });
/** Grows axes of size 1; the rank stays. */
export const broadcast = (x: GraphNode, shape: Shape): GraphNode<"broadcast"> => node("broadcast", [x], { shape });

/** begin ≤ index < end, every `step`-th, one entry an axis; steps are 1 by default. */
export function slice(x: GraphNode, begin: readonly number[], end: readonly number[], step?: readonly number[]): GraphNode<"slice"> {
  return node("slice", [x], { begin, end, step: step ?? x.shape.map(() => 1) });
}

/** `value` (0 by default) around `x`, one width an axis. */
export function pad(x: GraphNode, before: readonly number[], after: readonly number[], value = 0): GraphNode<"pad"> {
  return node("pad", [x], { before, after, value });
}

export const concat = (inputs: readonly GraphNode[], axis: number): GraphNode<"concat"> => node("concat", inputs, { axis });

/** Drops `axes`, which are ascending and at least one. */
export const sum = (x: GraphNode, axes: readonly number[]): GraphNode<"sum"> => node("sum", [x], { axes });
/** Drops `axes`, which are ascending and at least one. */
export const max = (x: GraphNode, axes: readonly number[]): GraphNode<"max"> => node("max", [x], { axes });
/** First position of the maximum along `axis`, int32. */
export const argmax = (x: GraphNode, axis: number): GraphNode<"argmax"> => node("argmax", [x], { axis });

/** [...batch, M, K] × [...batch, K, N]; a transposed operand is stored with its last two axes swapped. */
export function matmul(a: GraphNode, b: GraphNode, transposeA = false, transposeB = false): GraphNode<"matmul"> {
  return node("matmul", [a, b], { transposeA, transposeB });
}

/** Rows of `x` at int32 `indices`, which are clamped. */
export const gather = (x: GraphNode, indices: GraphNode): GraphNode<"gather"> => node("gather", [x, indices], {});
/** Sums `updates` into `rows` rows; indices outside are dropped. */
export const scatterAdd = (indices: GraphNode, updates: GraphNode, rows: number): GraphNode<"scatterAdd"> =>
  node("scatterAdd", [indices, updates], { rows });
/** 32 random bits an element, from an int32 [2] key. */
export const randomBits = (key: GraphNode, shape: Shape): GraphNode<"randomBits"> => node("randomBits", [key], { shape });

/** `value` in the shape and dtype of `like`. */
export function scalarLike(value: number, { shape, dtype }: Aval): GraphNode {
  const scalar = constant(value, dtype);
  return shape.length === 0 ? scalar : broadcast(reshape(scalar, shape.map(() => 1)), shape);
}

/** `x`, which lacks `axes` of `shape`, repeated along them: the dual of a reduction. */
export function restoreAxes(x: GraphNode, axes: readonly number[], shape: Shape): GraphNode {
  const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const aligned = reshape(x, kept);
  return sameShape(kept, shape) ? aligned : broadcast(aligned, shape);
}

/** `x` with a leading axis along which it repeats. */
export function repeat(x: GraphNode, size: number): GraphNode {
  return broadcast(reshape(x, [1, ...x.shape]), [size, ...x.shape]);
}

/** Operands of one batched primitive: those without the batch axis gain it by repetition. */
export function alignBatch(inputs: readonly GraphNode[], batched: readonly boolean[], size: number): GraphNode[] {
  return inputs.map((input, index) => (batched[index] ? input : repeat(input, size)));
}

/** The sum of what is not null. */
export function sumOf(terms: readonly (GraphNode | null)[]): GraphNode | null {
  return terms.reduce((total, term) => (total === null ? term : term === null ? total : add(total, term)), null);
}
