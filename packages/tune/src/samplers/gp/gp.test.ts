import { describe, expect, test } from "vitest";
import { hypervolume } from "../../pareto/hypervolume.ts";
import { floatDistribution } from "../../space/distribution.ts";
import { SearchSpace, pointKey, type Assignment } from "../../space/space.ts";
import { GPSampler } from "./sampler.ts";
import { outputWarps, tailWarps, warped } from "./output-warping.ts";
import { openStudy, optimized } from "../study.fixture.ts";

const space = new SearchSpace(["x", "y"].map((name) => ({ name, distribution: floatDistribution(-5, 5), condition: null })));
const bowl = (a: Assignment): number => (Number(a.get("x")) - 1) ** 2 + (Number(a.get("y")) + 2) ** 2;

describe("GP sampler", () => {
  test("finds the best feasible point when a black-box constraint forbids the best point", async () => {
    const study = await openStudy(new GPSampler(), { space, seed: 1 });
    await study.optimize((trial) => {
      const assignment = study.view.assignment(trial.number);
      trial.constraint("x at least 2", 2 - Number(assignment.get("x")));
      return bowl(assignment);
    }, { trials: 35 });
    const best = study.best!.values![0]!;
    expect(best).toBeGreaterThanOrEqual(1);
    expect(best).toBeLessThan(1.05);
  });

  test("parallel workers get different points", async () => {
    const study = await openStudy(new GPSampler(), { space, seed: 2 });
    await study.optimize((trial) => bowl(study.view.assignment(trial.number)), { trials: 12 });
    const points = new Set<string>();
    for (let worker = 0; worker < 4; worker++) points.add(pointKey(study.view.assignment((await study.ask()).number)));
    expect(points.size).toBe(4);
  });

  test("goes on in a trust region when there are more trials than it conditions on", async () => {
    const study = await optimized(new GPSampler({ maximumSize: 15 }), bowl, { space, seed: 3, trials: 45 });
    expect(Math.min(...study.values[0]!.subarray(0, 45))).toBeLessThan(0.01);
  });

  test("infinite losses count as the worst finite one", async () => {
    const study = await optimized(new GPSampler(), (a) => (Number(a.get("x")) < -2 ? Infinity : bowl(a)), { space, seed: 4, trials: 25 });
    expect(Math.min(...study.values[0]!.subarray(0, 25))).toBeLessThan(0.1);
  });
});

describe("GP sampler with two objectives", () => {
  const objectives = (a: Assignment): [number, number] => [Number(a.get("x")) ** 2 + Number(a.get("y")) ** 2, (Number(a.get("x")) - 2) ** 2 + Number(a.get("y")) ** 2];

  test("spreads over the front: most of its hypervolume after 30 trials, also with three workers", async () => {
    // The front is x in [0, 2], y = 0: f₂ = (2 − √f₁)², below the reference (5, 5).
    const all = hypervolume(Array.from({ length: 1001 }, (_, i) => [(i / 500) ** 2, (2 - i / 500) ** 2]), [5, 5]);
    for (const parallel of [1, 3]) {
      const study = await optimized(new GPSampler(), objectives, { space, seed: 5, trials: 30, directions: ["minimize", "minimize"], workers: parallel });
      const points = Array.from({ length: 30 }, (_, t) => study.values.map((column) => column[t]!));
      expect(hypervolume(points, [5, 5]) / all).toBeGreaterThan(0.9);
    }
  });

  test("keeps to the feasible part of the front", async () => {
    const study = await openStudy(new GPSampler(), { space, seed: 6, directions: ["minimize", "minimize"] });
    await study.optimize((trial) => {
      const assignment = study.view.assignment(trial.number);
      trial.constraint("x at least 1", 1 - Number(assignment.get("x")));
      return objectives(assignment);
    }, { trials: 35 });
    const feasible = study.trials("COMPLETE").filter(({ constraints }) => constraints["x at least 1"]! <= 0).map(({ values }) => values!);
    const all = hypervolume(Array.from({ length: 1001 }, (_, i) => [(1 + i / 1000) ** 2, (1 - i / 1000) ** 2]), [5, 5]);
    expect(feasible.length).toBeGreaterThan(12);
    expect(hypervolume(feasible, [5, 5]) / all).toBeGreaterThan(0.9);
  });

  test("goes on in a trust region about the front when there are more trials than it conditions on", async () => {
    const study = await optimized(new GPSampler({ maximumSize: 15 }), objectives, { space, seed: 7, trials: 40, directions: ["minimize", "minimize"] });
    const points = Array.from({ length: 40 }, (_, t) => study.values.map((column) => column[t]!));
    expect(hypervolume(points, [5, 5])).toBeGreaterThan(15);
  });
});

test("output warps are monotone and their slopes are their derivatives", () => {
  const losses = Float64Array.of(1, 2, 3, 5, 8, 100, 2000);
  for (const warp of [...outputWarps(losses), ...tailWarps(losses)]) {
    for (const y of [2, 4, 50]) {
      const slope = (warp.apply(y + 1e-5) - warp.apply(y - 1e-5)) / 2e-5;
      expect(slope).toBeGreaterThan(0);
      expect(warp.logSlope(y)).toBeCloseTo(Math.log(slope), 4);
    }
    const { y } = warped(losses, warp);
    expect(y.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 9);
    expect(y.reduce((a, b) => a + b * b, 0) / 7).toBeCloseTo(1, 9);
  }
});
