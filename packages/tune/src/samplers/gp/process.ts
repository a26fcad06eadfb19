// A Gaussian process on the unit cube: Matérn-5/2 with one length scale per coordinate, categories by mismatch, absent
// coordinates set apart; hyper-parameters by maximum a posteriori with analytic gradients; one row at a time.
import { Cholesky } from "../../math/cholesky.ts";
import type { UnitDimension } from "../history.ts";
import { minimise } from "../../math/lbfgsb.ts";

/** θ = log ℓ_1 … log ℓ_D, log s², log σ²_noise, and with input warping log a_1 … log a_D, log b_1 … log b_D. */
export type Hyperparameters = Float64Array;

export interface GaussianProcessOptions {
  /** Kumaraswamy warping x ↦ 1 − (1 − xᵃ)ᵇ of numeric coordinates, learned (Snoek et al. 2014; Cowen-Rivers et al. 2022); default false. */
  readonly inputWarping?: boolean;
  /** Whether observations are noisy; otherwise noise is expected to be tiny. Default false. */
  readonly noisy?: boolean;
}

interface Derivatives { readonly a?: Float64Array; readonly b?: Float64Array; readonly x?: Float64Array }

const SQRT5 = Math.sqrt(5);
/** Prior variances of log length scales: of their common level, and of each about it. */
const COMMON = 0.8, OWN = 0.2;
const LOW_NOISE = Math.log(1e-8), HIGH_NOISE = Math.log(0.5);

export class GaussianProcess {
  readonly dimensions: readonly UnitDimension[];
  readonly width: number;
  theta: Hyperparameters;
  size = 0;
  private readonly options: GaussianProcessOptions;
  private rows: Float64Array;
  /** `rows` after input warping, absent ones filled in. */
  private inputs: Float64Array;
  private absent: Uint8Array;
  private readonly cholesky = new Cholesky();
  /** 1 / ℓ² per coordinate. */
  private readonly precision: Float64Array;
  private scale = 1;
  private noise = 1e-6;
  private scratch: Float64Array = new Float64Array(64);
  private slopes: Float64Array = new Float64Array(64);
  private readonly query: Float64Array;
  private readonly queryAbsent: Uint8Array;
  private readonly querySlope: Float64Array;

  constructor(dimensions: readonly UnitDimension[], options: GaussianProcessOptions = {}) {
    this.dimensions = dimensions;
    this.width = dimensions.length;
    this.options = options;
    this.rows = new Float64Array(64 * this.width);
    this.inputs = new Float64Array(64 * this.width);
    this.absent = new Uint8Array(64 * this.width);
    this.precision = new Float64Array(this.width);
    this.query = new Float64Array(this.width);
    this.queryAbsent = new Uint8Array(this.width);
    this.querySlope = new Float64Array(this.width);
    this.theta = new Float64Array(this.width + 2 + (options.inputWarping === true ? 2 * this.width : 0));
    this.theta[this.width + 1] = this.noisePrior().mean;
    this.unpack();
  }

  /** Forgets all observations, keeping the hyper-parameters. */
  clear(): void {
    this.size = 0;
    this.cholesky.clear();
  }

  /** Forgets the last observations down to `size`. */
  truncate(size: number): void {
    this.size = size;
    this.cholesky.size = size;
  }

  /** Adds a point in O(n²), as the last row of the kernel matrix. */
  add(row: Float64Array): void {
    const n = this.size, D = this.width;
    if ((n + 1) * D > this.rows.length) {
      const rows = new Float64Array(this.rows.length * 2), inputs = new Float64Array(this.rows.length * 2), absent = new Uint8Array(this.rows.length * 2);
      rows.set(this.rows);
      inputs.set(this.inputs);
      absent.set(this.absent);
      this.rows = rows;
      this.inputs = inputs;
      this.absent = absent;
    }
    if (n >= this.scratch.length) {
      this.scratch = new Float64Array(2 * n);
      this.slopes = new Float64Array(2 * n);
    }
    this.rows.set(row, n * D);
    this.warp(row, this.inputs, this.absent, n * D);
    this.size++;
    this.append(n);
  }

  /** Conditions on all rows anew, e.g. after `theta` was set. */
  refresh(): void {
    this.unpack();
    for (let i = 0; i < this.size; i++) this.warp(this.rows.subarray(i * this.width, (i + 1) * this.width), this.inputs, this.absent, i * this.width);
    this.cholesky.clear();
    for (let i = 0; i < this.size; i++) this.append(i);
  }

  /** K⁻¹·y. */
  solve(y: Float64Array): Float64Array {
    const alpha = y.slice(0, this.size);
    this.cholesky.forward(alpha);
    this.cholesky.backward(alpha);
    return alpha;
  }

  /**
   * Moves `theta` to a maximum of the posterior given y (zero mean, about unit variance) and conditions on it.
   * Returns the negative log posterior density reached, up to constants that do not depend on θ.
   */
  fit(y: Float64Array, iterations = 30): number {
    const D = this.width;
    const low = this.theta.map((_, k) => (k < D ? Math.log(5e-3) : k === D ? Math.log(1e-3) : k === D + 1 ? LOW_NOISE : Math.log(0.2)));
    const high = this.theta.map((_, k) => (k < D ? Math.log(200) : k === D ? Math.log(1e3) : k === D + 1 ? HIGH_NOISE : Math.log(5)));
    const theta = this.theta.slice();
    const value = minimise((t, g) => this.negativeLogPosterior(t, y, g), theta, low, high, { iterations, tolerance: 1e-2 });
    this.theta = theta;
    this.refresh();
    return value;
  }

  /** Negative log posterior and its gradient at θ; +∞ where the kernel matrix is not positive definite. Leaves the process to be refreshed. */
  negativeLogPosterior(theta: Hyperparameters, y: Float64Array, gradient: Float64Array): number {
    const n = this.size, D = this.width;
    this.theta = theta;
    this.unpack();
    const warping = this.options.inputWarping === true;
    const dA = new Float64Array(warping ? n * D : 0), dB = new Float64Array(warping ? n * D : 0);
    for (let i = 0; i < n; i++) this.warp(this.rows.subarray(i * D, (i + 1) * D), this.inputs, this.absent, i * D, warping ? { a: dA, b: dB } : {});
    this.cholesky.clear();
    const kernel = new Float64Array(n * (n + 1) / 2), slope = new Float64Array(n * (n + 1) / 2);
    for (let i = 0, at = 0; i < n; i++) {
      for (let j = 0; j < i; j++, at++) {
        const r2 = this.distance(i, j);
        const r = SQRT5 * Math.sqrt(r2), e = this.scale * Math.exp(-r);
        kernel[at] = (1 + r + (5 / 3) * r2) * e;
        slope[at] = (5 / 6) * (1 + r) * e; // −dk / d(r²)
      }
      if (!this.cholesky.append(kernel.subarray(at - i, at), this.scale + this.noise)) return Infinity;
      kernel[at++] = this.scale;
    }
    const alpha = this.solve(y);
    const inverse = this.cholesky.inverse();
    let value = 0.5 * this.cholesky.logDeterminant();
    for (let i = 0; i < n; i++) value += 0.5 * y[i]! * alpha[i]!;

    // ½ tr((K⁻¹ − ααᵀ) ∂K/∂θ), each pair once.
    gradient.fill(0);
    for (let i = 0, at = 0; i < n; i++, at++) {
      for (let j = 0; j < i; j++, at++) {
        const w = inverse[i * n + j]! - alpha[i]! * alpha[j]!;
        gradient[D] = gradient[D]! + w * kernel[at]!;
        const ws = w * slope[at]!;
        for (let d = 0; d < D; d++) {
          const p = ws * this.precision[d]!;
          gradient[d] = gradient[d]! + 2 * p * this.squared(d, i, j);
          if (warping && this.dimensions[d]!.kind !== "categorical") {
            const difference = this.inputs[i * D + d]! - this.inputs[j * D + d]!;
            gradient[D + 2 + d] = gradient[D + 2 + d]! - 2 * p * difference * (dA[i * D + d]! - dA[j * D + d]!);
            gradient[2 * D + 2 + d] = gradient[2 * D + 2 + d]! - 2 * p * difference * (dB[i * D + d]! - dB[j * D + d]!);
          }
        }
      }
      const w = inverse[i * n + i]! - alpha[i]! * alpha[i]!;
      gradient[D] = gradient[D]! + 0.5 * w * this.scale;
      gradient[D + 1] = gradient[D + 1]! + 0.5 * w * this.noise;
    }
    return value + this.addPriors(theta, gradient);
  }

  /** Posterior mean and deviation (of the function, not of an observation) at x, given α = K⁻¹y. */
  predict(x: Float64Array, alpha: Float64Array): { mean: number; deviation: number } {
    const n = this.size, k = this.scratch;
    this.warp(x, this.query, this.queryAbsent, 0);
    let mean = 0;
    for (let i = 0; i < n; i++) {
      k[i] = this.covariance(this.queryDistance(i));
      mean += k[i]! * alpha[i]!;
    }
    this.cholesky.forward(k);
    let explained = 0;
    for (let i = 0; i < n; i++) explained += k[i]! * k[i]!;
    return { mean, deviation: Math.sqrt(Math.max(this.scale - explained, 1e-14 * this.scale)) };
  }

  /** Posterior mean alone, in O(n). */
  predictMean(x: Float64Array, alpha: Float64Array): number {
    this.warp(x, this.query, this.queryAbsent, 0);
    let mean = 0;
    for (let i = 0; i < this.size; i++) mean += alpha[i]! * this.covariance(this.queryDistance(i));
    return mean;
  }

  /**
   * As `predict` for several α, with gradients in numeric coordinates (zero in others): fills `means` (one per α), `meanSlopes`
   * (one row per α) and `deviationSlope`, returns the deviation.
   */
  predictWithGradient(x: Float64Array, alphas: readonly Float64Array[], means: Float64Array, meanSlopes: Float64Array, deviationSlope: Float64Array): number {
    const n = this.size, D = this.width, k = this.scratch, slopes = this.slopes;
    this.warp(x, this.query, this.queryAbsent, 0, { x: this.querySlope });
    means.fill(0);
    meanSlopes.fill(0);
    deviationSlope.fill(0);
    for (let i = 0; i < n; i++) {
      const r2 = this.queryDistance(i);
      const r = SQRT5 * Math.sqrt(r2), e = this.scale * Math.exp(-r);
      k[i] = (1 + r + (5 / 3) * r2) * e;
      slopes[i] = (5 / 6) * (1 + r) * e;
      for (let m = 0; m < alphas.length; m++) means[m] = means[m]! + k[i]! * alphas[m]![i]!;
    }
    this.cholesky.forward(k);
    let explained = 0;
    for (let i = 0; i < n; i++) explained += k[i]! * k[i]!;
    const deviation = Math.sqrt(Math.max(this.scale - explained, 1e-14 * this.scale));
    this.cholesky.backward(k);
    for (let i = 0; i < n; i++) {
      for (let d = 0; d < D; d++) {
        if (this.dimensions[d]!.kind === "categorical") continue;
        const dk = -2 * slopes[i]! * this.precision[d]! * (this.query[d]! - this.inputs[i * D + d]!) * this.querySlope[d]!;
        for (let m = 0; m < alphas.length; m++) meanSlopes[m * D + d] = meanSlopes[m * D + d]! + alphas[m]![i]! * dk;
        deviationSlope[d] = deviationSlope[d]! - (k[i]! * dk) / deviation;
      }
    }
    return deviation;
  }

  /** Length scale of a coordinate. */
  lengthScale(d: number): number {
    return 1 / Math.sqrt(this.precision[d]!);
  }

  /** Standard deviation of an observation's noise. */
  noiseDeviation(): number {
    return Math.sqrt(this.noise);
  }

  private append(i: number): void {
    const k = this.scratch;
    for (let j = 0; j < i; j++) k[j] = this.covariance(this.distance(i, j));
    // A repeated point can make the matrix singular: widen its own noise until it is not.
    for (let jitter = this.noise; !this.cholesky.append(k, this.scale + jitter); jitter = Math.max(jitter * 10, 1e-10 * this.scale));
  }

  private unpack(): void {
    const D = this.width;
    for (let d = 0; d < D; d++) this.precision[d] = Math.exp(-2 * this.theta[d]!);
    this.scale = Math.exp(this.theta[D]!);
    this.noise = Math.exp(this.theta[D + 1]!);
  }

  private covariance(r2: number): number {
    const r = SQRT5 * Math.sqrt(r2);
    return this.scale * (1 + r + (5 / 3) * r2) * Math.exp(-r);
  }

  /** Unscaled squared distance of rows i and j in coordinate d. */
  private squared(d: number, i: number, j: number): number {
    const p = i * this.width + d, q = j * this.width + d;
    return this.apart(d, this.inputs[p]!, this.absent[p]!, this.inputs[q]!, this.absent[q]!);
  }

  /** An absent number sits at ½, off the axis by √¾: squared distances stay those of points in a Euclidean space. */
  private apart(d: number, a: number, absentA: number, b: number, absentB: number): number {
    if (this.dimensions[d]!.kind === "categorical") return a === b ? 0 : 1;
    return (a - b) * (a - b) + (absentA === absentB ? 0 : 0.75);
  }

  private distance(i: number, j: number): number {
    let sum = 0;
    for (let d = 0; d < this.width; d++) sum += this.precision[d]! * this.squared(d, i, j);
    return sum;
  }

  private queryDistance(i: number): number {
    const D = this.width, at = i * D;
    let sum = 0;
    for (let d = 0; d < D; d++) sum += this.precision[d]! * this.apart(d, this.query[d]!, this.queryAbsent[d]!, this.inputs[at + d]!, this.absent[at + d]!);
    return sum;
  }

  /** Fills in absent coordinates and applies Kumaraswamy's distribution function, with derivatives by log a, log b and x where asked. */
  private warp(row: Float64Array, out: Float64Array, absent: Uint8Array, at: number, derivatives: Derivatives = {}): void {
    const D = this.width;
    const { a: dA, b: dB, x: dX } = derivatives;
    for (let d = 0; d < D; d++) {
      const x = row[d]!, missing = x !== x, categorical = this.dimensions[d]!.kind === "categorical";
      absent[at + d] = missing ? 1 : 0;
      out[at + d] = missing ? (categorical ? -1 : 0.5) : x;
      if (dX !== undefined) dX[d] = missing ? 0 : 1;
      if (this.options.inputWarping !== true || categorical || missing) continue;
      const a = Math.exp(this.theta[D + 2 + d]!), b = Math.exp(this.theta[2 * D + 2 + d]!);
      const u = Math.min(1 - 1e-9, Math.max(1e-9, x));
      const xa = u ** a, rest = 1 - xa, restB = rest ** b;
      out[at + d] = 1 - restB;
      if (dA !== undefined) dA[at + d] = a * b * (restB / rest) * xa * Math.log(u);
      if (dB !== undefined) dB[at + d] = -b * restB * Math.log(rest);
      if (dX !== undefined) dX[d] = a * b * (restB / rest) * (xa / u);
    }
  }

  private noisePrior(): { mean: number; deviation: number } {
    return this.options.noisy === true ? { mean: -4, deviation: 1 } : { mean: -12, deviation: 2.5 };
  }

  /** Adds the negative log prior densities and their gradient. */
  private addPriors(theta: Hyperparameters, gradient: Float64Array): number {
    const D = this.width;
    let value = 0;
    const normal = (k: number, mean: number, deviation: number): void => {
      const z = (theta[k]! - mean) / deviation;
      value += 0.5 * z * z;
      gradient[k] = gradient[k]! + z / deviation;
    };
    // log ℓ_d = m + deviation, m ~ N(0, 0.8) about the width of the cube, m integrated out: in ten coordinates a few dozen
    // points tell one scale, not ten, and what they tell of one coordinate holds for the others until they differ.
    let sum = 0;
    for (let d = 0; d < D; d++) sum += theta[d]!;
    const shared = COMMON / (OWN + D * COMMON) * sum;
    for (let d = 0; d < D; d++) {
      const slope = (theta[d]! - shared) / OWN;
      value += 0.5 * theta[d]! * slope;
      gradient[d] = gradient[d]! + slope;
    }
    normal(D, 0, 1.5);
    const noise = this.noisePrior();
    normal(D + 1, noise.mean, noise.deviation);
    for (let k = D + 2; k < theta.length; k++) normal(k, 0, 0.5);
    return value;
  }
}
