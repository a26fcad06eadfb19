// Hypergradient descent against hand-computed steps, derivatives by differences, and its promise of robustness.
import { describe, expect, test } from "vitest";
import { HypergradientDescent, type HypergradientDescentOptions } from "./descent.ts";

/** f = ½ Σ c_i θ_i². */
const curvatures = [1, 4];
const gradientAt = (weights: Float64Array) => weights.map((w, i) => curvatures[i]! * w);
const lossAt = (weights: Float64Array) => weights.reduce((sum, w, i) => sum + 0.5 * curvatures[i]! * w * w, 0);

function train(options: HypergradientDescentOptions, steps: number) {
  const weights = Float64Array.of(1, -2);
  const optimizer = new HypergradientDescent(2, options);
  for (let t = 0; t < steps; t++) optimizer.step(weights, gradientAt(weights));
  return { weights, optimizer };
}

test("SGD-HD by hand", () => {
  // θ0 = (1, −2), g1 = (1, −8), α = 0.1 → θ1 = (0.9, −1.2); g2 = (0.9, −4.8), h = g2·g1 = 39.3, α = 0.1 + 0.001·39.3
  const { weights, optimizer } = train({ method: "sgd", learningRate: 0.1, hyperLearningRate: 0.001 }, 2);
  expect(optimizer.learningRate).toBeCloseTo(0.1393, 15);
  expect(weights[0]).toBeCloseTo(0.9 - 0.1393 * 0.9, 15);
  expect(weights[1]).toBeCloseTo(-1.2 + 0.1393 * 4.8, 15);
});

test("SGDN-HD by hand", () => {
  // v1 = g1, direction = g1 + 0.5 v1 = 1.5 g1; θ1 = θ0 − 0.1 · 1.5 g1 = (0.85, −0.8); h = g2 · 1.5 g1 = (0.85, −3.2)·(1.5, −12)
  const { optimizer } = train({ method: "nesterov", learningRate: 0.1, hyperLearningRate: 0.001, momentum: 0.5 }, 2);
  expect(optimizer.learningRate).toBeCloseTo(0.1 + 0.001 * (0.85 * 1.5 + 3.2 * 12), 14);
});

test("Adam-HD by hand", () => {
  // The first bias-corrected direction is the sign (1, −1); θ1 = (0.9, −1.9), g2 = (0.9, −7.6), h = 8.5
  const { optimizer } = train({ method: "adam", learningRate: 0.1, hyperLearningRate: 0.001, epsilon: 0 }, 2);
  expect(optimizer.learningRate).toBeCloseTo(0.1085, 14);
});

describe.each(["sgd", "nesterov", "adam"] as const)("%s", (method) => {
  test("the learning rate moves along −β df(θ_t)/dα", () => {
    const at = (learningRate: number) => {
      // Three steps with β = 0, the last with the given α.
      const { weights, optimizer } = train({ method, learningRate: 0.05, hyperLearningRate: 0 }, 2);
      const before = weights.slice();
      optimizer.step(weights, gradientAt(weights));
      const direction = before.map((w, i) => (w - weights[i]!) / 0.05);
      return lossAt(before.map((w, i) => w - learningRate * direction[i]!));
    };
    const derivative = (at(0.05 + 1e-5) - at(0.05 - 1e-5)) / 2e-5;
    const { weights, optimizer } = train({ method, learningRate: 0.05, hyperLearningRate: 0 }, 3);
    const hd = train({ method, learningRate: 0.05, hyperLearningRate: 1e-9 }, 3);
    const before = hd.optimizer.learningRate;
    hd.optimizer.step(hd.weights, gradientAt(hd.weights));
    optimizer.step(weights, gradientAt(weights));
    expect((hd.optimizer.learningRate - before) / 1e-9 / -derivative).toBeCloseTo(1, 4);
  });

  test("β = 0 keeps the learning rate", () => {
    expect(train({ method, learningRate: 0.05, hyperLearningRate: 0 }, 5).optimizer.learningRate).toBe(0.05);
  });

  test("the multiplicative rule ignores the scale of the loss", () => {
    const options = { method, learningRate: 0.01, hyperLearningRate: 0.02, rule: "multiplicative" } as const;
    const rateFor = (scale: number) => {
      const optimizer = new HypergradientDescent(2, options);
      const weights = Float64Array.of(1, -2);
      for (let t = 0; t < 2; t++) optimizer.step(weights, [scale, -3 * scale]);
      return optimizer.learningRate;
    };
    expect(rateFor(1000)).toBeCloseTo(rateFor(1), 8);
    expect(rateFor(1)).toBeGreaterThan(0.01);
  });
});

test("from learning rates over five orders of magnitude HD ends low where SGD does not", () => {
  const spread = (hyperLearningRate: number) =>
    [1e-6, 1e-4, 1e-2, 0.1].map((learningRate) => lossAt(train({ method: "sgd", learningRate, hyperLearningRate }, 200).weights));
  expect(Math.max(...spread(2e-4))).toBeLessThan(1e-4);
  expect(Math.max(...spread(0))).toBeGreaterThan(1);
});

test("weight decay enters the gradient", () => {
  const optimizer = new HypergradientDescent(1, { method: "sgd", learningRate: 0.1, hyperLearningRate: 0, weightDecay: 0.5 });
  const weights = Float64Array.of(2);
  optimizer.step(weights, [1]);
  expect(weights[0]).toBeCloseTo(2 - 0.1 * (1 + 0.5 * 2), 15);
});

test("bad input leaves the weights alone", () => {
  expect(() => new HypergradientDescent(1, { method: "sgd", learningRate: Number.NaN, hyperLearningRate: 0 })).toThrow(/learningRate is NaN/);
  const optimizer = new HypergradientDescent(1, { method: "sgd", learningRate: 0.1, hyperLearningRate: 1 });
  const weights = Float64Array.of(1);
  expect(() => optimizer.step(weights, [1, 2])).toThrow(/2 gradients/);
  optimizer.step(weights, [1]);
  const before = weights[0];
  expect(() => optimizer.step(weights, [Number.NaN])).toThrow(/Lower hyperLearningRate/);
  expect(weights[0]).toBe(before);
});
