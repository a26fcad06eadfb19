import { describe, expect, test } from "vitest";
import { logExpectedImprovement, normalCdf, normalQuantile, truncatedNormal } from "./normal.ts";

describe("standard normal", () => {
  test("distribution function at published values", () => {
    for (const [x, p] of [[0, 0.5], [1, 0.8413447460685429], [-1.96, 0.024997895148220435], [-8, 6.220960574271786e-16], [-15, 3.670966199312751e-51]] as const) {
      expect(Math.abs(normalCdf(x) - p) / p).toBeLessThan(1e-12);
    }
  });

  test("quantile inverts the distribution function into both tails", () => {
    for (const p of [1e-300, 1e-20, 1e-5, 0.02, 0.4, 0.5, 0.7, 0.999]) expect(Math.abs(normalCdf(normalQuantile(p)) / p - 1)).toBeLessThan(1e-11);
    expect(normalQuantile(0)).toBe(-Infinity);
    expect(normalQuantile(1)).toBe(Infinity);
  });

  test("log expected improvement: reference values, continuity where the formula changes, derivative", () => {
    // Quadrature of ∫Φ: log(φ(z) + zΦ(z))
    for (const [z, value] of [[2, 0.6973835457882283], [0, -0.9189385332046727], [-5, -16.744301162660992], [-30, -457.7246537605981]] as const) {
      expect(logExpectedImprovement(z).value).toBeCloseTo(value, 8);
    }
    expect(logExpectedImprovement(-20 + 1e-9).value).toBeCloseTo(logExpectedImprovement(-20 - 1e-9).value, 6);
    for (const z of [3, 0, -4, -19, -21, -100]) {
      const slope = (logExpectedImprovement(z + 1e-5).value - logExpectedImprovement(z - 1e-5).value) / 2e-5;
      expect(logExpectedImprovement(z).derivative / slope).toBeCloseTo(1, 5);
    }
  });

  test("truncated draws stay inside and are monotone in u", () => {
    let last = -Infinity;
    for (let i = 0; i <= 20; i++) {
      const x = truncatedNormal(0.9, 0.3, 0, 1, i / 20);
      expect(x).toBeGreaterThanOrEqual(Math.max(0, last));
      expect(x).toBeLessThanOrEqual(1);
      last = x;
    }
  });
});
