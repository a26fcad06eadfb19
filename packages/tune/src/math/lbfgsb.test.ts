import { expect, test } from "vitest";
import { minimise, type Objective } from "./lbfgsb.ts";

const rosenbrock: Objective = (x, g) => {
  const [a, b] = [x[0]!, x[1]!];
  g[0] = -2 * (1 - a) - 400 * a * (b - a * a);
  g[1] = 200 * (b - a * a);
  return (1 - a) ** 2 + 100 * (b - a * a) ** 2;
};

test("finds the minimum of Rosenbrock's valley", () => {
  const x = Float64Array.of(-1.2, 1);
  const f = minimise(rosenbrock, x, Float64Array.of(-5, -5), Float64Array.of(5, 5), { iterations: 200, tolerance: 1e-8 });
  expect(f).toBeLessThan(1e-10);
  expect(x[0]).toBeCloseTo(1, 4);
});

test("stops on the boundary when the minimum lies outside", () => {
  const x = Float64Array.of(0, 0);
  minimise(rosenbrock, x, Float64Array.of(-1, -1), Float64Array.of(0.5, 2), { iterations: 200, tolerance: 1e-8 });
  expect(x[0]).toBe(0.5);
  expect(x[1]).toBeCloseTo(0.25, 4);
});

test("a start outside the box is projected into it", () => {
  const x = Float64Array.of(9);
  minimise((v, g) => { g[0] = 2 * v[0]!; return v[0]! ** 2; }, x, Float64Array.of(-1), Float64Array.of(2));
  expect(x[0]).toBeCloseTo(0, 5);
});
