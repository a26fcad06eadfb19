import { describe, expect, test } from "vitest";
import { Cholesky } from "./cholesky.ts";

/** A well-conditioned random symmetric positive definite matrix. */
function spd(n: number): Float64Array {
  let state = 7;
  const random = (): number => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
  const B = Float64Array.from({ length: n * n }, random);
  const A = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
    let s = i === j ? 0.5 : 0;
    for (let k = 0; k < n; k++) s += B[i * n + k]! * B[j * n + k]!;
    A[i * n + j] = s;
  }
  return A;
}

function factor(A: Float64Array, n: number): Cholesky {
  const L = new Cholesky(1);
  for (let i = 0; i < n; i++) expect(L.append(A.subarray(i * n, i * n + i), A[i * n + i]!)).toBe(true);
  return L;
}

describe("Cholesky", () => {
  test.each([1, 2, 5, 13, 37])("solves and inverts at n = %i", (n) => {
    const A = spd(n);
    const L = factor(A, n);
    const x = Float64Array.from({ length: n }, (_, i) => Math.sin(i + 1));
    const b = new Float64Array(n);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) b[i] = b[i]! + A[i * n + j]! * x[j]!;
    const inverse = L.inverse();
    for (let i = 0; i < n; i++) {
      let s = 0;
      for (let j = 0; j < n; j++) s += inverse[i * n + j]! * b[j]!;
      expect(s).toBeCloseTo(x[i]!, 9);
    }
    L.forward(b);
    L.backward(b);
    for (let i = 0; i < n; i++) expect(b[i]).toBeCloseTo(x[i]!, 9);
  });

  test("log determinant of a known matrix", () => {
    expect(factor(Float64Array.of(4, 2, 2, 3), 2).logDeterminant()).toBeCloseTo(Math.log(8), 12);
  });

  test("a row that breaks positive definiteness is refused and changes nothing", () => {
    const L = factor(Float64Array.of(1), 1);
    expect(L.append(Float64Array.of(1), 1)).toBe(false);
    expect(L.size).toBe(1);
    expect(L.append(Float64Array.of(0.5), 1)).toBe(true);
  });
});
