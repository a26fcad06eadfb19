import { describe, expect, test } from "vitest";
import { hypervolume } from "../../pareto/hypervolume.ts";
import { createRandom } from "../../random/random.ts";
import { floatDistribution } from "../../space/distribution.ts";
import { SearchSpace } from "../../space/space.ts";
import { LogFeasibility } from "./acquisition.ts";
import { GaussianProcess } from "./process.ts";
import { unitDimensions } from "../history.ts";
import { LogExpectedHypervolumeImprovement, type ObjectiveModel } from "./hypervolume-improvement.ts";

const space = new SearchSpace(["a", "b"].map((name) => ({ name, distribution: floatDistribution(0, 1), condition: null })));
const targets = [(x: ArrayLike<number>) => x[0]! ** 2 + x[1]!, (x: ArrayLike<number>) => (x[0]! - 1) ** 2 + x[1]! ** 2, (x: ArrayLike<number>) => Math.sin(3 * x[0]!) - x[1]!, (x: ArrayLike<number>) => (x[1]! - 0.4) ** 2 - x[0]!];

/** m objectives seen at twelve points, with `outcomes` different right-hand sides each. */
function problem(m: number, outcomes: number): { models: ObjectiveModel[]; observed: number[][] } {
  const random = createRandom(1, m, "points");
  const rows = Array.from({ length: 12 }, () => Float64Array.of(random.uniform(), random.uniform()));
  const models = targets.slice(0, m).map((f) => {
    const process = new GaussianProcess(unitDimensions(space), { noisy: true }); // not fitted: unsure enough for draws to gain
    for (const row of rows) process.add(row);
    const y = Float64Array.from(rows, f);
    return { process, alphas: Array.from({ length: outcomes }, (_, o) => process.solve(y.map((v) => v + 0.1 * o))) };
  });
  return { models, observed: rows.map((row) => targets.slice(0, m).map((f) => f(row))) };
}

/** The reference point of the improvement: a tenth of the extent beyond the upper quartile or the front's worst. */
function referenceOf(front: number[][], points: number[][]): number[] {
  return front[0]!.map((_, k) => {
    const column = points.map((p) => p[k]!).sort((a, b) => a - b);
    return Math.max(column[9]!, ...front.map((p) => p[k]!)) + 0.1 * (column[11]! - column[0]!);
  });
}

describe.each([2, 3, 4])("%i objectives", (m) => {
  test("equals the mean gain of many draws", () => {
    const { models, observed } = problem(m, 1);
    const acquisition = new LogExpectedHypervolumeImprovement(models, observed, observed, [[]], new LogFeasibility([]));
    const front = observed.filter((a) => !observed.some((b) => b !== a && b.every((v, k) => v <= a[k]!)));
    const reference = referenceOf(front, observed);
    const before = hypervolume(front, reference);
    const random = createRandom(2, m, "draws");
    for (const x of [Float64Array.of(0.1, 0.05), Float64Array.of(0.52, 0.01)]) {
      const draws = 20000;
      let gain = 0;
      for (let i = 0; i < draws; i++) {
        const y = models.map(({ process, alphas }) => {
          const { mean, deviation } = process.predict(x, alphas[0]!);
          return mean + deviation * random.normal();
        });
        gain += hypervolume([...front, y], reference) - before;
      }
      expect(Math.exp(acquisition.value(x)) / (gain / draws)).toBeCloseTo(1, 1);
    }
  });

  test("gradients equal differences, also with imagined outcomes and far from any gain", () => {
    const { models, observed } = problem(m, 2);
    const imagined = [0, 0.05].map((shift) => [observed[0]!.map((v) => v - 0.1 - shift)]);
    const acquisition = new LogExpectedHypervolumeImprovement(models, observed, observed, imagined, new LogFeasibility([]));
    const g = new Float64Array(2);
    for (const x of [Float64Array.of(0.3, 0.6), Float64Array.of(0.9, 0.95), Float64Array.of(0.15, 0.02)]) {
      expect(acquisition.withGradient(x, g) / acquisition.value(x)).toBeCloseTo(1, 9);
      for (const d of [0, 1]) {
        const up = x.slice(), down = x.slice();
        up[d] = up[d]! + 1e-6;
        down[d] = down[d]! - 1e-6;
        const slope = (acquisition.value(up) - acquisition.value(down)) / 2e-6;
        expect(g[d]! / slope).toBeCloseTo(1, 3);
      }
    }
  });
});
