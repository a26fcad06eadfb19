import { describe, expect, test } from "vitest";
import { createRandom } from "../../random/random.ts";
import { categoricalDistribution, floatDistribution } from "../../space/distribution.ts";
import { SearchSpace } from "../../space/space.ts";
import { GaussianProcess } from "./process.ts";
import { unitDimensions } from "../history.ts";

const space = new SearchSpace([
  { name: "a", distribution: floatDistribution(0, 1), condition: null },
  { name: "b", distribution: floatDistribution(0, 1), condition: null },
  { name: "c", distribution: categoricalDistribution(["x", "y"]), condition: null },
]);
const f = (x: ArrayLike<number>): number => Math.sin(5 * x[0]!) + (Number.isNaN(x[1]!) ? 0.7 : x[1]! ** 2) + (x[2]! > 0.5 ? 0.3 : 0);

function model(n: number, inputWarping: boolean): { gp: GaussianProcess; y: Float64Array } {
  const random = createRandom(1, n, "points");
  const gp = new GaussianProcess(unitDimensions(space), { inputWarping });
  const y = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const row = Float64Array.of(random.uniform(), i % 4 === 3 ? Number.NaN : random.uniform(), random.integer(2) / 2 + 0.25);
    gp.add(row);
    y[i] = f(row);
  }
  return { gp, y };
}

describe("GaussianProcess", () => {
  test.each([false, true])("gradient of the posterior equals differences, input warping %s", (inputWarping) => {
    const { gp, y } = model(17, inputWarping);
    const theta = gp.theta.map((_, k) => -0.8 + 0.23 * k);
    theta[4] = -4;
    const g = new Float64Array(theta.length), unused = new Float64Array(theta.length);
    gp.negativeLogPosterior(theta, y, g);
    for (let k = 0; k < theta.length; k++) {
      const up = theta.slice(), down = theta.slice();
      up[k] = up[k]! + 1e-5;
      down[k] = down[k]! - 1e-5;
      const slope = (gp.negativeLogPosterior(up, y, unused) - gp.negativeLogPosterior(down, y, unused)) / 2e-5;
      expect(g[k]! - slope).toBeCloseTo(0, 4);
    }
  });

  test("interpolates, and is sure at the data and unsure far away", () => {
    const { gp, y } = model(40, false);
    gp.fit(y);
    const alpha = gp.solve(y);
    const seen = gp.predict(Float64Array.of(0.5, 0.5, 0.25), alpha);
    expect(seen.mean).toBeCloseTo(f([0.5, 0.5, 0.25]), 1);
    expect(gp.predictMean(Float64Array.of(0.5, 0.5, 0.25), alpha)).toBeCloseTo(seen.mean, 12);
  });

  test.each([false, true])("gradients of mean and deviation equal differences, input warping %s", (inputWarping) => {
    const { gp, y } = model(25, inputWarping);
    gp.fit(y, 10);
    const alpha = gp.solve(y);
    const x = Float64Array.of(0.31, 0.62, 0.25);
    const mean = new Float64Array(1), meanSlope = new Float64Array(3), slope = new Float64Array(3);
    const deviation = gp.predictWithGradient(x, [alpha], mean, meanSlope, slope);
    expect(deviation).toBeCloseTo(gp.predict(x, alpha).deviation, 10);
    for (const d of [0, 1]) {
      const up = x.slice(), down = x.slice();
      up[d] = up[d]! + 1e-5;
      down[d] = down[d]! - 1e-5;
      expect(meanSlope[d]).toBeCloseTo((gp.predict(up, alpha).mean - gp.predict(down, alpha).mean) / 2e-5, 4);
      expect(slope[d]).toBeCloseTo((gp.predict(up, alpha).deviation - gp.predict(down, alpha).deviation) / 2e-5, 4);
    }
    expect(slope[2]).toBe(0);
  });

  test("adding rows one by one equals conditioning on all", () => {
    const { gp, y } = model(20, false);
    const x = Float64Array.of(0.2, 0.9, 0.75);
    const before = gp.predict(x, gp.solve(y));
    gp.refresh();
    const after = gp.predict(x, gp.solve(y));
    expect(after.mean).toBeCloseTo(before.mean, 10);
    expect(after.deviation).toBeCloseTo(before.deviation, 10);
  });

  test("a repeated point does not break it", () => {
    const { gp, y } = model(5, false);
    gp.add(Float64Array.of(0.5, 0.5, 0.25));
    gp.add(Float64Array.of(0.5, 0.5, 0.25));
    const alpha = gp.solve(Float64Array.of(...y, 1, 1));
    expect(alpha.every(Number.isFinite)).toBe(true);
  });
});
