// The training loop: epochs of compiled steps over a data set, with running means, validation and progress.
// It is a generator, so a loop around it may stop, report or prune after every epoch.
import type { Batch, Dataset } from "../data/dataset.ts";
import { crossEntropy, type Loss, requireLabels } from "../nn/losses.ts";
import type { Layer } from "../nn/module.ts";
import { NablaError, ValueError } from "../ops/errors.ts";
import { isFloating } from "../ops/dtype.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Key } from "../random/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Evaluator, inEvaluation, type Metric } from "./evaluate.ts";
import { step, type StepResult } from "./step.ts";

/** Options of {@link epochs} and `fit`. */
export interface TrainOptions {
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  readonly epochs: number;
  /** Default 128. */
  readonly batchSize?: number;
  /** Measured after every epoch. */
  readonly validation?: Dataset;
  /** Measured on the batches in passing, and on the validation set. */
  readonly metrics?: Readonly<Record<string, Metric>>;
  /** Draws the order of the samples. Default 0. */
  readonly seed?: number | Key;
  /** Default true. */
  readonly shuffle?: boolean;
  /** Stops after the step under way; the model keeps what it has learned. */
  readonly signal?: AbortSignal;
  /** Called at most ten times a second, and at the end of every epoch. */
  readonly onProgress?: (progress: Progress) => void;
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

/** What an epoch gave: `loss` and each metric over the training batches, and on the validation set. */
export interface Epoch {
  /** From 0. */
  readonly index: number;
  readonly training: Readonly<Record<string, number>>;
  readonly validation?: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** True when `signal` ended it early. */
  readonly interrupted: boolean;
}

/** A loss that is not a number, and where it came from. */
export class DivergenceError extends NablaError {}

const PROGRESS_INTERVAL = 100;

/**
 * Trains epoch by epoch: the first column of the set is the input, the second the target.
 *
 * Throws {@link ValueError} on labels outside the model's classes and {@link DivergenceError} when the loss is not finite.
 *
 * @example
 * for await (const epoch of train.epochs(model, trainSet, { loss: nn.crossEntropy, optimizer: optim.adam(), epochs: 3 })) {
 *   console.log(epoch.index, epoch.training.loss);
 * }
 */
export async function* epochs(model: Layer, set: Dataset, options: TrainOptions): AsyncGenerator<Epoch, void> {
  const { batchSize = 128, metrics = {}, signal, onProgress } = options;
  if (!Number.isInteger(options.epochs) || options.epochs < 1) throw new ValueError(`epochs: ${options.epochs}.`, "Pass a positive integer.");
  const [inputName, targetName] = namesOf(set);
  await requireClasses(model, set, options);
  const run = step(model, options.optimizer, (m, batch: Batch): StepResult => {
    const outputs = m.forward(batch[inputName]!);
    const targets = batch[targetName]!;
    return { loss: options.loss(outputs, targets), ...Object.fromEntries(Object.entries(metrics).map(([name, metric]) => [name, metric(outputs, targets)])) };
  });
  const evaluator = options.validation === undefined ? undefined : new Evaluator({ loss: options.loss, metrics, batchSize: Math.max(batchSize, 256) });
  const loader = set.loader({ batchSize, shuffle: options.shuffle ?? true, ...(options.seed === undefined ? {} : { seed: options.seed }) });
  const trained = { seconds: 0, steps: 0 };
  for (let index = 0; index < options.epochs; index++) {
    const means = new Means();
    const started = performance.now();
    let lastReport = started;
    let done = 0;
    model.train();
    const report = (ended?: Epoch): void => {
      const seconds = trained.seconds + (ended === undefined ? (performance.now() - started) / 1e3 : 0);
      const steps = trained.steps + (ended === undefined ? done : 0);
      const stepsPerSecond = steps / Math.max(seconds, 1e-9);
      onProgress?.({
        epoch: index + 1, epochs: options.epochs, step: done, steps: loader.length, stepsPerSecond, samplesPerSecond: stepsPerSecond * batchSize,
        secondsLeft: ((options.epochs - index) * loader.length - done) / stepsPerSecond, means: means.values(), ...(ended === undefined ? {} : { ended }),
      });
    };
    for (const batch of loader.batches()) {
      if (signal?.aborted === true) break;
      const results = await run(batch);
      done++;
      await means.add(results, batch[inputName]!.shape[0]!);
      if (!Number.isFinite(means.last("loss"))) throw await divergence(model, batch, means.last("loss"), index, done);
      for (const tensor of [...Object.values(results), ...Object.values(batch)]) tensor.dispose();
      const now = performance.now();
      if (now - lastReport >= PROGRESS_INTERVAL) {
        lastReport = now;
        report();
      }
    }
    trained.seconds += (performance.now() - started) / 1e3;
    trained.steps += done;
    const interrupted = done < loader.length;
    const validation = evaluator === undefined || interrupted ? undefined : await evaluator.run(model, options.validation!);
    const epoch: Epoch = {
      index, training: means.values(), ...(validation === undefined ? {} : { validation }), seconds: (performance.now() - started) / 1e3, interrupted,
    };
    report(epoch);
    yield epoch;
    if (interrupted) return;
  }
}

function namesOf(set: Dataset): [input: string, target: string] {
  const [input, target] = set.names;
  if (input === undefined || target === undefined) throw new ValueError(`The data set has only the column ${set.names.join(", ")}.`, "Training needs inputs and targets: two columns.");
  return [input, target];
}

/** Class labels are checked against the model's outputs before the first step. */
async function requireClasses(model: Layer, set: Dataset, { loss }: TrainOptions): Promise<void> {
  const [inputName, targetName] = namesOf(set);
  const targets = set.columns[targetName]!;
  if (loss !== crossEntropy || targets.data instanceof Float32Array || targets.data instanceof Float64Array || targets.scale !== undefined) return;
  const outputs = await inEvaluation(model, async () => model.forward(set.batch([0])[inputName]!));
  const classes = outputs.shape.at(-1);
  if (classes !== undefined && isFloating(outputs.dtype)) requireLabels(targets.data, classes);
}

/** Means over an epoch, each batch weighted by its size. */
class Means {
  readonly #sums = new Map<string, number>();
  readonly #last = new Map<string, number>();
  #samples = 0;

  async add(results: Readonly<Record<string, Tensor>>, samples: number): Promise<void> {
    for (const [name, tensor] of Object.entries(results)) {
      const value = (await tensor.data())[0]!;
      this.#last.set(name, value);
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + value * samples);
    }
    this.#samples += samples;
  }

  last(name: string): number {
    return this.#last.get(name) ?? NaN;
  }

  values(): Record<string, number> {
    return Object.fromEntries([...this.#sums].map(([name, sum]) => [name, sum / this.#samples]));
  }
}

/** Finds where a loss that is not finite comes from: the batch, a parameter, or the loss itself. */
async function divergence(model: Layer, batch: Batch, loss: number, epoch: number, done: number): Promise<DivergenceError> {
  const where = `The loss is ${loss} at step ${done} of epoch ${epoch + 1}`;
  for (const [name, tensor] of Object.entries(batch)) {
    if ((await tensor.data()).some((value) => !Number.isFinite(value))) return new DivergenceError(`${where}: the batch's "${name}" holds values that are not finite.`, "Clean the data.");
  }
  for (const [path, variable] of Object.entries(model.parameters())) {
    if ((await variable.data()).some((value) => !Number.isFinite(value))) {
      return new DivergenceError(`${where}: ${path} is the first parameter that is no longer finite.`, "Lower the learning rate, or clip the gradients.");
    }
  }
  return new DivergenceError(`${where}, while data and parameters are finite.`, "The model's outputs overflow: lower the learning rate or scale the inputs.");
}
