import { expect, test } from "vitest";
import { symmetricEigen } from "./eigen.ts";

test.each([1, 2, 3, 10, 33])("Vᵀ·diag(w)·V restores the matrix and V is orthogonal, n = %i", (n) => {
  const A = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) A[i * n + j] = A[j * n + i] = Math.sin(3 * i + 7 * j) + (i === j ? i : 0);
  const w = new Float64Array(n), V = new Float64Array(n * n);
  symmetricEigen(A, n, w, V);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
    let a = 0, dot = 0;
    for (let k = 0; k < n; k++) {
      a += V[k * n + i]! * w[k]! * V[k * n + j]!;
      dot += V[k * n + i]! * V[k * n + j]!;
    }
    expect(a).toBeCloseTo(A[i * n + j]!, 9);
    expect(dot).toBeCloseTo(i === j ? 1 : 0, 9);
  }
});

test("a diagonal matrix, a zero matrix and a repeated eigenvalue", () => {
  const w = new Float64Array(3), V = new Float64Array(9);
  symmetricEigen(Float64Array.of(2, 0, 0, 0, 2, 0, 0, 0, 5), 3, w, V);
  expect([...w].sort((a, b) => a - b)).toEqual([2, 2, 5]);
  symmetricEigen(new Float64Array(9), 3, w, V);
  expect([...w].map(Math.abs)).toEqual([0, 0, 0]);
});
