import { describe, expect, test } from "vitest";
import { createRandom } from "../../random/random.ts";
import { categoricalDistribution, floatDistribution, intDistribution } from "../../space/distribution.ts";
import { SearchSpace } from "../../space/space.ts";
import { cellCentre, cellOf, unitDimensions, type UnitDimension } from "../history.ts";
import { normalCdf } from "../../math/normal.ts";
import { ParzenEstimator } from "./parzen.ts";

const space = new SearchSpace([
  { name: "a", distribution: floatDistribution(0, 1), condition: null },
  { name: "b", distribution: floatDistribution(0, 1), condition: null },
  { name: "n", distribution: intDistribution(1, 7), condition: null },
  { name: "c", distribution: categoricalDistribution(["x", "y", "z"]), condition: null },
]);
const dimensions = unitDimensions(space);
const width = dimensions.length;

function randomRows(n: number): { unit: Float64Array } {
  const random = createRandom(5, n, "rows");
  return { unit: Float64Array.from({ length: n * width }, (_, i) => snap(dimensions[i % width]!, random.uniform())) };
}

function snap(dimension: UnitDimension, u: number): number {
  return dimension.kind === "continuous" ? u : cellCentre(dimension, cellOf(dimension, u));
}

/** The density by its definition, every kernel computed afresh. */
function reference(unit: Float64Array, members: readonly number[], x: Float64Array, sharp: boolean): number {
  const n = members.length;
  const weights = members.map((_, i) => (n < 25 || i >= n - 25 ? 1 : n === 26 ? 1 / n : 1 / n + (1 - 1 / n) * (i / (n - 26))));
  const kernels = members.map((row, i) => {
    let product = weights[i]!;
    for (let d = 0; d < width; d++) product *= kernel(unit, members, row, d, x[d]!, sharp);
    return product;
  });
  let prior = 1;
  for (let d = 0; d < width; d++) prior *= mass(dimensions[d]!, x[d]!, 0.5, 1);
  return Math.log((kernels.reduce((a, b) => a + b, 0) + prior) / (weights.reduce((a, b) => a + b, 0) + 1));
}

function kernel(unit: Float64Array, members: readonly number[], row: number, d: number, x: number, sharp: boolean): number {
  const dimension = dimensions[d]!, n = members.length;
  const m = unit[row * width + d]!;
  if (dimension.kind === "categorical") return ((cellOf(dimension, m) === cellOf(dimension, x) ? 1 : 0) + 1 / (n + 1)) / (1 + dimension.levels / (n + 1));
  const sorted = [...members].sort((p, q) => unit[p * width + d]! - unit[q * width + d]! || p - q);
  const at = sorted.indexOf(row);
  const value = (k: number): number => unit[sorted[k]! * width + d]!;
  const gap = n === 1 ? Math.max(m, 1 - m) : Math.max(at > 0 ? m - value(at - 1) : 0, at < n - 1 ? value(at + 1) - m : 0);
  const clip = sharp && dimension.kind === "continuous" ? Math.max(0.02, (n + 2) ** -1.35) : Math.max(1 / Math.min(100, n + 2), sharp || dimension.kind === "continuous" ? 0 : 0.5 / dimension.levels);
  return mass(dimension, x, m, Math.min(1, Math.max(gap, clip)));
}

function mass(dimension: UnitDimension, x: number, m: number, s: number): number {
  if (dimension.kind === "categorical") return 1 / dimension.levels;
  const inside = normalCdf((1 - m) / s) - normalCdf(-m / s);
  if (dimension.kind === "continuous") return Math.exp(-0.5 * ((x - m) / s) ** 2) / (s * Math.sqrt(2 * Math.PI) * inside);
  const cell = cellOf(dimension, x), edges = dimension.edges!;
  return (normalCdf((edges[cell + 1]! - m) / s) - normalCdf((edges[cell]! - m) / s)) / inside;
}

describe("ParzenEstimator", () => {
  test.each([0, 1, 2, 9, 30, 98, 101, 160].flatMap((n) => [[n, false], [n, true]] as const))("equals its definition with %i kernels, sharp %s, rows coming and going", (n, sharp) => {
    const rows = randomRows(n + 40);
    const estimator = new ParzenEstimator(rows, dimensions, { weights: "fading", sharp });
    for (let row = 0; row < n + 40; row++) estimator.add(row);
    const random = createRandom(1, n, "remove");
    const members = Array.from({ length: n + 40 }, (_, i) => i);
    const probe = new Float64Array(width);
    for (let k = 0; k < 40; k++) {
      const [row] = members.splice(random.integer(members.length), 1);
      estimator.remove(row!);
      if (k % 7 === 0) estimator.logDensity(probe.fill(0.5)); // also when bandwidths are current
    }
    for (let k = 0; k < 10; k++) {
      for (let d = 0; d < width; d++) probe[d] = snap(dimensions[d]!, random.uniform());

      expect(estimator.logDensity(probe)).toBeCloseTo(reference(rows.unit, members, probe, sharp), 8);
    }
  });

  test("ranked kernels weigh log(m + ½) − log r, whatever the order of rows", () => {
    const unit = Float64Array.of(0.2, 0.5, 0.5, 0.5, 0.8, 0.5, 0.5, 0.5, 0.4, 0.5, 0.5, 0.5);
    const estimator = new ParzenEstimator({ unit }, dimensions, { weights: "ranked", sharp: false });
    for (let row = 0; row < 3; row++) estimator.add(row);
    const best = [1, 2, 0];
    estimator.rank(best);
    const weights = [1, 2, 3].map((r) => Math.log(3.5) - Math.log(r));
    const scale = 3 / weights.reduce((a, b) => a + b, 0);
    const density = (x: number): number => {
      const probe = Float64Array.of(x, Number.NaN, Number.NaN, Number.NaN);
      const kernels = best.map((row, r) => weights[r]! * scale * kernel(unit, [0, 1, 2], row, 0, x, false));
      expect(estimator.logDensity(probe)).toBeCloseTo(Math.log((kernels.reduce((a, b) => a + b, 0) + mass(dimensions[0]!, x, 0.5, 1)) / 4), 10);
      return estimator.logDensity(probe);
    };
    expect(density(0.8)).toBeGreaterThan(density(0.2));
  });

  test("draws follow the density", () => {
    const rows = { unit: Float64Array.of(0.2, 0.9, 0.5, 0.5) };
    const estimator = new ParzenEstimator(rows, dimensions, { weights: "fading", sharp: false });
    estimator.add(0);
    const random = createRandom(3, 0, "draws");
    const x = new Float64Array(width);
    let left = 0;
    const n = 20000;
    for (let i = 0; i < n; i++) {
      estimator.sample(random, x, () => true);
      if (x[0]! < 0.25) left++;
    }
    // Half from N(0.2, 0.8²) and half from N(0.5, 1), both truncated to [0, 1].
    const inside = (m: number, s: number, b: number): number => (normalCdf((b - m) / s) - normalCdf(-m / s)) / (normalCdf((1 - m) / s) - normalCdf(-m / s));
    expect(left / n).toBeCloseTo(0.5 * inside(0.2, 0.8, 0.25) + 0.5 * inside(0.5, 1, 0.25), 1.7);
  });
});
