import { describe, expect, test } from "vitest";
import { createRandom } from "../../random/random.ts";
import { floatDistribution, intDistribution } from "../../space/distribution.ts";
import { SearchSpace } from "../../space/space.ts";
import { StudyError } from "../../errors/errors.ts";
import { CMA } from "./strategy.ts";
import { CMAESSampler } from "./sampler.ts";
import { askContext, emptyStudy, optimized } from "../study.fixture.ts";

/** Evaluations until 1e-8, or 20,000. */
function evaluations(f: (x: Float64Array) => number, n: number, seed: number, separable: boolean): number {
  const random = createRandom(seed, n, "cma");
  const cma = new CMA({ mean: Float64Array.from({ length: n }, () => 8 * random.uniform() - 4), sigma: 2, separable });
  for (let count = 0; count < 20000;) {
    const generation: { x: Float64Array; value: number }[] = [];
    while (generation.length < cma.populationSize) {
      const x = new Float64Array(n);
      cma.sample(() => random.normal(), x);
      const value = f(x);
      count++;
      if (value < 1e-8) return count;
      generation.push({ x, value });
    }
    cma.tell(generation.sort((a, b) => a.value - b.value).map(({ x }) => x));
  }
  return 20000;
}

const ellipsoid = (x: Float64Array): number => x.reduce((s, v, i) => s + 1e6 ** (i / (x.length - 1)) * v * v, 0);
const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe("CMA", () => {
  test("needs as many evaluations as the reference on the sphere and the ellipsoid (n = 10)", () => {
    const seeds = [0, 1, 2, 3, 4, 5, 6, 7];
    expect(mean(seeds.map((s) => evaluations((x) => x.reduce((t, v) => t + v * v, 0), 10, s, false))) / 1464).toBeCloseTo(1, 1);
    expect(mean(seeds.map((s) => evaluations(ellipsoid, 10, s, false))) / 4248).toBeCloseTo(1, 1);
  });

  test("the separable model learns a diagonal problem faster", () => {
    expect(evaluations(ellipsoid, 10, 1, true)).toBeLessThan(0.7 * evaluations(ellipsoid, 10, 1, false));
  });
});

describe("CMA-ES sampler", () => {
  test("restarts when it has converged, and leaves a local minimum", async () => {
    const space = new SearchSpace(["x", "y"].map((name) => ({ name, distribution: floatDistribution(-5.12, 5.12), condition: null })));
    const rastrigin = (v: readonly number[]): number => v.reduce((s, x) => s + 10 + x * x - 10 * Math.cos(2 * Math.PI * x), 0);
    // Off-centre, so that the start is no help.
    const study = await optimized(new CMAESSampler(), (a) => rastrigin([Number(a.get("x")) - 3.1, Number(a.get("y")) + 2.7]), { space, seed: 1, trials: 5000 });
    expect(Math.min(...study.values[0]!.subarray(0, 5000))).toBeLessThan(1e-6);
    expect(Number(study.systemAttribute(study.length - 1, "cma:generation"))).toBeGreaterThan(20);
  });

  test("integers do not get stuck: the margin keeps every neighbour reachable", async () => {
    const space = new SearchSpace([
      { name: "n", distribution: intDistribution(0, 100), condition: null },
      { name: "x", distribution: floatDistribution(-1, 1), condition: null },
    ]);
    for (const seed of [1, 2, 3]) {
      const study = await optimized(new CMAESSampler(), (a) => (Number(a.get("n")) - 87) ** 2 + Number(a.get("x")) ** 2, { space, seed, trials: 400 });
      expect(Math.min(...study.values[0]!.subarray(0, study.length))).toBeLessThan(1e-3);
    }
  });

  test("one objective only", () => {
    const space = new SearchSpace([{ name: "x", distribution: floatDistribution(0, 1), condition: null }]);
    const sampler = new CMAESSampler();
    const study = emptyStudy({ space, seed: 1, directions: ["minimize", "minimize"] });
    expect(() => sampler.ask(askContext(study, sampler, 1))).toThrow(StudyError);
  });
});
