// What every sampler owes the study, whatever its method: valid points, no repeats, and the same question after a resume.
import { describe, expect, test } from "vitest";
import { categoricalDistribution, contains, floatDistribution, intDistribution, permutationDistribution, simplexDistribution, subsetDistribution } from "../space/distribution.ts";
import { SearchSpace, pointKey, type Assignment } from "../space/space.ts";
import { TrialState, type Sampler } from "../contract/contract.ts";
import type { StudyState } from "../state/state.ts";
import { AutoSampler } from "./auto.ts";
import { CMAESSampler } from "./cma-es/sampler.ts";
import { EvolutionSampler } from "./evolution/steady-state.ts";
import { GPSampler } from "./gp/sampler.ts";
import { LSHADESampler } from "./evolution/lshade.ts";
import { NSGASampler } from "./evolution/nsga.ts";
import { RandomSampler } from "./random.ts";
import { RegularisedEvolutionSampler } from "./evolution/regularised.ts";
import { askContext, bestOf, emptyStudy, optimized } from "./study.fixture.ts";
import { SobolSampler } from "./sobol.ts";
import { TPESampler } from "./tpe/sampler.ts";

const samplers: Record<string, () => Sampler> = {
  random: () => new RandomSampler(),
  sobol: () => new SobolSampler(),
  tpe: () => new TPESampler(),
  "tpe, one model per parameter": () => new TPESampler({ multivariate: false }),
  gp: () => new GPSampler(),
  "gp with input warping": () => new GPSampler({ inputWarping: true }),
  "cma-es": () => new CMAESSampler(),
  nsga: () => new NSGASampler({ populationSize: 10 }),
  evolution: () => new EvolutionSampler({ populationSize: 10, crossover: "sbx", mutation: "polynomial" }),
  "regularised evolution": () => new RegularisedEvolutionSampler({ populationSize: 10, sampleSize: 4 }),
  lshade: () => new LSHADESampler({ populationSize: 8 }),
  auto: () => new AutoSampler(),
};

const mixed = new SearchSpace([
  { name: "rate", distribution: floatDistribution(1e-5, 1e-1, { log: true }), condition: null },
  { name: "width", distribution: intDistribution(1, 512, { log: true }), condition: null },
  { name: "optimizer", distribution: categoricalDistribution(["sgd", "adam"]), condition: null },
  { name: "momentum", distribution: floatDistribution(0, 0.99), condition: { parameter: "optimizer", choice: 0 } },
  { name: "features", distribution: subsetDistribution(["a", "b", "c"], { min: 1 }), condition: null },
  { name: "order", distribution: permutationDistribution([1, 2, 3]), condition: null },
  { name: "mix", distribution: simplexDistribution(3), condition: null },
], [{ kind: "linear", coefficients: new Map([["momentum", 1]]), bound: 0.9 }]);

function loss(assignment: Assignment): number {
  const momentum = assignment.get("momentum");
  return (Math.log10(Number(assignment.get("rate"))) + 3) ** 2 + (Number(assignment.get("width")) / 512 - 0.3) ** 2 + (momentum === undefined ? 1 : (Number(momentum) - 0.5) ** 2);
}

const grid = new SearchSpace([
  { name: "a", distribution: intDistribution(0, 4), condition: null },
  { name: "b", distribution: categoricalDistribution(["x", "y", "z", "w"]), condition: null },
  { name: "c", distribution: intDistribution(0, 2), condition: null },
]);

/** The study as another process would rebuild it: the same facts, no caches. */
function replayed(study: StudyState, space: SearchSpace): StudyState {
  const copy = emptyStudy({ space, seed: study.seed, directions: study.directions });
  for (let trial = 0; trial < study.length; trial++) {
    copy.apply({ type: "ask", trial, time: 0, owner: "other", watermark: study.watermarkOf(trial) });
    const values = Object.fromEntries([...study.assignment(trial)].map(([name, value]) => [name, typeof value === "number" ? value : [...value]]));
    copy.apply({ type: "parameters", trial, values });
    for (const [key, value] of Object.entries(study.trial(trial).systemAttributes)) copy.apply({ type: "attribute", trial, scope: "system", key, value });
  }
  for (let i = 0; i < study.watermark; i++) {
    const trial = study.finished[i]!;
    copy.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: study.trial(trial).values });
  }
  return copy;
}

describe.each(Object.entries(samplers))("%s", (_, make) => {
  test("proposes valid points of a mixed, conditional, constrained space, also for parallel workers", async () => {
    const study = await optimized(make(), loss, { space: mixed, seed: 1, trials: 26, workers: 4 });
    expect(study.watermark).toBeGreaterThanOrEqual(26);
    for (let trial = 0; trial < study.length; trial++) {
      const assignment = study.assignment(trial);
      expect(mixed.satisfies(assignment)).toBe(true);
      for (const spec of mixed.parameters) {
        const value = assignment.get(spec.name);
        expect(value !== undefined).toBe(mixed.isActive(spec, assignment));
        if (value !== undefined) expect(contains(spec.distribution, value)).toBe(true);
      }
    }
  });

  test("goes on without a budget: until the study is stopped", async () => {
    const study = await optimized(make(), loss, { space: mixed, seed: 1, trials: 14, unbudgeted: true, workers: 2 });
    expect(study.evaluations).toBeGreaterThanOrEqual(14);
  });

  test("does not enumerate a large finite space, with or without a budget", async () => {
    const large = new SearchSpace(Array.from({ length: 8 }, (_, i) => ({ name: `n${i}`, distribution: intDistribution(0, 99), condition: null })));
    const far = (assignment: Assignment): number => [...assignment.values()].reduce<number>((sum, value) => sum + Math.abs(Number(value) - 70), 0);
    for (const unbudgeted of [true, false]) {
      const study = await optimized(make(), far, { space: large, seed: 2, trials: 24, unbudgeted });
      expect(study.evaluations).toBe(24);
    }
  });

  test("asks the same after a resume", async () => {
    const study = await optimized(make(), loss, { space: mixed, seed: 2, trials: 23 });
    const sampler = make();
    const again = replayed(study, mixed);
    const next = sampler.ask(askContext(again, sampler, 10));
    const other = make();
    const expected = other.ask(askContext(replayed(study, mixed), other, 10));
    expect(pointKey(next!.assignment)).toBe(pointKey(expected!.assignment));
    // And what the process that never stopped would ask.
    const running = make();
    const live = emptyStudy({ space: mixed, seed: 2 });
    for (let t = 0; t < 23; t++) {
      const proposal = running.ask(askContext(live, running, 33 - t))!;
      live.apply({ type: "ask", trial: t, time: 0, owner: "live", watermark: live.watermark });
      live.apply({ type: "parameters", trial: t, values: Object.fromEntries([...proposal.assignment].map(([name, value]) => [name, typeof value === "number" ? value : [...value]])) });
      for (const [key, value] of Object.entries(proposal.attributes ?? {})) live.apply({ type: "attribute", trial: t, scope: "system", key, value });
      live.apply({ type: "finish", trial: t, time: 0, state: "COMPLETE", values: [loss(proposal.assignment)] });
    }
    const resumed = make();
    const rebuilt = replayed(live, mixed);
    expect(pointKey(resumed.ask(askContext(rebuilt, resumed, 10))!.assignment)).toBe(pointKey(running.ask(askContext(live, running, 10))!.assignment));
  });

  test("never evaluates a point of a finite space twice", async () => {
    let evaluations = 0;
    const study = await optimized(make(), (assignment) => {
      evaluations++;
      return (Number(assignment.get("a")) - 3) ** 2 + Number(assignment.get("b")) + Number(assignment.get("c"));
    }, { space: grid, seed: 3, trials: 45 });
    expect(evaluations).toBe(45);
    const points = new Set<string>();
    for (let trial = 0; trial < study.length; trial++) points.add(pointKey(study.assignment(trial)));
    expect(points.size).toBe(45);
  });

  test("goes on when trials fail", () => {
    const sampler = make();
    const study = emptyStudy({ space: grid, seed: 4 });
    for (let t = 0; t < 25; t++) {
      const { assignment } = sampler.ask(askContext(study, sampler, 100))!;
      study.apply({ type: "ask", trial: t, time: 0, owner: "w", watermark: study.watermark });
      study.apply({ type: "parameters", trial: t, values: Object.fromEntries([...assignment].map(([name, value]) => [name, Number(value)])) });
      const failed = t % 3 === 0;
      study.apply({ type: "finish", trial: t, time: 0, state: failed ? "FAIL" : "COMPLETE", values: failed ? null : [Number(assignment.get("a"))] });
    }
    expect(study.states.subarray(0, 25).filter((state) => state === TrialState.FAIL).length).toBe(9);
  });
});

describe.each(["tpe", "gp", "cma-es", "auto"])("%s beats chance", (name) => {
  test("on a smooth function of four numbers", async () => {
    const space = new SearchSpace(["x", "y", "z", "w"].map((n) => ({ name: n, distribution: floatDistribution(-5, 5), condition: null })));
    const bowl = (assignment: Assignment): number => [...assignment.values()].reduce<number>((s, v, i) => s + (Number(v) - i) ** 2, 0);
    const best = async (make: () => Sampler): Promise<number> => {
      const bests = await Promise.all([1, 2, 3].map(async (seed) => bestOf(await optimized(make(), bowl, { space, seed, trials: 60 }))));
      return bests.sort((a, b) => a - b)[1]!;
    };
    expect(await best(samplers[name]!)).toBeLessThan(0.7 * (await best(() => new RandomSampler())));
  });
});

test("several objectives: nsga, tpe and gp approach the front", async () => {
  const space = new SearchSpace([{ name: "x", distribution: floatDistribution(-10, 10), condition: null }, { name: "y", distribution: floatDistribution(-10, 10), condition: null }]);
  const objective = (a: Assignment): number[] => [Number(a.get("x")) ** 2 + Number(a.get("y")) ** 2, (Number(a.get("x")) - 2) ** 2 + Number(a.get("y")) ** 2];
  const distance = async (sampler: Sampler): Promise<number> => {
    const study = await optimized(sampler, objective, { space, seed: 5, trials: 60, directions: ["minimize", "minimize"] });
    let sum = 0;
    for (let t = 40; t < 60; t++) sum += Math.abs(Number(study.internal(t, "y")));
    return sum / 20;
  };
  const chance = await distance(new RandomSampler());
  for (const sampler of [new NSGASampler({ populationSize: 10 }), new TPESampler(), new GPSampler()]) expect(await distance(sampler)).toBeLessThan(0.8 * chance);
});

test("tpe goes on beside running trials where the history's memory grows", async () => {
  const study = await optimized(new TPESampler(), loss, { space: mixed, seed: 3, trials: 140, workers: 4 });
  expect(study.watermark).toBeGreaterThanOrEqual(140);
});
