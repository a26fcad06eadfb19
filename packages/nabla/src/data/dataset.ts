// Data sets: named columns of equal length on the host, whatever they came from.
// Values travel as they are stored (bytes as bytes); what they become is computed on the device.
import { requireRecord } from "../errors/arguments.ts";
import { ShapeError, ValueError } from "../errors/errors.ts";
import { sizeOf } from "../ops/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Column, copyRows, samplesOf, transformed } from "./column.ts";
import { Loader, type LoaderOptions } from "./loader.ts";

/** Tensors of one batch by column. */
export type Batch<Name extends string = string> = { readonly [N in Name]: Tensor };

/** A set of samples in columns. Of two columns the first is the input and the second the target to a trainer; of more, its options say. */
export class Dataset<Name extends string = string> {
  readonly columns: Readonly<Record<Name, Column>>;
  /** Number of samples. */
  readonly length: number;

  constructor(columns: Readonly<Record<Name, Column>>) {
    requireRecord("dataset", columns, "{ x: { data, shape }, y: { data, shape } }", "columns");
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
    const tensors = Object.entries<Column>(this.columns).map(([name, column]) => [name, transformed(name, column, copyRows(column, rows))]);
    return Object.fromEntries(tensors) as Batch<Name>;
  }

  /** Walks the set in batches; every iteration is an epoch. */
  loader(options: LoaderOptions): Loader<Name> {
    return new Loader(this, options);
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
