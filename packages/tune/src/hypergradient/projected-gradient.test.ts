// The outer optimiser on functions whose constrained minimum is known.
import { expect, test } from "vitest";
import { ProjectedGradient, type Range } from "./projected-gradient.ts";

function minimise(ranges: Range[], start: number[], f: (x: Float64Array) => [number, number[]], evaluations: number): ProjectedGradient {
  const tuner = new ProjectedGradient(ranges, start);
  for (let i = 0; i < evaluations; i++) tuner.tell(...f(tuner.ask()));
  return tuner;
}

test("a quadratic whose minimum lies inside the box, one axis on a log scale", () => {
  // minimum at x = 3, log10 y = −4
  const f = (x: Float64Array): [number, number[]] => {
    const l = Math.log10(x[1]!) + 4;
    return [(x[0]! - 3) ** 2 + 10 * l * l, [2 * (x[0]! - 3), (20 * l) / (x[1]! * Math.LN10)]];
  };
  const tuner = minimise([{ low: -10, high: 10 }, { low: 1e-6, high: 1, log: true }], [-9, 0.5], f, 40);
  expect(tuner.best!.hyper[0]).toBeCloseTo(3, 5);
  expect(Math.log10(tuner.best!.hyper[1]!)).toBeCloseTo(-4, 5);
  expect(tuner.stationarity).toBeLessThan(1e-4);
});

test("a minimum outside the box ends on its face", () => {
  const tuner = minimise([{ low: 0, high: 1 }, { low: 0, high: 1 }], [0.5, 0.5],
    (x) => [(x[0]! - 5) ** 2 + (x[1]! - 0.25) ** 2, [2 * (x[0]! - 5), 2 * (x[1]! - 0.25)]], 30);
  expect(tuner.best!.hyper[0]).toBe(1);
  expect(tuner.best!.hyper[1]).toBeCloseTo(0.25, 5);
});

test("Rosenbrock in a box", () => {
  const tuner = minimise([{ low: -2, high: 2 }, { low: -2, high: 2 }], [-1.2, 1],
    ([x = 0, y = 0]) => [100 * (y - x * x) ** 2 + (1 - x) ** 2, [-400 * x * (y - x * x) - 2 * (1 - x), 200 * (y - x * x)]], 200);
  expect(tuner.best!.value).toBeLessThan(1e-5);
});

test("a step into NaN is shortened", () => {
  const tuner = minimise([{ low: 0, high: 1 }], [0.05],
    ([x = 0]) => (x > 0.5 ? [Number.NaN, [Number.NaN]] : [-x, [-1]]), 60);
  expect(tuner.best!.hyper[0]).toBeGreaterThan(0.4);
});

test("bad input", () => {
  expect(() => new ProjectedGradient([{ low: 0, high: 1, log: true }], [0.5])).toThrow(/low > 0/);
  expect(() => new ProjectedGradient([{ low: 1, high: 0 }], [0.5])).toThrow(/low < high/);
  expect(() => new ProjectedGradient([{ low: 0, high: 1 }], [])).toThrow(/one range per/);
  expect(() => new ProjectedGradient([{ low: 0, high: 1 }], [0.5]).tell(Number.NaN, [0])).toThrow(/start elsewhere/);
  expect(() => new ProjectedGradient([{ low: 0, high: 1 }], [0.5]).tell(1, [])).toThrow(/0 gradient entries/);
});
