import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { type Dataset, dataset } from "../data/dataset.ts";
import { load, save } from "../io/index.ts";
import { NablaError } from "../errors/errors.ts";
import { decodeSafetensors, encodeSafetensors } from "../io/safetensors.ts";
import { crossEntropy, dense, dropout, relu, sequential, tanh } from "../nn/index.ts";
import type { Layer } from "../nn/module.ts";
import { adam, clipByNorm, cosine, sgd, warmUp } from "../optim/index.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { seed } from "../random/index.ts";
import { type FitOptions, fit, type Run } from "./fit.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nabla-checkpoint-"));
  path = join(folder, "run.safetensors");
});
afterEach(() => rm(folder, { recursive: true }));

/** 50 points in the plane; the class is the quadrant. 50 = 3 batches of 16 and one of 2. */
function quadrants(count = 50): Dataset<"x" | "y"> {
  const x = Float32Array.from({ length: 2 * count }, (_, i) => Math.sin(i * 12.9898) * 2);
  const y = Int32Array.from({ length: count }, (_, i) => (x[2 * i]! > 0 ? 1 : 0) + (x[2 * i + 1]! > 0 ? 2 : 0));
  return dataset({ x: { data: x, shape: [2] }, y: { data: y, shape: [] } });
}

/** Dropout's masks must go on where they were. */
function classifier(start = 3): Layer {
  seed(start);
  return sequential(dense(2, 8), relu(), dropout(0.3), dense(8, 4));
}

const scheduled = (): Optimizer => clipByNorm(adam({ learningRate: warmUp(cosine(0.05, { steps: 20 }), { steps: 3 }) }), 1);

const run = (model: Layer, changes: Partial<FitOptions> = {}): Promise<Run<"accuracy">> =>
  fit(model, quadrants(), { optimizer: scheduled(), epochs: 4, batchSize: 16, seed: 7, progress: false, validation: quadrants(20), ...changes });

const state = (model: Layer): number[][] => Object.values(model.variables()).map((variable) => [...variable.dataSync()]);
const measures = ({ history }: Run<"accuracy">): unknown => history.map((epoch) => ({ ...epoch, seconds: 0 }));

async function failureOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return "nothing";
}

/** A training whose signal is aborted when it is asked for the `asks`-th time: at a step or between epochs. */
function stopped(asks: number): Promise<Run<"accuracy">> {
  const controller = new AbortController();
  let asked = 0;
  const signal = new Proxy(controller.signal, {
    get(target, name) {
      if (name === "aborted" && ++asked > asks) controller.abort();
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return run(classifier(), { signal, checkpoint: path });
}

onEveryDevice("checkpoints", () => {
  test("a training that was stopped anywhere goes on to the same bits, measures included", async () => {
    const whole = classifier();
    const expected = await run(whole);
    for (const asks of [1, 2, 4, 5, 6, 7, 11, 17]) {
      const first = await stopped(asks);
      expect(first.interrupted).toBe(true);
      // Another process: other weights, other masks, another optimizer.
      const model = classifier(99);
      const rest = await run(model, { checkpoint: path, resume: true });
      expect(state(model)).toEqual(state(whole));
      expect(measures(rest)).toEqual(measures(expected));
      expect(rest.interrupted).toBe(false);
    }
    expect(await readdir(folder)).toEqual(["run.safetensors"]);
  });

  test("a finished training can be made longer", async () => {
    const whole = classifier();
    const expected = await run(whole);
    await run(classifier(), { epochs: 2, checkpoint: path });
    const model = classifier(99);
    const rest = await run(model, { checkpoint: path, resume: true });
    expect(state(model)).toEqual(state(whole));
    expect(measures(rest)).toEqual(measures(expected));
    const again = await run(classifier(), { checkpoint: path, resume: true });
    expect(measures(again)).toEqual(measures(expected));
  });

  test("what does not fit is named, and nothing changes", async () => {
    await run(classifier(), { epochs: 1, checkpoint: path });
    const bytes = await readFile(path);
    const model = classifier(99);
    const before = state(model);
    const resumed = (changes: Partial<FitOptions>): Promise<string> => failureOf(run(model, { checkpoint: path, resume: true, ...changes }));
    expect(await resumed({ batchSize: 8 })).toContain("was written with batchSize 16, and now it is 8. Resume with what it was");
    expect(await resumed({ seed: 8 })).toContain("was written with seed 0 7, and now it is 0 8");
    expect(await resumed({ shuffle: false })).toContain("shuffle true");
    expect(await resumed({ optimizer: sgd({ learningRate: 0.1 }) })).toContain("optimizer adam, and now it is sgd");
    expect(await resumed({ optimizer: adam() })).toMatch(/written with learningRate scheduled, 0 at step 0, .*, and now it is 0\.001; maxNorm 1, and now it is not there/);
    expect(await resumed({ optimizer: adam(), resume: "changed" })).toContain("has no optimizer.step");
    expect(await resumed({ checkpoint: join(folder, "none") })).toContain("FileError: Cannot read");
    seed(1);
    expect(await failureOf(run(sequential(dense(2, 9), relu(), dropout(0.3), dense(9, 4)), { checkpoint: path, resume: true }))).toContain("ShapeError");
    await save(path, model);
    expect(await resumed({})).toContain("FormatError");
    expect(await resumed({})).toContain("is not a checkpoint. Pass a file that a training with `checkpoint` wrote");
    await writeFile(path, bytes.subarray(0, bytes.length - 1));
    expect(await resumed({})).toContain("is not a valid safetensors file");
    expect(await failureOf(run(model, { resume: true }))).toContain("There is no checkpoint to resume from");
    expect(state(model)).toEqual(before);
  });

  test("other data, rates and settings are named, and gone on with where that is wanted", async () => {
    const path2 = join(folder, "plain.safetensors");
    const train = (changes: Partial<FitOptions> = {}, model: Layer = classifier(), set = quadrants()): Promise<Run<"accuracy">> =>
      fit(model, set, { optimizer: sgd({ learningRate: 0.1 }), epochs: 2, batchSize: 16, progress: false, checkpoint: path2, ...changes });
    await train();
    const moved = quadrants();
    moved.columns.x.data[99]! += 1;
    const resumed = { resume: true, epochs: 3 } as const;
    expect(await failureOf(train(resumed, classifier(), moved))).toMatch(/plain\.safetensors" was written with column x float32 \[2\] of checksum [0-9a-f]{8}, and now it is float32 \[2\] of checksum [0-9a-f]{8}\. Resume with what it was, with resume: "changed"/);
    expect(await failureOf(train(resumed, classifier(), quadrants(64)))).toMatch(/samples 50, and now it is 64; column x/);
    expect(await failureOf(train({ ...resumed, optimizer: sgd({ learningRate: 0.2 }) }))).toContain("learningRate 0.1, and now it is 0.2.");
    expect(await failureOf(train(resumed, sequential(dense(2, 8), tanh(), dropout(0.4), dense(8, 4))))).toContain("layers.1.name relu, and now it is tanh; layers.2.rate 0.3, and now it is 0.4.");
    expect(await failureOf(train({ ...resumed, loss: (y, t) => crossEntropy(y, t) }))).toContain("loss crossEntropy");
    expect(await failureOf(train({ resume: "yes" as never }))).toContain('resume is "yes". Pass true, false or "changed".');
    const model = classifier(5);
    const { history } = await train({ resume: "changed", epochs: 3, optimizer: sgd({ learningRate: 0 }) }, model, moved);
    expect(history.map(({ index }) => index)).toEqual([0, 1, 2]);
    const whole = classifier();
    await train({ checkpoint: join(folder, "other") }, whole);
    expect(model.variables()["layers.0.weight"]!.toArray()).toEqual(whole.variables()["layers.0.weight"]!.toArray());
  });

  test("where it cannot be written is said before the first step", async () => {
    let steps = 0;
    for (const [file, message] of [["", "The path to write is"], ["/dev/null", "no regular file"], [join(folder, "x".repeat(300)), "ENAMETOOLONG"], [folder, "it is a folder"]] as const) {
      expect(await failureOf(run(classifier(), { checkpoint: file, onProgress: () => steps++ }))).toContain(message);
    }
    expect(steps).toBe(0);
  });

  test("a long history comes back, and the file says it in one tensor", async () => {
    await run(classifier(), { epochs: 1, checkpoint: path });
    const { tensors, metadata } = decodeSafetensors(await readFile(path));
    const line = new TextDecoder().decode(tensors["history"]!.data as Uint8Array);
    const many = 150_000;
    const lines = new TextEncoder().encode(Array.from({ length: many }, (_, index) => line.replace('"index":0', `"index":${index}`)).join(""));
    await writeFile(path, encodeSafetensors({
      tensors: { ...tensors, history: { dtype: "uint8", shape: [lines.length], data: lines } }, metadata: { ...metadata, checkpoint: metadata["checkpoint"]!.replace('"epoch":1', `"epoch":${many}`) },
    }));
    const { history } = await run(classifier(), { epochs: many + 1, checkpoint: path, resume: true });
    expect([history.length, history.at(-1)!.index]).toEqual([many + 1, many]);
    expect(new TextDecoder().decode(decodeSafetensors(await readFile(path)).tensors["history"]!.data as Uint8Array).trimEnd().split("\n").length).toBe(many + 1);
  });

  test("whatever the description says, it is resumed or refused with a typed error", async () => {
    await run(classifier(), { epochs: 1, checkpoint: path });
    const archive = decodeSafetensors(await readFile(path));
    const good = JSON.parse(archive.metadata["checkpoint"]!) as { setup: object; position: object };
    const model = classifier();
    const wild = fc.oneof(fc.constantFrom<unknown>(null, -1, 0, 1, 2, 1e308, "NaN", "\u001b[2J", [], {}, "x".repeat(100_000)), fc.jsonValue());
    const changed = (record: object): fc.Arbitrary<unknown> => fc.dictionary(fc.constantFrom(...Object.keys(record), "extra"), wild, { maxKeys: 2 }).map((changes) => ({ ...record, ...changes }));
    const content = fc.oneof(wild, fc.record({ version: fc.constantFrom<unknown>(1, 2, 2, 2, [[2]]), setup: fc.oneof(wild, changed(good.setup)), position: fc.oneof(wild, changed(good.position)) }));
    const texts = fc.oneof(content.map((value) => JSON.stringify(value)), fc.constantFrom("[".repeat(200_000) + "]".repeat(200_000), `{"version":2,"setup":{"optimizer":${"[".repeat(50_000)}${"]".repeat(50_000)}}}`));
    const histories = fc.oneof(fc.constant(undefined), fc.constantFrom("", "\n", "{}", "{}\n{}", "[1]\n"));
    await fc.assert(fc.asyncProperty(texts, histories, async (checkpoint, history) => {
      const data = history === undefined ? archive.tensors["history"]!.data : new TextEncoder().encode(history);
      await writeFile(path, encodeSafetensors({ tensors: { ...archive.tensors, history: { dtype: "uint8", shape: [data.length], data } }, metadata: { checkpoint } }));
      const error: unknown = await run(model, { epochs: 1, checkpoint: path, resume: true }).then(() => undefined, (reason: unknown) => reason);
      if (error === undefined) return;
      expect(error).toBeInstanceOf(NablaError);
      expect((error as NablaError).message.length).toBeLessThan(2500);
      expect((error as NablaError).message).not.toMatch(/(?!\n)\p{Cc}/u);
    }), { numRuns: 60 });
  });

  test("a checkpoint that cannot be written ends training and says so", async () => {
    expect(await failureOf(run(classifier(), { checkpoint: join(folder, "no", "such", "file") }))).toContain("FileError: Cannot write");
  });

  test("its tensors can be read like any file's", async () => {
    const model = classifier();
    await run(model, { epochs: 1, checkpoint: path });
    const tensors = await load(path);
    expect(tensors["model.layers.0.weight"]!.toArray()).toEqual(model.variables()["layers.0.weight"]!.toArray());
    expect(tensors["optimizer.step"]!.item()).toBe(4);
  });
});
