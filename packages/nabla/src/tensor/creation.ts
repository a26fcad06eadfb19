// New tensors: from JavaScript values, filled, counted.
// Data is copied to the default device at once; filled and counted tensors are computed where they are used.
import { type OptionNames, requireOptions } from "../errors/arguments.ts";
import * as ops from "../ops/build.ts";
import { requireElementType } from "../ops/check.ts";
import type { DType, TypedArray } from "../ops/dtype.ts";
import { describe, DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../ops/shape.ts";
import { add, cast, mul, scalar } from "./arithmetic.ts";
import { broadcastTo } from "./movement.ts";
import { convertData, dtypeOfNested, flattenNested, type NestedArray, shapeOfNested } from "./nested.ts";
import { bytesOf, defaultDevice, DeviceStorage, sourceOf } from "./storage.ts";
import { Tensor } from "./tensor.ts";

/** Options of {@link tensor}. */
export interface TensorOptions {
  /** Default: a typed array's own; bool for booleans; otherwise float32. */
  readonly dtype?: DType;
  /** Default: as nested; a typed array's length. */
  readonly shape?: Shape;
}

/** Typed arrays that a tensor is made from. */
export type TensorData = TypedArray | Uint8ClampedArray | Int8Array | Int16Array | Uint16Array | Uint32Array;

function isTypedArray(values: NestedArray | TensorData): values is TensorData {
  return ArrayBuffer.isView(values);
}

function dtypeOfData(data: TensorData): DType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return "uint8";
  if (data instanceof Int32Array || data instanceof Int16Array || data instanceof Uint16Array || data instanceof Int8Array || data instanceof Uint32Array) return "int32";
  throw new DTypeError(`tensor: the values are ${describe(data)}.`, "Convert them to an Int32Array, Float32Array or Float64Array.");
}

const optionNames: OptionNames<TensorOptions> = { dtype: true, shape: true };

/**
 * A tensor of the given numbers or booleans, copied.
 *
 * Throws {@link ShapeError} on ragged arrays or a shape of another size, {@link ValueError} on a value that an integer dtype
 * cannot hold (fractions, NaN, out of range).
 *
 * @example
 * tensor([[1, 2], [3, 4]]).shape; // [2, 2]
 * tensor(new Float64Array(6), { shape: [2, 3] }).dtype; // "float64"
 */
export function tensor(values: NestedArray | TensorData, options: TensorOptions = {}): Tensor {
  requireOptions("tensor", options, optionNames, "{ dtype: \"int32\" }");
  if (options.dtype !== undefined) requireElementType("tensor", options.dtype);
  const typed = isTypedArray(values);
  const dtype = options.dtype ?? (typed ? dtypeOfData(values) : dtypeOfNested(values));
  const natural = typed ? [values.length] : shapeOfNested(values);
  const shape = options.shape ?? natural;
  requireShape("tensor", shape);
  if (sizeOf(shape) !== sizeOf(natural)) {
    throw new ShapeError(
      `tensor: ${sizeOf(natural)} values do not fill shape ${formatShape(shape)} (${sizeOf(shape)} elements).`,
      "Pass as many values as the shape has elements.",
    );
  }
  const data = typed ? typedData(values, dtype) : flattenNested(values, natural, dtype);
  return fromData(data, shape, dtype);
}

function typedData(values: TensorData, dtype: DType): TypedArray {
  const stored = values instanceof Float32Array || values instanceof Float64Array || values instanceof Int32Array || values instanceof Uint8Array;
  return stored && dtypeOfData(values) === dtype ? values : convertData(values, dtype);
}

/** A tensor over a fresh buffer of the default device that holds `data`. */
function fromData(data: TypedArray, shape: Shape, dtype: DType): Tensor {
  const device = defaultDevice();
  const storage = new DeviceStorage(device, bytesOf({ shape, dtype }));
  device.write(storage.buffer, data);
  return new Tensor(sourceOf(storage, shape, dtype));
}

/** Throws {@link ShapeError} unless every size is a non-negative integer. */
function requireShape(operation: string, shape: Shape): void {
  if (!Array.isArray(shape)) throw new ShapeError(`${operation}: the shape is ${describe(shape)}.`, "Pass the sizes as an array, e.g. [2, 3].");
  if (!shape.every((extent) => Number.isInteger(extent) && extent >= 0)) {
    throw new ShapeError(`${operation}: ${formatShape(shape)} is not a shape.`, "Sizes are non-negative integers.");
  }
}

/**
 * Every element is `value`.
 *
 * @example
 * full([2], 7).toArray(); // [7, 7]
 */
export function full(shape: Shape, value: number, dtype: DType = "float32"): Tensor {
  requireShape("full", shape);
  const element = dtype === "bool" ? ops.constant(value === 0 ? 0 : 1, "bool") : scalar("full", value, dtype);
  return new Tensor(broadcastTo(element, shape));
}

/**
 * All zeros.
 *
 * @example
 * zeros([2]).toArray(); // [0, 0]
 */
export function zeros(shape: Shape, dtype: DType = "float32"): Tensor {
  return full(shape, 0, dtype);
}

/**
 * All ones.
 *
 * @example
 * ones([2]).toArray(); // [1, 1]
 */
export function ones(shape: Shape, dtype: DType = "float32"): Tensor {
  return full(shape, 1, dtype);
}

/**
 * Zeros of `like`'s shape and dtype.
 *
 * @example
 * zerosLike(tensor([1, 2])).toArray(); // [0, 0]
 */
export function zerosLike(like: Tensor): Tensor {
  return zeros(like.shape, like.dtype);
}

/**
 * Ones of `like`'s shape and dtype.
 *
 * @example
 * onesLike(tensor([5, 6])).toArray(); // [1, 1]
 */
export function onesLike(like: Tensor): Tensor {
  return ones(like.shape, like.dtype);
}

/**
 * `value` everywhere, in `like`'s shape and dtype.
 *
 * @example
 * fullLike(tensor([5, 6]), 3).toArray(); // [3, 3]
 */
export function fullLike(like: Tensor, value: number): Tensor {
  return full(like.shape, value, like.dtype);
}

/**
 * start, start + step, … below stop (above, where step < 0). arange(n) counts from 0.
 *
 * @example
 * arange(2, 8, 2).toArray(); // [2, 4, 6]
 */
export function arange(start: number, stop?: number, step = 1, dtype: DType = "float32"): Tensor {
  const [first, end] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((end - first) / step));
  if (!Number.isFinite(length)) throw new ValueError(`arange(${first}, ${end}, ${step}) does not end.`, "Pass finite numbers and a step that is not 0.");
  if (dtype === "bool") throw new DTypeError("arange: bool does not count.", "Use a number dtype.");
  const last = first + (length - 1) * step;
  if (dtype === "uint8" && length > 0 && (Math.min(first, last) < 0 || Math.max(first, last) > 255)) {
    throw new ValueError(`arange(${first}, ${end}, ${step}) leaves the range of uint8.`, "Use int32.");
  }
  const counted = cast(ops.iota([length], 0), dtype);
  return new Tensor(add(step === 1 ? counted : mul(counted, step), first));
}

/**
 * `count` evenly spaced numbers from `start` to `stop`, both included.
 *
 * @example
 * linspace(0, 1, 5).toArray(); // [0, 0.25, 0.5, 0.75, 1]
 */
export function linspace(start: number, stop: number, count: number, dtype: "float32" | "float64" = "float32"): Tensor {
  if (!Number.isInteger(count) || count < 0) throw new ValueError(`linspace: ${count} points.`, "Pass a non-negative integer.");
  // start·(1 − t) + stop·t is exact at both ends.
  const t = arange(0, count, 1, dtype).div(Math.max(1, count - 1));
  return t.neg().add(1).mul(start).add(t.mul(stop));
}

/**
 * Ones on the diagonal of [rows, columns] (default square), otherwise zeros.
 *
 * @example
 * eye(2).toArray(); // [[1, 0], [0, 1]]
 */
export function eye(rows: number, columns: number = rows, dtype: DType = "float32"): Tensor {
  requireShape("eye", [rows, columns]);
  const shape = [rows, columns];
  return new Tensor(cast(ops.equal(ops.iota(shape, 0), ops.iota(shape, 1)), dtype));
}
