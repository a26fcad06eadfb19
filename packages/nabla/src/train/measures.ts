// What is measured while training and evaluating: the loss and metrics by name, and what they are where nobody says.
// Names are types, so that `epoch.accuracy` is known to be a number.
import type { Dataset } from "../data/dataset.ts";
import { accuracy, binaryAccuracy, type Metric } from "../metrics/metrics.ts";
import { binaryCrossEntropy, crossEntropy, type Loss, meanSquaredError } from "../nn/losses.ts";
import { isFloating } from "../ops/dtype.ts";
import { describe, ShapeError, ValueError } from "../errors/errors.ts";
import { formatShape } from "../ops/shape.ts";
import { Tensor } from "../tensor/tensor.ts";

/** The loss, as a mean over samples, and the metrics. */
export type Measures<Name extends string = never> = { readonly loss: number } & Readonly<Record<Name, number>>;

/** What to measure. */
export interface MeasureOptions<Name extends string = string> {
  /** Default: cross-entropy, for targets that are class indices or distributions (one-hot labels); {@link ValueError} on others. */
  readonly loss?: Loss;
  /**
   * Measured on the training batches in passing (a mean over them, while the model changes), and on the validation set as a whole.
   * Default: accuracy where `loss` is not given, otherwise none.
   */
  readonly metrics?: Readonly<Record<Name, Metric>>;
  /** The column that goes into the model. Default: the first of two. */
  readonly input?: string;
  /** The column that its outputs are compared with. Default: the second of two. */
  readonly target?: string;
}

/** Means over rows: their mean over batches, weighted by rows, is that of the whole set. Of others the whole is looked at. */
const meansOverRows: ReadonlySet<unknown> = new Set([accuracy, binaryAccuracy, crossEntropy, binaryCrossEntropy, meanSquaredError]);

/** What a batch can be measured by, and what needs all outputs together. */
export function splitMeasures(measures: Readonly<Record<string, Metric>>): { readonly ofBatches: Record<string, Metric>; readonly ofWhole: Record<string, Metric> } {
  const entries = Object.entries(measures);
  const isOfBatches = ([name, each]: readonly [string, Metric]): boolean => name === "loss" || meansOverRows.has(each);
  return { ofBatches: Object.fromEntries(entries.filter(isOfBatches)), ofWhole: Object.fromEntries(entries.filter((entry) => !isOfBatches(entry))) };
}

/** What an epoch says of itself besides its measures. */
const RESERVED = ["index", "loss", "validation", "seconds", "interrupted"];

/** Throws {@link ValueError} on what is no data set. */
export function requireDataset(operation: string, set: unknown, fix = "Pass a Dataset, e.g. `(await mnist()).trainSet` or `dataset({ x: …, y: … })`."): void {
  if (!Array.isArray((set as Partial<Dataset> | null | undefined)?.names)) throw new ValueError(`${operation}: the data set is ${describe(set)}.`, fix);
}

/** The names of a set's input and target: those given, or the two columns of a set of two; otherwise {@link ValueError}. */
export function inputAndTarget(set: Dataset, given: Pick<MeasureOptions, "input" | "target">): [input: string, target: string] {
  requireDataset("training and evaluation", set);
  const names = set.names.map((name) => `"${name}"`).join(", ");
  if (given.input === undefined || given.target === undefined) {
    if (set.names.length === 1) throw new ValueError(`The data set has only the column ${names}.`, "Training and evaluation need inputs and targets: two columns.");
    if (set.names.length > 2) throw new ValueError(`The data set has the columns ${names}.`, `Say which go in and are compared with, e.g. { input: "${set.names[0]}", target: "${set.names.at(-1)}" }.`);
  }
  return [column(set, given.input ?? set.names[0]!), column(set, given.target ?? set.names[1]!)];
}

/** The name of the set's column that goes into the model: as given, or the first of at most two. */
export function inputOf(set: Dataset, { input }: Pick<MeasureOptions, "input">): string {
  if (input === undefined && set.names.length > 2) throw new ValueError(`The data set has the columns ${set.names.map((name) => `"${name}"`).join(", ")}.`, `Say which goes in, e.g. { input: "${set.names[0]}" }.`);
  return column(set, input ?? set.names[0]!);
}

function column(set: Dataset, name: string): string {
  if (!set.names.includes(name)) throw new ValueError(`The data set has no column "${name}".`, `It has ${set.names.map((each) => `"${each}"`).join(", ")}.`);
  return name;
}

/** What is measured, by name: the loss first. */
export type Measured = Readonly<Record<string, Metric>> & { readonly loss: Loss };

/** Loss and metrics as asked for, or the default's. */
export async function withLoss({ loss, metrics, ...columns }: MeasureOptions, set: Dataset): Promise<Measured> {
  const reserved = Object.keys(metrics ?? {}).find((name) => RESERVED.includes(name));
  if (reserved !== undefined) throw new ValueError(`A metric is called "${reserved}".`, "Give it another name: an epoch has its own.");
  for (const [name, each] of Object.entries({ ...(loss === undefined ? {} : { loss }), ...metrics })) {
    if (typeof each !== "function") throw new ValueError(`"${name}" is ${describe(each)}.`, "Pass a function of outputs and targets, e.g. nn.crossEntropy or metrics.accuracy.");
  }
  if (loss === undefined) await requireClassification(set, inputAndTarget(set, columns)[1]);
  return { loss: loss ?? crossEntropy, ...(metrics ?? (loss === undefined ? { accuracy } : {})) };
}

/** Samples that are looked at to tell distributions from other numbers. */
const LOOKED_AT = 256;

/** Throws {@link ValueError} unless the targets are what cross-entropy takes. */
async function requireClassification(set: Dataset, name: string): Promise<void> {
  const targets = set.batch(Array.from({ length: Math.min(set.length, LOOKED_AT) }, (_, row) => row))[name]!;
  if (!isFloating(targets.dtype)) return;
  const width = targets.rank < 2 ? 1 : targets.shape.at(-1)!;
  const values = await targets.data();
  let isDistributions = width > 1;
  for (let row = 0; isDistributions && row < values.length; row += width) {
    const entries = [...values.subarray(row, row + width)];
    isDistributions = entries.every((value) => value >= 0) && Math.abs(entries.reduce((sum, value) => sum + value, 0) - 1) < 1e-3;
  }
  if (!isDistributions) {
    throw new ValueError(`The targets "${name}" (${targets.dtype}) are neither class indices nor one-hot labels, so the loss is not known.`, "Pass one, e.g. { loss: nn.meanSquaredError }, or make class labels an Int32Array.");
  }
}

/** Applies every measure; throws {@link ShapeError} on one that is no scalar. */
export function measure<M extends Readonly<Record<string, Metric>>>(measures: M, outputs: Tensor, targets: Tensor): { readonly [N in keyof M]: Tensor } {
  const values = Object.entries(measures).map(([name, each]): [string, Tensor] => {
    const value: unknown = each(outputs, targets);
    if (!(value instanceof Tensor)) throw new ValueError(`"${name}" gave ${describe(value)}.`, "A loss or metric gives a scalar tensor, without awaiting anything.");
    if (value.rank !== 0) throw new ShapeError(`"${name}" has shape ${formatShape(value.shape)}.`, "A loss or metric is a scalar, e.g. a mean over the batch.");
    return [name, value];
  });
  return Object.fromEntries(values) as { readonly [N in keyof M]: Tensor };
}

export function disposeAll(tensors: Readonly<Record<string, Tensor>>): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}
