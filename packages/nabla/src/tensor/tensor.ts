// Tensor: the value a person holds, a thin wrapper over a node of the graph.
// Nothing is computed until a value is read; tensors are never consumed by what is done with them.
import type { Device } from "../devices/device.ts";
import { type DType, hostArray, isFloating, type TypedArray } from "../ops/dtype.ts";
import * as ops from "../ops/build.ts";
import { LifetimeError, ShapeError, ValueError } from "../ops/errors.ts";
import { type GraphNode, topologicalOrder } from "../ops/graph.ts";
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
  return topologicalOrder(nodes).some((each) => each.op === "source" && each.storage === undefined);
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

  get shape(): Shape {
    return this.node.shape;
  }

  get dtype(): DType {
    return this.node.dtype;
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** A result of its own: an operation that changes nothing still gives a tensor that is disposed independently. */
  #result(node: GraphNode): Tensor {
    return new Tensor(node === this.#node ? movement.alias(node) : node);
  }

  // ── arithmetic ──

  /** this + other. */
  add(other: Operand): Tensor {
    return this.#result(arithmetic.add(this.node, operand(other)));
  }

  /** this − other. */
  sub(other: Operand): Tensor {
    return this.#result(arithmetic.sub(this.node, operand(other)));
  }

  /** this · other, element by element. */
  mul(other: Operand): Tensor {
    return this.#result(arithmetic.mul(this.node, operand(other)));
  }

  /** this / other; integers divide as float32. */
  div(other: Operand): Tensor {
    return this.#result(arithmetic.div(this.node, operand(other)));
  }

  /** this to the power of other; integers are taken as float32, but for a power of 2. */
  pow(other: Operand): Tensor {
    return this.#result(arithmetic.pow(this.node, operand(other)));
  }

  /** The larger of the two; NaN where either is. */
  maximum(other: Operand): Tensor {
    return this.#result(arithmetic.maximum(this.node, operand(other)));
  }

  /** The smaller of the two; NaN where either is. */
  minimum(other: Operand): Tensor {
    return this.#result(arithmetic.minimum(this.node, operand(other)));
  }

  /** Limited to [low, high]. */
  clip(low: number, high: number): Tensor {
    return this.#result(arithmetic.clip(this.node, low, high));
  }

  neg(): Tensor {
    return this.#result(arithmetic.neg(this.node));
  }

  abs(): Tensor {
    return this.#result(arithmetic.abs(this.node));
  }

  /** −1, 0 or 1. */
  sign(): Tensor {
    return this.#result(arithmetic.sign(this.node));
  }

  /** The largest integer not above. */
  floor(): Tensor {
    return this.#result(arithmetic.floor(this.node));
  }

  square(): Tensor {
    return this.#result(arithmetic.square(this.node));
  }

  sqrt(): Tensor {
    return this.#result(arithmetic.sqrt(this.node));
  }

  exp(): Tensor {
    return this.#result(arithmetic.exp(this.node));
  }

  /** Natural logarithm. */
  log(): Tensor {
    return this.#result(arithmetic.log(this.node));
  }

  sin(): Tensor {
    return this.#result(arithmetic.sin(this.node));
  }

  cos(): Tensor {
    return this.#result(arithmetic.cos(this.node));
  }

  tanh(): Tensor {
    return this.#result(arithmetic.tanh(this.node));
  }

  /** 1 / (1 + e⁻ˣ). */
  sigmoid(): Tensor {
    return this.#result(arithmetic.sigmoid(this.node));
  }

  /** max(x, 0); its derivative at 0 is 0. */
  relu(): Tensor {
    return this.#result(arithmetic.relu(this.node));
  }

  /** log(1 + eˣ), without overflow. */
  softplus(): Tensor {
    return this.#result(arithmetic.softplus(this.node));
  }

  // ── comparison and logic: bool tensors ──

  equal(other: Operand): Tensor {
    return this.#result(arithmetic.equal(this.node, operand(other)));
  }

  notEqual(other: Operand): Tensor {
    return this.#result(arithmetic.notEqual(this.node, operand(other)));
  }

  less(other: Operand): Tensor {
    return this.#result(arithmetic.less(this.node, operand(other)));
  }

  lessEqual(other: Operand): Tensor {
    return this.#result(arithmetic.lessEqual(this.node, operand(other)));
  }

  greater(other: Operand): Tensor {
    return this.#result(arithmetic.greater(this.node, operand(other)));
  }

  greaterEqual(other: Operand): Tensor {
    return this.#result(arithmetic.greaterEqual(this.node, operand(other)));
  }

  /** Both are not zero. */
  logicalAnd(other: Tensor): Tensor {
    return this.#result(arithmetic.logicalAnd(this.node, other.node));
  }

  /** Either is not zero. */
  logicalOr(other: Tensor): Tensor {
    return this.#result(arithmetic.logicalOr(this.node, other.node));
  }

  /** Zero. */
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

  /** Σ over `axes` (default all); bool and uint8 add up in int32. */
  sum(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.sum(this.node, axes, options.keepDims ?? false));
  }

  /** Mean over `axes` (default all). */
  mean(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.mean(this.node, axes, options.keepDims ?? false));
  }

  /** Largest over `axes` (default all). */
  max(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.max(this.node, axes, options.keepDims ?? false));
  }

  /** Smallest over `axes` (default all). */
  min(axes?: number | readonly number[], options: ReduceOptions = {}): Tensor {
    return this.#result(reduction.min(this.node, axes, options.keepDims ?? false));
  }

  /** First index of the largest along `axis`, int32. */
  argmax(axis = -1): Tensor {
    return this.#result(reduction.argmax(this.node, axis));
  }

  /** First index of the smallest along `axis`, int32. */
  argmin(axis = -1): Tensor {
    return this.#result(reduction.argmin(this.node, axis));
  }

  /** Mean squared deviation over `axes` (default all), divided by n − correction (default 0, the population's). */
  variance(axes?: number | readonly number[], options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
    return this.#result(reduction.variance(this.node, axes, options.keepDims ?? false, options.correction ?? 0));
  }

  /** eˣ / Σ eˣ along `axis`. */
  softmax(axis = -1): Tensor {
    return this.#result(reduction.softmax(this.node, axis));
  }

  /** log softmax, computed without taking the logarithm of a small number. */
  logSoftmax(axis = -1): Tensor {
    return this.#result(reduction.logSoftmax(this.node, axis));
  }

  /** log Σ eˣ over `axes` (default all), without overflow. */
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

  /** The same elements in another shape; one -1 is inferred. */
  reshape(shape: Shape): Tensor {
    return this.#result(movement.reshape(this.node, shape));
  }

  /** Merges the axes from `start` (default 0) on into one. */
  flatten(start = 0): Tensor {
    return this.#result(movement.flatten(this.node, start));
  }

  /** Output axis i is axis permutation[i]; without a permutation the axes are reversed. */
  transpose(permutation?: readonly number[]): Tensor {
    return this.#result(movement.transpose(this.node, permutation));
  }

  /** The axes reversed: a matrix transposed. */
  get T(): Tensor {
    return this.transpose();
  }

  /** Swaps two axes. */
  swapAxes(a: number, b: number): Tensor {
    return this.#result(movement.swapAxes(this.node, a, b));
  }

  /** Repeats axes of size 1, and adds leading ones, up to `shape`. */
  broadcastTo(shape: Shape): Tensor {
    return this.#result(movement.broadcastTo(this.node, shape));
  }

  /** Inserts an axis of size 1. */
  expandDims(axis: number): Tensor {
    return this.#result(movement.expandDims(this.node, axis));
  }

  /** Drops `axis`, or all axes, of size 1. */
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

  /** Surrounds with `value` (default 0): a width for all sides, or [before, after] for each axis. */
  pad(widths: number | readonly (readonly [before: number, after: number])[], value = 0): Tensor {
    return this.#result(movement.pad(this.node, widths, value));
  }

  // ── indexing ──

  /** Rows: [R, ...rest] with indices [...I] → [...I, ...rest]. Indices are clamped to the range. */
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

  /** This with updates[i] added to row indices[i]; repeated indices add up, those out of range are dropped. */
  scatterAdd(indices: Tensor, updates: Tensor): Tensor {
    return this.#result(indexing.scatterAdd(this.node, indices.node, updates.node));
  }

  /** [...indices] → [...indices, classes]: 1 at the index, otherwise 0. */
  oneHot(classes: number, dtype: DType = "float32"): Tensor {
    return this.#result(indexing.oneHot(this.node, classes, dtype));
  }

  // ── dtype ──

  /** Converted to `dtype`; to an integer it truncates toward zero and saturates. */
  cast(dtype: DType): Tensor {
    return this.#result(arithmetic.cast(this.node, dtype));
  }

  /** Cast to float32. */
  float(): Tensor {
    return this.cast("float32");
  }

  /** Cast to float64. */
  double(): Tensor {
    return this.cast("float64");
  }

  /** Cast to int32. */
  int(): Tensor {
    return this.cast("int32");
  }

  /** Cast to bool: not zero. */
  bool(): Tensor {
    return this.cast("bool");
  }

  // ── graph ──

  /** The same value, through which no derivative is taken. */
  stopGradient(): Tensor {
    return this.#result(isFloating(this.dtype) ? ops.stopGradient(this.node) : this.node);
  }

  /** A copy with memory of its own. */
  clone(): Tensor {
    return new Tensor(movement.alias(this.node));
  }

  // ── reading ──

  /** Computes the value and copies it to a typed array in row-major order; bool is 0 and 1. */
  async data(): Promise<TypedArray> {
    const { node } = this;
    evaluate([node]);
    const into = hostArray(node.dtype, sizeOf(node.shape));
    const storage = storageOf(node);
    await storage.device.read(storage.buffer, into);
    return into;
  }

  /** As {@link data}, at once; throws {@link ValueError} on a device that cannot wait (a browser's). */
  dataSync(): TypedArray {
    const { node } = this;
    evaluate([node]);
    const storage = storageOf(node);
    requireSynchronous(storage.device);
    const into = hostArray(node.dtype, sizeOf(node.shape));
    storage.device.readSync(storage.buffer, into);
    return into;
  }

  /** The value of a tensor of one element; bool is 0 or 1. Synchronous. */
  item(): number {
    if (this.size !== 1) {
      throw new ShapeError(`item: the tensor has shape ${formatShape(this.shape)}, ${this.size} elements.`, "Use toArray() or data(), or reduce it first.");
    }
    return this.dataSync()[0]!;
  }

  /** The values as nested arrays; bool is 0 and 1. Synchronous. */
  toArray(): NestedNumbers {
    return nest(this.dataSync(), this.shape);
  }

  /** NumPy's print of the values, computing them; only the shape while a function is being traced, or where reading cannot wait. */
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

  /** Frees the memory now; without it the garbage collector does. What was computed from this tensor but not read yet is lost. */
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
