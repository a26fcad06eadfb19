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
import { concat, type Tensor } from "../tensor/tensor.ts";
import { compile } from "../transform/compile.ts";
import { breathe } from "./breathe.ts";
import { disposeAll, inputAndTarget, inputOf, measure, type MeasureOptions, type Measures, requireDataset, splitMeasures, withLoss } from "./measures.ts";

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

/** What one batch gives: means over its rows, and its outputs and targets where they are still needed. */
interface BatchMeasures {
  readonly values: Record<string, Tensor>;
  readonly rows: readonly Tensor[];
}

/** Measures a model on one set again and again, without compiling or copying again. */
export class Evaluator {
  readonly #set: Dataset;
  readonly #columns: readonly [input: string, target: string];
  readonly #loader: Loader;
  readonly #names: readonly string[];
  readonly #run: (model: Layer, inputs: Tensor, targets: Tensor) => BatchMeasures;
  /** What is measured on all outputs together, where anything is. */
  readonly #measureWhole: ((outputs: Tensor, targets: Tensor) => Record<string, Tensor>) | undefined;

  constructor(set: Dataset, columns: readonly [input: string, target: string], measures: Readonly<Record<string, Metric>>, batchSize = 256) {
    this.#set = set;
    this.#columns = columns;
    this.#loader = set.loader({ batchSize });
    this.#names = Object.keys(measures);
    const { ofBatches, ofWhole } = splitMeasures(measures);
    const isWhole = Object.keys(ofWhole).length > 0;
    this.#run = compile((model: Layer, inputs: Tensor, targets: Tensor) => {
      const outputs = model.forward(inputs);
      return { values: measure(ofBatches, outputs, targets), rows: isWhole ? [outputs, targets] : [] };
    });
    this.#measureWhole = isWhole ? compile((outputs: Tensor, targets: Tensor) => measure(ofWhole, outputs, targets)) : undefined;
  }

  /** The measures of the set: means over rows batch by batch, others on all outputs together, which are kept until then. */
  async run(model: Layer): Promise<Record<string, number>> {
    const [inputName, targetName] = this.#columns;
    const totals: Record<string, number> = {};
    const kept: (readonly Tensor[])[] = [];
    await inEvaluation(model, async () => {
      for (const batch of this.#loader.batches()) {
        const inputs = batch[inputName]!;
        const { values, rows } = this.#run(model, inputs, batch[targetName]!);
        for (const [name, value] of Object.entries(values)) totals[name] = (totals[name] ?? 0) + ((await value.data())[0]! * inputs.shape[0]!) / this.#set.length;
        disposeAll(values);
        kept.push(rows);
        release(batch);
        await breathe(defaultDevice());
      }
      if (this.#measureWhole === undefined) return;
      const [outputs, targets] = [0, 1].map((at) => concat(kept.map((rows) => rows[at]!))) as [Tensor, Tensor];
      for (const [name, value] of Object.entries(this.#measureWhole(outputs, targets))) totals[name] = (await value.data())[0]!;
    });
    return Object.fromEntries(this.#names.map((name) => [name, totals[name]!]));
  }

  dispose(): void {
    this.#loader.dispose();
  }
}

/**
 * Loss and metrics of a model on a whole data set, in evaluation mode.
 *
 * Without options the set is taken for a classification: cross-entropy and accuracy. `metrics` alone measures these only. A metric of
 * your own is given the outputs and targets of all samples at once, so that it need not be a mean; the loss is averaged over batches.
 * A set of more than two columns needs `input` and `target`.
 *
 * @example
 * const { loss, accuracy } = await train.evaluate(model, testSet);
 */
export function evaluate<Name extends string = never>(model: Layer, set: Dataset, options: EvaluateOptions<Name> & { readonly loss: Loss }): Promise<Measures<Name>>;
export function evaluate<Name extends string>(model: Layer, set: Dataset, options: EvaluateOptions<Name> & { readonly metrics: Readonly<Record<Name, Metric>> }): Promise<Readonly<Record<Name, number>>>;
export function evaluate(model: Layer, set: Dataset, options?: Pick<EvaluateOptions, "batchSize" | "input" | "target">): Promise<Measures<"accuracy">>;
export async function evaluate(model: Layer, set: Dataset, options: EvaluateOptions = {}): Promise<Readonly<Record<string, number>>> {
  requireModel(model);
  requireDataset("evaluate", set);
  requireOptions("evaluate", options, { loss: true, metrics: true, batchSize: true, input: true, target: true }, "{ loss: nn.meanSquaredError }");
  const columns = inputAndTarget(set, options);
  const { loss, metrics, batchSize } = options;
  const measures = loss === undefined && metrics !== undefined ? metrics : await withLoss(options, set);
  const evaluator = new Evaluator(set, columns, measures, batchSize);
  try {
    return await evaluator.run(model);
  } finally {
    evaluator.dispose();
  }
}

/** The model's outputs for every sample of a set, one after another as rows. */
export async function predict(model: Layer, set: Dataset, options: Pick<EvaluateOptions, "batchSize" | "input"> = {}): Promise<{ readonly values: Float32Array; readonly width: number }> {
  requireModel(model);
  requireDataset("predict", set, "Pass a Dataset, e.g. `dataset({ x: … })`; for one tensor, call model.eval().forward(x).");
  requireOptions("predict", options, { batchSize: true, input: true }, "{ batchSize: 256 }");
  const inputName = inputOf(set, options);
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
