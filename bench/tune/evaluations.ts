// How many evaluations CMA-ES with standard parameters needs to reach 1e-8, beside the cmaes package where an interpreter
// has it: same starts, same stopping rules, as many runs. And restarts on a multimodal function.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { createRandom } from "../../packages/tune/src/random/random.ts";
import { floatDistribution } from "../../packages/tune/src/space/distribution.ts";
import { SearchSpace } from "../../packages/tune/src/space/space.ts";
import { CMA } from "../../packages/tune/src/samplers/cma-es/strategy.ts";
import { CMAESSampler } from "../../packages/tune/src/samplers/cma-es/sampler.ts";
import { openStudy } from "../../packages/tune/src/samplers/study.fixture.ts";
import { cigar, ellipsoid, rastrigin, rosenbrock, sphere } from "./problems.ts";
import { mean, type Report } from "./report.ts";

// cmaes 0.13.1, σ = 2, start uniform in (−4, 4)ⁿ, default population; n = 10, 20, 40: expected running times of 15 runs.
const RECORDED: readonly (readonly [string, (x: ArrayLike<number>) => number, readonly number[]])[] = [
  ["sphere", sphere, [1464, 2774, 5219]],
  ["ellipsoid", ellipsoid, [4248, 13203, 49625]],
  ["cigar", cigar, [4171, 8361, 16095]],
  ["rosenbrock", rosenbrock, [5488, 20446, 67979]],
];
/** Rosenbrock has a second minimum: one run in nine to seventeen ends there and costs as much as a success. cmaes over so many runs, n = 10, 20, 40. */
const ROSENBROCK_MANY_RUNS: readonly { readonly n: number; readonly runs: number; readonly expectedRunningTime: number }[] = [
  { n: 10, runs: 400, expectedRunningTime: 5853 }, { n: 20, runs: 200, expectedRunningTime: 19111 }, { n: 40, runs: 120, expectedRunningTime: 68299 },
];
const TARGET = 1e-8, SIGMA = 2, BUDGET = 1e6;

/** One attempt to reach the target. */
interface Run { readonly evaluations: number; readonly reached: boolean }

function runOnce(f: (x: ArrayLike<number>) => number, start: Float64Array, seed: number): Run {
  const n = start.length;
  const random = createRandom(seed, n, "evaluations");
  const normal = (): number => random.normal();
  const cma = new CMA({ mean: start, sigma: SIGMA });
  const window = 10 + Math.ceil((30 * n) / cma.populationSize);
  const lows: number[] = [], highs: number[] = [];
  let evaluations = 0;
  while (evaluations < BUDGET) {
    const generation: { x: Float64Array; value: number }[] = [];
    while (generation.length < cma.populationSize) {
      const x = new Float64Array(n);
      cma.sample(normal, x);
      const value = f(x);
      evaluations++;
      if (value < TARGET) return { evaluations, reached: true };
      generation.push({ x, value });
    }
    generation.sort((a, b) => a.value - b.value);
    cma.tell(generation.map(({ x }) => x));
    lows.push(generation[0]!.value);
    highs.push(generation.at(-1)!.value);
    // TolFun, TolX and ConditionCov as cmaes has them.
    const flat = lows.length > window && Math.max(...highs.slice(-window)) - Math.min(...lows.slice(-window)) < 1e-12;
    if (flat || cma.spread() < 1e-12 * SIGMA || cma.conditionNumber() > 1e28) break;
  }
  return { evaluations, reached: false };
}

function runPeer(python: string, name: string, starts: readonly Float64Array[]): Run[] {
  const input = JSON.stringify({ function: name, budget: BUDGET, starts: starts.map((start) => [...start]) });
  const run = spawnSync(python, [join(import.meta.dirname, "cmaes_peer.py")], {
    input, encoding: "utf8", maxBuffer: 1 << 24, env: { ...process.env, OPENBLAS_NUM_THREADS: "1", OMP_NUM_THREADS: "1" },
  });
  if (run.status !== 0) throw new Error(`${python} failed to run cmaes: ${run.stderr.slice(-500)}`);
  return run.stdout.trim().split("\n").map((line) => JSON.parse(line) as Run);
}

const successes = (runs: readonly Run[]): number => runs.filter(({ reached }) => reached).length;
const ofSuccesses = (runs: readonly Run[]): number => mean(runs.filter(({ reached }) => reached).map(({ evaluations }) => evaluations));
/** Evaluations of all runs per success: the expected running time with restarts. */
const expectedRunningTime = (runs: readonly Run[]): number => runs.reduce((sum, { evaluations }) => sum + evaluations, 0) / successes(runs);

/** The middle 95 % of the ratio of two expected running times over resampled runs. */
function ratioInterval(ours: readonly Run[], peer: readonly Run[]): [number, number] {
  const random = createRandom(0, 0, "bootstrap");
  const resample = (runs: readonly Run[]): Run[] => runs.map(() => runs[random.integer(runs.length)]!);
  const ratios = Array.from({ length: 2000 }, () => expectedRunningTime(resample(ours)) / expectedRunningTime(resample(peer))).sort((a, b) => a - b);
  return [ratios[50]!, ratios[1949]!];
}

/** Evaluation counts within 5 % of the peer's, in this run where `python` has cmaes and else recorded, and restarts on Rastrigin. */
export async function evaluationGates(report: Report, quick: boolean, python: string): Promise<void> {
  const group = `CMA-ES, evaluations to ${TARGET}`;
  const measured = spawnSync(python, ["-c", "import cmaes, numpy"]).status === 0;
  if (!measured) console.log(`\n${python} has no cmaes (PYTHONPATH may name it): its recorded numbers are the bar`);
  const runs = quick ? 15 : 51;
  const rosenbrocks = new Map<number, Run[]>();
  for (const [name, f, counts] of RECORDED) {
    counts.forEach((recorded, k) => {
      const n = [10, 20, 40][k]!;
      if (quick && n > 10) return;
      const starts = startsOf(name, n, runs);
      const ours = starts.map((start, run) => runOnce(f, start, run));
      if (f === rosenbrock) rosenbrocks.set(n, ours);
      const reached = `${successes(ours)} of ${runs}`;
      if (!measured) {
        report.add({ group, name: `${name}, n = ${n}, ${reached}`, measured: expectedRunningTime(ours), must: recorded * 1.05, atLeast: recorded * 0.95, peer: `cmaes, 15 runs, ${recorded}` });
        return;
      }
      const peer = runPeer(python, name, starts);
      const bar = ofSuccesses(peer);
      report.add({ group, name: `${name}, n = ${n}, runs that reach it`, measured: ofSuccesses(ours), must: bar * 1.05, atLeast: bar * 0.95, peer: `cmaes ${bar.toFixed(0)}` });
      // Failures cost so much that the ratio is uncertain: the bar is for the end of its interval that is nearest to 1.
      const [low, high] = ratioInterval(ours, peer);
      report.add({
        group, name: `${name}, n = ${n}, running time / cmaes`, measured: Math.min(Math.max(1, low), high), must: 1.05, atLeast: 0.95,
        peer: `95 %: ${low.toFixed(2)} … ${high.toFixed(2)}; ${expectedRunningTime(ours).toFixed(0)} (${reached}), cmaes ${expectedRunningTime(peer).toFixed(0)} (${successes(peer)}); recorded ${recorded}`,
      });
    });
  }
  if (!quick) manyRuns(report, rosenbrocks);
  await restartGate(report, quick ? 2 : 15);
}

function startsOf(name: string, n: number, runs: number): Float64Array[] {
  return Array.from({ length: runs }, (_, run) => {
    const random = createRandom(run, n, name);
    return Float64Array.from({ length: n }, () => 8 * random.uniform() - 4);
  });
}

/** What the luck of failures hides in few runs: the expected running time on Rosenbrock over many, the first of which are `known`. */
function manyRuns(report: Report, known: ReadonlyMap<number, readonly Run[]>): void {
  for (const { n, runs, expectedRunningTime: bar } of ROSENBROCK_MANY_RUNS) {
    const ours = startsOf("rosenbrock", n, runs).map((start, run) => known.get(n)?.[run] ?? runOnce(rosenbrock, start, run));
    report.add({ group: "CMA-ES, many runs", name: `rosenbrock, n = ${n}, ${successes(ours)} of ${runs}`, measured: expectedRunningTime(ours), must: bar * 1.05, atLeast: bar * 0.95, peer: `cmaes, ${runs} runs, ${bar}` });
  }
}

/** Runs of BIPOP-CMA-ES on Rastrigin that do not reach the target within 300,000 evaluations. */
async function restartGate(report: Report, runs: number): Promise<void> {
  const space = new SearchSpace(Array.from({ length: 10 }, (_, i) => ({ name: `x${i}`, distribution: floatDistribution(-5, 5), condition: null })));
  let failures = 0;
  for (let seed = 0; seed < runs; seed++) {
    const study = await openStudy(new CMAESSampler(), { space, seed });
    let reached = false;
    await study.optimize((trial) => {
      const value = rastrigin(Array.from(study.view.assignment(trial.number).values(), Number));
      reached ||= value < TARGET;
      if (reached) study.stop();
      return value;
    }, { trials: 3e5 });
    if (!reached) failures++;
  }
  report.add({ group: "CMA-ES, restarts", name: `Rastrigin, n = 10, 3e5 evaluations: failures of ${runs}`, measured: failures, must: runs / 15 });
}
