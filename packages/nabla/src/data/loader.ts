// Loaders walk a data set in batches. What fits is kept on the device, and a batch is then only the numbers of its rows:
// a step that is compiled for it gathers and transforms them itself (`recipeOf`), others read the batch like any tensor.
import { requireOptions } from "../errors/arguments.ts";
import { ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { foldIn, type Key, key as keyOf, permutation } from "../random/index.ts";
import { tensor } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Column, copyRows, dtypeOf, transformed } from "./column.ts";
import type { Batch, Dataset } from "./dataset.ts";

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

/** Sets of at most this many bytes are kept on the device: an eighth of what it can address. */
const RESIDENT_BYTES = 2 ** 29;

/** How a batch's tensor is made from values on the device, for a program that makes it itself. */
export interface Recipe {
  /** Recipes of one key, for inputs of the same shapes, make the same of them. */
  readonly key: string;
  readonly inputs: readonly Tensor[];
  readonly make: (inputs: readonly Tensor[]) => Tensor;
}

const recipes = new WeakMap<GraphNode, Recipe>();
/** What batches are made from, besides the set itself. */
const ingredients = new WeakMap<Batch, readonly Tensor[]>();

/** How a loader's tensor is made, while it has not been computed. */
export function recipeOf(value: Tensor): Recipe | undefined {
  return value.node.storage === undefined ? recipes.get(value.node) : undefined;
}

/** Frees a batch now. */
export function release(batch: Batch): void {
  for (const each of [...Object.values(batch), ...(ingredients.get(batch) ?? [])]) each.dispose();
}

/**
 * Batches of a {@link Dataset}; iterate it once an epoch. Where the set has at most 512 MiB, the first batch copies it to the
 * device, which keeps it until the loader is disposed of or collected.
 */
export class Loader<Name extends string = string> implements AsyncIterable<Batch<Name>> {
  readonly dataset: Dataset<Name>;
  readonly batchSize: number;
  /** Batches an epoch. */
  readonly length: number;
  /** The epoch the next iteration walks: set it to resume. */
  epoch = 0;
  readonly #shuffle: boolean;
  readonly #key: Key;
  /** The columns' values, [samples, ...shape]. */
  #resident: Readonly<Record<string, Tensor>> | undefined;

  constructor(dataset: Dataset<Name>, options: LoaderOptions) {
    requireOptions("loader", options, { batchSize: true, shuffle: true, seed: true, dropLast: true }, "{ batchSize: 128 }");
    const { batchSize, shuffle = false, seed = 0, dropLast = false } = options;
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

  /** The same batches without waiting, for loops of your own; from batch `begin` (default 0) on. */
  *batches(begin = 0): Generator<Batch<Name>> {
    const { batchSize } = this;
    const order = this.#order(this.epoch++);
    for (let index = begin; index < this.length; index++) yield this.#batch(order.subarray(index * batchSize, (index + 1) * batchSize));
  }

  /** Gives the device's memory back; the next batch takes it again. */
  dispose(): void {
    for (const values of Object.values(this.#resident ?? {})) values.dispose();
    this.#resident = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #batch(rows: Int32Array): Batch<Name> {
    const columns = Object.entries<Column>(this.dataset.columns);
    const bytes = columns.reduce((sum, [, { data }]) => sum + data.byteLength, 0);
    if (bytes <= RESIDENT_BYTES) {
      this.#resident ??= Object.fromEntries(columns.map(([name, { data, shape }]) => [name, tensor(data, { dtype: dtypeOf(data), shape: [this.dataset.length, ...shape] })]));
    }
    const index = this.#resident && tensor(rows, { dtype: "int32" });
    const made = columns.map(([name, column]) => {
      const inputs = index === undefined ? [copyRows(column, rows)] : [this.#resident![name]!, index];
      const make = ([values, at]: readonly Tensor[]): Tensor => transformed(name, column, at === undefined ? values! : values!.gather(at));
      const value = make(inputs);
      if (!inputs.includes(value)) recipes.set(value.node, { key: `${identityOf(column.transform)}`, inputs, make });
      return { name, inputs, value };
    });
    const batch = Object.fromEntries(made.map(({ name, value }) => [name, value])) as Batch<Name>;
    ingredients.set(batch, index === undefined ? made.flatMap(({ inputs }) => inputs) : [index]);
    return batch;
  }

  #order(epoch: number): Int32Array {
    const { length } = this.dataset;
    return this.#shuffle ? permutation(foldIn(this.#key, epoch), length) : Int32Array.from({ length }, (_, row) => row);
  }
}

const identities = new WeakMap<object, number>();
let transformsSeen = 0;

function identityOf(transform: Column["transform"]): number {
  if (transform === undefined) return 0;
  let identity = identities.get(transform);
  if (identity === undefined) identities.set(transform, (identity = ++transformsSeen));
  return identity;
}
