import { describe, expect, test } from "vitest";
import { Sobol, SOBOL_DIMENSIONS } from "./sobol.ts";

describe("Sobol", () => {
  test("every dimension puts one point in each of 2^k equal intervals, for every seed", () => {
    for (const seed of [0, 1, 12345]) {
      const sobol = new Sobol(SOBOL_DIMENSIONS, seed);
      const point = new Float64Array(SOBOL_DIMENSIONS);
      const seen = Array.from({ length: SOBOL_DIMENSIONS }, () => new Set<number>());
      for (let i = 0; i < 256; i++) {
        sobol.point(i, point);
        point.forEach((u, d) => seen[d]!.add(Math.floor(u * 256)));
      }
      for (const set of seen) expect(set.size).toBe(256);
    }
  });

  test("the first two dimensions form a (0, 8, 2)-net: one point in each elementary rectangle", () => {
    const sobol = new Sobol(2, 9);
    const point = new Float64Array(2);
    for (let a = 0; a <= 8; a++) {
      const seen = new Set<number>();
      for (let i = 0; i < 256; i++) {
        sobol.point(i, point);
        seen.add(Math.floor(point[0]! * 2 ** a) * 2 ** (8 - a) + Math.floor(point[1]! * 2 ** (8 - a)));
      }
      expect(seen.size).toBe(256);
    }
  });

  test("integrates a smooth function far better than chance, also in high dimensions", () => {
    const d = 20, n = 4096;
    const sobol = new Sobol(d, 3);
    const point = new Float64Array(d);
    let sum = 0;
    for (let i = 0; i < n; i++) {
      sobol.point(i, point);
      sum += point.reduce((product, u, k) => product * (1 + (u - 0.5) / (k + 1)), 1);
    }
    // Random points would be off by about 0.006.
    expect(Math.abs(sum / n - 1)).toBeLessThan(1e-3);
  });

  test("seeds differ, points repeat", () => {
    const a = new Float64Array(3), b = new Float64Array(3), c = new Float64Array(3);
    new Sobol(3, 1).point(5, a);
    new Sobol(3, 2).point(5, b);
    new Sobol(3, 1).point(5, c);
    expect(a).not.toEqual(b);
    expect(a).toEqual(c);
  });
});
