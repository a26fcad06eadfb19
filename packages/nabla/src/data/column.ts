// A column of a data set: samples of one shape in a typed array, and what a batch of them becomes on the device.
// Any source is a set once it is columns.
import { type DType, hostArray, type TypedArray } from "../ops/dtype.ts";
import { DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../ops/shape.ts";
import { tensor } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** One column: `data` holds the samples one after another, each of `shape`. */
export interface Column {
  readonly data: TypedArray;
  /** Shape of one sample; `[]` for one number a sample. */
  readonly shape: Shape;
  /** What the values [rows, ...shape] of a batch become, row by row, on the device: scaling, one-hot labels. Default: nothing. */
  readonly transform?: (values: Tensor) => Tensor;
}

/** Number of samples, once everything about the column is checked. */
export function samplesOf(name: string, column: Column): number {
  const { data, shape } = column ?? {};
  if (!isTypedArray(data)) throw new DTypeError(`Column "${name}" is no typed array of numbers.`, "Pass a Float32Array, Float64Array, Int32Array or Uint8Array with the samples one after another.");
  if (!Array.isArray(shape) || !(shape as Shape).every((extent) => Number.isInteger(extent) && extent >= 0)) throw new ShapeError(`Column "${name}" does not say what shape a sample has.`, "Pass it, e.g. { data, shape: [28, 28] }, or shape: [] for one number a sample.");
  const size = sizeOf(shape as Shape);
  if (size === 0 || data.length % size !== 0) {
    throw new ShapeError(`Column "${name}" has ${data.length} values, which samples of shape ${formatShape(shape)} do not divide.`, "Check the shape of one sample.");
  }
  const bad = firstNonFinite(data);
  if (bad >= 0) {
    throw new ValueError(`Column "${name}" holds ${data[bad]!} in sample ${Math.floor(bad / size)}, position ${bad % size}.`, "Fill or drop missing values before training.");
  }
  return data.length / size;
}

function isTypedArray(data: unknown): data is TypedArray {
  return data instanceof Float32Array || data instanceof Float64Array || data instanceof Int32Array || data instanceof Uint8Array;
}

/** Its index, or −1. */
function firstNonFinite(data: TypedArray): number {
  if (data instanceof Uint8Array || data instanceof Int32Array) return -1;
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) return i;
  return -1;
}

export function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  return data instanceof Int32Array ? "int32" : "uint8";
}

/** The raw values of `rows`, copied to the device. */
export function copyRows({ data, shape }: Column, rows: ArrayLike<number>): Tensor {
  const size = sizeOf(shape);
  const dtype = dtypeOf(data);
  const gathered = hostArray(dtype, rows.length * size);
  for (let i = 0; i < rows.length; i++) {
    const begin = rows[i]! * size;
    gathered.set(data.subarray(begin, begin + size), i * size);
  }
  return tensor(gathered, { dtype, shape: [rows.length, ...shape] });
}

/** Applies a column's transform; throws {@link ShapeError} where it does not keep the rows. */
export function transformed(name: string, { transform }: Column, values: Tensor): Tensor {
  if (transform === undefined) return values;
  const result = transform(values);
  if (result.shape[0] !== values.shape[0]) {
    throw new ShapeError(`The transform of column "${name}" made ${formatShape(result.shape)} of ${formatShape(values.shape)}.`, "Keep the first axis, the rows.");
  }
  return result;
}
