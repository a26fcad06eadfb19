// Evaluation of a model on a data set: mean loss and metrics, in evaluation mode, compiled.
// The mode the model was in is restored, whatever happens.
import type { Dataset } from "../data/dataset.ts";
import { type Loader, release } from "../data/loader.ts";
import type { Metric } from "../metrics/metrics.ts";
import type { Loss } from "../nn/losses.ts";
import { type Layer, requireModel } from "../nn/module.ts";
import { requireOptions } from "../errors/arguments.ts";
import { ShapeError } from "../errors/errors.ts";
import { formatShape } from "../ops/shape.ts";
import { defaultDevice } from "../tensor/storage.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compile } from "../transform/compile.ts";
import { breathe } from "./breathe.ts";
import { disposeAll, inputAndTarget, measure, type MeasureOptions, type Measures, requireDataset, withLoss } from "./measures.ts";

/** What {@link evaluate} measures. */
export interface EvaluateOptions<Name extends string = string> extends MeasureOptions<Name> {
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

/** Measures a model on one set again and again, without compiling or copying again. */
export class Evaluator {
  readonly #set: Dataset;
  readonly #loader: Loader;
  readonly #run: (model: Layer, inputs: Tensor, targets: Tensor) => Record<string, Tensor>;

  constructor(set: Dataset, measures: Readonly<Record<string, Metric>>, batchSize = 256) {
    this.#set = set;
    this.#loader = set.loader({ batchSize });
    this.#run = compile((model: Layer, inputs: Tensor, targets: Tensor) => measure(measures, model.forward(inputs), targets));
  }

  /** Means over the set, each batch weighted by its size. */
  async run(model: Layer): Promise<Record<string, number>> {
    const [inputName, targetName] = inputAndTarget(this.#set);
    const totals: Record<string, number> = {};
    await inEvaluation(model, async () => {
      for (const batch of this.#loader.batches()) {
        const inputs = batch[inputName]!;
        const values = this.#run(model, inputs, batch[targetName]!);
        for (const [name, value] of Object.entries(values)) totals[name] = (totals[name] ?? 0) + (await value.data())[0]! * inputs.shape[0]!;
        disposeAll(values);
        release(batch);
        await breathe(defaultDevice());
      }
    });
    return Object.fromEntries(Object.entries(totals).map(([name, total]) => [name, total / this.#set.length]));
  }

  dispose(): void {
    this.#loader.dispose();
  }
}

/**
 * Means of loss and metrics of a model on a data set (first column inputs, second targets), in evaluation mode.
 *
 * Without options the set is taken for a classification: cross-entropy and accuracy. `metrics` alone measures these only.
 *
 * @example
 * const { loss, accuracy } = await train.evaluate(model, testSet);
 */
export function evaluate<Name extends string = never>(model: Layer, set: Dataset, options: EvaluateOptions<Name> & { readonly loss: Loss }): Promise<Measures<Name>>;
export function evaluate<Name extends string>(model: Layer, set: Dataset, options: EvaluateOptions<Name> & { readonly metrics: Readonly<Record<Name, Metric>> }): Promise<Readonly<Record<Name, number>>>;
export function evaluate(model: Layer, set: Dataset, options?: { readonly batchSize?: number }): Promise<Measures<"accuracy">>;
export async function evaluate(model: Layer, set: Dataset, options: EvaluateOptions = {}): Promise<Readonly<Record<string, number>>> {
  requireModel(model);
  requireDataset("evaluate", set);
  inputAndTarget(set);
  requireOptions("evaluate", options, { loss: true, metrics: true, batchSize: true }, "{ loss: nn.meanSquaredError }");
  const { loss, metrics, batchSize } = options;
  const measures = loss === undefined && metrics !== undefined ? metrics : await withLoss(options, set);
  const evaluator = new Evaluator(set, measures, batchSize);
  try {
    return await evaluator.run(model);
  } finally {
    evaluator.dispose();
  }
}

/** The model's outputs for every sample of a set, one after another as rows. */
export async function predict(model: Layer, set: Dataset, options: { readonly batchSize?: number } = {}): Promise<{ readonly values: Float32Array; readonly width: number }> {
  requireModel(model);
  requireDataset("predict", set, "Pass a Dataset, e.g. `dataset({ x: … })`; for one tensor, call model.eval().forward(x).");
  requireOptions("predict", options, { batchSize: true }, "{ batchSize: 256 }");
  const [inputName] = set.names as [string];
  const forward = compile((m: Layer, inputs: Tensor) => m.forward(inputs));
  let values = new Float32Array(0);
  let row = 0;
  const loader = set.loader({ batchSize: options.batchSize ?? 256 });
  try {
    await inEvaluation(model, async () => {
      for (const batch of loader.batches()) {
        const outputs = forward(model, batch[inputName]!);
        const rows = batch[inputName]!.shape[0]!;
        if (outputs.shape[0] !== rows) throw new ShapeError(`predict: the model made outputs of shape ${formatShape(outputs.shape)} of ${rows} samples.`, "Its outputs need a row a sample.");
        const data = await outputs.data();
        const width = outputs.size / rows;
        if (values.length === 0) values = new Float32Array(set.length * width);
        values.set(data, row * width);
        row += rows;
        outputs.dispose();
        release(batch);
        await breathe(defaultDevice());
      }
    });
  } finally {
    loader.dispose();
  }
  return { values, width: values.length / set.length };
}
