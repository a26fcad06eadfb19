import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { dataset } from "../data/dataset.ts";
import { crossEntropy, dense, dropout, meanSquaredError, relu, sequential, sigmoid } from "../nn/index.ts";
import { Module } from "../nn/module.ts";
import { LifetimeError, ValueError } from "../errors/errors.ts";
import { adam, sgd, stepDecay, warmUp } from "../optim/index.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { key, normal, seed } from "../random/index.ts";
import { full, ones, tensor, zeros } from "../tensor/creation.ts";
import { defaultDevice } from "../tensor/storage.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { valueAndGrad } from "../transform/derivatives.ts";
import { step } from "./step.ts";

type Pair = { readonly x: Tensor; readonly y: Tensor };

const pair = (count = 8, draw = 0): Pair => ({ x: normal(key(draw), [count, 3]), y: normal(key(draw + 100), [count, 2]) });
const squares = (model: Module & { forward(x: Tensor): Tensor }, { x, y }: Pair): Tensor => meanSquaredError(model.forward(x), y);
const state = (model: Module): Record<string, unknown> => Object.fromEntries(Object.entries(model.variables()).map(([path, variable]) => [path, variable.toArray()]));

/** Name and message of what is thrown: the error itself would keep the frames it came through alive, and their tensors. */
async function failureOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return "nothing";
}

/** Reference: gradient and update as separate eager operations. */
function eagerStep<M extends Module>(model: M, optimizer: Optimizer, memory: Map<Variable, Record<string, Tensor>>, loss: (model: M) => Tensor): number {
  const [value, gradients] = valueAndGrad(loss)(model) as [Tensor, Record<string, Tensor>];
  const result = value.item();
  const hyper = Object.fromEntries(Object.entries(optimizer.hyper).map(([name, each]) => [name, tensor(each as number)]));
  for (const [path, variable] of Object.entries(model.parameters())) {
    const before = memory.get(variable) ?? optimizer.init(variable);
    const { parameter, state: after } = optimizer.update(gradients[path]!, variable, before, hyper);
    for (const each of Object.values(after)) each.dataSync();
    memory.set(variable, after);
    variable.assign(parameter);
  }
  return result;
}

function expectClose(actual: Module, expected: Module, tolerance: number): void {
  const others = Object.values(expected.variables());
  for (const [index, [path, variable]] of Object.entries(actual.variables()).entries()) {
    const reference = others[index]!.dataSync();
    variable.dataSync().forEach((value, at) => expect(Math.abs(value - reference[at]!), `${path}[${at}]`).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(reference[at]!))));
  }
}

const network = (): ReturnType<typeof sequential> => {
  seed(7);
  return sequential(dense(3, 5), relu(), dense(5, 4), sigmoid(), dense(4, 2));
};

/** Keeps a running mean of its input, as batch normalisation does. */
class Centre extends Module {
  mean = new Variable(zeros([3]), { trainable: false });
  inner = dense(3, 2);
  forward(x: Tensor): Tensor {
    const mean = x.mean(0);
    if (this.training) this.mean.assign(this.mean.mul(0.5).add(mean.mul(0.5)));
    return this.inner.forward(x.sub(this.training ? mean : this.mean));
  }
}

onEveryDevice("train.step", () => {
  test.each([["sgd", () => sgd({ learningRate: 0.1 })], ["momentum", () => sgd({ learningRate: 0.05, momentum: 0.9 })], ["adam", () => adam({ learningRate: 0.01 })]] as const)(
    "does what an eager loop of gradients and updates does (%s)", async (_, make) => {
      const [compiled, eager] = [network(), network()];
      const [optimizer, memory] = [make(), new Map<Variable, Record<string, Tensor>>()];
      const run = step(compiled, make(), squares);
      for (let index = 0; index < 6; index++) {
        const batch = pair(8, index);
        const { loss } = await run(batch);
        expect(loss.item()).toBeCloseTo(eagerStep(eager, optimizer, memory, (model) => squares(model, batch)), 5);
      }
      expectClose(compiled, eager, 2e-6);
    });

  test("a schedule is computed in the step, which is traced once; a step that changes nothing does not count", async () => {
    const model = dense(2, 1, { bias: false });
    model.weight.assign(zeros([2, 1]));
    let traces = 0;
    const optimizer = sgd({ learningRate: warmUp(stepDecay(1, { every: 2, factor: 0.5 }), { steps: 2 }) });
    const run = step(model, optimizer, (m, { x }: { x: Tensor }) => (traces++, m.forward(x).mean().neg()));
    const rates: number[] = [];
    for (let index = 0; index < 7; index++) {
      const before = model.weight.dataSync()[0]!;
      await run({ x: index === 3 ? full([4, 2], NaN) : ones([4, 2]) });
      rates.push(model.weight.dataSync()[0]! - before);
    }
    expect(rates).toEqual([0, 0.5, 1, 0, 1, 0.5, 0.5]);
    expect(traces).toBe(1);
    expect(run.optimizerState["step"]!.item()).toBe(6);
  });

  test("a schedule that gives no scalar is named", async () => {
    const run = step(dense(2, 1), sgd({ learningRate: (count) => count.broadcastTo([2]) }), (m, { x }: { x: Tensor }) => m.forward(x).mean());
    expect(await failureOf(run({ x: ones([1, 2]) }))).toContain("The schedule of sgd's learningRate gave shape [2].");
  });

  test("a loader's batch gives the same bits whether the step makes it, it was read before, or it is passed on", async () => {
    const set = dataset({
      x: { data: Uint8Array.from({ length: 60 }, (_, i) => (i * 37) % 256), shape: [3], transform: (x) => x.float().sub(33).div(77) },
      y: { data: Float32Array.from({ length: 40 }, (_, i) => Math.sin(i)), shape: [2] },
    });
    const train = async (use: (batch: Pair) => Pair): Promise<unknown> => {
      const model = network();
      const run = step(model, adam(), squares);
      for (const batch of set.loader({ batchSize: 8, shuffle: true }).batches()) await run(use(batch));
      return state(model);
    };
    const made = await train((batch) => batch);
    expect(await train((batch) => (batch.x.dataSync(), batch))).toEqual(made);
    expect(await train(({ x, y }) => ({ x: x.mul(1), y }))).toEqual(made);
    expect(await train(({ x, y }) => ({ x: tensor(x.dataSync(), { shape: x.shape }), y: tensor(y.dataSync(), { shape: y.shape }) }))).toEqual(made);
  });

  test("float64 parameters train in float64, beside float32 ones", async () => {
    class Mixed extends Module {
      wide = new Variable(ones([2], "float64"));
      narrow = new Variable(ones([2]));
      forward(): Tensor {
        return this.wide.square().sum().add(this.narrow.square().sum().cast("float64"));
      }
    }
    const model = new Mixed();
    const run = step(model, adam({ learningRate: 0.1 }), (m) => m.forward());
    for (let index = 0; index < 3; index++) await run({});
    expect([model.wide.dtype, model.narrow.dtype]).toEqual(["float64", "float32"]);
    const [wide, narrow] = [model.wide.dataSync()[0]!, model.narrow.dataSync()[0]!];
    expect(wide).toBeCloseTo(narrow, 6);
    expect(wide).not.toBe(narrow);
    expect(wide).toBeCloseTo(0.7, 1);
  });

  test("state that the model assigns is updated, and freezes with the mode", async () => {
    const model = new Centre();
    const run = step(model, sgd({ learningRate: 0.1 }), squares);
    const batch = { x: full([4, 3], 2), y: zeros([4, 2]) };
    await run(batch);
    expect(model.mean.toArray()).toEqual([1, 1, 1]);
    await run(batch);
    expect(model.mean.toArray()).toEqual([1.5, 1.5, 1.5]);
    model.eval();
    const weight = model.inner.weight.toArray();
    await run(batch);
    expect(model.mean.toArray()).toEqual([1.5, 1.5, 1.5]);
    expect(model.inner.weight.toArray()).not.toEqual(weight);
  });

  test("dropout draws a new mask each step, the same from the same key", async () => {
    const losses = async (): Promise<number[]> => {
      const layer = dropout(0.5, { key: key(1) });
      const model = sequential(dense(64, 1, { bias: false }), layer);
      model.parameters()["layers.0.weight"]!.assign(ones([64, 1]));
      const run = step(model, sgd({ learningRate: 0 }), (m, { x }: { x: Tensor }) => m.forward(x).mean());
      const seen = [];
      for (let index = 0; index < 3; index++) seen.push((await run({ x: normal(key(5), [50, 64]) })).loss.item());
      return seen;
    };
    const first = await losses();
    expect(new Set(first).size).toBe(3);
    expect(await losses()).toEqual(first);
  });

  test("a changed learning rate takes effect without another trace", async () => {
    const model = sequential(dense(1, 1, { bias: false }));
    const weight = model.parameters()["layers.0.weight"]!;
    weight.assign(tensor([[1]]));
    let traces = 0;
    const optimizer = sgd({ learningRate: 0 });
    const run = step(model, optimizer, (m, { x }: { x: Tensor }) => {
      traces++;
      return m.forward(x).sum();
    });
    const batch = { x: ones([1, 1]) };
    await run(batch);
    expect(weight.item()).toBe(1);
    optimizer.hyper.learningRate = 0.25;
    await run(batch);
    expect(weight.item()).toBe(0.75);
    expect(() => (optimizer.hyper.learningRate = -1)).toThrow(ValueError);
    await run(batch);
    expect(weight.item()).toBe(0.5);
    expect(traces).toBe(1);
  });

  test("each batch shape is traced once", async () => {
    let traces = 0;
    const run = step(network(), sgd({ learningRate: 0.1 }), (m, batch: Pair) => {
      traces++;
      return squares(m, batch);
    });
    for (const count of [4, 3, 4, 3, 1]) await run(pair(count));
    expect(traces).toBe(3);
  });

  test("unused and frozen parameters stay, bit for bit", async () => {
    class Partly extends Module {
      used = dense(3, 2);
      unused = dense(3, 2);
      frozen = dense(2, 2);
      forward(x: Tensor): Tensor {
        return this.frozen.forward(this.used.forward(x));
      }
    }
    const model = new Partly();
    model.frozen.weight.trainable = false;
    const [unused, frozen] = [state(model.unused), model.frozen.weight.toArray()];
    const run = step(model, adam({ learningRate: 0.1, weightDecay: 0.1 }), squares);
    await run(pair());
    expect(state(model.unused)).toEqual(unused);
    expect(model.frozen.weight.toArray()).toEqual(frozen);
    expect(run.optimizerState["frozen.weight.mean"]).toBeUndefined();
    expect(run.optimizerState["used.weight.mean"]!.shape).toEqual([3, 2]);
    expect(run.optimizerState["used.weight.meanWeight"]!.item()).toBeCloseTo(0.1);
    expect(run.optimizerState["unused.weight.meanWeight"]!.item()).toBe(0);
  });

  test("further tensors come back as the function saw them, parameters too", async () => {
    const model = sequential(dense(1, 1, { bias: false }));
    const weight = model.parameters()["layers.0.weight"]!;
    weight.assign(tensor([[3]]));
    const run = step(model, sgd({ learningRate: 1 }), (m, { x }: { x: Tensor }) => {
      const outputs = m.forward(x);
      return { loss: outputs.sum(), again: outputs.sum(), outputs, weight, x, labels: outputs.argmax(-1) };
    });
    const { loss, again, outputs, weight: seen, x, labels } = await run({ x: tensor([[2]]) });
    expect([loss.item(), again.item(), outputs.toArray(), seen.toArray(), x.toArray(), labels.dtype]).toEqual([6, 6, [[6]], [[3]], [[2]], "int32"]);
    expect(weight.toArray()).toEqual([[1]]);
    loss.dispose();
    expect(again.item()).toBe(6);
  });

  test("a value computed from an old parameter cannot be read after the step; a copy can", async () => {
    const model = network();
    const weight = model.parameters()["layers.0.weight"]!;
    const [lazy, read, copy] = [weight.mul(2), weight.mul(3), weight.clone()];
    const [before, tripled] = [weight.toArray(), read.toArray()];
    await step(model, sgd({ learningRate: 0.1 }), squares)(pair());
    expect(() => lazy.toArray()).toThrow(LifetimeError);
    expect(() => lazy.toArray()).toThrow(/a training step has since updated in place. Read it before the step, or keep a copy with clone/);
    expect(read.toArray()).toEqual(tripled);
    expect(copy.toArray()).toEqual(before);
    expect(weight.mul(1).toArray()).not.toEqual(before);
  });

  test("a loss function that gives no loss is refused, and the model is as it was", async () => {
    const model = network();
    const before = state(model);
    const wrong: readonly (readonly [loss: (m: typeof model, batch: Pair) => unknown, failure: string])[] = [
      [(m, { x }) => m.forward(x), "ShapeError: The loss has shape [8, 2]. Reduce it to a scalar"],
      [(m, { x }) => m.forward(x).argmax(-1).sum(), "DTypeError: The loss is int32."],
      [() => undefined, "ValueError: The loss function returned no loss."],
      [(m, batch) => ({ error: squares(m, batch) }), "ValueError: The loss function returned no loss."],
      [(m, batch) => ({ loss: squares(m, batch), rate: 1 }), 'ValueError: The loss function returned a number as "rate".'],
      [async (m, batch) => squares(m, batch), "ValueError: The loss function is async."],
      [(m, batch) => squares(m, batch).mul(squares(m, batch).item()), "LifetimeError: A value of a function being traced has no data yet."],
    ];
    for (const [loss, failure] of wrong) expect(await failureOf(step(model, adam(), loss as typeof squares)(pair()))).toContain(failure);
    expect(state(model)).toEqual(before);
  });

  test("a trace that fails half-way restores what the model assigned", async () => {
    const model = new Centre();
    const before = state(model);
    const run = step(model, sgd({ learningRate: 0.1 }), (m, { x, y }: Pair) => {
      const outputs = m.forward(x);
      if (y.rank === 1) throw new Error("half-way");
      return meanSquaredError(outputs, y);
    });
    expect(await failureOf(run({ x: ones([4, 3]), y: zeros([4]) }))).toContain("half-way");
    expect(state(model)).toEqual(before);
    await run({ x: ones([4, 3]), y: zeros([4, 2]) });
    expect(model.mean.toArray()).toEqual([0.5, 0.5, 0.5]);
  });

  test("an optimizer that changes a shape or dtype is refused by name", async () => {
    const model = network();
    const before = state(model);
    const optimizer: Optimizer = { name: "bad", hyper: {}, init: () => ({}), update: (gradient) => ({ parameter: gradient.sum(), state: {} }) };
    expect(await failureOf(step(model, optimizer, squares)(pair()))).toMatch(/ShapeError.*assign of "weight"/);
    const widening: Optimizer = { ...optimizer, update: (gradient, parameter) => ({ parameter: parameter.sub(gradient).cast("float64"), state: {} }) };
    expect(await failureOf(step(model, widening, squares)(pair()))).toContain("DTypeError");
    expect(state(model)).toEqual(before);
  });

  test("a loss that is not finite changes nothing, not even the optimizer", async () => {
    const model = sequential(dense(3, 2), dropout(0.5));
    const run = step(model, adam(), squares);
    await run(pair());
    const before = [state(model), Object.values(run.optimizerState).map((each) => each.toArray())];
    for (const bad of [NaN, Infinity]) {
      const { loss } = await run({ x: full([8, 3], bad), y: zeros([8, 2]) });
      expect(Number.isFinite(loss.item())).toBe(false);
      expect([state(model), Object.values(run.optimizerState).map((each) => each.toArray())]).toEqual(before);
    }
    await run(pair());
    expect(state(model)).not.toEqual(before[0]);
  });

  test("two steps on one model see each other's updates", async () => {
    const model = sequential(dense(1, 1, { bias: false }));
    const weight = model.parameters()["layers.0.weight"]!;
    weight.assign(tensor([[0]]));
    const add = step(model, sgd({ learningRate: 1 }), (m, { x }: { x: Tensor }) => m.forward(x).sum().neg());
    const double = step(model, sgd({ learningRate: 1 }), (m) => m.parameters()["layers.0.weight"]!.square().sum().mul(-0.5));
    for (const each of [() => add({ x: ones([1, 1]) }), () => double({}), () => double({}), () => add({ x: ones([1, 1]) })]) await each();
    expect(weight.item()).toBe(5);
    weight.assign(tensor([[10]]));
    await add({ x: ones([1, 1]) });
    expect(weight.item()).toBe(11);
  });

  test("a loss that assigns a parameter keeps its gradient", async () => {
    const model = sequential(dense(1, 1, { bias: false }));
    const weight = model.parameters()["layers.0.weight"]!;
    weight.assign(tensor([[8]]));
    const run = step(model, sgd({ learningRate: 1 }), (m, { x }: { x: Tensor }) => {
      const loss = m.forward(x).sum();
      weight.assign(weight.minimum(5));
      return loss;
    });
    await run({ x: ones([1, 1]) });
    expect(weight.item()).toBe(4);
  });

  test("a batch that is a variable of the model is refused", async () => {
    const model = network();
    const weight = model.parameters()["layers.0.weight"]!;
    const run = step(model, sgd({ learningRate: 0.1 }), (m, { x }: { x: Tensor }) => m.forward(x.transpose()).sum());
    expect(await failureOf(run({ x: weight }))).toContain('The batch\'s "x" is a variable that the step updates.');
    await run({ x: weight.clone() });
  });

  test("a model without parameters, and a batch that is no tree, are refused", async () => {
    expect(() => step(relu(), adam(), (m, { x }: { x: Tensor }) => m.forward(x).sum())).toThrow("has no trainable parameters");
    const run = step(network(), adam(), squares);
    expect(await failureOf(run({ x: ones([1, 3]), y: 3 } as never))).toContain('"y" is 3, not a tensor');
    const labelled = step(network(), adam(), (m, { x, labels }: Record<string, Tensor>) => crossEntropy(m.forward(x!), labels!));
    expect(await failureOf(labelled({ x: ones([1, 3]) }))).toContain("ValueError: crossEntropy: the labels are undefined, not a tensor. Does the batch have a field of this name?");
    expect(await failureOf(labelled({ labels: ones([1, 2]) }))).toContain("ValueError: In Sequential: The input is undefined.");
    expect(await failureOf(run({ x: ones([1, 4]), y: ones([1, 2]) }))).toMatch(/In Sequential\.layers\.0/);
    const gone = ones([1, 3]);
    gone.dispose();
    expect(await failureOf(run({ x: gone, y: ones([1, 2]) }))).toContain("LifetimeError");
  });

  test("keeps the programs of the shapes used last", async () => {
    let traces = 0;
    const run = step(dense(1, 1), sgd({ learningRate: 0.1 }), (m, { x }: { x: Tensor }) => {
      traces++;
      return m.forward(x).mean();
    });
    const take = async (size: number): Promise<void> => (await run({ x: ones([size, 1]) })).loss.dispose();
    for (let size = 1; size <= 40; size++) await take(size);
    expect(traces).toBe(40);
    for (let size = 9; size <= 40; size++) await take(size);
    expect(traces).toBe(40);
    await take(8);
    expect(traces).toBe(41);
  });

  test("steps take no memory but their results", async () => {
    const model = sequential(dense(3, 4), relu(), dense(4, 3));
    const run = step(model, adam(), (m, { x, y }: Pair) => crossEntropy(m.forward(x), y));
    const batch = { x: ones([4, 3]), y: tensor([0, 1, 2, 0], { dtype: "int32" }) };
    (await run(batch)).loss.dispose();
    const { buffers } = defaultDevice().memory();
    for (let index = 0; index < 20; index++) {
      const { loss } = await run(batch);
      loss.dispose();
    }
    expect(defaultDevice().memory().buffers).toBe(buffers);
    const { loss } = await run(batch);
    expect(defaultDevice().memory().buffers).toBe(buffers + 1);
    loss.dispose();
  });
});
