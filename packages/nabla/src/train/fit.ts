// train.fit: the whole training in one call.
// It runs the epochs of epochs.ts and keeps their history.
import type { Dataset } from "../data/dataset.ts";
import type { Layer } from "../nn/module.ts";
import { type Epoch, epochs, type TrainOptions } from "./epochs.ts";
import { defaultReporter } from "./reporter.ts";

/** A finished training. */
export interface Run {
  readonly history: readonly Epoch[];
  /** The last epoch. */
  readonly last: Epoch;
  readonly seconds: number;
  /** True when `signal` ended it early. */
  readonly interrupted: boolean;
}

/** Options of {@link fit}. */
export interface FitOptions extends TrainOptions {
  /** Shows progress on the terminal (stderr) or console. Default true, where no `onProgress` is given. */
  readonly progress?: boolean;
}

/**
 * Trains a model on a data set (first column inputs, second targets), in place.
 *
 * @example
 * const run = await train.fit(model, trainSet, { loss: nn.crossEntropy, optimizer: optim.adam(), epochs: 5, validation: testSet });
 * run.last.validation?.loss;
 */
export async function fit(model: Layer, set: Dataset, options: FitOptions): Promise<Run> {
  const reporter = options.onProgress !== undefined || options.progress === false ? undefined : defaultReporter();
  const history: Epoch[] = [];
  const started = performance.now();
  try {
    for await (const epoch of epochs(model, set, reporter === undefined ? options : { ...options, onProgress: reporter.show })) history.push(epoch);
  } finally {
    reporter?.end();
  }
  const last = history.at(-1)!;
  return { history, last, seconds: (performance.now() - started) / 1e3, interrupted: last.interrupted || history.length < options.epochs };
}
