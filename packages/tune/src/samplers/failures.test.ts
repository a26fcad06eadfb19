// Objectives that fail in a part of their space: every model learns where, nothing is proposed again and again, and search
// is better for it than chance.
import { describe, expect, test } from "vitest";
import { floatDistribution, intDistribution } from "../space/distribution.ts";
import { pointKey, SearchSpace, type Assignment } from "../space/space.ts";
import type { Sampler } from "../contract/contract.ts";
import { AutoSampler } from "./auto.ts";
import { CMAESSampler } from "./cma-es/sampler.ts";
import { EvolutionSampler } from "./evolution/steady-state.ts";
import { LSHADESampler } from "./evolution/lshade.ts";
import { NSGASampler } from "./evolution/nsga.ts";
import { RegularisedEvolutionSampler } from "./evolution/regularised.ts";
import { GPSampler } from "./gp/sampler.ts";
import { RandomSampler } from "./random.ts";
import { bestOf, optimized } from "./study.fixture.ts";
import { TPESampler } from "./tpe/sampler.ts";

const rates = new SearchSpace([
  { name: "rate", distribution: floatDistribution(1e-5, 1, { log: true }), condition: null },
  { name: "x", distribution: floatDistribution(-5, 5), condition: null },
]);

/** Better and better with the rate, until it is NaN. */
function diverging(a: Assignment): number {
  const rate = Number(a.get("rate"));
  return rate > 0.02 ? Number.NaN : Math.log10(0.02 / rate) + (Number(a.get("x")) - 1) ** 2 / 10;
}

const cube = new SearchSpace(["x", "y", "z"].map((name) => ({ name, distribution: floatDistribution(0, 1), condition: null })));

/** Throws in 40 % of the space, right beside the best point. */
function crashing(a: Assignment): number {
  const [x, y, z] = ["x", "y", "z"].map((name) => Number(a.get(name)));
  if (x! > 0.6) throw new RangeError("out of memory");
  return 2 * (0.6 - x!) + (y! - 0.3) ** 2 + (z! - 0.8) ** 2;
}

const samplers: Record<string, () => Sampler> = {
  tpe: () => new TPESampler(), gp: () => new GPSampler(), "cma-es": () => new CMAESSampler(), auto: () => new AutoSampler(),
  nsga: () => new NSGASampler({ populationSize: 10 }), evolution: () => new EvolutionSampler({ populationSize: 10 }),
  "regularised evolution": () => new RegularisedEvolutionSampler({ populationSize: 10, sampleSize: 4 }), lshade: () => new LSHADESampler({ populationSize: 8 }),
};

describe.each([["NaN above a rate", rates, diverging], ["throws in 40 % of the space", cube, crashing]] as const)("%s", (_, space, objective) => {
  test.each([["tpe", 0.6], ["gp", 0.1], ["auto", 0.1], ["cma-es", 0.8]] as const)("%s has at most %f × the mean regret of chance", async (name, share) => {
    const regret = async (make: () => Sampler): Promise<number> => {
      const bests = await Promise.all([1, 2, 3].map(async (seed) => bestOf(await optimized(make(), objective, { space, seed, trials: 50 }))));
      return bests.reduce((a, b) => a + b);
    };
    expect(await regret(samplers[name]!)).toBeLessThan(share * (await regret(() => new RandomSampler())));
  });
});

test.each(Object.entries(samplers))("%s proposes no point again that has failed, in a finite space too", async (_, make) => {
  const grid = new SearchSpace(["a", "b", "c"].map((name) => ({ name, distribution: intDistribution(0, 5), condition: null })));
  for (const space of [grid, rates]) {
    const study = await optimized(make(), (a) => {
      if (Number(a.get("a") ?? a.get("rate")) > (space === grid ? 2 : 0.001)) throw new RangeError("too large");
      return -Number(a.get("b") ?? a.get("x"));
    }, { space, seed: 3, trials: 60 });
    expect(study.evaluations).toBe(60);
    expect(new Set(Array.from({ length: study.length }, (_trial, t) => pointKey(study.assignment(t)))).size).toBe(60);
  }
});

test("where everything fails each point is tried twice, and the study ends", async () => {
  const space = new SearchSpace([{ name: "n", distribution: intDistribution(0, 7), condition: null }]);
  for (const make of [() => new TPESampler(), () => new AutoSampler(), () => new RandomSampler()]) {
    const study = await optimized(make(), () => Number.NaN, { space, seed: 1, trials: 100 });
    expect(study.evaluations).toBeGreaterThanOrEqual(8);
    expect(study.evaluations).toBeLessThanOrEqual(16);
  }
});
