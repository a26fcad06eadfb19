// Evaluation of a model on a data set: mean loss and metrics, in evaluation mode, compiled.
// The mode the model was in is restored, whatever happens.
import type { Dataset } from "../data/dataset.ts";
import type { Loss } from "../nn/losses.ts";
import type { Layer } from "../nn/module.ts";
import { defaultDevice } from "../tensor/storage.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compile } from "../transform/compile.ts";
import { breathe } from "./breathe.ts";

/** A scalar of outputs and targets: the mean over the batch. */
export type Metric = (outputs: Tensor, targets: Tensor) => Tensor;

/** What {@link evaluate} measures. */
export interface EvaluateOptions {
  readonly loss?: Loss;
  readonly metrics?: Readonly<Record<string, Metric>>;
  /** Default 256. */
  readonly batchSize?: number;
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
  readonly #measures: Readonly<Record<string, Metric>>;
  readonly #run: (model: Layer, inputs: Tensor, targets: Tensor) => Record<string, Tensor>;

  constructor({ loss, metrics = {}, batchSize = 256 }: EvaluateOptions) {
    this.#batchSize = batchSize;
    this.#measures = loss === undefined ? metrics : { loss, ...metrics };
    this.#run = compile((model: Layer, inputs: Tensor, targets: Tensor) => {
      const outputs = model.forward(inputs);
      return Object.fromEntries(Object.entries(this.#measures).map(([name, measure]) => [name, measure(outputs, targets)]));
    });
  }

  /** Means over the set, each batch weighted by its size. */
  async run(model: Layer, set: Dataset): Promise<Record<string, number>> {
    const [inputName, targetName] = set.names as [string, string];
    const totals: Record<string, number> = {};
    await inEvaluation(model, async () => {
      for (const batch of set.loader({ batchSize: this.#batchSize }).batches()) {
        const inputs = batch[inputName]!;
        const targets = batch[targetName]!;
        const values = this.#run(model, inputs, targets);
        for (const [name, value] of Object.entries(values)) {
          totals[name] = (totals[name] ?? 0) + (await value.data())[0]! * inputs.shape[0]!;
          value.dispose();
        }
        inputs.dispose();
        targets.dispose();
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
      for (const tensor of Object.values(batch)) tensor.dispose();
    }
  });
  return { values, width: values.length / set.length };
}
