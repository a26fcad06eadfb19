// Tensor: the value a person holds, a thin wrapper over a node of the graph.
// Nothing is computed until a value is read; tensors are never consumed by what is done with them.
import type { Device } from "../devices/device.ts";
import { type DType, hostArray, isFloating, type TypedArray } from "../ops/dtype.ts";
import * as ops from "../ops/build.ts";
import { LifetimeError, ShapeError, ValueError } from "../ops/errors.ts";
import { dependencies, type GraphNode } from "../ops/graph.ts";
import { formatShape, type Shape, sizeOf } from "../ops/shape.ts";
import * as arithmetic from "./arithmetic.ts";
import { matmul } from "./contraction.ts";
import { evaluate } from "./evaluate.ts";
import * as indexing from "./indexing.ts";
import { formatTensor } from "./inspect.ts";
import * as movement from "./movement.ts";
import { nest, type NestedNumbers } from "./nested.ts";
import * as reduction from "./reduction.ts";
import { DeviceStorage, storageOf } from "./storage.ts";

/** A tensor, or a number that takes the dtype of the tensor it meets. */
export type Operand = Tensor | number;

/** Options of a reduction. */
export interface ReduceOptions {
  /** Keeps the reduced axes with size 1. Default false. */
  readonly keepDims?: boolean;
}

function operand(value: Operand): arithmetic.NodeOperand {
  return typeof value === "number" ? value : value.node;
}

/** True where a node depends on an argument of a function being traced, so it has no value yet. */
export function isTraced(...nodes: readonly GraphNode[]): boolean {
  const seen = new Set<GraphNode>();
  const stack = [...nodes];
  while (stack.length > 0) {
    const next = stack.pop()!;
    if (next.storage !== undefined || seen.has(next)) continue;
    if (next.op === "source") return true;
    seen.add(next);
    stack.push(...dependencies(next));
  }
  return false;
}

/**
 * An n-dimensional array: a lazy value with a shape and a dtype.
 *
 * Operations follow NumPy: shapes broadcast, dtypes promote (bool < uint8 < int32 < float32 < float64), a JS number takes
 * the tensor's dtype. Made by {@link tensor}, {@link zeros} and the like.
 *
 * @example
 * tensor([[1, 2], [3, 4]]).mul(10).sum(0).toArray(); // [40, 60]
 */
export class Tensor {
  #node: GraphNode | undefined;

  /** @internal */
  constructor(node: GraphNode) {
    this.#node = node;
  }

  /** The node of the graph; throws {@link LifetimeError} after dispose. @internal */
  get node(): GraphNode {
    if (this.#node === undefined) throw new LifetimeError("This tensor was disposed.", "Keep it undisposed while it is still to be used.");
    return this.#node;
  }

  /** Lets this handle stand for another node. @internal */
  protected rebind(node: GraphNode): void {
    this.#node = node;
  }

  /**
   * Sizes of the axes, outermost first.
   *
   * @example
   * zeros([2, 3]).shape; // [2, 3]
   */
  get shape(): Shape {
    return this.node.shape;
  }

  /**
   * Element type.
   *
   * @example
   * zeros([2], "int32").dtype; // "int32"
   */
  get dtype(): DType {
    return this.node.dtype;
  }

  /**
   * Number of axes.
   *
   * @example
   * zeros([2, 3]).rank; // 2
   */
  get rank(): number {
    return this.shape.length;
  }

  /**
   * Number of elements.
   *
   * @example
   * zeros([2, 3]).size; // 6
   */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** A result of its own: an operation that changes nothing still gives a tensor that is disposed independently. */
  #result(node: GraphNode): Tensor {
    return new Tensor(node === this.#node ? movement.alias(node) : node);
  }

  // ── arithmetic ──

  /**
   * this + other.
   *
   * @example
   * tensor([1, 2]).add(10).toArray(); // [11, 12]
   */
  add(other: Operand): Tensor {
    return this.#result(arithmetic.add(this.node, operand(other)));
  }

  /**
   * this − other.
   *
   * @example
   * tensor([1, 2]).sub(1).toArray(); // [0, 1]
   */
  sub(other: Operand): Tensor {
    return this.#result(arithmetic.sub(this.node, operand(other)));
  }

  /**
   * this · other, element by element.
   *
   * @example
   * tensor([1, 2]).mul(tensor([[1], [2]])).toArray(); // [[1, 2], [2, 4]]
   */
  mul(other: Operand): Tensor {
    return this.#result(arithmetic.mul(this.node, operand(other)));
  }

  /**
   * this / other; integers divide as float32.
   *
   * @example
   * tensor([1, 3], { dtype: "int32" }).div(2).toArray(); // [0.5, 1.5]
   */
  div(other: Operand): Tensor {
    return this.#result(arithmetic.div(this.node, operand(other)));
  }

  /**
   * this to the power of other; integers are taken as float32, but for a power of 2.
   *
   * @example
   * tensor([2, 3]).pow(2).toArray(); // [4, 9]
   */
  pow(other: Operand): Tensor {
    return this.#result(arithmetic.pow(this.node, operand(other)));
  }

  /**
   * The larger of the two; NaN where either is.
   *
   * @example
   * tensor([1, 5]).maximum(3).toArray(); // [3, 5]
   */
  maximum(other: Operand): Tensor {
    return this.#result(arithmetic.maximum(this.node, operand(other)));
  }

  /**
   * The smaller of the two; NaN where either is.
   *
   * @example
   * tensor([1, 5]).minimum(3).toArray(); // [1, 3]
   */
  minimum(other: Operand): Tensor {
    return this.#result(arithmetic.minimum(this.node, operand(other)));
  }

  /**
   * Limited to [low, high].
   *
   * @example
   * tensor([-1, 0.5, 2]).clip(0, 1).toArray(); // [0, 0.5, 1]
   */
  clip(low: number, high: number): Tensor {
    return this.#result(arithmetic.clip(this.node, low, high));
  }

  /**
   * −x.
   *
   * @example
   * tensor([1, -2]).neg().toArray(); // [-1, 2]
   */
  neg(): Tensor {
    return this.#result(arithmetic.neg(this.node));
  }

  /**
   * |x|.
   *
   * @example
   * tensor([1, -2]).abs().toArray(); // [1, 2]
   */
  abs(): Tensor {
    return this.#result(arithmetic.abs(this.node));
  }

  /**
   * −1, 0 or 1.
   *
   * @example
   * tensor([3, -2]).sign().toArray(); // [1, -1]
   */
  sign(): Tensor {
    return this.#result(arithmetic.sign(this.node));
  }

  /**
   * The largest integer not above.
   *
   * @example
   * tensor([1.5, -1.5]).floor().toArray(); // [1, -2]
   */
  floor(): Tensor {
    return this.#result(arithmetic.floor(this.node));
  }

  /**
   * x².
   *
   * @example
   * tensor([1, -2]).square().toArray(); // [1, 4]
   */
  square(): Tensor {
    return this.#result(arithmetic.square(this.node));
  }

  /**
   * √x.
   *
   * @example
   * tensor([4, 9]).sqrt().toArray(); // [2, 3]
   */
  sqrt(): Tensor {
    return this.#result(arithmetic.sqrt(this.node));
  }

  /**
   * eˣ.
   *
   * @example
   * tensor([0]).exp().toArray(); // [1]
   */
  exp(): Tensor {
    return this.#result(arithmetic.exp(this.node));
  }

  /**
   * Natural logarithm.
   *
   * @example
   * tensor([1]).log().toArray(); // [0]
   */
  log(): Tensor {
    return this.#result(arithmetic.log(this.node));
  }

  /**
   * Sine of x in radians.
   *
   * @example
   * tensor([0]).sin().toArray(); // [0]
   */
  sin(): Tensor {
    return this.#result(arithmetic.sin(this.node));
  }

  /**
   * Cosine of x in radians.
   *
   * @example
   * tensor([0]).cos().toArray(); // [1]
   */
  cos(): Tensor {
    return this.#result(arithmetic.cos(this.node));
  }

  /**
   * Hyperbolic tangent.
   *
   * @example
   * tensor([0]).tanh().toArray(); // [0]
   */
  tanh(): Tensor {
    return this.#result(arithmetic.tanh(this.node));
  }

  /**
   * 1 / (1 + e⁻ˣ).
   *
   * @example
   * tensor([0]).sigmoid().toArray(); // [0.5]
   */
  sigmoid(): Tensor {
    return this.#result(arithmetic.sigmoid(this.node));
  }

  /**
   * max(x, 0); its derivative at 0 is 0.
   *
   * @example
   * tensor([-1, 2]).relu().toArray(); // [0, 2]
   */
  relu(): Tensor {
    return this.#result(arithmetic.relu(this.node));
  }

  /**
   * log(1 + eˣ), without overflow.
   *
   * @example
   * tensor([0], { dtype: "float64" }).softplus().item(); // 0.6931…
   */
  softplus(): Tensor {
    return this.#result(arithmetic.softplus(this.node));
  }

  // ── comparison and logic: bool tensors ──

  /**
   * this = other.
   *
   * @example
   * tensor([1, 2]).equal(2).toArray(); // [0, 1]
   */
  equal(other: Operand): Tensor {
    return this.#result(arithmetic.equal(this.node, operand(other)));
  }

  /**
   * this ≠ other.
   *
   * @example
   * tensor([1, 2]).notEqual(2).toArray(); // [1, 0]
   */
  notEqual(other: Operand): Tensor {
    return this.#result(arithmetic.notEqual(this.node, operand(other)));
  }

  /**
   * this < other.
   *
   * @example
   * tensor([1, 2]).less(2).toArray(); // [1, 0]
   */
  less(other: Operand): Tensor {
    return this.#result(arithmetic.less(this.node, operand(other)));
  }

  /**
   * this ≤ other.
   *
   * @example
   * tensor([1, 2]).lessEqual(2).toArray(); // [1, 1]
   */
  lessEqual(other: Operand): Tensor {
    return this.#result(arithmetic.lessEqual(this.node, operand(other)));
  }

  /**
   * this > other.
   *
   * @example
   * tensor([1, 2]).greater(1).toArray(); // [0, 1]
   */
  greater(other: Operand): Tensor {
    return this.#result(arithmetic.greater(this.node, operand(other)));
  }

  /**
   * this ≥ other.
   *
   * @example
   * tensor([1, 2]).greaterEqual(1).toArray(); // [1, 1]
   */
  greaterEqual(other: Operand): Tensor {
    return this.#result(arithmetic.greaterEqual(this.node, operand(other)));
  }

  /**
   * Both are not zero.
   *
   * @example
   * tensor([true, true]).logicalAnd(tensor([true, false])).toArray(); // [1, 0]
   */
  logicalAnd(other: Tensor): Tensor {
    return this.#result(arithmetic.logicalAnd(this.node, other.node));
  }

  /**
   * Either is not zero.
   *
   * @example
   * tensor([true, false]).logicalOr(tensor([false, false])).toArray(); // [1, 0]
   */
  logicalOr(other: Tensor): Tensor {
    return this.#result(arithmetic.logicalOr(this.node, other.node));
  }

  /**
   * Zero.
   *
   * @example
   * tensor([true, false]).logicalNot().toArray(); // [0, 1]
   */
  logicalNot(): Tensor {
    return this.#result(arithmetic.logicalNot(this.node));
  }

  /**
   * `a` where this is true, otherwise `b`; all three broadcast.
   *
   * @example
   * tensor([true, false]).where(tensor([1, 2]), 0).toArray(); // [1, 0]
   */
  where(a: Tensor, b: Operand): Tensor {
    return this.#result(arithmetic.where(this.node, a.node, operand(b)));
  }

  // ── reduction ──

  /**
   * Σ over `axes` (default all); bool and uint8 add up in int32.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).sum(1, { keepDims: true }).toArray(); // [[3], [7]]
   */
  sum(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.sum(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Mean over `axes` (default all).
   *
   * @example
   * tensor([[1, 2], [3, 4]]).mean(0).toArray(); // [2, 3]
   */
  mean(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.mean(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Largest over `axes` (default all).
   *
   * @example
   * tensor([[1, 2], [3, 4]]).max(1).toArray(); // [2, 4]
   */
  max(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.max(this.node, axes, options.keepDims ?? false));
  }

  /**
   * Smallest over `axes` (default all).
   *
   * @example
   * tensor([[1, 2], [3, 4]]).min().item(); // 1
   */
  min(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.min(this.node, axes, options.keepDims ?? false));
  }

  /**
   * First index of the largest along `axis`, int32.
   *
   * @example
   * tensor([[1, 5], [4, 3]]).argmax().toArray(); // [1, 0]
   */
  argmax(axis = -1): Tensor {
    return this.#result(reduction.argmax(this.node, axis));
  }

  /**
   * First index of the smallest along `axis`, int32.
   *
   * @example
   * tensor([[1, 5], [4, 3]]).argmin(0).toArray(); // [0, 1]
   */
  argmin(axis = -1): Tensor {
    return this.#result(reduction.argmin(this.node, axis));
  }

  /**
   * Mean squared deviation over `axes` (default all), divided by n − correction (default 0, the population's).
   *
   * @example
   * tensor([1, 2, 3, 4]).variance().item(); // 1.25
   */
  variance(axes?: number | readonly number[], options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
    return this.#result(reduction.variance(this.node, axes, options.keepDims ?? false, options.correction ?? 0));
  }

  /**
   * eˣ / Σ eˣ along `axis`.
   *
   * @example
   * tensor([0, 0]).softmax().toArray(); // [0.5, 0.5]
   */
  softmax(axis = -1): Tensor {
    return this.#result(reduction.softmax(this.node, axis));
  }

  /**
   * log softmax, computed without taking the logarithm of a small number.
   *
   * @example
   * tensor([0, 0]).logSoftmax().exp().sum().item(); // 1
   */
  logSoftmax(axis = -1): Tensor {
    return this.#result(reduction.logSoftmax(this.node, axis));
  }

  /**
   * log Σ eˣ over `axes` (default all), without overflow.
   *
   * @example
   * tensor([1000]).logSumExp().item(); // 1000
   */
  logSumExp(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.logSumExp(this.node, axes, options.keepDims ?? false));
  }

  // ── contraction ──

  /**
   * Matrix product [..., M, K] × [..., K, N] → [..., M, N]; batch axes broadcast, a vector is a row on the left and a column on the right.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).matmul(tensor([1, 1])).toArray(); // [3, 7]
   */
  matmul(other: Tensor): Tensor {
    return this.#result(matmul(this.node, other.node));
  }

  // ── movement ──

  /**
   * The same elements in another shape; one -1 is inferred.
   *
   * @example
   * arange(6).reshape([2, -1]).shape; // [2, 3]
   */
  reshape(shape: Shape): Tensor {
    return this.#result(movement.reshape(this.node, shape));
  }

  /**
   * Merges the axes from `start` (default 0) on into one.
   *
   * @example
   * zeros([2, 3, 4]).flatten(1).shape; // [2, 12]
   */
  flatten(start = 0): Tensor {
    return this.#result(movement.flatten(this.node, start));
  }

  /**
   * Output axis i is axis permutation[i]; without a permutation the axes are reversed.
   *
   * @example
   * zeros([2, 3, 4]).transpose([1, 2, 0]).shape; // [3, 4, 2]
   */
  transpose(permutation?: readonly number[]): Tensor {
    return this.#result(movement.transpose(this.node, permutation));
  }

  /**
   * The axes reversed: a matrix transposed.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).T.toArray(); // [[1, 3], [2, 4]]
   */
  get T(): Tensor {
    return this.transpose();
  }

  /**
   * Swaps two axes.
   *
   * @example
   * zeros([2, 3, 4]).swapAxes(0, -1).shape; // [4, 3, 2]
   */
  swapAxes(a: number, b: number): Tensor {
    return this.#result(movement.swapAxes(this.node, a, b));
  }

  /**
   * Repeats axes of size 1, and adds leading ones, up to `shape`.
   *
   * @example
   * tensor([1, 2]).broadcastTo([2, 2]).toArray(); // [[1, 2], [1, 2]]
   */
  broadcastTo(shape: Shape): Tensor {
    return this.#result(movement.broadcastTo(this.node, shape));
  }

  /**
   * Inserts an axis of size 1.
   *
   * @example
   * zeros([3]).expandDims(0).shape; // [1, 3]
   */
  expandDims(axis: number): Tensor {
    return this.#result(movement.expandDims(this.node, axis));
  }

  /**
   * Drops `axis`, or all axes, of size 1.
   *
   * @example
   * zeros([1, 3, 1]).squeeze().shape; // [3]
   */
  squeeze(axis?: number): Tensor {
    return this.#result(movement.squeeze(this.node, axis));
  }

  /**
   * Part of the tensor, one range an axis: an index (drops the axis), `[begin, end, step]`, or null for all.
   *
   * @example
   * tensor([[1, 2, 3], [4, 5, 6]]).slice(1, [0, 2]).toArray(); // [4, 5]
   */
  slice(...ranges: readonly movement.SliceRange[]): Tensor {
    return this.#result(movement.slice(this.node, ranges));
  }

  /**
   * Surrounds with `value` (default 0): a width for all sides, or [before, after] for each axis.
   *
   * @example
   * tensor([1, 2]).pad(1).toArray(); // [0, 1, 2, 0]
   */
  pad(widths: number | readonly (readonly [before: number, after: number])[], value = 0): Tensor {
    return this.#result(movement.pad(this.node, widths, value));
  }

  // ── indexing ──

  /**
   * Rows: [R, ...rest] with indices [...I] → [...I, ...rest]. Indices are clamped to the range.
   *
   * @example
   * tensor([[1], [2], [3]]).gather(tensor([2, 0], { dtype: "int32" })).toArray(); // [[3], [1]]
   */
  gather(indices: Tensor): Tensor {
    return this.take(indices, 0);
  }

  /**
   * Entries along `axis` (default 0) at int32 `indices`, clamped to the range.
   *
   * @example
   * tensor([10, 20, 30]).take(tensor([2, 0], { dtype: "int32" })).toArray(); // [30, 10]
   */
  take(indices: Tensor, axis = 0): Tensor {
    return this.#result(indexing.take(this.node, indices.node, axis));
  }

  /**
   * This with updates[i] added to row indices[i]; repeated indices add up, those out of range are dropped.
   *
   * @example
   * zeros([3]).scatterAdd(tensor([1, 1], { dtype: "int32" }), tensor([2, 3])).toArray(); // [0, 5, 0]
   */
  scatterAdd(indices: Tensor, updates: Tensor): Tensor {
    return this.#result(indexing.scatterAdd(this.node, indices.node, updates.node));
  }

  /**
   * [...indices] → [...indices, classes]: 1 at the index, otherwise 0.
   *
   * @example
   * tensor([2, 0], { dtype: "int32" }).oneHot(3).toArray(); // [[0, 0, 1], [1, 0, 0]]
   */
  oneHot(classes: number, dtype: DType = "float32"): Tensor {
    return this.#result(indexing.oneHot(this.node, classes, dtype));
  }

  // ── dtype ──

  /**
   * Converted to `dtype`; to an integer it truncates toward zero and saturates.
   *
   * @example
   * tensor([1.7, -1.7]).cast("int32").toArray(); // [1, -1]
   */
  cast(dtype: DType): Tensor {
    return this.#result(arithmetic.cast(this.node, dtype));
  }

  /**
   * Cast to float32.
   *
   * @example
   * tensor([true]).float().dtype; // "float32"
   */
  float(): Tensor {
    return this.cast("float32");
  }

  /**
   * Cast to float64.
   *
   * @example
   * tensor([1]).double().dtype; // "float64"
   */
  double(): Tensor {
    return this.cast("float64");
  }

  /**
   * Cast to int32.
   *
   * @example
   * tensor([1.9]).int().toArray(); // [1]
   */
  int(): Tensor {
    return this.cast("int32");
  }

  /**
   * Cast to bool: not zero.
   *
   * @example
   * tensor([0, 3]).bool().toArray(); // [0, 1]
   */
  bool(): Tensor {
    return this.cast("bool");
  }

  // ── graph ──

  /**
   * The same value, through which no derivative is taken.
   *
   * @example
   * grad((x: Tensor) => x.mul(x.stopGradient()))(tensor(3)).item(); // 3
   */
  stopGradient(): Tensor {
    return this.#result(isFloating(this.dtype) ? ops.stopGradient(this.node) : this.node);
  }

  /**
   * A copy with memory of its own, made at once: a step that updates a variable in place leaves it alone.
   *
   * @example
   * tensor([1, 2]).clone().toArray(); // [1, 2]
   */
  clone(): Tensor {
    const node = movement.alias(this.node);
    if (!isTraced(node)) evaluate([node]);
    return new Tensor(node);
  }

  // ── reading ──

  /**
   * Computes the value and copies it to a typed array in row-major order; bool is 0 and 1.
   *
   * @example
   * (await tensor([1, 2]).data()).length; // 2
   */
  async data(): Promise<TypedArray> {
    const { node } = this;
    evaluate([node]);
    const into = hostArray(node.dtype, sizeOf(node.shape));
    const storage = storageOf(node);
    await storage.device.read(storage.buffer, into);
    return into;
  }

  /**
   * As {@link data}, at once; throws {@link ValueError} on a device that cannot wait (a browser's).
   *
   * @example
   * tensor([1, 2]).dataSync().length; // 2
   */
  dataSync(): TypedArray {
    const { node } = this;
    evaluate([node]);
    const storage = storageOf(node);
    requireSynchronous(storage.device);
    const into = hostArray(node.dtype, sizeOf(node.shape));
    storage.device.readSync(storage.buffer, into);
    return into;
  }

  /**
   * The value of a tensor of one element; bool is 0 or 1. Synchronous.
   *
   * @example
   * tensor([1, 2]).sum().item(); // 3
   */
  item(): number {
    if (this.size !== 1) {
      throw new ShapeError(`item: the tensor has shape ${formatShape(this.shape)}, ${this.size} elements.`, "Use toArray() or data(), or reduce it first.");
    }
    return this.dataSync()[0]!;
  }

  /**
   * The values as nested arrays; bool is 0 and 1. Synchronous.
   *
   * @example
   * tensor([[1, 2]]).toArray(); // [[1, 2]]
   */
  toArray(): NestedNumbers {
    return nest(this.dataSync(), this.shape);
  }

  /**
   * NumPy's print of the values, computing them; only the shape while a function is being traced, or where reading cannot wait.
   *
   * @example
   * String(tensor([1, 2])); // "tensor([1, 2], shape=[2], dtype=float32)"
   */
  toString(): string {
    if (this.#node === undefined) return "tensor(disposed)";
    const { node } = this;
    const description = `shape=${formatShape(node.shape)}, dtype=${node.dtype}`;
    if (isTraced(node)) return `tensor(traced, ${description})`;
    try {
      evaluate([node]);
      if (!storageOf(node).device.synchronous) return `tensor(${description})`;
      return formatTensor(this.dataSync(), node.shape, node.dtype);
    } catch (error) {
      // Printing never throws, e.g. on a value whose inputs were disposed.
      if (error instanceof LifetimeError) return `tensor(lost, ${description})`;
      throw error;
    }
  }

  // ── lifetime ──

  /**
   * Frees the memory now; without it the garbage collector does. What was computed from this tensor but not read yet is lost.
   *
   * @example
   * const x = tensor([1, 2]);
   * x.dispose();
   */
  dispose(): void {
    const storage = this.#node?.storage;
    this.#node = undefined;
    if (storage instanceof DeviceStorage) storage.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

// What console.log shows in Node.
Object.defineProperty(Tensor.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: Tensor): string {
    return this.toString();
  },
});

/**
 * Joined along an existing axis (default 0); dtypes promote.
 *
 * @example
 * concat([tensor([1, 2]), tensor([3])]).toArray(); // [1, 2, 3]
 */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  return owned(tensors, movement.concat(tensors.map((each) => each.node), axis));
}

/**
 * Joined along a new axis (default 0); dtypes promote.
 *
 * @example
 * stack([tensor([1, 2]), tensor([3, 4])]).toArray(); // [[1, 2], [3, 4]]
 */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return owned(tensors, movement.stack(tensors.map((each) => each.node), axis));
}

function owned(operands: readonly Tensor[], node: GraphNode): Tensor {
  return new Tensor(operands.some((each) => each.node === node) ? movement.alias(node) : node);
}

function requireSynchronous(device: Device): void {
  if (!device.synchronous) {
    throw new ValueError(`A value cannot be read synchronously from the device "${device.name}".`, "Use `await t.data()`.");
  }
}
