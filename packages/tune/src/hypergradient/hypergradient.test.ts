// Every algorithm must give the same dL_V/dλ on problems small enough to know the answer.
import { describe, expect, test } from "vitest";
import type { UnrolledProblem } from "./unrolled.ts";
import { differencedObjective, differenceGradient } from "./differences.ts";
import { generalizedLinear, type Samples } from "./generalized-linear.ts";
import { gradientDescent, onWeights, withMomentum, type GradientDescentOptions } from "./gradient-descent.ts";
import { conjugateGradientHypergradient, neumannHypergradient } from "./implicit.ts";
import { forwardHypergradient, reverseHypergradient } from "./unrolled.ts";
import { float64Space } from "./vector-space.ts";
import { HypergradientError } from "../errors/errors.ts";
import { differentiableInner, differentiableOuter, differentiableStep, type Autodiff } from "./autodiff.ts";

const spaces = { weights: float64Space, hyper: float64Space };
type Loss = "squared" | "logistic";

/** Deterministic, irregular numbers in (−1, 1). */
function wave(i: number): number {
  const x = Math.sin(12.9898 * (i + 1)) * 43758.5453;
  return 2 * (x - Math.floor(x)) - 1;
}

function samples(rows: number, width: number, offset: number, loss: Loss): Samples {
  const inputs = Array.from({ length: rows }, (_, i) => Array.from({ length: width }, (_, j) => wave(offset + i * width + j)));
  const targets = inputs.map((row, i) => {
    const z = row.reduce((sum, x, j) => sum + x * (1.5 - j * 0.7), 0) + 0.4 * wave(offset + 7919 * (i + 1));
    return loss === "squared" ? z : Math.sign(z);
  });
  return { inputs, targets };
}

function regression(loss: Loss, width = 5) {
  return generalizedLinear({
    train: samples(23, width, 0, loss),
    validation: samples(17, width, 1000, loss),
    loss,
    penaltyOf: Array.from({ length: width }, (_, j) => j % 2), // two groups, two hyper-parameters
  });
}

function relativeError(actual: Float64Array, expected: Float64Array): number {
  const norm = (v: Float64Array): number => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  return norm(actual.map((value, i) => value - expected[i]!)) / norm(expected);
}

function unrolled(loss: Loss, steps: number, options: GradientDescentOptions): UnrolledProblem<Float64Array, Float64Array> {
  const { inner, outer, initial } = regression(loss);
  const momentum = options.momentum !== undefined;
  return {
    spaces,
    training: gradientDescent(inner, options),
    outer: momentum ? onWeights(outer) : outer,
    initial: momentum ? withMomentum(initial) : initial,
    steps,
  };
}

describe.each<Loss>(["squared", "logistic"])("%s loss", (loss) => {
  const hyper = Float64Array.of(-1.5, -2.5);
  const learningRate = 0.9;

  test("reverse = forward = CG = Neumann = finite differences through converged training", async () => {
    const problem = unrolled(loss, 600, { learningRate });
    const { inner, outer } = regression(loss);
    const reverse = await reverseHypergradient(problem, hyper);
    const forward = await forwardHypergradient(problem, hyper);
    const implicit = { spaces, inner, outer };
    const cg = await conjugateGradientHypergradient(implicit, reverse.weights, hyper);
    const neumann = await neumannHypergradient(implicit, reverse.weights, hyper, { learningRate, terms: 600 });
    const differences = await differenceGradient(async (h) => (await reverseHypergradient(problem, h)).value, hyper);
    expect(cg.residual).toBeLessThan(1e-10);
    for (const gradient of [reverse.gradient, forward.gradient, cg.gradient, neumann.gradient])
      expect(relativeError(gradient, differences)).toBeLessThan(1e-6);
    expect(relativeError(forward.gradient, reverse.gradient)).toBeLessThan(1e-12);
    expect(relativeError(cg.gradient, reverse.gradient)).toBeLessThan(1e-8);
  });

  test("a short training with learning rate and momentum as hyper-parameters", async () => {
    const problem = unrolled(loss, 13, {
      learningRate: { index: 2, log: true },
      momentum: { index: 3 },
    });
    const all = Float64Array.of(-1.5, -2.5, Math.log(0.3), 0.6);
    const reverse = await reverseHypergradient(problem, all);
    const forward = await forwardHypergradient(problem, all);
    const differences = await differenceGradient(async (h) => (await forwardHypergradient(problem, h)).value, all);
    expect(relativeError(reverse.gradient, differences)).toBeLessThan(1e-6);
    expect(relativeError(forward.gradient, differences)).toBeLessThan(1e-6);
  });

  test("a learning rate as hyper-parameter without momentum", async () => {
    const problem = unrolled(loss, 9, { learningRate: { index: 2 } });
    const all = Float64Array.of(-1.5, -2.5, 0.4);
    const reverse = await reverseHypergradient(problem, all);
    const forward = await forwardHypergradient(problem, all);
    const differences = await differenceGradient(async (h) => (await forwardHypergradient(problem, h)).value, all);
    expect(relativeError(reverse.gradient, differences)).toBeLessThan(1e-6);
    expect(relativeError(forward.gradient, differences)).toBeLessThan(1e-6);
  });

  test("Neumann with K terms is reverse mode truncated to K steps at the minimum", async () => {
    const { inner, outer } = regression(loss);
    const end = (await reverseHypergradient(unrolled(loss, 3000, { learningRate }), hyper)).weights;
    const atMinimum = { ...unrolled(loss, 50, { learningRate }), initial: end };
    for (const terms of [1, 7, 20]) {
      const truncated = await reverseHypergradient(atMinimum, hyper, { truncate: terms });
      const neumann = await neumannHypergradient({ spaces, inner, outer }, end, hyper, { learningRate, terms });
      expect(relativeError(neumann.gradient, truncated.gradient)).toBeLessThan(1e-10);
    }
  });

  test("products from gradients alone agree with the exact ones", async () => {
    const { inner, outer } = regression(loss);
    const end = (await reverseHypergradient(unrolled(loss, 600, { learningRate }), hyper)).weights;
    const exact = await conjugateGradientHypergradient({ spaces, inner, outer }, end, hyper);
    const differenced = differencedObjective(inner.gradient);
    const approximate = await conjugateGradientHypergradient({ spaces, inner: differenced, outer }, end, hyper, { tolerance: 1e-8 });
    expect(relativeError(approximate.gradient, exact.gradient)).toBeLessThan(1e-6);
    const forward = await forwardHypergradient(
      { ...unrolled(loss, 20, { learningRate }), training: gradientDescent(differenced, { learningRate }) }, hyper);
    const expected = await forwardHypergradient(unrolled(loss, 20, { learningRate }), hyper);
    expect(relativeError(forward.gradient, expected.gradient)).toBeLessThan(1e-6);
  });
});

test("ridge with one weight has the derivative worked out by hand", async () => {
  // L_T = ½ (w − 1)² + ½ e^λ w²  →  w* = 1 / (1 + e^λ);  L_V = ½ (w − 3)²  →  dL_V/dλ = −(w* − 3) e^λ w*²
  const one = { inputs: [[1]], targets: [1] };
  const { inner, outer } = generalizedLinear({ train: one, validation: { inputs: [[1]], targets: [3] }, loss: "squared" });
  const hyper = Float64Array.of(0.3);
  const w = 1 / (1 + Math.exp(0.3));
  const expected = -(w - 3) * Math.exp(0.3) * w * w;
  const { gradient, value } = await conjugateGradientHypergradient({ spaces, inner, outer }, Float64Array.of(w), hyper);
  expect(gradient[0]).toBeCloseTo(expected, 14);
  expect(value).toBeCloseTo(0.5 * (w - 3) ** 2, 14);
});

describe("checkpointing", () => {
  const hyper = Float64Array.of(-1.5, -2.5);

  test.each([1, 2, 3, 7, 16, 50, 99, 100])("T = %i: bit for bit the full reverse, with ≤ 2⌈√T⌉ + 1 states", async (steps) => {
    const problem = unrolled("logistic", steps, { learningRate: 0.5 });
    const full = await reverseHypergradient(problem, hyper, { checkpointEvery: 1 });
    const checkpointed = await reverseHypergradient(problem, hyper);
    expect([...checkpointed.gradient]).toEqual([...full.gradient]);
    expect(checkpointed.peakStates).toBeLessThanOrEqual(2 * Math.ceil(Math.sqrt(steps)) + 1);
    expect(checkpointed.stepsRun).toBeLessThan(2 * steps + 1);
    expect(full.peakStates).toBe(steps + 2 - 1);
  });

  test("truncation with checkpoints equals truncation without", async () => {
    const problem = unrolled("squared", 40, { learningRate: 0.5 });
    const a = await reverseHypergradient(problem, hyper, { truncate: 11, checkpointEvery: 1 });
    const b = await reverseHypergradient(problem, hyper, { truncate: 11, checkpointEvery: 4 });
    expect([...a.gradient]).toEqual([...b.gradient]);
  });

  test("no steps leave the direct gradient", async () => {
    const { gradient } = await reverseHypergradient(unrolled("squared", 0, { learningRate: 0.5 }), hyper);
    expect([...gradient]).toEqual([0, 0]);
  });
});

describe("what cannot work is said", () => {
  const { inner, outer, initial } = regression("squared");
  const hyper = Float64Array.of(-1.5, -2.5);
  const start = initial.map((_, i) => wave(i));

  test("a series that grows", async () => {
    const promise = neumannHypergradient({ spaces, inner, outer }, start, hyper, { learningRate: 50, terms: 9 });
    await expect(promise).rejects.toThrow(/Lower learningRate/);
  });

  test("a Hessian that is not positive definite", async () => {
    const saddle = { ...inner, hessianVector: (_w: Float64Array, _h: Float64Array, v: Float64Array) => v.map((x) => -x) };
    await expect(conjugateGradientHypergradient({ spaces, inner: saddle, outer }, start, hyper)).rejects.toThrow(/strict minimum/);
    const damped = await conjugateGradientHypergradient({ spaces, inner: saddle, outer }, start, hyper, { damping: 2 });
    expect(damped.gradient.every(Number.isFinite)).toBe(true);
  });

  test("a training that diverges", async () => {
    await expect(reverseHypergradient(unrolled("squared", 3000, { learningRate: 1e9 }), hyper)).rejects.toThrow(HypergradientError);
  });

  test("counts that are none, coefficients out of range, ragged rows", async () => {
    await expect(reverseHypergradient(unrolled("squared", 1.5, { learningRate: 1 }), hyper)).rejects.toThrow(/steps is 1.5/);
    await expect(forwardHypergradient(unrolled("squared", 3, { learningRate: { index: 9 } }), hyper)).rejects.toThrow(/hyper-parameter 9/);
    const one = { inputs: [[1, 2], [1]], targets: [1, 2] };
    expect(() => generalizedLinear({ train: one, validation: one, loss: "squared" })).toThrow(/train row 1 has 1 columns/);
  });
});

test("an engine's vjp and jvp bind through the adapter", async () => {
  // A stand-in engine on arrays: central differences of whatever function it is given.
  const tangentOf = (f: (...inputs: Float64Array[]) => Float64Array, primals: Float64Array[], tangents: Float64Array[]) => {
    const h = 1e-5;
    const shifted = (sign: number) => f(...primals.map((p, k) => p.map((x, i) => x + sign * h * tangents[k]![i]!)));
    const down = shifted(-1);
    return shifted(1).map((up, i) => (up - down[i]!) / (2 * h));
  };
  const engine: Autodiff<Float64Array> = {
    one: Float64Array.of(1),
    zeros: float64Space.zeros,
    item: (scalar) => scalar[0]!,
    jvp: (f, primals, tangents) => [f(...primals), tangentOf(f, primals, tangents)],
    vjp: (f, primals) => [
      f(...primals),
      (cotangent) =>
        primals.map((primal, k) =>
          Float64Array.from(primal, (_, axis) => {
            const tangents = primals.map((p) => new Float64Array(p.length));
            tangents[k]![axis] = 1;
            return tangentOf(f, primals, tangents).reduce((sum, t, i) => sum + t * cotangent[i]!, 0);
          }),
        ),
    ],
  };
  // L_T = ½ Σ (w_i − i)² + ½ e^λ Σ w_i²,  L_V = Σ (w_i − 0.3)²
  const gradient = (w: Float64Array, h: Float64Array) => w.map((x, i) => x - i + Math.exp(h[0]!) * x);
  const loss = (w: Float64Array) => Float64Array.of(w.reduce((sum, x) => sum + (x - 0.3) ** 2, 0));
  const problem = {
    spaces,
    training: differentiableStep(engine, (w, h) => {
      const g = gradient(w, h);
      return w.map((x, i) => x - 0.4 * g[i]!);
    }),
    outer: differentiableOuter(engine, loss),
    initial: new Float64Array(3),
    steps: 80,
  };
  const hyper = Float64Array.of(-0.5);
  const ratio = 1 / (1 + Math.exp(-0.5)); // w_i* = i · ratio;  dw_i*/dλ = −i e^λ ratio²
  const exact = [0, 1, 2].reduce((sum, i) => sum - 2 * (i * ratio - 0.3) * i * Math.exp(-0.5) * ratio * ratio, 0);
  const reverse = await reverseHypergradient(problem, hyper);
  const forward = await forwardHypergradient(problem, hyper);
  const cg = await conjugateGradientHypergradient(
    { spaces, inner: differentiableInner(engine, gradient), outer: problem.outer }, reverse.weights, hyper, { tolerance: 1e-6 });
  for (const result of [reverse, forward, cg]) expect(Math.abs(result.gradient[0]! / exact - 1)).toBeLessThan(1e-6);
});
