import fc from "fast-check";
import { expect, test } from "vitest";
import { crowdingDistances, dominates, frontRanks, hypervolume, nondominatedPrefix } from "./pareto.ts";
import { referenceDirections } from "./nsga.ts";

const vectors = (m: number): fc.Arbitrary<Float64Array> =>
  fc.array(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: m, maxLength: m }), { minLength: 1, maxLength: 30 }).map((rows) => Float64Array.from(rows.flat()));

test.each([2, 3, 4])("ranks are those of peeling off fronts, %i objectives", (m) => {
  fc.assert(fc.property(vectors(m), (losses) => {
    const n = losses.length / m;
    const left = new Set(Array.from({ length: n }, (_, i) => i));
    const expected = new Int32Array(n);
    for (let rank = 0; left.size > 0; rank++) {
      const front = [...left].filter((i) => ![...left].some((j) => dominates(losses, m, j, i)));
      for (const i of front) { expected[i] = rank; left.delete(i); }
    }
    expect(frontRanks(losses, m)).toEqual(expected);
  }));
});

test("crowding: ends infinite, the lonelier the larger", () => {
  const losses = Float64Array.of(0, 4, 1, 3, 1.2, 2.8, 4, 0);
  const distance = crowdingDistances(losses, 2, [0, 1, 2, 3]);
  expect(distance[0]).toBe(Infinity);
  expect(distance[3]).toBe(Infinity);
  expect(distance[2]!).toBeGreaterThan(distance[1]!);
});

test("hypervolume of boxes, in two and three dimensions", () => {
  expect(hypervolume([Float64Array.of(1, 2), Float64Array.of(2, 1)], Float64Array.of(3, 3))).toBe(3);
  expect(hypervolume([Float64Array.of(0, 0, 0)], Float64Array.of(2, 3, 4))).toBe(24);
  expect(hypervolume([Float64Array.of(0, 1, 1), Float64Array.of(1, 0, 1), Float64Array.of(1, 1, 0)], Float64Array.of(2, 2, 2))).toBe(4);
  expect(hypervolume([Float64Array.of(5, 5)], Float64Array.of(3, 3))).toBe(0);
});

test("the best n take whole fronts first and spread over the last", () => {
  const losses = Float64Array.of(0, 10, 5, 5, 5.1, 4.95, 10, 0, 11, 11);
  expect(nondominatedPrefix(losses, 2, 4)).toEqual([0, 1, 2, 3]);
  expect(nondominatedPrefix(losses, 2, 1)).toHaveLength(1);
  expect(nondominatedPrefix(losses, 2, 2).some((i) => i === 1 || i === 2)).toBe(true);
});

test("reference directions lie on the simplex", () => {
  const directions = referenceDirections(3, 50);
  expect(directions.length).toBe(45);
  for (const direction of directions) expect(direction.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
});
