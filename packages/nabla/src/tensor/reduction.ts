// Reductions over axes, and what is made of them: mean, variance, softmax, log-sum-exp.
// Exponentials subtract the maximum first, so they neither overflow nor lose the small ones.
import * as ops from "../ops/build.ts";
import { isFloating } from "../ops/dtype.ts";
import { ShapeError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape, normaliseAxis, type Shape, sizeOf } from "../ops/shape.ts";
import { add, cast, div, floating, mul, sub } from "./arithmetic.ts";
import { ComparisonMethods, equal, greater, less, logicalNot, where } from "./comparison.ts";
import { reshape } from "./movement.ts";
import type { Tensor } from "./tensor.ts";

/** Options of a reduction. */
export interface ReduceOptions {
  /** Keeps the reduced axes with size 1. Default false. */
  readonly keepDims?: boolean;
}

/** One axis, several, or (undefined) all of them. */
export type Axes = number | readonly number[] | undefined;

function resolve(operation: string, axes: Axes, rank: number): number[] {
  const list = axes === undefined ? Array.from({ length: rank }, (_, axis) => axis) : typeof axes === "number" ? [axes] : axes;
  const resolved = list.map((axis) => normaliseAxis(operation, axis, rank)).sort((a, b) => a - b);
  if (new Set(resolved).size !== resolved.length) {
    throw new ShapeError(`${operation}: axes [${list.join(", ")}] name an axis twice.`, "Name each axis once.");
  }
  return resolved;
}

function reduced(x: GraphNode, axes: readonly number[], keepDims: boolean, primitive: (x: GraphNode, axes: readonly number[]) => GraphNode): GraphNode {
  if (axes.length === 0) return x;
  const result = primitive(x, axes);
  return keepDims ? reshape(result, x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent))) : result;
}

function countOver(shape: Shape, axes: readonly number[]): number {
  return sizeOf(axes.map((axis) => shape[axis]!));
}

/** bool and uint8 are summed in int32. */
export function sum(x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  const wide = x.dtype === "bool" || x.dtype === "uint8" ? cast(x, "int32") : x;
  return reduced(wide, resolve("sum", axes, x.shape.length), keepDims, ops.sum);
}

export function mean(x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  if (x.dtype === "int32") return cast(mean(cast(x, "float64"), axes, keepDims), "float32");
  const resolved = resolve("mean", axes, x.shape.length);
  return div(reduced(floating(x), resolved, keepDims, ops.sum), countOver(x.shape, resolved));
}

export function max(x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  return cast(extremum("max", comparableType(x), axes, keepDims), x.dtype);
}

export function min(x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  return cast(reversed(extremum("min", reversed(comparableType(x)), axes, keepDims)), x.dtype);
}

function extremum(operation: string, x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  const resolved = resolve(operation, axes, x.shape.length);
  if (countOver(x.shape, resolved) === 0) {
    throw new ShapeError(`${operation}: there is no extreme of nothing: the axes of ${formatShape(x.shape)} reduced over are empty.`, "Check the size first.");
  }
  return reduced(x, resolved, keepDims, ops.max);
}

function comparableType(x: GraphNode): GraphNode {
  return x.dtype === "bool" || x.dtype === "uint8" ? cast(x, "int32") : x;
}

/** A bijection that turns the order round: −x, or for integers −1 − x, which cannot overflow. */
function reversed(x: GraphNode): GraphNode {
  return isFloating(x.dtype) ? ops.neg(x) : sub(ops.neg(x), 1);
}

export function argmax(x: GraphNode, axis: number): GraphNode {
  return argumentOf("argmax", comparableType(x), axis);
}

export function argmin(x: GraphNode, axis: number): GraphNode {
  return argumentOf("argmin", reversed(comparableType(x)), axis);
}

function argumentOf(operation: string, x: GraphNode, axis: number): GraphNode {
  const at = normaliseAxis(operation, axis, x.shape.length);
  if (x.shape[at] === 0) throw new ShapeError(`${operation}: axis ${axis} of ${formatShape(x.shape)} is empty.`, "Check the size first.");
  return ops.argmax(x, at);
}

/** Mean squared deviation from the mean, divided by n − correction: infinite or NaN where that leaves nothing to divide by. */
export function variance(x: GraphNode, axes: Axes, keepDims: boolean, correction: number): GraphNode {
  // Large integers close to each other are one number in float32.
  if (x.dtype === "int32") return cast(variance(cast(x, "float64"), axes, keepDims, correction), "float32");
  const resolved = resolve("variance", axes, x.shape.length);
  const deviation = sub(floating(x), mean(x, resolved, true));
  const total = reduced(mul(deviation, deviation), resolved, keepDims, ops.sum);
  return div(total, Math.max(0, countOver(x.shape, resolved) - correction));
}

/** √x with the derivative 0 where it is 0. */
function root(x: GraphNode): GraphNode {
  const isZero = equal(x, 0);
  return where(isZero, ops.scalarLike(0, x), ops.sqrt(where(isZero, ops.scalarLike(1, x), x)));
}

function shifted(operation: string, x: GraphNode, axis: number): { readonly value: GraphNode; readonly axis: number } {
  const at = normaliseAxis(operation, axis, x.shape.length);
  const value = floating(x);
  return { value: sub(value, ops.stopGradient(extremum(operation, value, at, true))), axis: at };
}

/** eˣ / Σ eˣ along `axis`. */
export function softmax(x: GraphNode, axis: number): GraphNode {
  const { value, axis: at } = shifted("softmax", x, axis);
  const exponentials = ops.exp(value);
  return div(exponentials, sum(exponentials, at, true));
}

/** x − log Σ eˣ along `axis`. */
export function logSoftmax(x: GraphNode, axis: number): GraphNode {
  const { value, axis: at } = shifted("logSoftmax", x, axis);
  return sub(value, ops.log(sum(ops.exp(value), at, true)));
}

/** log Σ eˣ; −∞ where every x is. */
export function logSumExp(x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  const value = floating(x);
  const resolved = resolve("logSumExp", axes, x.shape.length);
  const largest = ops.stopGradient(extremum("logSumExp", value, resolved, true));
  const shift = where(less(ops.abs(largest), Infinity), largest, 0);
  const total = ops.log(reduced(ops.exp(sub(value, shift)), resolved, true, ops.sum));
  const result = add(total, shift);
  return keepDims ? result : reshape(result, x.shape.filter((_, axis) => !resolved.includes(axis)));
}

/** Whether any is not zero; false of nothing. */
function any(x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  return greater(sum(cast(x, "bool"), axes, keepDims), 0);
}

/** √Σx², of numbers of the size of 1: their squares neither overflow nor vanish. The derivative is 0 where it is 0. */
function norm(x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  const value = floating(x);
  const resolved = resolve("norm", axes, x.shape.length);
  if (countOver(x.shape, resolved) === 0) return sum(value, resolved, keepDims);
  const largest = ops.stopGradient(extremum("norm", ops.abs(value), resolved, true));
  const usual = ops.logicalAnd(greater(largest, 0), less(largest, Infinity));
  const scale = where(usual, largest, 1);
  const scaled = div(value, scale);
  const result = mul(root(reduced(mul(scaled, scaled), resolved, true, ops.sum)), scale);
  return keepDims ? result : reshape(result, x.shape.filter((_, axis) => !resolved.includes(axis)));
}

/** Products in pairs, so a derivative never divides by a zero; of nothing 1. */
function prod(x: GraphNode, axes: Axes, keepDims: boolean): GraphNode {
  const resolved = resolve("prod", axes, x.shape.length);
  const wide = x.dtype === "bool" || x.dtype === "uint8" ? cast(x, "int32") : x;
  const product = resolved.reduce(prodAlong, wide);
  return keepDims ? product : reshape(product, x.shape.filter((_, axis) => !resolved.includes(axis)));
}

/** The axis keeps size 1. */
function prodAlong(x: GraphNode, axis: number): GraphNode {
  const extent = x.shape[axis]!;
  const none = x.shape.map(() => 0);
  if (extent === 0) return ops.scalarLike(1, { shape: x.shape.with(axis, 1), dtype: x.dtype });
  if (extent === 1) return x;
  const half = Math.ceil(extent / 2);
  const even = extent % 2 === 0 ? x : ops.pad(x, none, none.with(axis, 1), 1);
  const [first, second] = [ops.slice(even, none, x.shape.with(axis, half)), ops.slice(even, none.with(axis, half), even.shape)];
  return prodAlong(ops.mul(first, second), axis);
}

/** Running sums: after step i an entry holds the sum of the last 2^i (Hillis and Steele, "Data parallel algorithms", 1986). */
function cumsum(x: GraphNode, axis: number): GraphNode {
  const at = normaliseAxis("cumsum", axis, x.shape.length);
  const extent = x.shape[at]!;
  let total = x.dtype === "bool" || x.dtype === "uint8" ? cast(x, "int32") : x;
  const none = x.shape.map(() => 0);
  for (let reach = 1; reach < extent; reach *= 2) {
    const earlier = ops.slice(total, none, x.shape.with(at, extent - reach));
    total = ops.add(total, ops.pad(earlier, none.with(at, reach), none));
  }
  return total;
}

/** Methods of {@link Tensor} that reduce axes, or divide by what reduces them. */
export abstract class ReductionMethods extends ComparisonMethods {
  /**
   * Σ over `axes` (default all); bool and uint8 add up in int32.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).sum(1, { keepDims: true }).toArray(); // [[3], [7]]
   */
  sum(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(sum(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Product over `axes` (default all); bool and uint8 multiply in int32.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).prod(1).toArray(); // [2, 12]
   */
  prod(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(prod(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Mean over `axes` (default all).
   *
   * @example
   * tensor([[1, 2], [3, 4]]).mean(0).toArray(); // [2, 3]
   */
  mean(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(mean(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Largest over `axes` (default all).
   *
   * @example
   * tensor([[1, 2], [3, 4]]).max(1).toArray(); // [2, 4]
   */
  max(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(max(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Smallest over `axes` (default all).
   *
   * @example
   * tensor([[1, 2], [3, 4]]).min().item(); // 1
   */
  min(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(min(this.node, axes, options.keepDims ?? false));
  }

  /**
   * First index of the largest along `axis`, int32.
   *
   * @example
   * tensor([[1, 5], [4, 3]]).argmax().toArray(); // [1, 0]
   */
  argmax(axis = -1): Tensor {
    return this.result(argmax(this.node, axis));
  }

  /**
   * First index of the smallest along `axis`, int32.
   *
   * @example
   * tensor([[1, 5], [4, 3]]).argmin(0).toArray(); // [0, 1]
   */
  argmin(axis = -1): Tensor {
    return this.result(argmin(this.node, axis));
  }

  /**
   * Mean squared deviation over `axes` (default all), divided by n − correction (default 0, the population's), which
   * counts as 0 where it is negative.
   *
   * @example
   * tensor([1, 2, 3, 4]).variance().item(); // 1.25
   */
  variance(axes?: Axes, options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
    return this.result(variance(this.node, axes, options.keepDims ?? false, options.correction ?? 0));
  }

  /**
   * Standard deviation over `axes` (default all): the root of {@link variance}; its derivative at 0 is 0.
   *
   * @example
   * tensor([1, 3]).std().item(); // 1
   */
  std(axes?: Axes, options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
    return this.result(root(variance(this.node, axes, options.keepDims ?? false, options.correction ?? 0)));
  }

  /**
   * Euclidean norm over `axes` (default all), without overflow or underflow; its derivative at 0 is 0.
   *
   * @example
   * tensor([3, 4]).norm().item(); // 5
   */
  norm(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(norm(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Whether any over `axes` (default all) is not zero, bool; false of nothing.
   *
   * @example
   * tensor([[0, 1], [0, 0]]).any(1).toArray(); // [1, 0]
   */
  any(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(any(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Whether none over `axes` (default all) is zero, bool; true of nothing.
   *
   * @example
   * tensor([[0, 1], [1, 1]]).all(1).toArray(); // [0, 1]
   */
  all(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(ops.logicalNot(any(logicalNot(this.node), axes, options.keepDims ?? false)));
  }

  /**
   * Running sums along `axis`; bool and uint8 add up in int32.
   *
   * @example
   * tensor([1, 2, 3]).cumsum().toArray(); // [1, 3, 6]
   */
  cumsum(axis = -1): Tensor {
    return this.result(cumsum(this.node, axis));
  }

  /**
   * eˣ / Σ eˣ along `axis`.
   *
   * @example
   * tensor([0, 0]).softmax().toArray(); // [0.5, 0.5]
   */
  softmax(axis = -1): Tensor {
    return this.result(softmax(this.node, axis));
  }

  /**
   * log softmax, computed without taking the logarithm of a small number.
   *
   * @example
   * tensor([0, 0]).logSoftmax().exp().sum().item(); // 1
   */
  logSoftmax(axis = -1): Tensor {
    return this.result(logSoftmax(this.node, axis));
  }

  /**
   * log Σ eˣ over `axes` (default all), without overflow.
   *
   * @example
   * tensor([1000]).logSumExp().item(); // 1000
   */
  logSumExp(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return this.result(logSumExp(this.node, axes, options.keepDims ?? false));
  }
}
