import { describe, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { type Dataset, dataset } from "../data/dataset.ts";
import { WasmDevice } from "../devices/wasm/device.ts";
import { accuracy } from "../metrics/index.ts";
import { batchNorm, constant, crossEntropy, dense, dropout, type Loss, meanSquaredError, relu, sequential } from "../nn/index.ts";
import { type Layer, Module } from "../nn/module.ts";
import { adam, sgd } from "../optim/index.ts";
import { seed } from "../random/index.ts";
import { defaultDevice, setDefaultDevice } from "../tensor/storage.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Epoch, epochs, type Progress, type TrainOptions } from "./epochs.ts";
import { evaluate, predict } from "./evaluate.ts";
import { fit } from "./fit.ts";
import { installReporter } from "./reporter.ts";

/** Points in the plane; the class is the quadrant. */
function quadrants(count: number): Dataset<"x" | "y"> {
  const x = Float32Array.from({ length: 2 * count }, (_, i) => Math.sin(i * 12.9898) * 2);
  const y = Int32Array.from({ length: count }, (_, i) => (x[2 * i]! > 0 ? 1 : 0) + (x[2 * i + 1]! > 0 ? 2 : 0));
  return dataset({ x: { data: x, shape: [2] }, y: { data: y, shape: [] } });
}

/** 64 features a sample. */
function wide(count: number): Dataset<"x" | "y"> {
  const x = Float32Array.from({ length: 64 * count }, (_, i) => Math.sin(i * 12.9898) * 2);
  return dataset({ x: { data: x, shape: [64] }, y: { data: Int32Array.from({ length: count }, (_, i) => i % 4), shape: [] } });
}

function classifier(width = 16): ReturnType<typeof sequential> {
  seed(3);
  return sequential(dense(2, width), relu(), dropout(0.1), dense(width, 4));
}

function options<Name extends string = never>(changes: Partial<TrainOptions<Name>> = {}): TrainOptions<Name> & { loss: Loss; progress: false } {
  return { loss: crossEntropy, optimizer: adam({ learningRate: 0.02 }), epochs: 2, batchSize: 16, progress: false, ...changes } as TrainOptions<Name> & { loss: Loss; progress: false };
}

const state = (model: Module): number[][] => Object.values(model.variables()).map((variable) => [...variable.dataSync()]);

/** Name and message of what is thrown: the error itself would keep the frames it came through alive, and their tensors. */
async function failureOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return "nothing";
}

onEveryDevice("train.fit", () => {
  test("a last batch that the model cannot train on is refused before the first step, or left out", async () => {
    const model = sequential(dense(2, 4), batchNorm(4), dense(4, 4));
    const before = state(model);
    expect(await failureOf(fit(model, quadrants(33), options()))).toMatch(/^ValueError: The last batch of every epoch has 1 of 16 samples\. In Sequential\.layers\.1: batchNorm: a batch of shape \[1, 4\] has 1 value a feature\. Pass \{ dropLast: true \}/);
    expect(state(model)).toEqual(before);
    expect(model.training).toBe(true);
    let steps = 0;
    await fit(model, quadrants(33), options({ dropLast: true, onProgress: (progress) => (steps = progress.steps) }));
    expect(steps).toBe(2);
    // What is wrong with full batches too is said of them.
    expect(await failureOf(fit(sequential(dense(2, 1)), quadrants(33), options()))).toMatch(/ShapeError: crossEntropy: logits of shape \[(16|1), 1\] have one class.*use binaryCrossEntropy/);
  });

  test("columns by name: more than two must be named", async () => {
    const { x, y } = quadrants(32).columns;
    const set = dataset({ id: { data: new Float32Array(32), shape: [] }, y, x });
    expect(await failureOf(fit(classifier(), set, options()))).toContain('ValueError: The data set has the columns "id", "y", "x". Say which go in and are compared with, e.g. { input: "id", target: "x" }.');
    expect(await failureOf(evaluate(classifier(), set))).toContain('ValueError: The data set has the columns "id", "y", "x".');
    expect(await failureOf(predict(classifier(), set))).toContain('ValueError: The data set has the columns "id", "y", "x". Say which goes in');
    expect(await failureOf(fit(classifier(), set, options({ input: "z", target: "y" })))).toContain('ValueError: The data set has no column "z". It has "id", "y", "x".');
    const named = await fit(classifier(), set, options({ input: "x", target: "y", validation: set }));
    const plain = await fit(classifier(), quadrants(32), options({ validation: quadrants(32) }));
    expect(named.history.map(({ loss, validation }) => [loss, validation])).toEqual(plain.history.map(({ loss, validation }) => [loss, validation]));
    expect(await evaluate(classifier(), set, { input: "x", target: "y" })).toEqual(await evaluate(classifier(), quadrants(32)));
    expect((await predict(classifier(), set, { input: "x" })).width).toBe(4);
  });

  test("a metric that is no mean is of the whole validation set", async () => {
    const targets = Float32Array.from({ length: 10 }, (_, i) => i * i);
    const set = dataset({ x: { data: new Float32Array(10), shape: [1] }, y: { data: targets, shape: [1] } });
    const model = sequential(dense(1, 1, { init: constant(0) }));
    const measures = { loss: meanSquaredError, metrics: { root: (outputs: Tensor, y: Tensor) => outputs.sub(y).square().mean().sqrt(), most: (_: Tensor, y: Tensor) => y.max() } };
    const mean = targets.reduce((sum, value) => sum + value ** 2, 0) / 10;
    const whole = { loss: expect.closeTo(mean, 2), root: expect.closeTo(Math.sqrt(mean), 4), most: 81 };
    expect(await evaluate(model, set, { ...measures, batchSize: 4 })).toEqual(whole);
    const { last } = await fit(model, set, options({ ...measures, optimizer: sgd({ learningRate: 0 }), batchSize: 4, validation: set }));
    expect(last.validation).toEqual(whole);
  });

  test("learns, and keeps the history of loss, metrics and validation", async () => {
    const run = await fit(classifier(), quadrants(200), options({ epochs: 5, validation: quadrants(50), metrics: { accuracy } }));
    expect(run.history.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    expect(run.last).toBe(run.history[4]);
    expect(Object.keys(run.last)).toEqual(["loss", "accuracy", "index", "validation", "seconds", "interrupted"]);
    expect(run.last.loss).toBeLessThan(run.history[0]!.loss / 2);
    expect(run.last.validation!.accuracy).toBeGreaterThan(0.85);
    expect([run.interrupted, run.last.interrupted]).toEqual([false, false]);
  });

  test("means weigh each batch by its size", async () => {
    const set = quadrants(10);
    const model = classifier();
    const frozen = options({ optimizer: sgd({ learningRate: 0 }), epochs: 1, metrics: { accuracy } });
    model.modules()["layers.2"]!.training = false;
    const exact = await evaluate(model, set, { loss: crossEntropy, metrics: { accuracy }, batchSize: 10 });
    const sequentialModel = sequential(...[0, 1, 3].map((index) => model.modules()[`layers.${index}`] as Layer));
    for (const batchSize of [1, 3, 4, 10, 64]) {
      const { last } = await fit(sequentialModel, set, { ...frozen, batchSize });
      expect(last.loss).toBeCloseTo(exact.loss, 5);
      expect(last.accuracy).toBeCloseTo(exact.accuracy, 5);
    }
    const parts = await evaluate(model, set, { loss: crossEntropy, batchSize: 3 });
    expect(parts.loss).toBeCloseTo(exact.loss, 5);
  });

  test("one seed gives one result, another a different one; each epoch has its order", async () => {
    const trained = async (orders: number): Promise<number[][]> => {
      const model = classifier();
      await fit(model, quadrants(40), options({ seed: orders }));
      return state(model);
    };
    const first = await trained(1);
    expect(await trained(1)).toEqual(first);
    expect(await trained(2)).not.toEqual(first);
  });

  test("every module is back in its mode afterwards, whatever happens", async () => {
    const model = classifier();
    model.modules()["layers.2"]!.training = false;
    const modes = (): boolean[] => Object.values(model.modules()).map((module) => module.training);
    const before = modes();
    const seen: boolean[][] = [];
    const watching = options({ validation: quadrants(8), onProgress: () => seen.push(modes()) });
    await fit(model, quadrants(20), watching);
    expect(seen.flat().every(Boolean)).toBe(true);
    expect(modes()).toEqual(before);
    await evaluate(model, quadrants(8), { metrics: { mode: (outputs) => (expect(model.training).toBe(false), outputs.mean()) } });
    expect(modes()).toEqual(before);
    await failureOf(evaluate(model, quadrants(8), { metrics: { fails: () => { throw new Error("no"); } } }));
    expect(modes()).toEqual(before);
    for await (const _ of epochs(model, quadrants(20), options())) break;
    expect(modes()).toEqual(before);
  });

  test("labels outside the classes are named before the first step, in the validation set too", async () => {
    const bad = quadrants(20);
    bad.columns.y.data[13] = 4;
    const model = classifier();
    const before = state(model);
    const expected = "ValueError: Label 4 of row 13 is outside the 4 classes.";
    expect(await failureOf(fit(model, bad, options()))).toContain(expected);
    expect(await failureOf(fit(model, quadrants(20), options({ validation: bad })))).toContain(expected);
    expect(state(model)).toEqual(before);
  });

  test("progress: an event when an epoch ends, with honest numbers", async () => {
    const events: Progress[] = [];
    const run = await fit(classifier(), quadrants(20), options({ metrics: { accuracy }, onProgress: (progress) => events.push(progress) }));
    const ended = events.filter((event) => event.ended !== undefined);
    expect(ended.map(({ epoch, epochs: all, step, steps }) => [epoch, all, step, steps])).toEqual([[1, 2, 2, 2], [2, 2, 2, 2]]);
    expect(ended.map(({ ended: epoch }) => epoch)).toEqual(run.history);
    for (const { stepsPerSecond, samplesPerSecond, means } of events) {
      expect(Object.keys(means)).toEqual(["loss", "accuracy"]);
      // 20 samples in 2 steps.
      expect(samplesPerSecond / stepsPerSecond).toBeLessThanOrEqual(16);
    }
    // 4 + 16 + 4 samples in 3 steps: the very first is left out.
    expect(ended[1]!.samplesPerSecond / ended[1]!.stepsPerSecond).toBeCloseTo(8);
    expect(ended[0]!.secondsLeft).toBeGreaterThan(0);
    expect(ended[1]!.secondsLeft).toBe(0);
  });

  test("abort stops after the step under way; the model keeps what it has learned", async () => {
    const controller = new AbortController();
    const model = classifier();
    const before = state(model);
    let steps = 0;
    const loss = (outputs: Tensor, targets: Tensor): Tensor => (steps++, crossEntropy(outputs, targets));
    // Aborted while the first step is traced, that is, under way.
    const aborting = (outputs: Tensor, targets: Tensor): Tensor => (controller.abort(), loss(outputs, targets));
    const run = await fit(model, quadrants(64), options({ loss: aborting, validation: quadrants(8), signal: controller.signal }));
    expect([run.interrupted, run.history.length, run.last.interrupted, run.last.validation]).toEqual([true, 1, true, undefined]);
    expect(Number.isFinite(run.last.loss)).toBe(true);
    expect(state(model)).not.toEqual(before);
    expect(steps).toBe(1);
    const after = state(model);
    expect(await failureOf(fit(model, quadrants(64), options({ signal: controller.signal })))).toContain("AbortError");
    expect(state(model)).toEqual(after);
  });

  test("abort at the end of an epoch ends training there, and at the end of all it ends nothing", async () => {
    const aborted = async (at: number): Promise<[epochs: number, interrupted: boolean, last: boolean]> => {
      const controller = new AbortController();
      const run = await fit(classifier(), quadrants(20), options({
        signal: controller.signal, onProgress: ({ ended }) => ended?.index === at && controller.abort(),
      }));
      return [run.history.length, run.interrupted, run.last.interrupted];
    };
    expect(await aborted(0)).toEqual([1, true, false]);
    expect(await aborted(1)).toEqual([2, false, false]);
  });

  test("a loop around the epochs may stop, and no memory stays", async () => {
    const seen: Epoch[] = [];
    const model = classifier();
    for await (const epoch of epochs(model, quadrants(20), options({ epochs: 50 }))) {
      seen.push(epoch);
      if (seen.length === 2) break;
    }
    expect(seen.length).toBe(2);
    expect(defaultDevice().memory().bytes).toBeLessThan(200_000);
  });

  test("what a caller without types passes is named", async () => {
    const [model, set] = [classifier(), quadrants(20)];
    expect(await failureOf(fit({} as never, set, options()))).toContain("ValueError: The model is an object with nothing in it. Pass a module");
    expect(await failureOf(fit(model, { trainSet: set, testSet: set } as never, options()))).toContain("the data set is an object with trainSet, testSet. Pass a Dataset, e.g. `(await mnist()).trainSet`");
    expect(await failureOf(fit(model, set, { progress: false } as never))).toContain("The optimizer is undefined. Pass one");
    expect(await failureOf(fit(model, set, options({ loss: "mse" as never })))).toContain('"loss" is "mse". Pass a function of outputs and targets');
    expect(await failureOf(fit(model, set, options({ metrics: { accuracy: true as never } })))).toContain('"accuracy" is true.');
    expect(await failureOf(fit(model, set, options({ loss: (async () => 1) as never })))).toContain('ValueError: "loss" gave a Promise. A loss or metric gives a scalar tensor');
    expect(await failureOf(evaluate(model, undefined as never))).toContain("the data set is undefined.");
  });

  test("nonsense is refused before anything is computed", async () => {
    const [model, set] = [classifier(), quadrants(20)];
    for (const count of [0, -1, 1.5, NaN]) expect(await failureOf(fit(model, set, options({ epochs: count })))).toContain(`ValueError: epochs: ${count}.`);
    expect(await failureOf(fit(model, set, options({ batchSize: 0 })))).toContain("ValueError: batchSize 0.");
    expect(await failureOf(fit(model, dataset({ x: set.columns.x }), options()))).toContain('has only the column "x"');
    expect(await failureOf(fit(model, set, options({ validation: dataset({ x: set.columns.x }) })))).toContain('has only the column "x"');
    for (const name of ["loss", "index", "validation"]) expect(await failureOf(fit(model, set, options({ metrics: { [name]: accuracy } })))).toContain(`A metric is called "${name}"`);
    expect(await failureOf(fit(model, set, options({ metrics: { wrong: (outputs) => outputs } })))).toMatch(/ShapeError: "wrong" has shape \[16, 4\]/);
    expect(await failureOf(fit(dense(3, 4), set, options()))).toContain("ShapeError: In Dense");
  });
});

onEveryDevice("where nobody says", () => {
  const short = { optimizer: sgd({ learningRate: 0.1 }), progress: false } as const;

  test("class indices and one-hot labels are learned by cross-entropy, and accuracy is measured", async () => {
    const set = quadrants(60);
    const oneHot = dataset({ x: set.columns.x, y: { ...set.columns.y, transform: (y) => y.oneHot(4) } });
    const smooth = dataset({ x: set.columns.x, y: { data: new Float32Array(240).fill(0.25), shape: [4] } });
    const losses = [];
    for (const data of [set, oneHot, smooth]) {
      const { last } = await fit(classifier(), data, { ...short, epochs: 1, validation: data });
      expect(last.accuracy).toBeGreaterThanOrEqual(0);
      expect(last.validation!.accuracy).toBeLessThanOrEqual(1);
      losses.push(last.loss);
    }
    expect(losses[1]).toBeCloseTo(losses[0]!, 5);
    const model = classifier();
    expect(await evaluate(model, set)).toEqual(await evaluate(model, set, { loss: crossEntropy, metrics: { accuracy } }));
    expect(Object.keys(await evaluate(model, set, { metrics: { accuracy } }))).toEqual(["accuracy"]);
  });

  test("there are 10 epochs, each with its measures beside its index", async () => {
    const seen: [number, number, number][] = [];
    for await (const { index, loss, accuracy: share } of epochs(classifier(), quadrants(20), short)) seen.push([index, loss, share]);
    expect(seen.map(([index]) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(seen.flat().every(Number.isFinite)).toBe(true);
  });

  test("targets that are no classes need a loss", async () => {
    const x = { data: new Float32Array(12), shape: [2] };
    for (const y of [{ data: new Float32Array(6), shape: [] }, { data: new Float32Array(6).fill(1), shape: [1] }, { data: new Float32Array(12).fill(1), shape: [2] }]) {
      const failure = 'ValueError: The targets "y" (float32) are neither class indices nor one-hot labels, so the loss is not known. Pass one, e.g. { loss: nn.meanSquaredError }';
      expect(await failureOf(fit(dense(2, 2), dataset({ x, y }), short))).toContain(failure);
      expect(await failureOf(evaluate(dense(2, 2), dataset({ x, y })))).toContain(failure);
    }
    const { last } = await fit(dense(2, 2), dataset({ x, y: x }), { ...short, loss: meanSquaredError, epochs: 1 });
    expect(Object.keys(last)).toEqual(["loss", "index", "seconds", "interrupted"]);
  });
});

onEveryDevice("divergence", () => {
  class Logarithm extends Module {
    forward(x: Tensor): Tensor {
      return x.log();
    }
  }
  const regression = (value: number): Dataset => dataset({ x: { data: new Float32Array(8).fill(value), shape: [2] }, y: { data: new Float32Array(4), shape: [1] } });

  test("names the first layer whose output is not finite, and keeps the model", async () => {
    const model = sequential(dense(2, 2), new Logarithm(), dense(2, 1));
    model.variables()["layers.0.weight"]!.assign(model.variables()["layers.0.weight"]!.abs().neg());
    const before = state(model);
    const failure = await failureOf(fit(model, regression(1), options({ loss: meanSquaredError })));
    expect(failure).toContain("DivergenceError: The loss is NaN at step 1 of epoch 1: layers.1 (Logarithm) is the first layer whose output is infinite or NaN.");
    expect(state(model)).toEqual(before);
  });

  test("names a parameter that a step before has blown up", async () => {
    const model = sequential(dense(2, 1));
    const failure = await failureOf(fit(model, regression(1e18), options({ loss: meanSquaredError, optimizer: sgd({ learningRate: 1e30 }) })));
    expect(failure).toMatch(/The loss is (NaN|Infinity) at step \d of epoch \d: .*layers\.0/);
  });

  test("names the loss where the outputs are finite", async () => {
    const failure = await failureOf(fit(dense(2, 1), regression(1), options({ loss: (outputs) => outputs.mean().mul(0).log().mul(-1) })));
    expect(failure).toContain("The loss is Infinity at step 1 of epoch 1, while the model's outputs are finite.");
  });

  test("the shared progress line is ended when training fails", async () => {
    const calls: string[] = [];
    installReporter(() => ({ show: () => calls.push("show"), end: () => calls.push("end") }));
    try {
      await failureOf(fit(dense(2, 1), regression(1), { ...options({ loss: (outputs) => outputs.mean().mul(NaN) }), progress: true }));
      expect(calls).toEqual(["end"]);
    } finally {
      installReporter(() => ({ show: () => {}, end: () => {} }));
    }
  });
});

onEveryDevice("predict", () => {
  test("outputs without a row a sample are refused", async () => {
    class Total extends Module {
      forward(x: Tensor): Tensor { return x.sum(); }
    }
    expect(await failureOf(predict(new Total(), quadrants(20)))).toContain("ShapeError: predict: the model made outputs of shape [] of 20 samples.");
  });

  test("gives a row of outputs a sample, in evaluation mode and order, for any batch size", async () => {
    const model = classifier();
    const set = quadrants(11);
    const { values, width } = await predict(model, set, { batchSize: 11 });
    expect([width, values.length]).toEqual([4, 44]);
    for (const batchSize of [1, 4]) {
      const parts = await predict(model, set, { batchSize });
      parts.values.forEach((value, at) => expect(value).toBeCloseTo(values[at]!, 5));
    }
  });
});

describe("threads", () => {
  test("the same seed gives the same bits on 1 and 2 threads", async () => {
    const previous = setDefaultDevice(undefined);
    const results: Record<number, { state: number[][]; losses: unknown }> = {};
    for (const threads of [1, 2]) {
      const device = new WasmDevice({ threads });
      setDefaultDevice(device);
      try {
        await device.startThreads();
        // Enough work a step that both threads are waited for.
        seed(3);
        const model = sequential(dense(64, 256), relu(), dropout(0.1), dense(256, 256), relu(), dense(256, 4));
        const run = await fit(model, wide(300), options({ batchSize: 97, metrics: { accuracy }, validation: wide(101) }));
        results[threads] = { state: state(model), losses: run.history.map(({ loss, accuracy: share, validation }) => ({ loss, share, validation })) };
      } finally {
        setDefaultDevice(previous);
        await device.dispose();
      }
    }
    expect(results[2]).toEqual(results[1]);
  });
});
