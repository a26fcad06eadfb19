// How many evaluations CMA-ES with standard parameters needs to reach 1e-8: expected running time, failures included.
import { createRandom } from "../../packages/tune/src/random/random.ts";
import { floatDistribution } from "../../packages/tune/src/space/distribution.ts";
import { SearchSpace } from "../../packages/tune/src/space/space.ts";
import { CMA } from "../../packages/tune/src/samplers/cma.ts";
import { CMAESSampler } from "../../packages/tune/src/samplers/cma-es.ts";
import { simulate } from "../../packages/tune/src/samplers/simulation.ts";
import { cigar, ellipsoid, rastrigin, rosenbrock, sphere } from "./problems.ts";
import type { Report } from "./report.ts";

// cmaes 0.13.1, σ = 2, start uniform in (−4, 4)ⁿ, default population; n = 10, 20, 40.
const PEER: readonly (readonly [string, (x: ArrayLike<number>) => number, readonly number[]])[] = [
  ["sphere", sphere, [1464, 2774, 5219]],
  ["ellipsoid", ellipsoid, [4248, 13203, 49625]],
  ["cigar", cigar, [4171, 8361, 16095]],
  ["rosenbrock", rosenbrock, [5488, 20446, 67979]],
];

function expectedEvaluations(name: string, f: (x: ArrayLike<number>) => number, n: number, runs: number): number {
  let total = 0, reached = 0;
  for (let run = 0; run < runs; run++) {
    const random = createRandom(run, n, name);
    const normal = (): number => random.normal();
    const cma = new CMA({ mean: Float64Array.from({ length: n }, () => 8 * random.uniform() - 4), sigma: 2 });
    let evaluations = 0, done = false;
    while (!done && evaluations < 3e5 && cma.spread() > 1e-11) {
      const generation: { x: Float64Array; value: number }[] = [];
      while (generation.length < cma.populationSize && !done) {
        const x = new Float64Array(n);
        cma.sample(normal, x);
        const value = f(x);
        evaluations++;
        done = value < 1e-8;
        generation.push({ x, value });
      }
      if (!done) cma.tell(generation.sort((a, b) => a.value - b.value).map(({ x }) => x));
    }
    total += evaluations;
    if (done) reached++;
  }
  return total / reached;
}

/** Evaluation counts within 5 % of the peer, and restarts on a multimodal function. */
export function evaluationGates(report: Report, quick: boolean): void {
  const group = "CMA-ES, evaluations to 1e-8";
  for (const [name, f, counts] of PEER) {
    counts.forEach((count, k) => {
      const n = [10, 20, 40][k]!;
      if (quick && n > 10) return;
      const measured = expectedEvaluations(name, f, n, quick ? 15 : n === 40 ? 11 : 51);
      report.add({ group, name: `${name}, n = ${n}`, measured, must: count * 1.05, atLeast: count * 0.95, peer: `cmaes ${count}` });
    });
  }
  const space = new SearchSpace(Array.from({ length: 10 }, (_, i) => ({ name: `x${i}`, distribution: floatDistribution(-5, 5), condition: null })));
  const runs = quick ? 1 : 3;
  let failures = 0;
  for (let seed = 0; seed < runs; seed++) {
    let best = Infinity;
    try {
      simulate(new CMAESSampler(), (assignment) => {
        const value = rastrigin(Array.from(assignment.values(), Number));
        best = Math.min(best, value);
        if (best < 1e-8) throw new Reached();
        return value;
      }, { space, seed, trials: 1e5 });
    } catch (error) {
      if (!(error instanceof Reached)) throw error;
    }
    if (best >= 1e-8) failures++;
  }
  report.add({ group, name: `rastrigin, n = 10, BIPOP within 1e5: failures of ${runs}`, measured: failures, must: null });
}

class Reached extends Error {}
