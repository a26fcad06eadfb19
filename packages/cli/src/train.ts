// `nabla train mnist`: train, save, and show what the network got right and wrong.
// Ctrl-C stops after the step under way and saves; a second one ends the process.
import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { io, metrics, nn, optim, random, train as training } from "nabla";
import { type Digits, mnist } from "nabla/data";
import { classifier, describeClassifier } from "./classifier.ts";
import { drawConfusion, drawImage, drawRow, GAP } from "./draw.ts";

export interface TrainCommandOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly hidden: readonly number[];
  readonly dropout: number;
  readonly seed: number;
  readonly out: string;
  readonly folder?: string;
}

const CLASSES = 10;
const MISTAKES_SHOWN = 4;

/** Trains, saves and reports; returns the exit code. */
export async function train(options: TrainCommandOptions): Promise<number> {
  await requireWritable(options.out);
  const { trainSet, testSet } = await mnist(options.folder === undefined ? {} : { folder: options.folder });
  random.seed(options.seed);
  const shape = { hidden: options.hidden, dropout: options.dropout };
  const model = classifier(shape);
  const parameters = Object.values(model.parameters()).reduce((sum, parameter) => sum + parameter.size, 0);
  console.error(`MNIST: ${trainSet.length} digits to learn from, ${testSet.length} to test on. Network ${[784, ...options.hidden, CLASSES].join("-")}, ${parameters} parameters.`);

  const interruption = new AbortController();
  const interrupt = (): void => {
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort();
    console.error("\nStopping after this step; press Ctrl-C again to end at once.");
  };
  process.on("SIGINT", interrupt);
  const run = await training.fit(model, trainSet, {
    loss: nn.crossEntropy, optimizer: optim.adam({ learningRate: options.learningRate }), epochs: options.epochs, batchSize: options.batchSize,
    metrics: { accuracy: metrics.accuracy }, validation: testSet, seed: options.seed, signal: interruption.signal,
  });
  process.off("SIGINT", interrupt);

  await io.save(options.out, model, describeClassifier(shape));
  report(testSet, await training.predict(model, testSet));
  const passes = `${run.history.length} ${run.history.length === 1 ? "epoch" : "epochs"}`;
  console.log(`\n${run.interrupted ? "Interrupted in" : "Trained"} ${passes}, ${run.seconds.toFixed(1)} s. Saved ${options.out}; try: nabla predict ${options.out}`);
  return run.interrupted ? 130 : 0;
}

/** A long training must not end with a model that cannot be saved. */
async function requireWritable(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    await access(folder, constants.W_OK);
  } catch {
    throw new io.FileError(`Cannot write "${path}": the folder "${folder}" is not there or not writable.`, "Create it, or pass another --out.");
  }
  if ((await stat(path).catch(() => undefined))?.isDirectory() === true) throw new io.FileError(`Cannot write "${path}": it is a folder.`, "Pass the path of a file as --out.");
}

function report(set: Digits, { values, width }: { readonly values: Float32Array; readonly width: number }): void {
  const counts = Array.from({ length: CLASSES }, () => new Array<number>(CLASSES).fill(0));
  const mistakes: { readonly row: number; readonly truth: number; readonly said: number }[] = [];
  for (let row = 0; row < set.length; row++) {
    const said = largest(values.subarray(row * width, (row + 1) * width));
    const truth = set.columns.labels.data[row]!;
    counts[truth]![said]!++;
    if (said !== truth) mistakes.push({ row, truth, said });
  }
  console.log(`\nTest accuracy ${((100 * (set.length - mistakes.length)) / set.length).toFixed(2)} % (${mistakes.length} mistakes in ${set.length})\n`);
  console.log(drawConfusion(counts));
  // As many as fit side by side.
  const pixels = set.columns.images.shape[1]!;
  const fitting = Math.max(1, Math.floor(((process.stdout.columns || 120) + GAP) / (pixels + GAP)));
  const shown = mistakes.slice(0, Math.min(MISTAKES_SHOWN, fitting)).map(({ row, truth, said }) => ({ caption: `#${row}: a ${truth}, said ${said}`, lines: digitLines(set, row) }));
  if (shown.length > 0) console.log(`\nSome mistakes:\n${drawRow(shown, pixels)}`);
}

export function largest(scores: Float32Array): number {
  let best = 0;
  for (let index = 1; index < scores.length; index++) if (scores[index]! > scores[best]!) best = index;
  return best;
}

/** The lines that draw one digit of a set. */
export function digitLines(set: Digits, row: number): string[] {
  const [height, width] = set.columns.images.shape as [number, number];
  const { data } = set.columns.images;
  return drawImage(Uint8Array.from(data.subarray(row * height * width, (row + 1) * height * width)), height, width, process.stdout.hasColors?.(256) ?? false);
}
