// Hypervolumes of fronts worked out by hand, against inclusion–exclusion, and of spheres.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hypervolume, hypervolumeContributions, nondominatedPrefix } from "./hypervolume.ts";
import { hypervolumeHistory } from "../analysis/hypervolume-history.ts";
import { studyOf, trialOf } from "../analysis/study.fixture.ts";

/** Volume of the union of boxes by inclusion and exclusion. */
function unionVolume(points: readonly (readonly number[])[], reference: readonly number[]): number {
  let sum = 0;
  for (let set = 1; set < 1 << points.length; set++) {
    const corner = reference.map((_, d) => Math.max(...points.filter((_, i) => (set >> i) & 1).map((point) => point[d]!)));
    const box = corner.reduce((product, value, d) => product * Math.max(0, reference[d]! - value), 1);
    sum += set.toString(2).replaceAll("0", "").length % 2 === 1 ? box : -box;
  }
  return sum;
}

describe("by hand", () => {
  test.each<[string, number[][], number[], number]>([
    ["one point", [[1, 1]], [3, 4], 6],
    ["a staircase", [[1, 3], [2, 2], [3, 1]], [4, 4], 6],
    ["dominated and equal points", [[1, 3], [2, 2], [2, 2], [3, 3], [3, 1]], [4, 4], 6],
    ["points on and beyond the reference", [[4, 0], [5, 5], [1, 1]], [4, 4], 9],
    ["no points", [], [1, 1], 0],
    ["one objective", [[3], [2]], [10], 8],
    ["3 objectives", [[1, 2, 3], [3, 2, 1], [2, 1, 2]], [4, 4, 4], 24 - 10 + 2],
    ["4 objectives, two boxes", [[0, 0, 0, 1], [1, 1, 1, 0]], [2, 2, 2, 2], 8 + 2 - 1],
  ])("%s", (_name, points, reference, expected) => {
    expect(hypervolume(points, reference)).toBeCloseTo(expected, 12);
  });

  test("a DTLZ2-like sphere: the volume outside the unit ball tends to 1 − π/6", () => {
    const points: number[][] = [];
    const n = 60;
    for (let i = 0; i <= n; i++)
      for (let j = 0; j <= n; j++) {
        const [a, b] = [(i / n) * (Math.PI / 2), (j / n) * (Math.PI / 2)];
        points.push([Math.cos(a) * Math.cos(b), Math.cos(a) * Math.sin(b), Math.sin(a)]);
      }
    const volume = hypervolume(points, [1, 1, 1]);
    expect(volume).toBeLessThan(1 - Math.PI / 6);
    expect(volume).toBeGreaterThan(1 - Math.PI / 6 - 0.03);
  });
});

test.each([2, 3, 4, 5])("%i objectives agree with inclusion and exclusion, ties included", (objectives) => {
  const point = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: objectives, maxLength: objectives });
  fc.assert(fc.property(fc.array(point, { maxLength: 8 }), (points) => {
    const reference = Array.from({ length: objectives }, () => 5);
    expect(hypervolume(points, reference)).toBeCloseTo(unionVolume(points, reference), 8);
  }), { numRuns: 150 });
});

test("3-D sweep and WFG agree on 300 points", () => {
  const points = Array.from({ length: 300 }, (_, i) => [(i * 0.618034) % 1, (i * 0.754878) % 1, (i * 0.569840) % 1]);
  const lifted = points.map((point) => [...point, 0]);
  expect(hypervolume(lifted, [1, 1, 1, 1])).toBeCloseTo(hypervolume(points, [1, 1, 1]), 10);
});

test("contributions are what removal costs", () => {
  expect([...hypervolumeContributions([[1, 3], [2, 2], [3, 1], [3, 3]], [4, 4])]).toEqual([1, 1, 1, 0]);
});

test("unusable points are refused", () => {
  expect(() => hypervolume([[1, Number.NaN]], [2, 2])).toThrow(/Point 0 holds NaN/);
  expect(() => hypervolume([[1]], [2, 2])).toThrow(/1 values, the reference point 2/);
  expect(() => hypervolume([[1, 1]], [2, Number.POSITIVE_INFINITY])).toThrow(/reference point holds Infinity/);
  expect(hypervolume([[Number.NEGATIVE_INFINITY, 1]], [2, 2])).toBe(Number.POSITIVE_INFINITY);
});

test("the history of a study's hypervolume minds directions and feasibility", () => {
  const trials = [[1, 1], [2, 3], [3, 2], [1, 9], [0, 5]].map((values, i) => trialOf(i, { values, constraints: { c: i === 3 ? 1 : 0 } }));
  // minimise f0, maximise f1, reference (4, 0): boxes 3×1, then 2×3, 1×2 (dominated), infeasible, 4×5
  const study = studyOf(trials, ["minimize", "maximize"]);
  expect([...hypervolumeHistory(study, [4, 0])]).toEqual([3, 7, 7, 7, 20]);
  expect(() => hypervolumeHistory(study, [4])).toThrow(/1 values; study "fixture" has 2/);
});

test("the best n take whole fronts first and spread over the last", () => {
  const losses = Float64Array.of(0, 10, 5, 5, 5.1, 4.95, 10, 0, 11, 11);
  expect(nondominatedPrefix(losses, 2, 4)).toEqual([0, 1, 2, 3]);
  expect(nondominatedPrefix(losses, 2, 1)).toHaveLength(1);
  expect(nondominatedPrefix(losses, 2, 2).some((i) => i === 1 || i === 2)).toBe(true);
});
