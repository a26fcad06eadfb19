// `nabla train mnist`: train, save, and show what the network got right and wrong.
// Ctrl-C stops after the step under way and saves; a second one ends the process. What is not finished can be resumed.
import { rm, stat } from "node:fs/promises";
import { io, optim, random, train as training } from "nabla";
import { type Digits, mnist } from "nabla/data";
import { classifier } from "./classifier.ts";
import { drawConfusion, drawDigit, drawRow, GAP, largest } from "./draw.ts";

export interface TrainCommandOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly hidden: readonly number[];
  readonly dropout: number;
  readonly seed: number;
  readonly out: string;
  readonly folder?: string;
  readonly resume?: boolean | "changed";
}

const CLASSES = 10;
const MISTAKES_SHOWN = 4;

/** Trains, saves and reports; returns the exit code. */
export async function train(options: TrainCommandOptions): Promise<number> {
  const checkpoint = checkpointOf(options.out);
  // A long training must not end with a model that cannot be saved.
  for (const path of [options.out, checkpoint]) await io.requireWritable(path);
  const resume = options.resume ?? false;
  if (resume !== false) await requireCheckpoint(checkpoint);
  const { trainSet, testSet } = await mnist(options.folder === undefined ? {} : { folder: options.folder });
  random.seed(options.seed);
  const model = classifier(options.hidden, options.dropout);
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
    optimizer: optim.adam({ learningRate: options.learningRate }), epochs: options.epochs, batchSize: options.batchSize,
    validation: testSet, seed: options.seed, signal: interruption.signal, checkpoint, resume,
  }).catch(async (error: unknown) => {
    // The disk may have no room for a checkpoint, three times as large, and still some for what was learned. (When resuming, the last checkpoint is there.)
    if (!(error instanceof io.FileError) || resume !== false) throw error;
    await io.save(options.out, model).catch(() => Promise.reject(error));
    throw new io.FileError(`${error.message} ${options.out} holds the network as it is.`, "Training has stopped.");
  });
  await io.save(options.out, model);
  if (!run.interrupted) await rm(checkpoint, { force: true });
  process.off("SIGINT", interrupt);
  report(testSet, await training.predict(model, testSet));
  const finished = run.history.filter(({ interrupted }) => !interrupted).length;
  if (run.interrupted) {
    const where = run.last.interrupted ? `in epoch ${finished + 1}` : `after epoch ${finished}`;
    console.log(`\nInterrupted ${where} of ${options.epochs}. ${options.out} holds the network as it is; go on with the same command and --resume (npm start -- --resume).`);
    return 130;
  }
  console.log(`\nTrained ${finished} ${finished === 1 ? "epoch" : "epochs"}, ${run.seconds.toFixed(1)} s. Saved ${options.out}; try: npm run nabla -- predict ${options.out}`);
  return 0;
}

/** Beside the model: where training is, until it is finished. */
function checkpointOf(out: string): string {
  return `${out.replace(/\.safetensors$/, "")}.checkpoint.safetensors`;
}

async function requireCheckpoint(path: string): Promise<void> {
  if ((await stat(path).catch(() => undefined)) !== undefined) return;
  throw new io.FileError(`There is nothing to resume: "${path}" is not there.`, "It is kept while a training is not finished; leave out --resume, or pass the --out of the one that was interrupted.");
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
  const shown = mistakes.slice(0, Math.min(MISTAKES_SHOWN, fitting)).map(({ row, truth, said }) => ({ caption: `#${row}: a ${truth}, said ${said}`, lines: drawDigit(set.columns.images, row) }));
  if (shown.length > 0) console.log(`\nSome mistakes:\n${drawRow(shown, pixels)}`);
}
