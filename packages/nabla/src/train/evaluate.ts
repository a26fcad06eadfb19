// Evaluation of a model on a data set: mean loss and metrics, in evaluation mode, compiled.
// The mode the model was in is restored, whatever happens.
import type { Dataset } from "../data/dataset.ts";
import type { Loss } from "../nn/losses.ts";
import type { Metric } from "../metrics/metrics.ts";
import type { Layer } from "../nn/module.ts";
import { defaultDevice } from "../tensor/storage.ts";
import { ShapeError, ValueError } from "../ops/errors.ts";
import { formatShape } from "../ops/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compile } from "../transform/compile.ts";
import { breathe } from "./breathe.ts";

/** What {@link evaluate} measures. */
export interface EvaluateOptions {
  readonly loss?: Loss;
  readonly metrics?: Readonly<Record<string, Metric>>;
  /** Default 256. */
  readonly batchSize?: number;
}

/** The names of a set's input and target; throws {@link ValueError} where there is only one column. */
export function inputAndTarget(set: Dataset): [input: string, target: string] {
  const [input, target] = set.names;
  if (input === undefined || target === undefined) throw new ValueError(`The data set has only the column "${set.names.join(", ")}".`, "Training and evaluation need inputs and targets: two columns.");
  return [input, target];
}

/** The loss and the metrics by name. */
export function measuresOf({ loss, metrics = {} }: EvaluateOptions): Readonly<Record<string, Metric>> {
  if (loss === undefined) return metrics;
  if (Object.hasOwn(metrics, "loss")) throw new ValueError('A metric is called "loss".', "Give it another name: this one is the loss function's.");
  return { loss, ...metrics };
}

/** Applies every measure; throws {@link ShapeError} on one that is no scalar. */
export function measure<Name extends string>(measures: Readonly<Record<Name, Metric>>, outputs: Tensor, targets: Tensor): Record<Name, Tensor> {
  const values = Object.entries<Metric>(measures).map(([name, each]): [string, Tensor] => {
    const value = each(outputs, targets);
    if (value.rank !== 0) throw new ShapeError(`"${name}" has shape ${formatShape(value.shape)}.`, "A loss or metric is a scalar, e.g. a mean over the batch.");
    return [name, value];
  });
  return Object.fromEntries(values) as Record<Name, Tensor>;
}

export function disposeAll(tensors: Readonly<Record<string, Tensor>>): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}

/** Runs `body` with the model in evaluation mode, then puts every module back into the mode it was in. */
export async function inEvaluation<T>(model: Layer, body: () => Promise<T>): Promise<T> {
  const modules = Object.values(model.modules());
  const modes = modules.map((module) => module.training);
  model.eval();
  try {
    return await body();
  } finally {
    modules.forEach((module, index) => (module.training = modes[index]!));
  }
}

/** Measures a model again and again without compiling again. */
export class Evaluator {
  readonly #batchSize: number;
  readonly #run: (model: Layer, inputs: Tensor, targets: Tensor) => Record<string, Tensor>;

  constructor(options: EvaluateOptions) {
    this.#batchSize = options.batchSize ?? 256;
    const measures = measuresOf(options);
    this.#run = compile((model: Layer, inputs: Tensor, targets: Tensor) => measure(measures, model.forward(inputs), targets));
  }

  /** Means over the set, each batch weighted by its size. */
  async run(model: Layer, set: Dataset): Promise<Record<string, number>> {
    const [inputName, targetName] = inputAndTarget(set);
    const totals: Record<string, number> = {};
    await inEvaluation(model, async () => {
      for (const batch of set.loader({ batchSize: this.#batchSize }).batches()) {
        const inputs = batch[inputName]!;
        const targets = batch[targetName]!;
        const values = this.#run(model, inputs, targets);
        for (const [name, value] of Object.entries(values)) totals[name] = (totals[name] ?? 0) + (await value.data())[0]! * inputs.shape[0]!;
        disposeAll(values);
        disposeAll(batch);
        await breathe(defaultDevice());
      }
    });
    return Object.fromEntries(Object.entries(totals).map(([name, total]) => [name, total / set.length]));
  }
}

/**
 * Mean loss and metrics of a model on a data set (first column inputs, second targets).
 *
 * @example
 * const { accuracy } = await train.evaluate(model, testSet, { metrics: { accuracy: metrics.accuracy } });
 */
export async function evaluate(model: Layer, set: Dataset, options: EvaluateOptions): Promise<Record<string, number>> {
  return new Evaluator(options).run(model, set);
}

/** The model's outputs for every sample of a set, one after another as rows. */
export async function predict(model: Layer, set: Dataset, options: { readonly batchSize?: number } = {}): Promise<{ readonly values: Float32Array; readonly width: number }> {
  const [inputName] = set.names as [string];
  const forward = compile((m: Layer, inputs: Tensor) => m.forward(inputs));
  let values = new Float32Array(0);
  let row = 0;
  await inEvaluation(model, async () => {
    for (const batch of set.loader({ batchSize: options.batchSize ?? 256 }).batches()) {
      const outputs = forward(model, batch[inputName]!);
      const data = await outputs.data();
      const width = outputs.size / outputs.shape[0]!;
      if (values.length === 0) values = new Float32Array(set.length * width);
      values.set(data, row * width);
      row += outputs.shape[0]!;
      outputs.dispose();
      disposeAll(batch);
      await breathe(defaultDevice());
    }
  });
  return { values, width: values.length / set.length };
}
