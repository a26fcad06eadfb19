// Minimisation of a smooth function inside a box: L-BFGS directions on the free variables, a projected Armijo search
// (Bertsekas 1982 projection, Nocedal 1980 two-loop recursion). Small dimensions, few evaluations.

/** Value at x; writes the gradient into `gradient`. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

export interface MinimiseOptions {
  /** Iterations at most; default 50. */
  readonly iterations?: number;
  /** Stops when no component of the projected gradient exceeds it; default 1e-5. */
  readonly tolerance?: number;
}

const MEMORY = 8;

/** Minimises `objective` from `x` (changed in place) subject to low ≤ x ≤ high; returns the value reached. */
export function minimise(objective: Objective, x: Float64Array, low: Float64Array, high: Float64Array, options: MinimiseOptions = {}): number {
  const n = x.length;
  const iterations = options.iterations ?? 50;
  const tolerance = options.tolerance ?? 1e-5;
  for (let i = 0; i < n; i++) x[i] = Math.min(high[i]!, Math.max(low[i]!, x[i]!));
  let g: Float64Array = new Float64Array(n);
  let f = objective(x, g);
  const S: Float64Array[] = [], Y: Float64Array[] = [], rho: number[] = [];
  const p = new Float64Array(n), trial = new Float64Array(n), alpha = new Float64Array(MEMORY);
  let next: Float64Array = new Float64Array(n);
  for (let iteration = 0; iteration < iterations; iteration++) {
    let largest = 0;
    for (let i = 0; i < n; i++) {
      const bound = (x[i]! <= low[i]! && g[i]! > 0) || (x[i]! >= high[i]! && g[i]! < 0);
      p[i] = bound ? 0 : -g[i]!;
      largest = Math.max(largest, Math.abs(p[i]!));
    }
    if (!(largest > tolerance)) break;
    direction(p, S, Y, rho, alpha);
    let slope = 0;
    for (let i = 0; i < n; i++) {
      if ((x[i]! <= low[i]! && g[i]! > 0) || (x[i]! >= high[i]! && g[i]! < 0)) p[i] = 0;
      slope += p[i]! * g[i]!;
    }
    if (!(slope < 0)) {
      if (S.length === 0) break;
      S.length = Y.length = rho.length = 0;
      continue;
    }
    let step = S.length === 0 ? Math.min(1, 1 / largest) * 0.5 : 1;
    let accepted = false, value = f;
    for (let search = 0; search < 20; search++) {
      let descent = 0;
      for (let i = 0; i < n; i++) {
        trial[i] = Math.min(high[i]!, Math.max(low[i]!, x[i]! + step * p[i]!));
        descent += g[i]! * (trial[i]! - x[i]!);
      }
      value = objective(trial, next);
      if (value <= f + 1e-4 * descent && descent < 0) { accepted = true; break; }
      step *= Number.isFinite(value) ? 0.4 : 0.1;
    }
    if (!accepted) {
      if (S.length === 0) break;
      S.length = Y.length = rho.length = 0;
      continue;
    }
    const s = new Float64Array(n), y = new Float64Array(n);
    let sy = 0, yy = 0;
    for (let i = 0; i < n; i++) {
      s[i] = trial[i]! - x[i]!;
      y[i] = next[i]! - g[i]!;
      sy += s[i]! * y[i]!;
      yy += y[i]! * y[i]!;
      x[i] = trial[i]!;
    }
    [g, next] = [next, g];
    const gain = f - value;
    f = value;
    if (sy > 1e-10 * yy) {
      if (S.length === MEMORY) { S.shift(); Y.shift(); rho.shift(); }
      S.push(s); Y.push(y); rho.push(1 / sy);
    }
    if (gain < 1e-9 * (1 + Math.abs(f))) break;
  }
  return f;
}

/** The two-loop recursion, in place: p ← H·p with the inverse Hessian H of the remembered steps. */
function direction(p: Float64Array, S: readonly Float64Array[], Y: readonly Float64Array[], rho: readonly number[], alpha: Float64Array): void {
  for (let k = S.length - 1; k >= 0; k--) {
    const a = rho[k]! * dot(S[k]!, p);
    alpha[k] = a;
    for (let i = 0; i < p.length; i++) p[i] = p[i]! - a * Y[k]![i]!;
  }
  const last = S.length - 1;
  if (last >= 0) {
    const scale = 1 / (rho[last]! * dot(Y[last]!, Y[last]!));
    for (let i = 0; i < p.length; i++) p[i] = p[i]! * scale;
  }
  for (let k = 0; k < S.length; k++) {
    const b = rho[k]! * dot(Y[k]!, p);
    for (let i = 0; i < p.length; i++) p[i] = p[i]! + (alpha[k]! - b) * S[k]![i]!;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let s = 0;
  for (let i = 0; i < a.length; i++) s += a[i]! * b[i]!;
  return s;
}
