import fc from "fast-check";
import { expect, test } from "vitest";
import { crowdingDistances, frontRanks, nonDominatedRanks, paretoFront, rowDominates } from "./dominance.ts";

const vectors = (m: number): fc.Arbitrary<Float64Array> =>
  fc.array(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: m, maxLength: m }), { minLength: 1, maxLength: 30 }).map((rows) => Float64Array.from(rows.flat()));

test.each([2, 3, 4])("ranks are those of peeling off fronts, %i objectives", (m) => {
  fc.assert(fc.property(vectors(m), (losses) => {
    const n = losses.length / m;
    const left = new Set(Array.from({ length: n }, (_, i) => i));
    const expected = new Int32Array(n);
    for (let rank = 0; left.size > 0; rank++) {
      const front = [...left].filter((i) => ![...left].some((j) => rowDominates(losses, m, j, i)));
      for (const i of front) { expected[i] = rank; left.delete(i); }
    }
    expect(frontRanks(losses, m)).toEqual(expected);
    const points = Array.from({ length: n }, (_, i) => [...losses.subarray(i * m, (i + 1) * m)]);
    expect(nonDominatedRanks(points)).toEqual(expected);
    expect(paretoFront(points)).toEqual([...expected].flatMap((rank, i) => (rank === 0 ? [i] : [])));
  }));
});

test("crowding: ends infinite, the lonelier the larger", () => {
  const losses = Float64Array.of(0, 4, 1, 3, 1.2, 2.8, 4, 0);
  const distance = crowdingDistances(losses, 2, [0, 1, 2, 3]);
  expect(distance[0]).toBe(Infinity);
  expect(distance[3]).toBe(Infinity);
  expect(distance[2]!).toBeGreaterThan(distance[1]!);
});

test("infinite losses are ordered; no points, no front", () => {
  expect(paretoFront([[Infinity, 1], [Infinity, 2], [-Infinity, 3]])).toEqual([0, 2]);
  expect(paretoFront([])).toEqual([]);
  expect(nonDominatedRanks([])).toHaveLength(0);
});
