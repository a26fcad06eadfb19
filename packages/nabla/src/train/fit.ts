// train.fit: the whole training in one call.
// It runs the epochs of epochs.ts and keeps their history.
import type { Dataset } from "../data/dataset.ts";
import type { Loss } from "../nn/losses.ts";
import { type Layer, requireModel } from "../nn/module.ts";
import { requireOptions } from "../errors/arguments.ts";
import { type Epoch, epochCount, runEpochs, trainOptions, type TrainOptions } from "./epochs.ts";
import { requireDataset } from "./measures.ts";
import { defaultReporter } from "./reporter.ts";

/** A finished training. */
export interface Run<Name extends string = never> {
  /** Every epoch; after `resume`, those before it too. */
  readonly history: readonly Epoch<Name>[];
  /** The last epoch. */
  readonly last: Epoch<Name>;
  readonly seconds: number;
  /** True when `signal` ended it early. */
  readonly interrupted: boolean;
}

/** Options of {@link fit}. */
export interface FitOptions<Name extends string = string> extends TrainOptions<Name> {
  /** Shows progress on the terminal (stderr) or console. Default true, where no `onProgress` is given. */
  readonly progress?: boolean;
}

/**
 * Trains a model on a data set (of two columns the first is the input, the second the target), in place; see `epochs` for what is
 * checked and thrown.
 *
 * @example
 * const run = await train.fit(model, trainSet, { optimizer: optim.adam(), epochs: 5, validation: testSet });
 * run.last.validation?.accuracy;
 *
 * @example
 * // A run that is stopped, or whose machine is, goes on where it was.
 * const options = { loss: nn.crossEntropy, optimizer: optim.adam(), checkpoint: "run.safetensors", progress: false };
 * await train.fit(model, trainSet, { ...options, epochs: 2 });
 * const { history } = await train.fit(model, trainSet, { ...options, epochs: 4, resume: true });
 * history.length; // 4
 */
export function fit<Name extends string = never>(model: Layer, set: Dataset, options: FitOptions<Name> & { readonly loss: Loss }): Promise<Run<Name>>;
export function fit<Name extends string = "accuracy">(model: Layer, set: Dataset, options: FitOptions<Name>): Promise<Run<Name>>;
export async function fit(model: Layer, set: Dataset, options: FitOptions): Promise<Run> {
  requireModel(model);
  requireDataset("fit", set, "Pass a Dataset, e.g. `(await mnist()).trainSet` or `dataset({ x: …, y: … })`, with inputs and targets, then the options.");
  requireOptions("fit", options, trainOptions, "{ optimizer: optim.adam() }");
  const reporter = options.onProgress !== undefined || options.progress === false ? undefined : defaultReporter();
  const history: Epoch[] = [];
  const started = performance.now();
  try {
    const epochs = runEpochs(model, set, reporter === undefined ? options : { ...options, onProgress: reporter.show }, history);
    while ((await epochs.next()).done !== true);
  } finally {
    reporter?.end();
  }
  const last = history.at(-1)!;
  return { history, last, seconds: (performance.now() - started) / 1e3, interrupted: last.interrupted || history.length < epochCount(options) };
}
