// `nabla predict`: what a saved network makes of image files, or of digits of the test set.
// Each is drawn as the network sees it; with --json one object a line, for programs.
import { type nn, train, ValueError } from "nabla";
import { dataset, type Dataset, mnist } from "nabla/data";
import { loadClassifier } from "./classifier.ts";
import { drawDigit, largest } from "./draw.ts";
import { brightOnDark, readImageFile, resize } from "./image.ts";

export interface PredictOptions {
  readonly samples?: readonly number[];
  readonly folder?: string;
  readonly json?: boolean;
}

const SIDE = 28;

/** Digits with what each is called, and its label where it is known. */
interface Digits {
  readonly set: Dataset<"images">;
  readonly names: readonly (string | number)[];
  readonly truths: readonly (number | undefined)[];
}

export async function predict(path: string, images: readonly string[], options: PredictOptions): Promise<void> {
  const model = await loadClassifier(path);
  const digits = images.length > 0 ? await digitsOfFiles(images) : await digitsOfTestSet(options);
  await show(model, digits, options.json === true);
}

async function digitsOfFiles(paths: readonly string[]): Promise<Digits> {
  const data = new Uint8Array(paths.length * SIDE * SIDE);
  for (const [index, path] of paths.entries()) {
    data.set(resize(brightOnDark(await readImageFile(path)), SIDE, SIDE).pixels, index * SIDE * SIDE);
  }
  return { set: dataset({ images: { data, shape: [SIDE, SIDE], transform: (bytes) => bytes.float().div(255) } }), names: paths, truths: [] };
}

async function digitsOfTestSet({ samples = [0, 1, 2, 3], folder }: PredictOptions): Promise<Digits> {
  const { testSet } = await mnist(folder === undefined ? {} : { folder });
  const missing = samples.find((sample) => sample >= testSet.length);
  if (missing !== undefined) throw new ValueError(`There is no test digit ${missing}.`, `Pass numbers below ${testSet.length}.`);
  const { images, labels } = testSet.columns;
  const size = SIDE * SIDE;
  const data = Uint8Array.from(samples.flatMap((sample) => [...images.data.subarray(sample * size, (sample + 1) * size)]));
  return { set: dataset({ images: { ...images, data } }), names: samples, truths: samples.map((sample) => labels.data[sample]!) };
}

async function show(model: nn.Layer, { set, names, truths }: Digits, json: boolean): Promise<void> {
  const { values, width } = await train.predict(model, set);
  names.forEach((name, row) => {
    const probabilities = softmax(values.subarray(row * width, (row + 1) * width));
    const prediction = largest(probabilities);
    const truth = truths[row];
    if (json) {
      const what = typeof name === "number" ? { sample: name } : { image: name };
      console.log(JSON.stringify({ ...what, prediction, ...(truth === undefined ? {} : { truth }), probabilities: [...probabilities] }));
      return;
    }
    const title = typeof name === "number" ? `#${name}` : name;
    const label = truth === undefined ? "" : `, the label is ${truth}`;
    console.log(`${drawDigit(set.columns.images, row).join("\n")}\n${title}: ${prediction} (${(100 * probabilities[prediction]!).toFixed(1)} %)${label}\n`);
  });
}

function softmax(logits: Float32Array): Float32Array {
  const highest = Math.max(...logits);
  const exponentials = logits.map((value) => Math.exp(value - highest));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return exponentials.map((value) => value / total);
}
