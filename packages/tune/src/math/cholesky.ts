// Cholesky factors held in packed rows (row i starts at i(i+1)/2), so that a factor grows by one row without moving:
// a Gaussian process gains an observation in O(n²).

/** A growable lower-triangular factor L of a symmetric positive definite matrix A = L·Lᵀ. */
export class Cholesky {
  size = 0;
  rows: Float64Array;

  constructor(capacity = 64) {
    this.rows = new Float64Array(capacity * (capacity + 1) / 2);
  }

  /** Empties the factor, keeping its memory. */
  clear(): void {
    this.size = 0;
  }

  /**
   * Appends one row of A: `row[0..size)` holds the covariances with the earlier ones and `diagonal` the variance.
   * Returns false, changing nothing, when A would not be positive definite.
   */
  append(row: Float64Array, diagonal: number): boolean {
    const n = this.size;
    const start = n * (n + 1) / 2;
    if (start + n + 1 > this.rows.length) {
      const grown = new Float64Array((start + n + 1) * 2);
      grown.set(this.rows);
      this.rows = grown;
    }
    const L = this.rows;
    let squares = 0;
    for (let j = 0, at = 0; j < n; j++) {
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, k = 0;
      for (; k + 3 < j; k += 4) {
        s0 += L[at + k]! * L[start + k]!;
        s1 += L[at + k + 1]! * L[start + k + 1]!;
        s2 += L[at + k + 2]! * L[start + k + 2]!;
        s3 += L[at + k + 3]! * L[start + k + 3]!;
      }
      for (; k < j; k++) s0 += L[at + k]! * L[start + k]!;
      const v = (row[j]! - (s0 + s1) - (s2 + s3)) / L[at + j]!;
      L[start + j] = v;
      squares += v * v;
      at += j + 1;
    }
    const pivot = diagonal - squares;
    if (!(pivot > 1e-14 * diagonal)) return false;
    L[start + n] = Math.sqrt(pivot);
    this.size = n + 1;
    return true;
  }

  /** Solves L·x = b in place. */
  forward(b: Float64Array): void {
    const L = this.rows;
    for (let i = 0, at = 0; i < this.size; i++) {
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, k = 0;
      for (; k + 3 < i; k += 4) {
        s0 += L[at + k]! * b[k]!;
        s1 += L[at + k + 1]! * b[k + 1]!;
        s2 += L[at + k + 2]! * b[k + 2]!;
        s3 += L[at + k + 3]! * b[k + 3]!;
      }
      for (; k < i; k++) s0 += L[at + k]! * b[k]!;
      b[i] = (b[i]! - (s0 + s1) - (s2 + s3)) / L[at + i]!;
      at += i + 1;
    }
  }

  /** Solves Lᵀ·x = b in place. */
  backward(b: Float64Array): void {
    const L = this.rows;
    for (let i = this.size - 1; i >= 0; i--) {
      const at = i * (i + 1) / 2;
      const x = b[i]! / L[at + i]!;
      b[i] = x;
      for (let k = 0; k < i; k++) b[k] = b[k]! - L[at + k]! * x;
    }
  }

  /** log |A|. */
  logDeterminant(): number {
    let sum = 0;
    for (let i = 0; i < this.size; i++) sum += Math.log(this.rows[i * (i + 1) / 2 + i]!);
    return 2 * sum;
  }

  /** A⁻¹ as a full row-major matrix of size², from M = L⁻¹ by A⁻¹ = Mᵀ·M. */
  inverse(): Float64Array {
    const n = this.size, L = this.rows;
    const M = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      const at = i * (i + 1) / 2;
      const out = i * n;
      for (let k = 0; k < i; k++) {
        const l = L[at + k]!;
        if (l === 0) continue;
        const from = k * n;
        for (let j = 0; j <= k; j++) M[out + j] = M[out + j]! - l * M[from + j]!;
      }
      const d = 1 / L[at + i]!;
      for (let j = 0; j < i; j++) M[out + j] = M[out + j]! * d;
      M[out + i] = d;
    }
    const inverse = new Float64Array(n * n);
    for (let k = 0; k < n; k++) {
      const from = k * n;
      for (let i = 0; i <= k; i++) {
        const m = M[from + i]!;
        const out = i * n;
        for (let j = 0; j <= i; j++) inverse[out + j] = inverse[out + j]! + m * M[from + j]!;
      }
    }
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) inverse[j * n + i] = inverse[i * n + j]!;
    return inverse;
  }
}
