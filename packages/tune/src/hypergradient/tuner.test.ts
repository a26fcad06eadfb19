// Hypergradients find the best penalty of a ridge regression, alone and inside a trial.
import { describe, expect, test } from "vitest";
import type { FloatOptions } from "../space/distribution.ts";
import type { Json } from "../contract/contract.ts";
import { TrialPruned, type Metrics } from "../trials/trial.ts";
import { generalizedLinear } from "./generalized-linear.ts";
import { gradientDescent } from "./gradient-descent.ts";
import { conjugateGradientHypergradient } from "./implicit.ts";
import { hypergradientObjective, tuneByHypergradient, type HypergradientTuning, type ValueAndGradient } from "./tuner.ts";
import { forwardHypergradient, reverseHypergradient, type UnrolledProblem } from "./unrolled.ts";
import { float64Space } from "./vector-space.ts";

// One weight, w* = 1 / (1 + p) for penalty p, and a validation target of 0.4: the best penalty is 1.5.
const problem = generalizedLinear({ train: { inputs: [[1]], targets: [1] }, validation: { inputs: [[1]], targets: [0.4] }, loss: "squared" });
const spaces = { weights: float64Space, hyper: float64Space };
const tuning: HypergradientTuning = { parameters: { logPenalty: { low: -8, high: 8 } }, evaluations: 40 };
const implicit = (hyper: Float64Array): Promise<ValueAndGradient> =>
  conjugateGradientHypergradient({ spaces, ...problem }, Float64Array.of(1 / (1 + Math.exp(hyper[0]!))), hyper);

describe("alone", () => {
  const unrolled: UnrolledProblem<Float64Array, Float64Array> = {
    spaces, outer: problem.outer, initial: problem.initial, steps: 60, training: gradientDescent(problem.inner, { learningRate: 0.3 }),
  };
  test.each<[string, (hyper: Float64Array) => Promise<ValueAndGradient>]>([
    ["implicit", implicit],
    ["reverse", (hyper) => reverseHypergradient(unrolled, hyper)],
    ["forward", (hyper) => forwardHypergradient(unrolled, hyper)],
  ])("%s", async (_name, hypergradient) => {
    const parameters = { logPenalty: { low: -8, high: 1 } }; // above, gradient descent at rate 0.3 would diverge
    const { params, value, trajectory } = await tuneByHypergradient({ ...tuning, parameters }, { logPenalty: -3 }, hypergradient);
    expect(params["logPenalty"]).toBeCloseTo(Math.log(1.5), 3);
    expect(value).toBeLessThan(1e-8);
    expect(trajectory.length).toBeLessThan(40);
    expect(trajectory[0]!.params).toEqual({ logPenalty: -3 });
  });

  test("learning rate and penalty together reach what no single training finds", async () => {
    const parameters = { logPenalty: { low: -8, high: 1 }, learningRate: { low: 0.001, high: 0.5, log: true } };
    const short = { ...unrolled, steps: 5, training: gradientDescent(problem.inner, { learningRate: { index: 1 } }) };
    const { value } = await tuneByHypergradient({ parameters, evaluations: 60 }, { logPenalty: -3, learningRate: 0.002 }, (hyper) => reverseHypergradient(short, hyper));
    expect(value).toBeLessThan(1e-8);
  });

  test("a missing start is named", async () => {
    await expect(tuneByHypergradient(tuning, {}, implicit)).rejects.toThrow(/Start value 0 is NaN/);
    await expect(tuneByHypergradient({ ...tuning, evaluations: 0 }, { logPenalty: 0 }, implicit)).rejects.toThrow(/evaluations is 0/);
  });
});

describe("inside a trial", () => {
  class FakeTrial {
    readonly reports: number[] = [];
    readonly attributes: Record<string, Json> = {};
    readonly stopAt: number;
    constructor(stopAt: number) {
      this.stopAt = stopAt;
    }
    float(_name: string, low: number, high: number, _options?: FloatOptions): number {
      return low + 0.3 * (high - low);
    }
    report(metrics: Metrics, step: number): Promise<boolean> {
      expect(step).toBe(this.reports.length);
      this.reports.push(Number(metrics));
      return Promise.resolve(step >= this.stopAt);
    }
    setAttribute(key: string, value: Json): void {
      this.attributes[key] = value;
    }
    prune(): never {
      throw new TrialPruned();
    }
  }

  test("reports the best so far, keeps the tuned values and returns the best", async () => {
    const trial = new FakeTrial(Number.POSITIVE_INFINITY);
    const value = await hypergradientObjective<FakeTrial>(tuning, implicit)(trial);
    expect(value).toBe(Math.min(...trial.reports));
    expect(trial.reports).toEqual(trial.reports.toSorted((a, b) => b - a));
    expect(trial.attributes["hypergradients"]).toBe(trial.reports.length);
    const tuned = trial.attributes["tuned"] as { logPenalty: number };
    expect(tuned.logPenalty).toBeCloseTo(Math.log(1.5), 3);
  });

  test("stops when the study says so", async () => {
    const trial = new FakeTrial(2);
    await expect(hypergradientObjective<FakeTrial>(tuning, implicit)(trial)).rejects.toThrow(TrialPruned);
    expect(trial.reports).toHaveLength(3);
  });
});
