// Value: a handle on a node, with shape and dtype, reading, printing and lifetime.
// The kinds of operations are layers above it, one file each, and Tensor is the last of them.
import type { Device } from "../devices/device.ts";
import { type DType, hostArray, type TypedArray } from "../ops/dtype.ts";
import { describe, DTypeError, LifetimeError, ShapeError, ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape, type Shape, sizeOf } from "../ops/shape.ts";
import { evaluate, isTraced } from "./evaluate.ts";
import { formatTensor } from "./inspect.ts";
import { nest, type NestedNumbers } from "./nested.ts";
import { DeviceStorage, storageOf } from "./storage.ts";
import type { Tensor } from "./tensor.ts";
import { noteNumbers } from "./trace.ts";

let handles = 0;

/** What a tensor is, whatever can be done with it. */
export abstract class Value {
  #node: GraphNode | undefined;
  /**
   * No two tensors share it. Deep equality (`toEqual`, `deepStrictEqual`) sees no private fields and does not read values: without this
   * all tensors would be equal to it. Compare tensors with `allClose`, or what `toArray` gives.
   *
   * @internal
   */
  readonly id: number = handles++;

  /** @internal */
  constructor(node: GraphNode) {
    this.#node = node;
  }

  /** The node of the graph; throws {@link LifetimeError} after dispose. @internal */
  get node(): GraphNode {
    return this.held;
  }

  /** The node for what is known of it without reading it. @internal */
  get held(): GraphNode {
    if (this.#node === undefined) throw new LifetimeError("This tensor was disposed.", "Keep it undisposed while it is still to be used.");
    return this.#node;
  }

  /** Lets this handle stand for another node. @internal */
  protected rebind(node: GraphNode): void {
    this.#node = node;
  }

  /** The tensor that an operation on this one gives, always a handle of its own. @internal */
  protected abstract result(node: GraphNode): Tensor;

  /**
   * Sizes of the axes, outermost first.
   *
   * @example
   * zeros([2, 3]).shape; // [2, 3]
   */
  get shape(): Shape {
    return this.held.shape;
  }

  /**
   * Element type.
   *
   * @example
   * zeros([2], "int32").dtype; // "int32"
   */
  get dtype(): DType {
    return this.held.dtype;
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

  // ── reading ──

  /**
   * Computes the value and copies it in row-major order to a new typed array, or to `into`, which is several times as fast where
   * many values are read again and again; bool is 0 and 1. Throws {@link ValueError} unless `into` is of the dtype's kind and of the tensor's size.
   *
   * @example
   * (await tensor([1, 2]).data()).length; // 2
   */
  async data(into?: TypedArray): Promise<TypedArray> {
    const { node } = this;
    noteNumbers(node);
    evaluate([node]);
    const storage = storageOf(node);
    const array = into === undefined ? storage.device.hostArray(node.dtype, sizeOf(node.shape)) : fitting(into, node);
    await storage.device.read(storage.buffer, array);
    return array;
  }

  /**
   * As {@link data}, at once; throws {@link ValueError} on a device that cannot wait (a browser's).
   *
   * @example
   * tensor([1, 2]).dataSync().length; // 2
   * const frame = new Float32Array(2);
   * tensor([1, 2]).dataSync(frame);
   * frame[1]; // 2
   */
  dataSync(into?: TypedArray): TypedArray {
    const { node } = this;
    noteNumbers(node);
    return readNow(node, into);
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
   * As {@link toArray}, but waits: works anywhere, in a page too.
   *
   * @example
   * await tensor([[1, 2]]).array(); // [[1, 2]]
   */
  async array(): Promise<NestedNumbers> {
    const { shape } = this;
    return nest(await this.data(), shape);
  }

  /**
   * NumPy's print of the values, computing them; only the shape while a function is being traced, or where reading cannot wait.
   *
   * @example
   * String(tensor([1, 2])); // "tensor([1, 2], shape=[2], dtype=float32)"
   */
  toString(): string {
    if (this.#node === undefined) return "tensor(disposed)";
    const node = this.#node;
    const description = `shape=${formatShape(node.shape)}, dtype=${node.dtype}`;
    if (isTraced(node)) return `tensor(traced, ${description})`;
    try {
      evaluate([node]);
      if (!storageOf(node).device.synchronous) return `tensor(${description})`;
      return formatTensor(readNow(node), node.shape, node.dtype);
    } catch (error) {
      // Printing never throws, e.g. on a value whose inputs were disposed.
      if (error instanceof LifetimeError) return `tensor(lost, ${description})`;
      throw error;
    }
  }

  /**
   * What `JSON.stringify` writes: the values as {@link toArray} gives them. `tensor(JSON.parse(text))` makes a tensor of them again.
   *
   * @example
   * JSON.stringify({ weights: tensor([[1, 2]]) }); // '{"weights":[[1,2]]}'
   */
  toJSON(): NestedNumbers {
    return this.toArray();
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

/** The node of an operand; throws {@link DTypeError} on what is no tensor. */
export function nodeOf(operation: string, value: Value): GraphNode {
  if (!(value instanceof Value)) throw new DTypeError(`${operation}: an operand is ${describe(value)}.`, "Pass a tensor; tensor(…) makes one of numbers and arrays.");
  return value.node;
}

// What console.log shows in Node.
Object.defineProperty(Value.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: Value): string {
    return this.toString();
  },
});

function readNow(node: GraphNode, into?: TypedArray): TypedArray {
  evaluate([node]);
  const storage = storageOf(node);
  requireSynchronous(storage.device);
  const array = into === undefined ? storage.device.hostArray(node.dtype, sizeOf(node.shape)) : fitting(into, node);
  storage.device.readSync(storage.buffer, array);
  return array;
}

/** `into`, which must hold the values of `node` exactly. */
function fitting(into: TypedArray, { shape, dtype }: GraphNode): TypedArray {
  const wanted = hostArray(dtype, 0).constructor;
  if (!(into instanceof wanted) || into.length !== sizeOf(shape)) {
    throw new ValueError(`Cannot read ${dtype} of shape ${formatShape(shape)} into ${describe(into)}${ArrayBuffer.isView(into) ? ` of ${into.length}` : ""}.`, `Pass ${describe(hostArray(dtype, 0))} of ${sizeOf(shape)}.`);
  }
  return into;
}

function requireSynchronous(device: Device): void {
  if (!device.synchronous) {
    throw new ValueError(`A value cannot be read synchronously from the device "${device.name}".`, "Use `await t.data()`.");
  }
}
