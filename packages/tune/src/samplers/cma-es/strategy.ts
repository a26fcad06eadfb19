// Covariance matrix adaptation (Hansen 2016, "The CMA Evolution Strategy: A Tutorial") as a state machine over plain
// vectors: sample a point, tell a ranked generation. Active update; optional diagonal model; margin for integers.
import { symmetricEigen } from "../../math/eigen.ts";
import { normalCdf, normalQuantile } from "../../math/normal.ts";

export interface CMAOptions {
  readonly mean: Float64Array;
  /** Initial step size σ. */
  readonly sigma: number;
  /** Points per generation; default 4 + ⌊3 ln n⌋. */
  readonly populationSize?: number;
  /** Adapts only variances, in O(n) per point (Ros & Hansen 2008); default false. */
  readonly separable?: boolean;
  /** Per coordinate the thresholds between its integer cells, or null where continuous (Hamano et al. 2022). */
  readonly thresholds?: readonly (Float64Array | null)[];
}

/** The distribution N(m, σ²C) and its evolution paths. */
export class CMA {
  readonly n: number;
  readonly populationSize: number;
  readonly mean: Float64Array;
  sigma: number;
  generation = 0;
  /** Eigenvalues' square roots; the sampled axes. */
  readonly D: Float64Array;
  private readonly separable: boolean;
  private readonly thresholds: readonly (Float64Array | null)[] | null;
  private readonly C: Float64Array;
  /** Eigenvectors of C as rows: Bᵀ of the tutorial. */
  private readonly B: Float64Array;
  private readonly pathC: Float64Array;
  private readonly pathSigma: Float64Array;
  /** Diagonal of the margin correction A. */
  private readonly stretch: Float64Array;
  private readonly weights: Float64Array;
  private readonly mu: number;
  private readonly mueff: number;
  private readonly cSigma: number;
  private readonly dSigma: number;
  private readonly cc: number;
  private readonly c1: number;
  private readonly cmu: number;
  private readonly chi: number;

  constructor(options: CMAOptions) {
    const n = options.mean.length;
    this.n = n;
    const lambda = options.populationSize ?? 4 + Math.floor(3 * Math.log(n));
    this.populationSize = lambda;
    this.mean = options.mean.slice();
    this.sigma = options.sigma;
    this.separable = options.separable ?? false;
    this.thresholds = options.thresholds?.some((t) => t !== null) === true ? options.thresholds : null;
    this.stretch = new Float64Array(n).fill(1);

    // Table 1 and equations (49)–(58) of the tutorial.
    const raw = Float64Array.from({ length: lambda }, (_, i) => Math.log((lambda + 1) / 2) - Math.log(i + 1));
    this.mu = Math.floor(lambda / 2);
    const effective = (from: number, to: number): number => {
      let s = 0, ss = 0;
      for (let i = from; i < to; i++) { s += raw[i]!; ss += raw[i]! ** 2; }
      return ss === 0 ? 0 : (s * s) / ss;
    };
    this.mueff = effective(0, this.mu);
    const mueffMinus = effective(this.mu, lambda);
    const diagonalSpeed = this.separable ? (n + 2) / 3 : 1;
    this.c1 = Math.min(1, diagonalSpeed * 2 / ((n + 1.3) ** 2 + this.mueff));
    this.cmu = Math.min(1 - this.c1 - 1e-8, diagonalSpeed * 2 * (this.mueff - 2 + 1 / this.mueff) / ((n + 2) ** 2 + this.mueff));
    this.cSigma = (this.mueff + 2) / (n + this.mueff + 5);
    this.dSigma = 1 + 2 * Math.max(0, Math.sqrt((this.mueff - 1) / (n + 1)) - 1) + this.cSigma;
    this.cc = (4 + this.mueff / n) / (n + 4 + 2 * this.mueff / n);
    this.chi = Math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
    let positive = 0, negative = 0;
    for (const w of raw) if (w > 0) positive += w; else negative -= w;
    const alpha = Math.min(1 + this.c1 / this.cmu, 1 + 2 * mueffMinus / (this.mueff + 2), (1 - this.c1 - this.cmu) / (n * this.cmu));
    this.weights = raw.map((w) => (w >= 0 ? w / positive : negative > 0 ? (alpha * w) / negative : 0));

    const size = this.separable ? n : n * n;
    this.C = new Float64Array(size);
    this.B = new Float64Array(size);
    for (let i = 0; i < n; i++) this.C[this.separable ? i : i * n + i] = 1;
    if (!this.separable) for (let i = 0; i < n; i++) this.B[i * n + i] = 1;
    this.D = new Float64Array(n).fill(1);
    this.pathC = new Float64Array(n);
    this.pathSigma = new Float64Array(n);
  }

  /** Draws v ~ N(m, σ²C); `normal` gives standard normal numbers. */
  sample(normal: () => number, out: Float64Array): void {
    const { n, B, D, mean, sigma } = this;
    if (this.separable) {
      for (let i = 0; i < n; i++) out[i] = mean[i]! + sigma * D[i]! * normal();
      return;
    }
    out.set(mean);
    for (let j = 0, at = 0; j < n; j++, at += n) {
      const z = sigma * D[j]! * normal();
      for (let i = 0; i < n; i++) out[i] = out[i]! + z * B[at + i]!;
    }
  }

  /** Where a sampled v is evaluated: stretched about the mean in coordinates with integers. */
  evaluated(v: Float64Array, out: Float64Array): void {
    for (let i = 0; i < this.n; i++) out[i] = this.mean[i]! + this.stretch[i]! * (v[i]! - this.mean[i]!);
  }

  /** Takes one generation of `populationSize` points (rows of `points`, as sampled), best first. */
  tell(points: readonly Float64Array[]): void {
    const { n, weights, sigma, mean, C, pathC, pathSigma, mu } = this;
    const lambda = points.length;
    this.generation++;
    const steps = new Float64Array(lambda * n); // row k: y of the k-th best
    for (let k = 0; k < lambda; k++) for (let i = 0; i < n; i++) steps[k * n + i] = (points[k]![i]! - mean[i]!) / sigma;
    const step = new Float64Array(n);
    for (let k = 0; k < mu; k++) for (let i = 0; i < n; i++) step[i] = step[i]! + weights[k]! * steps[k * n + i]!;
    for (let i = 0; i < n; i++) mean[i] = mean[i]! + sigma * step[i]!;

    // Cumulation: equations (43) and (45).
    const white = this.whiten(step);
    const keepSigma = Math.sqrt(this.cSigma * (2 - this.cSigma) * this.mueff);
    let length = 0;
    for (let i = 0; i < n; i++) {
      pathSigma[i] = (1 - this.cSigma) * pathSigma[i]! + keepSigma * white[i]!;
      length += pathSigma[i]! ** 2;
    }
    length = Math.sqrt(length);
    const stalled = length / Math.sqrt(1 - (1 - this.cSigma) ** (2 * this.generation)) >= (1.4 + 2 / (n + 1)) * this.chi;
    const h = stalled ? 0 : 1;
    const keepC = h * Math.sqrt(this.cc * (2 - this.cc) * this.mueff);
    for (let i = 0; i < n; i++) pathC[i] = (1 - this.cc) * pathC[i]! + keepC * step[i]!;

    // Negative weights are scaled by the length of their step: equation (46).
    const scaled = weights.slice(0, lambda);
    for (let k = 0; k < lambda; k++) {
      if (scaled[k]! >= 0) continue;
      scaled[k] = scaled[k]! * n / (this.squaredLength(steps.subarray(k * n, (k + 1) * n)) + 1e-8);
    }
    let total = 0;
    for (let k = 0; k < lambda; k++) total += weights[k]!;
    const keep = 1 + this.c1 * (1 - h) * this.cc * (2 - this.cc) - this.c1 - this.cmu * total;
    if (this.separable) {
      for (let i = 0; i < n; i++) {
        let rank = 0;
        for (let k = 0; k < lambda; k++) rank += scaled[k]! * steps[k * n + i]! ** 2;
        C[i] = keep * C[i]! + this.c1 * pathC[i]! ** 2 + this.cmu * rank;
      }
    } else {
      const rank = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        rank.fill(0, 0, i + 1);
        for (let k = 0; k < lambda; k++) {
          const w = scaled[k]! * steps[k * n + i]!;
          for (let j = 0, at = k * n; j <= i; j++, at++) rank[j] = rank[j]! + w * steps[at]!;
        }
        const p = this.c1 * pathC[i]!;
        for (let j = 0; j <= i; j++) C[i * n + j] = C[j * n + i] = keep * C[i * n + j]! + p * pathC[j]! + this.cmu * rank[j]!;
      }
    }
    this.sigma *= Math.exp(Math.min(1, (this.cSigma / this.dSigma) * (length / this.chi - 1)));
    this.decompose();
    if (this.thresholds !== null) this.keepMargin(this.thresholds);
  }

  /** Largest over smallest axis, squared. */
  conditionNumber(): number {
    let low = Infinity, high = 0;
    for (const d of this.D) { low = Math.min(low, d); high = Math.max(high, d); }
    return (high / low) ** 2;
  }

  /** Largest standard deviation of a coordinate. */
  spread(): number {
    let high = 0;
    for (let i = 0; i < this.n; i++) high = Math.max(high, this.sigma * Math.sqrt(this.variance(i)));
    return high;
  }

  /** How far a point lies from the mean, in standard deviations of the distribution. */
  mahalanobis(x: Float64Array): number {
    const y = new Float64Array(this.n);
    for (let i = 0; i < this.n; i++) y[i] = (x[i]! - this.mean[i]!) / this.sigma;
    return Math.sqrt(this.squaredLength(y));
  }

  /** |C^(−½)·y|². */
  private squaredLength(y: Float64Array): number {
    const { n, B, D } = this;
    let sum = 0;
    for (let j = 0, at = 0; j < n; j++, at += n) {
      let s = 0;
      if (this.separable) s = y[j]!;
      else for (let i = 0; i < n; i++) s += B[at + i]! * y[i]!;
      sum += (s / D[j]!) ** 2;
    }
    return sum;
  }

  private variance(i: number): number {
    return this.C[this.separable ? i : i * this.n + i]!;
  }

  /** C^(−½)·y. */
  private whiten(y: Float64Array): Float64Array {
    const { n, B, D } = this;
    const out = new Float64Array(n);
    if (this.separable) {
      for (let i = 0; i < n; i++) out[i] = y[i]! / D[i]!;
      return out;
    }
    for (let j = 0, at = 0; j < n; j++, at += n) {
      let s = 0;
      for (let i = 0; i < n; i++) s += B[at + i]! * y[i]!;
      s /= D[j]!;
      for (let i = 0; i < n; i++) out[i] = out[i]! + B[at + i]! * s;
    }
    return out;
  }

  private decompose(): void {
    const { n, B, C, D } = this;
    if (this.separable) {
      for (let i = 0; i < n; i++) D[i] = Math.sqrt(C[i] = Math.max(C[i]!, 1e-30));
      return;
    }
    symmetricEigen(C, n, D, B);
    let repaired = false;
    for (let i = 0; i < n; i++) {
      if (D[i]! < 1e-30) repaired = true;
      D[i] = Math.sqrt(Math.max(D[i]!, 1e-30));
    }
    if (!repaired) return;
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) {
      let s = 0;
      for (let k = 0; k < n; k++) s += B[k * n + i]! * D[k]! ** 2 * B[k * n + j]!;
      C[i * n + j] = s;
    }
  }

  /** Keeps the chance to leave the cell of the mean above 1 / (n λ) in integer coordinates (Hamano et al. 2022, §4). */
  private keepMargin(thresholds: readonly (Float64Array | null)[]): void {
    const alpha = 1 / (this.n * this.populationSize);
    for (let i = 0; i < this.n; i++) {
      const cuts = thresholds[i];
      if (cuts === null || cuts === undefined || cuts.length === 0) continue;
      const deviation = this.sigma * this.stretch[i]! * Math.sqrt(this.variance(i));
      const m = this.mean[i]!;
      let above = 0;
      while (above < cuts.length && cuts[above]! < m) above++;
      if (above === 0 || above === cuts.length) {
        // In an outer cell: the mean may not be further from its only threshold than the margin's quantile.
        const cut = cuts[above === 0 ? 0 : above - 1]!;
        const reach = deviation * normalQuantile(1 - alpha);
        this.mean[i] = above === 0 ? Math.max(m, cut - reach) : Math.min(m, cut + reach);
        continue;
      }
      const low = cuts[above - 1]!, high = cuts[above]!;
      const pLow = Math.max(alpha / 2, normalCdf((low - m) / deviation));
      const pHigh = Math.max(alpha / 2, normalCdf((m - high) / deviation));
      const pMiddle = Math.max(alpha / 2, normalCdf((high - m) / deviation) - normalCdf((low - m) / deviation));
      const excess = (1 - pLow - pHigh - pMiddle) / (pLow + pHigh + pMiddle - 1.5 * alpha);
      const left = normalQuantile(1 - Math.min(0.499, pLow + excess * (pLow - alpha / 2)));
      const right = normalQuantile(1 - Math.min(0.499, pHigh + excess * (pHigh - alpha / 2)));
      const wanted = (high - low) / (left + right);
      this.stretch[i] = wanted / (this.sigma * Math.sqrt(this.variance(i)));
      this.mean[i] = (low * right + high * left) / (left + right);
    }
  }
}
