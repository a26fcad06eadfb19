// One battery for every optimizer: its formula in plain float64, its contract, and that it learns.
// A new optimizer is added to `cases`; an exported one that is not there fails.
import { describe, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { ValueError } from "../errors/errors.ts";
import { evaluate } from "../tensor/evaluate.ts";
import { full, ones, tensor, zeros } from "../tensor/creation.ts";
import { map } from "../tensor/pytree.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { grad } from "../transform/derivatives.ts";
import * as optim from "./index.ts";
import type { Optimizer, Update } from "./optimizer.ts";

interface Case {
  readonly exported: string;
  readonly make: () => Optimizer;
  /** The same algorithm on one number, as PyTorch documents it: gradient, parameter, and memory kept between steps. */
  readonly formula: (g: number, theta: number, memory: Record<string, number>) => number;
}

const cases: Readonly<Record<string, Case>> = {
  sgd: { exported: "sgd", make: () => optim.sgd({ learningRate: 0.1 }), formula: (g, theta) => theta - 0.1 * g },
  "sgd with momentum and decay": {
    exported: "sgd",
    make: () => optim.sgd({ learningRate: 0.1, momentum: 0.9, weightDecay: 0.01 }),
    formula(g, theta, memory) {
      memory["v"] = 0.9 * (memory["v"] ?? 0) + g + 0.01 * theta;
      return theta - 0.1 * memory["v"];
    },
  },
  "sgd with Nesterov's momentum": {
    exported: "sgd",
    make: () => optim.sgd({ learningRate: 0.1, momentum: 0.8, nesterov: true }),
    formula(g, theta, memory) {
      memory["v"] = 0.8 * (memory["v"] ?? 0) + g;
      return theta - 0.1 * (g + 0.8 * memory["v"]);
    },
  },
  adam: {
    exported: "adam",
    make: () => optim.adam({ learningRate: 0.05, weightDecay: 0.001 }),
    formula(gradient, theta, memory) {
      const g = gradient + 0.001 * theta;
      const t = (memory["t"] = (memory["t"] ?? 0) + 1);
      memory["m"] = 0.9 * (memory["m"] ?? 0) + 0.1 * g;
      memory["s"] = 0.999 * (memory["s"] ?? 0) + 0.001 * g * g;
      return theta - (0.05 * (memory["m"] / (1 - 0.9 ** t))) / (Math.sqrt(memory["s"] / (1 - 0.999 ** t)) + 1e-8);
    },
  },
  adamW: {
    exported: "adamW",
    make: () => optim.adamW({ learningRate: 0.05, weightDecay: 0.1 }),
    formula(g, theta, memory) {
      const t = (memory["t"] = (memory["t"] ?? 0) + 1);
      memory["m"] = 0.9 * (memory["m"] ?? 0) + 0.1 * g;
      memory["s"] = 0.999 * (memory["s"] ?? 0) + 0.001 * g * g;
      return theta * (1 - 0.05 * 0.1) - (0.05 * (memory["m"] / (1 - 0.9 ** t))) / (Math.sqrt(memory["s"] / (1 - 0.999 ** t)) + 1e-8);
    },
  },
  adagrad: {
    exported: "adagrad",
    make: () => optim.adagrad({ learningRate: 0.5, weightDecay: 0.001 }),
    formula(gradient, theta, memory) {
      const g = gradient + 0.001 * theta;
      memory["G"] = (memory["G"] ?? 0) + g * g;
      return theta - (0.5 * g) / (Math.sqrt(memory["G"]) + 1e-10);
    },
  },
  adadelta: {
    exported: "adadelta",
    make: () => optim.adadelta({ decay: 0.8, epsilon: 0.01, weightDecay: 0.001 }),
    formula(gradient, theta, memory) {
      const g = gradient + 0.001 * theta;
      memory["s"] = 0.8 * (memory["s"] ?? 0) + 0.2 * g * g;
      const delta = (g * Math.sqrt((memory["d"] ?? 0) + 0.01)) / Math.sqrt(memory["s"] + 0.01);
      memory["d"] = 0.8 * (memory["d"] ?? 0) + 0.2 * delta * delta;
      return theta - delta;
    },
  },
  rmsprop: {
    exported: "rmsprop",
    make: () => optim.rmsprop({ learningRate: 0.05, decay: 0.9, weightDecay: 0.001 }),
    formula(gradient, theta, memory) {
      const g = gradient + 0.001 * theta;
      memory["s"] = 0.9 * (memory["s"] ?? 0) + 0.1 * g * g;
      return theta - (0.05 * g) / (Math.sqrt(memory["s"]) + 1e-8);
    },
  },
  "rmsprop, centred, with momentum": {
    exported: "rmsprop",
    make: () => optim.rmsprop({ learningRate: 0.01, momentum: 0.8, centered: true, epsilon: 1e-3 }),
    formula(g, theta, memory) {
      memory["s"] = 0.99 * (memory["s"] ?? 0) + 0.01 * g * g;
      memory["m"] = 0.99 * (memory["m"] ?? 0) + 0.01 * g;
      memory["v"] = 0.8 * (memory["v"] ?? 0) + g / (Math.sqrt(memory["s"] - memory["m"] ** 2) + 1e-3);
      return theta - 0.01 * memory["v"];
    },
  },
  "sgd clipped by value": {
    exported: "clipByValue",
    make: () => optim.clipByValue(optim.sgd({ learningRate: 0.1 }), 0.5),
    formula: (g, theta) => theta - 0.1 * Math.min(0.5, Math.max(-0.5, g)),
  },
  "sgd clipped by norm": {
    exported: "clipByNorm",
    make: () => optim.clipByNorm(optim.sgd({ learningRate: 0.1 }), 1000),
    formula: (g, theta) => theta - 0.1 * g,
  },
};

/** Each at a few steps, in plain arithmetic. */
const schedules: Readonly<Record<string, readonly (readonly [schedule: optim.Schedule, at: (step: number) => number])[]>> = {
  stepDecay: [[optim.stepDecay(0.5, { every: 30, factor: 0.2 }), (step) => 0.5 * 0.2 ** Math.floor(step / 30)]],
  milestones: [[optim.milestones(0.5, { at: [10, 40] }), (step) => 0.5 * (step < 10 ? 1 : step < 40 ? 0.1 : 0.01)]],
  exponential: [[optim.exponential(0.5, { factor: 0.9, every: 4 }), (step) => 0.5 * 0.9 ** (step / 4)]],
  cosine: [[optim.cosine(0.5, { steps: 50, final: 0.1 }), (step) => 0.1 + 0.2 * (1 + Math.cos((Math.PI * Math.min(step, 50)) / 50))]],
  warmUp: [
    [optim.warmUp(0.5, { steps: 20, from: 0.1 }), (step) => (step < 20 ? 0.1 + (0.4 * step) / 20 : 0.5)],
    [optim.warmUp(optim.stepDecay(0.5, { every: 10 }), { steps: 20 }), (step) => (step < 20 ? step / 40 : 0.5 * 0.1 ** Math.floor((step - 20) / 10))],
  ],
};

type Hyper = Record<string, Tensor>;
const hyperTensors = (optimizer: Optimizer, dtype: "float32" | "float64"): Hyper =>
  Object.fromEntries(Object.entries(optimizer.hyper).map(([name, value]) => [name, tensor(value as number, { dtype })]));

function update(optimizer: Optimizer, gradient: Tensor, { parameter, state }: Update, hyper: Hyper): Update {
  const [prepared = gradient] = optimizer.gradients?.([gradient], hyper) ?? [];
  const next = optimizer.update(prepared, parameter, state, hyper);
  evaluate([next.parameter.node, ...Object.values(next.state).map((value) => value.node)]);
  return next;
}

function start(optimizer: Optimizer, parameter: Tensor): Update {
  return { parameter, state: optimizer.init(parameter) };
}

describe("optimizers", () => {
  test("every exported one is in the battery", () => {
    expect(new Set([...Object.values(cases).map(({ exported }) => exported), ...Object.keys(schedules)])).toEqual(new Set(Object.keys(optim)));
  });
});

for (const [name, { make, formula }] of Object.entries(cases)) {
  onEveryDevice(name, () => {
    test("follows its formula for 50 steps", () => {
      for (const [dtype, digits] of [["float64", 12], ["float32", 5]] as const) {
        const optimizer = make();
        const hyper = hyperTensors(optimizer, dtype);
        const initial = [1.5, -0.3, 0.02];
        const memories: Record<string, number>[] = initial.map(() => ({}));
        let expected = initial;
        let current = start(optimizer, tensor(initial, { dtype }));
        for (let step = 0; step < 50; step++) {
          const gradients = initial.map((_, index) => Math.sin(step + index) + 0.1);
          current = update(optimizer, tensor(gradients, { dtype }), current, hyper);
          expected = expected.map((theta, index) => formula(gradients[index]!, theta, memories[index]!));
        }
        expect(current.parameter.toArray()).toEqual(expected.map((value) => expect.closeTo(value, digits)));
      }
    });

    test("keeps shapes, dtypes and the names of its state", () => {
      const optimizer = make();
      const before = start(optimizer, ones([2, 3]));
      const after = update(optimizer, ones([2, 3]), before, hyperTensors(optimizer, "float32"));
      const describeTree = (tree: Update): unknown => map({ parameter: tree.parameter, state: tree.state }, (t) => [t.shape, t.dtype]);
      expect(describeTree(after)).toEqual(describeTree(before));
    });

    test("finds the minimum of a bowl", () => {
      const optimizer = make();
      const hyper = hyperTensors(optimizer, "float32");
      let current = start(optimizer, tensor([2, -3]));
      const bowl = (x: Tensor): Tensor => x.sub(0.5).square().mul(tensor([1, 3])).sum();
      const before = bowl(current.parameter).item();
      for (let step = 0; step < 60; step++) current = update(optimizer, grad(bowl)(current.parameter), current, hyper);
      expect(bowl(current.parameter).item()).toBeLessThan(before / 5);
    });

    test("a derivative flows through an update to the learning rate", () => {
      const optimizer = make();
      const hyper = hyperTensors(optimizer, "float64");
      const parameter = tensor([2, -3], { dtype: "float64" });
      const after = (learningRate: Tensor): Tensor =>
        optimizer.update(parameter.mul(2), parameter, optimizer.init(parameter), { ...hyper, learningRate }).parameter.square().sum();
      const at = (value: number): number => after(tensor(value, { dtype: "float64" })).item();
      expect(grad(after)(tensor(0.1, { dtype: "float64" })).item()).toBeCloseTo((at(0.1 + 1e-5) - at(0.1 - 1e-5)) / 2e-5, 6);
    });

    test.each([[1e-36, 40], [1e-28, 150]])("memory of a gradient of %d does not linger in subnormal numbers", (gradient, steps) => {
      const optimizer = make();
      const hyper = hyperTensors(optimizer, "float32");
      let current = start(optimizer, zeros([1]));
      current = update(optimizer, full([1], gradient), current, hyper);
      for (let step = 0; step < steps; step++) current = update(optimizer, zeros([1]), current, hyper);
      for (const [name, value] of Object.entries(current.state)) {
        const [element] = value.dataSync();
        // Of means of squares the root is taken; of others a step of a small learning rate is made.
        const change = ["square", "squares", "change"].includes(name) ? element! * 0.9 : 1e-6 * Math.abs(element!);
        expect(change === 0 || change >= 2 ** -126).toBe(true);
      }
    });

    test("a hyper-parameter can be changed, but not to nonsense", () => {
      const { hyper } = make();
      hyper["learningRate"] = 0.5;
      expect(hyper["learningRate"]).toBe(0.5);
      for (const wrong of [-1, NaN, Infinity, "0.1" as never]) expect(() => (hyper["learningRate"] = wrong)).toThrow(ValueError);
      expect(hyper["learningRate"]).toBe(0.5);
    });
  });
}

onEveryDevice("tiny gradients", () => {
  test.each([
    ["adam", optim.adam({ learningRate: 0.1, epsilon: 1e-30 })], ["adamW", optim.adamW({ learningRate: 0.1, epsilon: 1e-30, weightDecay: 0 })],
    ["rmsprop", optim.rmsprop({ learningRate: 0.1, epsilon: 1e-30 })],
  ] as const)("%s takes the steps of large ones, where ε is tinier", (_, optimizer: Optimizer) => {
    const hyper = hyperTensors(optimizer, "float32");
    const run = (size: number): number => {
      let current = start(optimizer, ones([1]));
      for (let step = 0; step < 20; step++) current = update(optimizer, full([1], size * (1 + (step % 3))), current, hyper);
      return current.parameter.item();
    };
    const large = run(1);
    expect(Math.abs(1 - large)).toBeGreaterThan(0.5);
    for (const size of [1e-8, 1e-15]) expect(run(size)).toBeCloseTo(large, 3);
  });
});

onEveryDevice("schedules", () => {
  test.each(Object.entries(schedules))("%s", (_, given) => {
    for (const [schedule, at] of given) {
      for (const step of [0, 1, 9, 10, 19, 20, 29, 30, 31, 39, 40, 50, 51, 1000]) {
        expect(schedule(tensor(step, { dtype: "float64" })).item(), `step ${step}`).toBeCloseTo(at(step), 12);
      }
    }
  });

  test("clipping by norm scales all gradients together, and only long ones", () => {
    const clipped = optim.clipByNorm(optim.sgd({ learningRate: 1 }), 1);
    const hyper = hyperTensors(clipped, "float64") as Record<keyof typeof clipped.hyper, Tensor>;
    const gradients = (scale: number): unknown => {
      const given = [tensor([3, 0], { dtype: "float64" }), tensor([[0], [4]], { dtype: "float64" })].map((g) => g.mul(scale));
      return clipped.gradients!(given, hyper).map((g) => g.toArray());
    };
    expect(gradients(1)).toEqual([[expect.closeTo(0.6, 6), 0], [[0], [expect.closeTo(0.8, 6)]]]);
    expect(gradients(0.1)).toEqual([[expect.closeTo(0.3, 12), 0], [[0], [expect.closeTo(0.4, 12)]]]);
    expect(gradients(0)).toEqual([[0, 0], [[0], [0]]]);
  });
});

describe("options", () => {
  test("schedules refuse nonsense, and are given once", () => {
    for (const wrong of [0, -1, NaN, Infinity]) {
      expect(() => optim.stepDecay(0.1, { every: wrong })).toThrow(ValueError);
      expect(() => optim.milestones(0.1, { at: [10, wrong] })).toThrow(ValueError);
      expect(() => optim.exponential(0.1, { factor: wrong })).toThrow(/exponential: factor is/);
      expect(() => optim.cosine(0.1, { steps: wrong })).toThrow(/cosine: steps is/);
      expect(() => optim.warmUp(0.1, { steps: wrong })).toThrow(/warmUp: steps is/);
    }
    const scheduled = optim.adam({ learningRate: optim.cosine(0.1, { steps: 10 }) });
    expect(() => (scheduled.hyper.learningRate = 0.1)).toThrow(/a schedule of learningRate is given once/);
    expect(() => (optim.adam().hyper.learningRate = optim.cosine(0.1, { steps: 10 }))).toThrow(ValueError);
  });

  test("clips wrap each other once each, and keep what they wrap", () => {
    const inner = optim.sgd({ learningRate: 0.1, momentum: 0.9 });
    const both = optim.clipByNorm(optim.clipByValue(inner, 0.5), 1);
    expect({ ...both.hyper }).toEqual({ learningRate: 0.1, momentum: 0.9, weightDecay: 0, maxValue: 0.5, maxNorm: 1 });
    both.hyper.learningRate = 0.2;
    expect(inner.hyper.learningRate).toBe(0.2);
    expect(() => optim.clipByNorm(both, 2)).toThrow(/it clips by maxNorm already/);
    expect(() => optim.clipByNorm(inner, 0)).toThrow(/maxNorm is 0/);
  });


  test("contradictions and values out of range are refused", () => {
    expect(() => optim.sgd({ learningRate: 0.1, nesterov: true })).toThrow(/Nesterov's method without momentum/);
    expect(() => optim.sgd({ learningRate: 0.1, momentum: 1 })).toThrow(/sgd: momentum is 1/);
    expect(() => optim.adam({ beta2: 1 })).toThrow(ValueError);
    expect(() => optim.adam({ epsilon: 0 })).toThrow(ValueError);
    expect(() => optim.adadelta({ decay: 1 })).toThrow(/adadelta: decay is 1/);
    expect(() => optim.adagrad({ epsilon: -1 })).toThrow(/adagrad: epsilon is -1/);
    expect(() => (optim.rmsprop().hyper.momentum = 0.9)).toThrow(/make the optimizer with a momentum/);
    const plain = optim.sgd({ learningRate: 0.1 });
    expect(() => (plain.hyper.momentum = 0.9)).toThrow(/make the optimizer with a momentum/);
  });
});
