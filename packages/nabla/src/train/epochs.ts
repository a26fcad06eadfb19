// The training loop: epochs of compiled steps over a data set, with running means, validation, progress and checkpoints.
// It is a generator, so a loop around it may stop, report or prune after every epoch.
import type { Batch, Dataset } from "../data/dataset.ts";
import { release } from "../data/loader.ts";
import { crossEntropy, type Loss, requireLabels } from "../nn/losses.ts";
import { type Layer, requireModel } from "../nn/module.ts";
import { type OptionNames, requireOptions } from "../errors/arguments.ts";
import { describe, NablaError, ValueError } from "../errors/errors.ts";
import { files } from "../io/files.ts";
import * as ops from "../ops/build.ts";
import { isFloating } from "../ops/dtype.ts";
import { type Optimizer, requireOptimizer } from "../optim/optimizer.ts";
import { type Key, key as keyOf } from "../random/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { rehearse, Staging } from "../tensor/trace.ts";
import { Checkpoint, type Position } from "./checkpoint.ts";
import { divergence } from "./divergence.ts";
import { Evaluator, inEvaluation } from "./evaluate.ts";
import { disposeAll, inputAndTarget, measure, type Measured, type MeasureOptions, type Measures, requireDataset, withLoss } from "./measures.ts";
import { Means, Pace } from "./pace.ts";
import { setupOf } from "./setup.ts";
import { step } from "./step.ts";

/** Options of {@link epochs} and `fit`. */
export interface TrainOptions<Name extends string = string> extends MeasureOptions<Name> {
  readonly optimizer: Optimizer;
  /** Passes over the data. Default 10. */
  readonly epochs?: number;
  /** Default 128. */
  readonly batchSize?: number;
  /** Leaves out a last batch of an epoch that is not full. Default false. */
  readonly dropLast?: boolean;
  /** Measured after every epoch. */
  readonly validation?: Dataset;
  /** Draws the order of the samples. Default 0. */
  readonly seed?: number | Key;
  /** Default true. */
  readonly shuffle?: boolean;
  /** Stops after the step under way; the model keeps what it has learned, and the epoch says `interrupted`. */
  readonly signal?: AbortSignal;
  /** Called at most ten times a second, and at the end of every epoch. */
  readonly onProgress?: (progress: Progress) => void;
  /** A file that keeps the state of training, replaced after every epoch and where `signal` stops it. */
  readonly checkpoint?: string;
  /**
   * Goes on from `checkpoint`, to the same bits as if training had never stopped; {@link ValueError} says what differs where data,
   * model, optimizer or batches are others. "changed" goes on all the same, e.g. with another learning rate. Default false.
   */
  readonly resume?: boolean | "changed";
}

/** Where training is. */
export interface Progress {
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps done in this epoch, and in all of it. */
  readonly step: number;
  readonly steps: number;
  readonly stepsPerSecond: number;
  readonly samplesPerSecond: number;
  /** Until the last epoch ends. */
  readonly secondsLeft: number;
  /** Means over this epoch so far: loss and metrics. */
  readonly means: Readonly<Record<string, number>>;
  /** Present when the epoch has ended. */
  readonly ended?: Epoch;
}

/** What an epoch gave: its loss and each metric by name, as means over the training batches. */
export type Epoch<Name extends string = never> = Measures<Name> & {
  /** From 0. */
  readonly index: number;
  /** Loss and metrics of the whole validation set, where there is one. */
  readonly validation?: Measures<Name>;
  readonly seconds: number;
  /** True when `signal` ended training with it: the validation set is then not measured. */
  readonly interrupted: boolean;
};

/** Passes over the data where nobody says how many. */
const EPOCHS = 10;

/** Shortest time in ms between two reports. */
const PROGRESS_INTERVAL = 100;

const START: Position = { epoch: 0, step: 0, samples: 0, sums: {} };

/**
 * Trains epoch by epoch. Of a set of two columns the first is the input and the second the target; of more, `input` and `target` say
 * which they are.
 *
 * Without `loss` the set is taken for a classification: cross-entropy, and accuracy unless other `metrics` are given.
 * Throws {@link ValueError}, before the first step, on labels outside the model's classes and on a last batch of a size that the model
 * cannot train on (batch normalisation needs two rows; `dropLast` leaves it out); {@link DivergenceError} when the
 * loss is not finite, with the model as it was before that step; the reason of a `signal` that was aborted before.
 *
 * @example
 * for await (const epoch of train.epochs(model, trainSet, { optimizer: optim.adam(), epochs: 3 })) {
 *   console.log(epoch.index, epoch.loss, epoch.accuracy);
 * }
 */
export function epochs<Name extends string = never>(model: Layer, set: Dataset, options: TrainOptions<Name> & { readonly loss: Loss }): AsyncGenerator<Epoch<Name>, void>;
export function epochs<Name extends string = "accuracy">(model: Layer, set: Dataset, options: TrainOptions<Name>): AsyncGenerator<Epoch<Name>, void>;
export function epochs(model: Layer, set: Dataset, options: TrainOptions): AsyncGenerator<Epoch, void> {
  requireModel(model);
  requireDataset("epochs", set);
  requireOptions("epochs", options, trainOptions, "{ optimizer: optim.adam() }");
  return runEpochs(model, set, options, []);
}

/** Those of `fit` too; here nothing is shown anyway. */
export const trainOptions: OptionNames<TrainOptions & { readonly progress?: boolean }> = {
  optimizer: true, loss: true, metrics: true, epochs: true, batchSize: true, validation: true, seed: true, shuffle: true, signal: true, onProgress: true, checkpoint: true, resume: true, progress: true,
  input: true, target: true, dropLast: true,
};

/** Number of epochs of a training; throws {@link ValueError} on nonsense. */
export function epochCount({ epochs: count = EPOCHS }: TrainOptions): number {
  if (!Number.isInteger(count) || count < 1) throw new ValueError(`epochs: ${count}.`, "Pass a positive integer.");
  return count;
}

/** As {@link epochs}; `history` is given the epochs that a checkpoint remembers, then each epoch that ends. */
export async function* runEpochs(model: Layer, set: Dataset, options: TrainOptions, history: Epoch[]): AsyncGenerator<Epoch, void> {
  const { batchSize = 128, dropLast = false, validation, signal, onProgress, shuffle = true, seed = 0 } = options;
  const count = epochCount(options);
  const resume = options.resume ?? false;
  if (typeof resume !== "boolean" && resume !== "changed") throw new ValueError(`epochs: resume is ${describe(resume)}.`, 'Pass true, false or "changed".');
  if (resume !== false && options.checkpoint === undefined) throw new ValueError("There is no checkpoint to resume from.", "Pass its file as `checkpoint`.");
  signal?.throwIfAborted();
  requireModel(model);
  if (Object.keys(model.parameters()).length === 0) throw nothingToTrain(model);
  requireOptimizer(options.optimizer);
  const columns = inputAndTarget(set, options);
  const [inputName, targetName] = columns;
  const measures = await withLoss(options, set);
  for (const each of validation === undefined ? [set] : [set, validation]) await requireClasses(model, each, inputAndTarget(each, options), measures.loss);
  const run = step(model, options.optimizer, (m, batch: Batch) => measure(measures, m.forward(batch[inputName]!), batch[targetName]!));
  const loader = set.loader({ batchSize, shuffle, seed, dropLast });
  const evaluator = validation === undefined ? undefined : new Evaluator(validation, inputAndTarget(validation, options), measures, Math.max(batchSize, 256));
  if (options.checkpoint !== undefined) await files().requireWritable(options.checkpoint);
  const checkpoint = options.checkpoint === undefined ? undefined : new Checkpoint(options.checkpoint, model, run.optimizerState,
    await setupOf(model, set, { batchSize, dropLast, columns, shuffle, seed: typeof seed === "number" ? keyOf(seed) : seed, optimizer: options.optimizer, loss: measures.loss }));
  let start = START;
  if (checkpoint !== undefined && resume !== false) {
    const restored = await checkpoint.restore(resume === "changed");
    start = restored.position;
    for (const epoch of restored.history) history.push(epoch);
  }
  const modes = Object.values(model.modules()).map((module) => ({ module, training: module.training }));
  const pace = new Pace();
  try {
    model.train();
    const last = set.length - (loader.length - 1) * batchSize;
    if (loader.length > 1 && last < batchSize) requireLastBatch((rows) => stepFailure(model, set, columns, measures, rows), last, batchSize);
    for (let index = start.epoch; index < count && !isAborted(signal); index++) {
      const begin = index === start.epoch ? start : START;
      const means = new Means(begin);
      const started = performance.now();
      let lastReport = started;
      let done = begin.step;
      const isInterrupted = (): boolean => isAborted(signal) && (done < loader.length || index + 1 < count);
      const report = (ended?: Epoch): void => onProgress?.({
        epoch: index + 1, epochs: count, step: done, steps: loader.length,
        stepsPerSecond: pace.stepsPerSecond, samplesPerSecond: pace.samplesPerSecond,
        secondsLeft: ((count - index) * loader.length - done) / pace.stepsPerSecond,
        means: means.values(), ...(ended === undefined ? {} : { ended }),
      });
      model.train();
      pace.start();
      loader.epoch = index;
      for (const batch of loader.batches(done)) {
        const samples = batch[inputName]!.shape[0]!;
        const results = await run(batch);
        await means.add(results, samples);
        done++;
        pace.add(samples);
        if (!Number.isFinite(means.last("loss"))) throw await divergence(model, batch[inputName]!, `The loss is ${means.last("loss")} at step ${done} of epoch ${index + 1}`);
        disposeAll(results);
        release(batch);
        if (isAborted(signal)) break;
        const now = performance.now();
        if (now - lastReport >= PROGRESS_INTERVAL) {
          lastReport = now;
          report();
        }
      }
      const interrupted = isInterrupted();
      const measured = interrupted ? undefined : await evaluator?.run(model);
      const epoch = {
        ...means.values(), index, ...(measured === undefined ? {} : { validation: measured }), seconds: (performance.now() - started) / 1e3, interrupted,
      } as Epoch;
      history.push(epoch);
      if (interrupted) await checkpoint?.save({ epoch: index, step: done, ...means.totals() });
      else {
        checkpoint?.append(epoch);
        await checkpoint?.save({ ...START, epoch: index + 1 });
      }
      report(epoch);
      yield epoch;
    }
  } finally {
    loader.dispose();
    evaluator?.dispose();
    for (const { module, training } of modes) module.training = training;
    await checkpoint?.written();
  }
}

function nothingToTrain(model: Layer): ValueError {
  const frozen = Object.values(model.variables()).filter(({ dtype }) => isFloating(dtype)).length;
  return frozen > 0
    ? new ValueError(`The model has nothing to train: its ${frozen} floating variables are frozen.`, "Set `trainable` of those to train to true.")
    : new ValueError("The model has nothing to train: it has no parameters.", "Give it layers with parameters, e.g. nn.dense, as fields.");
}

/** Asked anew each time: it changes while a step is awaited. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** Class labels are checked against the model's outputs before the first step. */
async function requireClasses(model: Layer, set: Dataset, [inputName, targetName]: readonly [input: string, target: string], loss: Loss): Promise<void> {
  const targets = set.columns[targetName]!;
  if (loss !== crossEntropy || targets.data instanceof Float32Array || targets.data instanceof Float64Array || targets.transform !== undefined) return;
  const sample = set.batch([0]);
  // Only its shape is asked for, so nothing is computed, and nothing changed.
  const outputs = await inEvaluation(model, async () => rehearse({}, () => model.forward(sample[inputName]!)));
  const classes = outputs.shape.at(-1);
  disposeAll(sample);
  // That one class is none, the loss says.
  if (classes !== undefined && classes > 1 && isFloating(outputs.dtype)) requireLabels(targets.data, classes);
}

/** A last batch that is not full may be too small for the model, where full ones are not: better known now than at the end of an epoch. */
function requireLastBatch(failureOf: (rows: number) => unknown, rows: number, full: number): void {
  const failure = failureOf(rows);
  if (failure === undefined) return;
  const other = failureOf(full);
  if (other !== undefined || !(failure instanceof NablaError)) throw other ?? failure;
  throw new ValueError(`The last batch of every epoch has ${rows} of ${full} samples. ${failure.message.replace(failure.fix, "").trim()}`, "Pass { dropLast: true } to leave it out, or another batchSize.");
}

/** What goes wrong in a step on `rows` samples, traced and not computed. */
function stepFailure(model: Layer, set: Dataset, [input, target]: readonly [input: string, target: string], measures: Measured, rows: number): unknown {
  const batch = set.batch(Array.from({ length: rows }, (_, row) => row));
  const placeholder = (name: string): Tensor => new Tensor(ops.source(batch[name]!));
  try {
    new Staging().run(() => measure(measures, model.forward(placeholder(input)), placeholder(target)));
    return undefined;
  } catch (error) {
    return error;
  } finally {
    disposeAll(batch);
  }
}
