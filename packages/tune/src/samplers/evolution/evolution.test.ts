import { describe, expect, test } from "vitest";
import { createRandom } from "../../random/random.ts";
import { categoricalDistribution, floatDistribution, intDistribution } from "../../space/distribution.ts";
import { SearchSpace, type Assignment } from "../../space/space.ts";
import { EvolutionSampler } from "./steady-state.ts";
import { unitDimensions } from "../history.ts";
import { LSHADESampler } from "./lshade.ts";
import { RandomSampler } from "../random.ts";
import { RegularisedEvolutionSampler } from "./regularised.ts";
import { optimized } from "../study.fixture.ts";
import { cross, mutate } from "./variation.ts";

const space = new SearchSpace(["x", "y", "z"].map((name) => ({ name, distribution: floatDistribution(-5, 5), condition: null })));
const bowl = (a: Assignment): number => [...a.values()].reduce<number>((s, v) => s + (Number(v) - 2) ** 2, 0);

describe("evolution", () => {
  test("starts with a hundred random individuals and beats chance afterwards", async () => {
    const study = await optimized(new EvolutionSampler(), bowl, { space, seed: 1, trials: 400 });
    const chance = await optimized(new RandomSampler(), bowl, { space, seed: 1, trials: 400 });
    expect(study.systemAttribute(99, "why")).toBe("initial population");
    expect(study.systemAttribute(100, "why")).not.toBe("initial population");
    expect(Math.min(...study.values[0]!.subarray(100, 400))).toBeLessThan(0.5 * Math.min(...chance.values[0]!.subarray(0, 400)));
  });

  test("stops when satisfied, in the direction of the objective", async () => {
    const study = await optimized(new EvolutionSampler({ populationSize: 20, target: -1 }), (a) => -bowl(a), { space, seed: 2, trials: 2000, directions: ["maximize"] });
    expect(study.length).toBeLessThan(2000);
    expect(study.values[0]![study.length - 1]).toBeGreaterThanOrEqual(-1);
  });

  test("stops when it no longer improves", async () => {
    const study = await optimized(new EvolutionSampler({ populationSize: 10, patience: 30 }), () => 1, { space, seed: 3, trials: 2000 });
    expect(study.length).toBe(31);
  });
});

test.each([["lshade", () => new LSHADESampler()], ["regularised evolution", () => new RegularisedEvolutionSampler({ populationSize: 30, sampleSize: 8 })]] as const)("%s converges", async (_, make) => {
  const study = await optimized(make(), bowl, { space, seed: 4, trials: 1500 });
  expect(Math.min(...study.values[0]!.subarray(0, study.length))).toBeLessThan(0.01);
});

describe("variation", () => {
  const dimensions = unitDimensions(new SearchSpace([
    { name: "f", distribution: floatDistribution(0, 1), condition: null },
    { name: "n", distribution: intDistribution(0, 9), condition: null },
    { name: "c", distribution: categoricalDistribution(["a", "b", "c", "d"]), condition: null },
  ]));

  test.each(["uniform", "sbx", "blx"] as const)("%s children lie in the cube, on the grid, categories from a parent", (kind) => {
    const random = createRandom(1, 1, kind);
    const a = Float64Array.of(0.1, 0.05, 0.125), b = Float64Array.of(0.9, 0.95, 0.875), child = new Float64Array(3);
    for (let i = 0; i < 500; i++) {
      cross(kind, dimensions, a, b, random, child);
      expect(child[0]! >= 0 && child[0]! <= 1).toBe(true);
      expect(child[1]! * 10 - 0.5).toBeCloseTo(Math.round(child[1]! * 10 - 0.5), 9);
      expect([0.125, 0.875]).toContain(child[2]);
    }
  });

  test.each(["gaussian", "polynomial"] as const)("%s mutation changes every coordinate at rate 1 and keeps the grid", (kind) => {
    const random = createRandom(2, 1, kind);
    for (let i = 0; i < 200; i++) {
      const x = Float64Array.of(0.5, 0.05, Number.NaN);
      mutate(kind, dimensions, 1, random, x);
      expect(x[0]).not.toBe(0.5);
      expect(x[0]! >= 0 && x[0]! <= 1).toBe(true);
      expect(x[1]).not.toBeCloseTo(0.05, 9);
      expect([0.125, 0.375, 0.625, 0.875]).toContain(x[2]);
    }
  });
});
