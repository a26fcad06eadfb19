// How much of the hypervolume of known fronts a sampler still misses after 100 evaluations, over several seeds.
import { floatDistribution } from "../../packages/tune/src/space/distribution.ts";
import { SearchSpace } from "../../packages/tune/src/space/space.ts";
import { hypervolume } from "../../packages/tune/src/pareto/hypervolume.ts";
import { GPSampler } from "../../packages/tune/src/samplers/gp/sampler.ts";
import { NSGASampler } from "../../packages/tune/src/samplers/evolution/nsga.ts";
import { optimized } from "../../packages/tune/src/samplers/study.fixture.ts";
import type { Sampler } from "../../packages/tune/src/contract/contract.ts";
import { mean, type Report } from "./report.ts";

interface FrontProblem {
  readonly name: string;
  readonly dimensions: number;
  readonly reference: readonly number[];
  /** Hypervolume of the front itself. */
  readonly attainable: number;
  /** Share missed by a Gaussian process on random scalarisations (ParEGO), five seeds or fewer. */
  readonly scalarised: number;
  values(x: readonly number[]): number[];
}

/** ZDT1 (Zitzler, Deb & Thiele 2000): f₂ = 1 − √f₁ on the front. */
const zdt1: FrontProblem = {
  name: "ZDT1, 6-D", dimensions: 6, reference: [1.1, 1.1], attainable: 1.21 - 1 / 3, scalarised: 0.036,
  values: ([first, ...rest]) => {
    const g = 1 + (9 / rest.length) * rest.reduce((a, b) => a + b, 0);
    return [first!, g * (1 - Math.sqrt(first! / g))];
  },
};

/** DTLZ2 with three objectives (Deb et al. 2002): an eighth of the unit sphere. */
const dtlz2: FrontProblem = {
  name: "DTLZ2, 6-D, 3 objectives", dimensions: 6, reference: [1.1, 1.1, 1.1], attainable: 1.331 - Math.PI / 6, scalarised: 0.345,
  values: ([a, b, ...rest]) => {
    const radius = 1 + rest.reduce((s, v) => s + (v - 0.5) ** 2, 0);
    const [p, q] = [(Math.PI / 2) * a!, (Math.PI / 2) * b!];
    return [radius * Math.cos(p) * Math.cos(q), radius * Math.cos(p) * Math.sin(q), radius * Math.sin(p)];
  },
};

async function missed(problem: FrontProblem, make: () => Sampler, seeds: number): Promise<number> {
  const space = new SearchSpace(Array.from({ length: problem.dimensions }, (_, i) => ({ name: `x${i}`, distribution: floatDistribution(0, 1), condition: null })));
  return mean(await Promise.all(Array.from({ length: seeds }, async (_, seed) => {
    const points: number[][] = [];
    await optimized(make(), (assignment) => {
      const values = problem.values(Array.from(assignment.values(), Number));
      points.push(values);
      return values;
    }, { space, seed, trials: 100, directions: problem.reference.map(() => "minimize" as const) });
    return 1 - hypervolume(points, problem.reference) / problem.attainable;
  })));
}

/** The GP sampler misses less of known fronts than random scalarisation; NSGA-II beside it. */
export async function frontGates(report: Report, quick: boolean): Promise<void> {
  const seeds = quick ? 1 : 5;
  const group = `share of the hypervolume missed at 100 evaluations, mean of ${seeds} seeds`;
  for (const problem of [zdt1, dtlz2]) {
    report.add({ group, name: `${problem.name}, gp`, measured: await missed(problem, () => new GPSampler(), seeds), must: problem.scalarised, peer: "ParEGO" });
    report.add({ group, name: `${problem.name}, nsga`, measured: await missed(problem, () => new NSGASampler({ populationSize: 20 }), seeds), must: null });
  }
}
