// Values, gradients and whole training runs against PyTorch's, which make.py wrote down.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as nn from "../../packages/nabla/src/nn/index.ts";
import * as optim from "../../packages/nabla/src/optim/index.ts";
import { tensor } from "../../packages/nabla/src/tensor/creation.ts";
import type { Tensor } from "../../packages/nabla/src/tensor/tensor.ts";
import { step } from "../../packages/nabla/src/train/step.ts";
import { grad } from "../../packages/nabla/src/transform/derivatives.ts";
import { onEveryDevice } from "../devices.ts";

type Numbers = number | Numbers[];

interface FunctionCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Numbers>>;
  readonly value: Numbers;
  /** The gradients are those of Σ weights·value. */
  readonly weights: Numbers;
  readonly gradients: Readonly<Record<string, Numbers>>;
  readonly labels?: number[];
}

interface Trajectories {
  readonly x: number[][];
  readonly labels: number[];
  /** Weight and bias of each dense layer in turn. */
  readonly initial: Numbers[];
  readonly cases: readonly { readonly name: string; readonly losses: number[]; readonly weights: Numbers[] }[];
  readonly normalised: {
    readonly initial: Numbers[];
    readonly losses: number[];
    readonly weights: Numbers[];
    readonly mean: number[];
    readonly variance: number[];
    readonly outputs: number[][];
  };
}

const read = (name: string): unknown => JSON.parse(readFileSync(join(import.meta.dirname, name), "utf8"));
const functions = (read("functions.json") as { cases: FunctionCase[] }).cases;
const trajectories = read("trajectories.json") as Trajectories;

const scheduled = (read("schedules.json") as { cases: { name: string; rates: number[] }[] }).cases;

const flat = (numbers: Numbers): number[] => (typeof numbers === "number" ? [numbers] : numbers.flatMap(flat));

/** Every number within `relative` of the golden one, or of the largest of them times 1e-6 (PyTorch's own rounding near zero). */
function expectClose(actual: Tensor, golden: Numbers, relative = 1e-5): void {
  const wanted = flat(golden);
  const values = [...actual.dataSync()];
  expect(values.length).toBe(wanted.length);
  const absolute = 1e-6 * Math.max(...wanted.map(Math.abs));
  wanted.forEach((want, index) => {
    if (!(Math.abs(values[index]! - want) <= relative * Math.abs(want) + absolute)) expect.fail(`element ${index} is ${values[index]}; PyTorch has ${want}`);
  });
}

type Inputs = Record<string, Tensor>;

/** The same functions in nabla, by the first words of the case's name. */
const implementations: readonly (readonly [string, (inputs: Inputs, labels: Tensor) => Tensor])[] = [
  ["softmax", ({ x }) => x!.softmax(-1)],
  ["logSoftmax", ({ x }) => x!.logSoftmax(-1)],
  ["logSumExp", ({ x }) => x!.logSumExp(-1)],
  ["crossEntropy soft", ({ x, targets }) => nn.crossEntropy(x!, targets!)],
  ["crossEntropy", ({ x }, labels) => nn.crossEntropy(x!, labels)],
  ["dense on a stack, relu", ({ x, weight, bias }) => x!.matmul(weight!).add(bias!).relu()],
  ["dense, sigmoid, dense, tanh", ({ x, a, b }) => x!.matmul(a!).sigmoid().matmul(b!).tanh()],
  ["dense", ({ x, weight, bias }) => x!.matmul(weight!).add(bias!)],
  ["localResponseNorm", ({ x }) => nn.localResponseNorm({ alpha: 0.02 }).forward(x!)],
  ["amax", ({ x }) => x!.max(-1)],
  ["maximum", ({ x, y }) => x!.maximum(y!)],
  ["pow", ({ x, y }) => x!.pow(y!)],
];

onEveryDevice("functions", () => {
  test.each(functions)("$name", ({ name, inputs, value, weights, gradients, labels }) => {
    const implementation = implementations.find(([words]) => name.startsWith(words))![1];
    const classes = tensor(labels ?? [0], { dtype: "int32" });
    const given: Inputs = Object.fromEntries(Object.entries(inputs).map(([key, numbers]) => [key, tensor(numbers)]));
    expectClose(implementation(given, classes), value);
    const found = grad((leaves: Inputs) => implementation(leaves, classes).mul(tensor(weights)).sum())(given);
    for (const [key, golden] of Object.entries(gradients)) expectClose(found[key]!, golden);
  });
});

const optimizers: Readonly<Record<string, () => optim.Optimizer>> = {
  sgd: () => optim.sgd({ learningRate: 0.1 }),
  momentum: () => optim.sgd({ learningRate: 0.05, momentum: 0.9 }),
  nesterov: () => optim.sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }),
  decay: () => optim.sgd({ learningRate: 0.05, momentum: 0.9, weightDecay: 0.01 }),
  adam: () => optim.adam({ learningRate: 0.01 }),
  adamW: () => optim.adamW({ learningRate: 0.01, weightDecay: 0.1 }),
  adagrad: () => optim.adagrad({ learningRate: 0.05 }),
  adadelta: () => optim.adadelta({ learningRate: 2 }),
  rmsprop: () => optim.rmsprop({ learningRate: 0.005, decay: 0.9 }),
  "rmsprop, centred, momentum": () => optim.rmsprop({ learningRate: 0.001, epsilon: 1e-3, momentum: 0.8, centered: true }),
  "momentum, cosine": () => optim.sgd({ learningRate: optim.cosine(0.1, { steps: 50 }), momentum: 0.9 }),
  "adam, warm-up, steps": () => optim.adam({ learningRate: optim.warmUp(optim.stepDecay(0.02, { every: 15, factor: 0.3 }), { steps: 10, from: 0.002 }) }),
  "clipped by norm": () => optim.clipByNorm(optim.sgd({ learningRate: 0.1, momentum: 0.9 }), 0.2),
  "clipped by value": () => optim.clipByValue(optim.sgd({ learningRate: 0.5, momentum: 0.9 }), 0.01),
};

const schedules: Readonly<Record<string, optim.Schedule>> = {
  step: optim.stepDecay(0.1, { every: 20, factor: 0.3 }),
  milestones: optim.milestones(0.1, { at: [10, 35], factor: 0.2 }),
  exponential: optim.exponential(0.1, { factor: 0.95 }),
  cosine: optim.cosine(0.1, { steps: 59, final: 0.001 }),
  "warm-up": optim.warmUp(0.1, { steps: 20, from: 0.025 }),
  "warm-up, cosine": optim.warmUp(optim.cosine(0.1, { steps: 50 }), { steps: 10, from: 0.01 }),
};

/** Trains a model from the golden weights on, and compares every loss and the weights at the end. */
async function expectTraining(model: nn.Layer, optimizer: optim.Optimizer, { initial, losses, weights }: { initial: Numbers[]; losses: number[]; weights: Numbers[] }): Promise<void> {
  const variables = Object.values(model.parameters());
  expect(variables.length).toBe(initial.length);
  variables.forEach((variable, index) => variable.assign(tensor(initial[index]!)));
  const train = step(model, optimizer, (network, { x, labels }: { x: Tensor; labels: Tensor }) => nn.crossEntropy(network.forward(x), labels));
  const batch = { x: tensor(trajectories.x), labels: tensor(trajectories.labels, { dtype: "int32" }) };
  const found: number[] = [];
  for (let index = 0; index < losses.length; index++) found.push((await train(batch)).loss.item());
  expectClose(tensor(found), losses);
  variables.forEach((variable, index) => expectClose(variable, weights[index]!));
}

onEveryDevice("50 training steps", () => {
  test.each(trajectories.cases)("$name", async ({ name, losses, weights }) => {
    const model = nn.sequential(nn.dense(6, 17), nn.relu(), nn.dense(17, 9), nn.tanh(), nn.dense(9, 4));
    await expectTraining(model, optimizers[name]!(), { initial: trajectories.initial, losses, weights });
  });
});

onEveryDevice("batch normalisation", () => {
  test("50 training steps, the running statistics, and evaluation by them", async () => {
    const { mean, variance, outputs } = trajectories.normalised;
    const norm = nn.batchNorm(17);
    const model = nn.sequential(nn.dense(6, 17), norm, nn.relu(), nn.dense(17, 4));
    await expectTraining(model, optimizers["momentum"]!(), trajectories.normalised);
    expectClose(norm.runningMean, mean);
    expectClose(norm.runningVariance, variance);
    expectClose(model.eval().forward(tensor(trajectories.x)), outputs);
  });
});

onEveryDevice("schedules", () => {
  test.each(scheduled)("$name", ({ name, rates }) => {
    rates.forEach((rate, step) => {
      const value = schedules[name]!(tensor(step, { dtype: "float64" })).item();
      if (!(Math.abs(value - rate) <= 1e-12)) expect.fail(`at step ${step} it is ${value}; PyTorch has ${rate}`);
    });
  });
});

describe("goldens", () => {
  test("every function of the file has an implementation, every optimizer its run, every schedule its rates", () => {
    for (const { name } of functions) expect(implementations.some(([words]) => name.startsWith(words)), name).toBe(true);
    expect(trajectories.cases.map(({ name }) => name).sort()).toEqual(Object.keys(optimizers).sort());
    expect(scheduled.map(({ name }) => name).sort()).toEqual(Object.keys(schedules).sort());
  });
});
