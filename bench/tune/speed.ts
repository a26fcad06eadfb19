// How long an ask and a tell take in a study that already has many trials, and how long whole runs take.
import { createRandom } from "../../packages/tune/src/random/random.ts";
import { floatDistribution } from "../../packages/tune/src/space/distribution.ts";
import { SearchSpace } from "../../packages/tune/src/space/space.ts";
import type { StudyState } from "../../packages/tune/src/state/state.ts";
import type { Sampler } from "../../packages/tune/src/contract/contract.ts";
import { CMAESSampler } from "../../packages/tune/src/samplers/cma-es/sampler.ts";
import { GPSampler } from "../../packages/tune/src/samplers/gp/sampler.ts";
import { NSGASampler } from "../../packages/tune/src/samplers/evolution/nsga.ts";
import { openStudy, optimized } from "../../packages/tune/src/samplers/study.fixture.ts";
import { TPESampler } from "../../packages/tune/src/samplers/tpe/sampler.ts";
import { rosenbrock } from "./problems.ts";
import { median, type Report } from "./report.ts";

function cube(dimensions: number): SearchSpace {
  return new SearchSpace(Array.from({ length: dimensions }, (_, i) => ({ name: `x${i}`, distribution: floatDistribution(-5, 10), condition: null })));
}

/** Median milliseconds of ask + tell after `filled` random trials in `dimensions` dimensions. */
async function askAndTell(sampler: Sampler, filled: number, dimensions: number, repeats: number): Promise<number> {
  const space = cube(dimensions);
  const study = await openStudy(sampler, { space, seed: 0 });
  const state = study.view as StudyState;
  const random = createRandom(0, 0, "prefill");
  for (let trial = 0; trial < filled; trial++) {
    const x = Array.from({ length: dimensions }, () => 15 * random.uniform() - 5);
    state.apply({ type: "ask", trial, time: 0, owner: "bench", watermark: state.watermark });
    if (trial === 0) for (const { name, distribution } of space.parameters) state.apply({ type: "declare", name, distribution });
    state.apply({ type: "parameters", trial, values: Object.fromEntries(x.map((v, i) => [`x${i}`, v])) });
    state.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: [rosenbrock(x)] });
  }
  const times: number[] = [];
  for (let k = 0; k < repeats + 3; k++) {
    const start = performance.now();
    const trial = await study.ask();
    await study.tell(trial, rosenbrock(Array.from(state.assignment(trial.number).values(), Number)));
    times.push(performance.now() - start);
  }
  return median(times.slice(3)); // the first ones build the caches
}

async function wholeRun(make: () => Sampler, dimensions: number, objectives: number, repeats: number): Promise<number> {
  const space = cube(dimensions);
  const times: number[] = [];
  for (let seed = 0; seed < repeats; seed++) {
    const start = performance.now();
    await optimized(make(), (assignment) => {
      const x = Array.from(assignment.values(), Number);
      const sphere = x.reduce((s, v) => s + v * v, 0);
      return objectives === 1 ? sphere : [sphere, x.reduce((s, v) => s + (v - 2) ** 2, 0)];
    }, { space, seed, trials: 10000, directions: Array.from({ length: objectives }, () => "minimize" as const) });
    times.push((performance.now() - start) / 1000);
  }
  return median(times);
}

/** Speed gates of TPE, GP, CMA-ES and NSGA-II. */
export async function speedGates(report: Report, quick: boolean): Promise<void> {
  const group = "speed (median; ms per ask + tell, s per whole run)";
  const repeats = quick ? 11 : 51;
  report.add({ group, name: "TPE, 1,000 trials, 10-D, ms", measured: await askAndTell(new TPESampler(), 1000, 10, repeats), must: 1, peer: "Optuna 11.7" });
  report.add({ group, name: "TPE, 10,000 trials, 10-D, ms", measured: await askAndTell(new TPESampler(), 10000, 10, repeats), must: 5, peer: "Optuna 101" });
  report.add({ group, name: "GP, 100 trials, 10-D, ms", measured: await askAndTell(new GPSampler(), 100, 10, quick ? 5 : 15), must: null, peer: "Optuna 150" });
  report.add({ group, name: "GP, 1,000 trials, 10-D, ms", measured: await askAndTell(new GPSampler(), 1000, 10, quick ? 5 : 15), must: 300, peer: "Optuna 7452" });
  report.add({ group, name: "CMA-ES, 10-D, 10,000 trials, s", measured: await wholeRun(() => new CMAESSampler(), 10, 1, quick ? 2 : 5), must: 0.8, peer: "Optuna 33.1, Rustuna 0.82" });
  report.add({ group, name: "NSGA-II, 2-D, 2 objectives, 10,000 trials, s", measured: await wholeRun(() => new NSGASampler(), 2, 2, quick ? 2 : 5), must: 1, peer: "Rustuna 3.5" });
}
