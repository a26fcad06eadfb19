// Eigenvalues and eigenvectors of a symmetric matrix: Householder reduction to tridiagonal form, then implicit QL steps
// (Golub & Van Loan, Matrix Computations, §8.3). Small matrices, so clarity over blocking.

/**
 * Decomposes the symmetric row-major matrix A (n×n) as V·diag(w)·Vᵀ.
 * `vectors` receives V row-major, its column j belonging to `values[j]`; the order of the values is not defined.
 */
export function symmetricEigen(A: Float64Array, n: number, values: Float64Array, vectors: Float64Array): void {
  const V = vectors;
  V.set(A.subarray(0, n * n));
  const off = new Float64Array(n);
  tridiagonalise(V, n, values, off);
  implicitQL(V, n, values, off);
}

/** Householder reduction: V becomes the orthogonal Q with QᵀAQ tridiagonal (`diagonal`, `off[1..n)`). */
function tridiagonalise(V: Float64Array, n: number, diagonal: Float64Array, off: Float64Array): void {
  for (let i = n - 1; i > 0; i--) {
    const row = i * n;
    let h = 0, scale = 0;
    for (let k = 0; k < i; k++) scale += Math.abs(V[row + k]!);
    if (i === 1 || scale === 0) {
      off[i] = V[row + i - 1]!;
      diagonal[i] = 0;
      continue;
    }
    for (let k = 0; k < i; k++) {
      const v = V[row + k]! / scale;
      V[row + k] = v;
      h += v * v;
    }
    const f = V[row + i - 1]!;
    const g = f > 0 ? -Math.sqrt(h) : Math.sqrt(h);
    off[i] = scale * g;
    h -= f * g;
    V[row + i - 1] = f - g;
    // p = A·u / h is kept in off[0..i); u stays in row i, u/h in column i for the accumulation below.
    let up = 0;
    for (let j = 0; j < i; j++) {
      V[j * n + i] = V[row + j]! / h;
      let s = 0;
      for (let k = 0; k <= j; k++) s += V[j * n + k]! * V[row + k]!;
      for (let k = j + 1; k < i; k++) s += V[k * n + j]! * V[row + k]!;
      off[j] = s / h;
      up += off[j]! * V[row + j]!;
    }
    const half = up / (h + h);
    for (let j = 0; j < i; j++) {
      const u = V[row + j]!;
      const q = off[j]! - half * u;
      off[j] = q;
      for (let k = 0; k <= j; k++) V[j * n + k] = V[j * n + k]! - (u * off[k]! + q * V[row + k]!);
    }
    diagonal[i] = h;
  }
  diagonal[0] = 0;
  off[0] = 0;
  for (let i = 0; i < n; i++) {
    if (diagonal[i] !== 0) {
      for (let j = 0; j < i; j++) {
        let s = 0;
        for (let k = 0; k < i; k++) s += V[i * n + k]! * V[k * n + j]!;
        for (let k = 0; k < i; k++) V[k * n + j] = V[k * n + j]! - s * V[k * n + i]!;
      }
    }
    diagonal[i] = V[i * n + i]!;
    V[i * n + i] = 1;
    for (let j = 0; j < i; j++) {
      V[j * n + i] = 0;
      V[i * n + j] = 0;
    }
  }
}

/** QL with implicit Wilkinson shifts on the tridiagonal matrix, rotating V along. */
function implicitQL(V: Float64Array, n: number, diagonal: Float64Array, off: Float64Array): void {
  for (let i = 1; i < n; i++) off[i - 1] = off[i]!;
  off[n - 1] = 0;
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; sweep < 60; sweep++) {
      let m = l;
      while (m < n - 1 && Math.abs(off[m]!) > Number.EPSILON * (Math.abs(diagonal[m]!) + Math.abs(diagonal[m + 1]!))) m++;
      if (m === l) break;
      let g = (diagonal[l + 1]! - diagonal[l]!) / (2 * off[l]!);
      let r = Math.hypot(g, 1);
      g = diagonal[m]! - diagonal[l]! + off[l]! / (g + (g < 0 ? -r : r));
      let s = 1, c = 1, p = 0, i = m - 1;
      for (; i >= l; i--) {
        const f = s * off[i]!;
        const b = c * off[i]!;
        r = Math.sqrt(f * f + g * g);
        off[i + 1] = r;
        if (r === 0) {
          diagonal[i + 1] = diagonal[i + 1]! - p;
          off[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = diagonal[i + 1]! - p;
        r = (diagonal[i]! - g) * s + 2 * c * b;
        p = s * r;
        diagonal[i + 1] = g + p;
        g = c * r - b;
        for (let k = 0, at = i; k < n; k++, at += n) {
          const f1 = V[at + 1]!;
          const f0 = V[at]!;
          V[at + 1] = s * f0 + c * f1;
          V[at] = c * f0 - s * f1;
        }
      }
      if (r === 0 && i >= l) continue;
      diagonal[l] = diagonal[l]! - p;
      off[l] = g;
      off[m] = 0;
    }
  }
}
