// Eigenvalues and eigenvectors of a symmetric matrix: Householder reduction to tridiagonal form, then implicit QL steps
// (Golub & Van Loan, Matrix Computations, §8.3). Vectors are rows, so that every inner loop walks along memory.

/**
 * Decomposes the symmetric row-major matrix A (n×n) as Vᵀ·diag(w)·V.
 * `vectors` receives V row-major, its row j belonging to `values[j]`; the order of the values is not defined.
 */
export function symmetricEigen(A: Float64Array, n: number, values: Float64Array, vectors: Float64Array): void {
  const V = vectors;
  V.set(A.subarray(0, n * n));
  const off = new Float64Array(n);
  tridiagonalise(V, n, values, off);
  implicitQL(V, n, values, off);
}

/** Householder reduction by the lower triangle: V becomes the orthogonal Qᵀ with QᵀAQ tridiagonal (`diagonal`, `off[1..n)`). */
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
    const reflected = scale * g;
    h -= f * g;
    V[row + i - 1] = f - g; // u stays in row i for the accumulation below
    // p = A·u in off[0..i), each element of the triangle serving both its places.
    off.fill(0, 0, i);
    for (let j = 0; j < i; j++) {
      const at = j * n, u = V[row + j]!;
      let s = V[at + j]! * u;
      for (let k = 0; k < j; k++) {
        const a = V[at + k]!;
        s += a * V[row + k]!;
        off[k] = off[k]! + a * u;
      }
      off[j] = off[j]! + s;
    }
    let up = 0;
    for (let j = 0; j < i; j++) up += (off[j] = off[j]! / h) * V[row + j]!;
    const half = up / (h + h);
    for (let j = 0; j < i; j++) {
      const at = j * n, u = V[row + j]!;
      const q = off[j]! - half * u;
      off[j] = q;
      for (let k = 0; k <= j; k++) V[at + k] = V[at + k]! - (u * off[k]! + q * V[row + k]!);
    }
    off[i] = reflected;
    diagonal[i] = h;
  }
  diagonal[0] = 0;
  off[0] = 0;
  for (let i = 0; i < n; i++) {
    const row = i * n, h = diagonal[i]!;
    if (h !== 0) {
      for (let j = 0; j < i; j++) {
        const at = j * n;
        let s = 0;
        for (let k = 0; k < i; k++) s += V[row + k]! * V[at + k]!;
        s /= h;
        for (let k = 0; k < i; k++) V[at + k] = V[at + k]! - s * V[row + k]!;
      }
    }
    diagonal[i] = V[row + i]!;
    V[row + i] = 1;
    for (let j = 0; j < i; j++) {
      V[row + j] = 0;
      V[j * n + i] = 0;
    }
  }
}

/** QL with implicit Wilkinson shifts on the tridiagonal matrix, rotating the rows of V along. */
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
        for (let k = i * n, end = k + n; k < end; k++) {
          const v0 = V[k]!, v1 = V[k + n]!;
          V[k + n] = s * v0 + c * v1;
          V[k] = c * v0 - s * v1;
        }
      }
      if (r === 0 && i >= l) continue;
      diagonal[l] = diagonal[l]! - p;
      off[l] = g;
      off[m] = 0;
    }
  }
}
