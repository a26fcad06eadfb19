// The training loop: epochs of compiled steps over a data set, with running means, validation and progress.
// It is a generator, so a loop around it may stop, report or prune after every epoch.
import type { Batch, Dataset } from "../data/dataset.ts";
import type { Metric } from "../metrics/metrics.ts";
import { crossEntropy, type Loss, requireLabels } from "../nn/losses.ts";
import type { Layer } from "../nn/module.ts";
import { NablaError, ValueError } from "../ops/errors.ts";
import { isFloating } from "../ops/dtype.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Key } from "../random/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { bound } from "../transform/compile.ts";
import { disposeAll, Evaluator, inEvaluation, inputAndTarget, measure, measuresOf } from "./evaluate.ts";
import { step } from "./step.ts";

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
  /** Stops after the step under way; the model keeps what it has learned, and the epoch says `interrupted`. */
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
  /** True when `signal` ended training with it: the validation set is then not measured. */
  readonly interrupted: boolean;
}

/** A loss that is not a number, and where it came from. */
export class DivergenceError extends NablaError {
  override readonly name: string = "DivergenceError";
}

/** Shortest time in ms between two reports. */
const PROGRESS_INTERVAL = 100;

/**
 * Trains epoch by epoch: the first column of the set is the input, the second the target.
 *
 * Throws {@link ValueError} on labels outside the model's classes, before the first step; {@link DivergenceError} when the
 * loss is not finite, with the model as it was before that step; the reason of a `signal` that was aborted before.
 *
 * @example
 * for await (const epoch of train.epochs(model, trainSet, { loss: nn.crossEntropy, optimizer: optim.adam(), epochs: 3 })) {
 *   console.log(epoch.index, epoch.training.loss);
 * }
 */
export async function* epochs(model: Layer, set: Dataset, options: TrainOptions): AsyncGenerator<Epoch, void> {
  const { batchSize = 128, validation, signal, onProgress } = options;
  if (!Number.isInteger(options.epochs) || options.epochs < 1) throw new ValueError(`epochs: ${options.epochs}.`, "Pass a positive integer.");
  signal?.throwIfAborted();
  const [inputName, targetName] = inputAndTarget(set);
  for (const each of validation === undefined ? [set] : [set, validation]) await requireClasses(model, each, options.loss);
  const measures = { ...measuresOf(options), loss: options.loss };
  const run = step(model, options.optimizer, (m, batch: Batch) => measure(measures, m.forward(batch[inputName]!), batch[targetName]!));
  const evaluator = new Evaluator({ ...options, batchSize: Math.max(batchSize, 256) });
  const loader = set.loader({ batchSize, shuffle: options.shuffle ?? true, ...(options.seed === undefined ? {} : { seed: options.seed }) });
  const modes = Object.values(model.modules()).map((module) => ({ module, training: module.training }));
  const pace = new Pace();
  try {
    for (let index = 0; index < options.epochs && !isAborted(signal); index++) {
      const means = new Means();
      const started = performance.now();
      let lastReport = started;
      let done = 0;
      const isInterrupted = (): boolean => isAborted(signal) && (done < loader.length || index + 1 < options.epochs);
      const report = (ended?: Epoch): void => onProgress?.({
        epoch: index + 1, epochs: options.epochs, step: done, steps: loader.length,
        stepsPerSecond: pace.stepsPerSecond, samplesPerSecond: pace.samplesPerSecond,
        secondsLeft: ((options.epochs - index) * loader.length - done) / pace.stepsPerSecond,
        means: means.values(), ...(ended === undefined ? {} : { ended }),
      });
      model.train();
      pace.start();
      for (const batch of loader.batches()) {
        const samples = batch[inputName]!.shape[0]!;
        const results = await run(batch);
        await means.add(results, samples);
        done++;
        pace.add(samples);
        if (!Number.isFinite(means.last("loss"))) throw await divergence(model, batch[inputName]!, `The loss is ${means.last("loss")} at step ${done} of epoch ${index + 1}`);
        disposeAll(results);
        disposeAll(batch);
        if (isAborted(signal)) break;
        const now = performance.now();
        if (now - lastReport >= PROGRESS_INTERVAL) {
          lastReport = now;
          report();
        }
      }
      const measured = validation === undefined || isInterrupted() ? undefined : await evaluator.run(model, validation);
      const epoch: Epoch = {
        index, training: means.values(), ...(measured === undefined ? {} : { validation: measured }),
        seconds: (performance.now() - started) / 1e3, interrupted: isInterrupted(),
      };
      report(epoch);
      yield epoch;
    }
  } finally {
    for (const { module, training } of modes) module.training = training;
  }
}

/** Asked anew each time: it changes while a step is awaited. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** Class labels are checked against the model's outputs before the first step. */
async function requireClasses(model: Layer, set: Dataset, loss: Loss): Promise<void> {
  const [inputName, targetName] = inputAndTarget(set);
  const targets = set.columns[targetName]!;
  if (loss !== crossEntropy || targets.data instanceof Float32Array || targets.data instanceof Float64Array || targets.scale !== undefined) return;
  const sample = set.batch([0]);
  // Only its shape is asked for, so nothing is computed.
  const outputs = await inEvaluation(model, async () => model.forward(sample[inputName]!));
  const classes = outputs.shape.at(-1);
  disposeAll(sample);
  if (classes !== undefined && isFloating(outputs.dtype)) requireLabels(targets.data, classes);
}

/** Steps and samples a second of training, validation left out. */
class Pace {
  #steps = 0;
  #samples = 0;
  #seconds = 0;
  #last = 0;

  /** Steps follow. */
  start(): void {
    this.#last = performance.now();
  }

  add(samples: number): void {
    const now = performance.now();
    this.#seconds += (now - this.#last) / 1e3;
    this.#last = now;
    this.#steps++;
    this.#samples += samples;
  }

  get stepsPerSecond(): number {
    return this.#steps / Math.max(this.#seconds, 1e-9);
  }

  get samplesPerSecond(): number {
    return this.#samples / Math.max(this.#seconds, 1e-9);
  }
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

/** Says where a loss that is not finite comes from: a parameter, a layer, or the loss itself. The step has left the model as it was. */
async function divergence(model: Layer, inputs: Tensor, where: string): Promise<DivergenceError> {
  for (const [path, variable] of Object.entries(model.parameters())) {
    if (await isNotFinite(variable)) {
      return new DivergenceError(`${where}: the gradient of a step before made ${path} infinite or NaN.`, "Lower the learning rate, or clip the gradients.");
    }
  }
  for (const { path, layer, output } of recordOutputs(model, inputs)) {
    if (await isNotFinite(output)) {
      const name = path === "" ? layer : `${path} (${layer})`;
      return new DivergenceError(`${where}: ${name} is the first layer whose output is infinite or NaN.`, "Lower the learning rate, scale the inputs, or keep its input inside its domain.");
    }
  }
  return new DivergenceError(`${where}, while the model's outputs are finite.`, "The loss function itself overflows on these targets: check them.");
}

async function isNotFinite(tensor: Tensor): Promise<boolean> {
  return isFloating(tensor.dtype) && (await tensor.data()).some((value) => !Number.isFinite(value));
}

interface LayerOutput {
  readonly path: string;
  readonly layer: string;
  readonly output: Tensor;
}

/** Every layer's output for `inputs`, innermost first; the model's state is left as it is. */
function recordOutputs(model: Layer, inputs: Tensor): LayerOutput[] {
  const outputs: LayerOutput[] = [];
  const modules = Object.entries(model.modules()).map(([path, module]) => ({ path, module, forward: module.forward }));
  const variables = Object.values(model.variables());
  for (const { path, module, forward } of modules) {
    module.forward = (...values: never[]): unknown => {
      const output = forward.apply(module, values);
      if (output instanceof Tensor) outputs.push({ path, layer: module.constructor.name, output });
      return output;
    };
  }
  try {
    bound(variables, variables.map((variable) => variable.node), () => model.forward(inputs));
  } finally {
    for (const { module, forward } of modules) module.forward = forward;
  }
  return outputs;
}
