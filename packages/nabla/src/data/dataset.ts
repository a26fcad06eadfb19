// Data sets: named columns of equal length on the host, and loaders that walk them in batches.
// A batch is copied to the device when it is asked for, so a set may be larger than the engine's memory.
import { type DType, hostArray, type TypedArray } from "../ops/dtype.ts";
import { DTypeError, ShapeError, ValueError } from "../ops/errors.ts";
import { formatShape, type Shape, sizeOf } from "../ops/shape.ts";
import { tensor } from "../tensor/creation.ts";
import { evaluate } from "../tensor/evaluate.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Key, key as keyOf, permutation, foldIn } from "../random/index.ts";

/** One column: `data` holds the samples one after another, each of `shape`. */
export interface Column {
  readonly data: TypedArray;
  /** Shape of one sample; `[]` for one number a sample. */
  readonly shape: Shape;
  /** uint8 columns only: a byte b is given as the float32 (b − mean) / deviation. */
  readonly scale?: { readonly mean: number; readonly deviation: number };
}

/** Tensors of one batch by column. */
export type Batch<Name extends string = string> = { readonly [N in Name]: Tensor };

/** How a set is walked. */
export interface LoaderOptions {
  readonly batchSize: number;
  /** Visits the samples in an order drawn anew each epoch. Default false. */
  readonly shuffle?: boolean;
  /** What the orders are drawn from: a seed or a key. Default 0. */
  readonly seed?: number | Key;
  /** Leaves out a last batch that is not full. Default false. */
  readonly dropLast?: boolean;
}

/** A set of samples in columns. The first column is the input and the second the target where a trainer needs to know. */
export class Dataset<Name extends string = string> {
  readonly columns: Readonly<Record<Name, Column>>;
  /** Number of samples. */
  readonly length: number;

  constructor(columns: Readonly<Record<Name, Column>>) {
    const entries = Object.entries<Column>(columns);
    if (entries.length === 0) throw new ValueError("A data set without columns.", "Pass at least one column.");
    const lengths = entries.map(([name, column]) => samplesOf(name, column));
    const length = lengths[0]!;
    entries.forEach(([name], index) => {
      if (lengths[index] !== length) {
        throw new ShapeError(`Column "${entries[0]![0]}" has ${length} samples, "${name}" has ${lengths[index]!}.`, "Give every column one entry a sample.");
      }
    });
    if (length === 0) throw new ValueError("The data set is empty.", "Pass at least one sample.");
    this.columns = { ...columns };
    this.length = length;
  }

  /** Column names in order. */
  get names(): Name[] {
    return Object.keys(this.columns) as Name[];
  }

  /** The samples [begin, end) as a set of their own; no data is copied. */
  slice(begin: number, end: number = this.length): Dataset<Name> {
    if (!(Number.isInteger(begin) && Number.isInteger(end) && 0 <= begin && begin < end && end <= this.length)) {
      throw new ValueError(`slice(${begin}, ${end}) of a data set of ${this.length} samples.`, "Pass 0 ≤ begin < end ≤ length.");
    }
    const columns = Object.fromEntries(Object.entries<Column>(this.columns).map(([name, column]) => {
      const size = sizeOf(column.shape);
      return [name, { ...column, data: column.data.subarray(begin * size, end * size) }];
    })) as Record<Name, Column>;
    return new Dataset(columns);
  }

  /** The given samples as one batch; throws {@link ValueError} on a row the set does not have. */
  batch(rows: ArrayLike<number>): Batch<Name> {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (!(Number.isInteger(row) && row >= 0 && row < this.length)) throw new ValueError(`The data set has no sample ${row}.`, `Pass integers from 0 to ${this.length - 1}.`);
    }
    const tensors = Object.entries<Column>(this.columns).map(([name, column]) => [name, gatherRows(column, rows)]);
    return Object.fromEntries(tensors) as Batch<Name>;
  }

  /** Walks the set in batches; every iteration is an epoch. */
  loader(options: LoaderOptions): Loader<Name> {
    return new Loader(this, options);
  }
}

function samplesOf(name: string, { data, shape, scale }: Column): number {
  if (!isTypedArray(data)) throw new DTypeError(`Column "${name}" is no typed array of numbers.`, "Pass a Float32Array, Float64Array, Int32Array or Uint8Array with the samples one after another.");
  const size = sizeOf(shape);
  if (size === 0 || data.length % size !== 0) {
    throw new ShapeError(`Column "${name}" has ${data.length} values, which samples of shape ${formatShape(shape)} do not divide.`, "Check the shape of one sample.");
  }
  if (scale !== undefined && !(data instanceof Uint8Array)) throw new ValueError(`Column "${name}" has a scale but holds no bytes.`, "Scale is for uint8 data.");
  if (scale !== undefined && !(Number.isFinite(scale.mean) && scale.deviation > 0 && scale.deviation < Infinity)) {
    throw new ValueError(`Column "${name}" has the scale { mean: ${scale.mean}, deviation: ${scale.deviation} }.`, "Pass a finite mean and a finite positive deviation.");
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

function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  return data instanceof Int32Array ? "int32" : "uint8";
}

function gatherRows({ data, shape, scale }: Column, rows: ArrayLike<number>): Tensor {
  const size = sizeOf(shape);
  const dtype = dtypeOf(data);
  const gathered = hostArray(dtype, rows.length * size);
  for (let i = 0; i < rows.length; i++) {
    const begin = rows[i]! * size;
    gathered.set(data.subarray(begin, begin + size), i * size);
  }
  const raw = tensor(gathered, { dtype, shape: [rows.length, ...shape] });
  if (scale === undefined) return raw;
  // Bytes travel to the device and become numbers there.
  const scaled = raw.cast("float32").sub(scale.mean).div(scale.deviation);
  evaluate([scaled.node]);
  raw.dispose();
  return scaled;
}

/** Batches of a {@link Dataset}; iterate it once an epoch. */
export class Loader<Name extends string = string> implements AsyncIterable<Batch<Name>> {
  readonly dataset: Dataset<Name>;
  readonly batchSize: number;
  /** Batches an epoch. */
  readonly length: number;
  /** The epoch the next iteration walks: set it to resume. */
  epoch = 0;
  readonly #shuffle: boolean;
  readonly #key: Key;

  constructor(dataset: Dataset<Name>, { batchSize, shuffle = false, seed = 0, dropLast = false }: LoaderOptions) {
    if (!Number.isInteger(batchSize) || batchSize < 1) throw new ValueError(`batchSize ${batchSize}.`, "Pass a positive integer.");
    if (dropLast && dataset.length < batchSize) {
      throw new ValueError(`dropLast leaves nothing: ${dataset.length} samples do not fill a batch of ${batchSize}.`, "Use a smaller batch, or keep the last one.");
    }
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.length = dropLast ? Math.floor(dataset.length / batchSize) : Math.ceil(dataset.length / batchSize);
    this.#shuffle = shuffle;
    this.#key = typeof seed === "number" ? keyOf(seed) : seed;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch<Name>> {
    yield* this.batches();
  }

  /** The same batches without waiting, for loops of your own. */
  *batches(): Generator<Batch<Name>> {
    const { dataset, batchSize } = this;
    const order = this.#order(this.epoch++);
    for (let index = 0; index < this.length; index++) {
      yield dataset.batch(order.subarray(index * batchSize, Math.min((index + 1) * batchSize, dataset.length)));
    }
  }

  #order(epoch: number): Int32Array {
    const { length } = this.dataset;
    return this.#shuffle ? permutation(foldIn(this.#key, epoch), length) : Int32Array.from({ length }, (_, row) => row);
  }
}

/**
 * A data set from typed arrays.
 *
 * @example
 * const set = dataset({ x: { data: new Float32Array([0, 1, 2, 3]), shape: [2] }, y: { data: new Int32Array([0, 1]), shape: [] } });
 * set.length; // 2
 */
export function dataset<Name extends string>(columns: Readonly<Record<Name, Column>>): Dataset<Name> {
  return new Dataset(columns);
}
