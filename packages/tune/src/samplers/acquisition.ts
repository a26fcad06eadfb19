// What is to be gained at a point, and where that is most: log expected improvement, averaged over imagined results of
// running trials (qLogEI), times the chance to be feasible; searched from many starts, by gradient and by exchange.
import type { Random } from "../random/random.ts";
import type { GaussianProcess } from "./gaussian-process.ts";
import { cellCentre, cellOf, type UnitDimension } from "./history.ts";
import { minimise } from "./lbfgsb.ts";
import { logExpectedImprovement, LOG_SQRT_2PI, normalCdf } from "./normal.ts";

/** A model of one black-box constraint, feasible where its standardised value is at most `limit`. */
export interface ConstraintModel { readonly process: GaussianProcess; readonly alpha: Float64Array; readonly limit: number }

/** log of the mean of the expected improvements under several imagined outcomes, plus log feasibility. */
export class LogExpectedImprovement {
  private readonly process: GaussianProcess;
  private readonly alphas: readonly Float64Array[];
  /** Value to improve on, per imagined outcome; +∞ when nothing feasible is known and only feasibility counts. */
  private readonly bests: Float64Array;
  private readonly constraints: readonly ConstraintModel[];
  private readonly means: Float64Array;
  private readonly meanSlopes: Float64Array;
  private readonly deviationSlope: Float64Array;
  private readonly terms: Float64Array;
  private readonly ratios: Float64Array;

  constructor(process: GaussianProcess, alphas: readonly Float64Array[], bests: Float64Array, constraints: readonly ConstraintModel[] = []) {
    this.process = process;
    this.alphas = alphas;
    this.bests = bests;
    this.constraints = constraints;
    this.means = new Float64Array(alphas.length);
    this.meanSlopes = new Float64Array(alphas.length * process.width);
    this.deviationSlope = new Float64Array(process.width);
    this.terms = new Float64Array(alphas.length);
    this.ratios = new Float64Array(alphas.length);
  }

  value(x: Float64Array): number {
    let total = 0;
    if (this.bests[0] !== Infinity) {
      const { mean, deviation } = this.process.predict(x, this.alphas[0]!);
      if (this.alphas.length === 1) total = Math.log(deviation) + logExpectedImprovement((this.bests[0]! - mean) / deviation).value;
      else {
        for (let m = 0; m < this.alphas.length; m++) {
          const center = m === 0 ? mean : this.process.predictMean(x, this.alphas[m]!);
          this.terms[m] = logExpectedImprovement((this.bests[m]! - center) / deviation).value;
        }
        total = Math.log(deviation) + logMeanExp(this.terms);
      }
    }
    for (const { process, alpha, limit } of this.constraints) {
      const { mean, deviation } = process.predict(x, alpha);
      total += logCdf((limit - mean) / deviation);
    }
    return total;
  }

  /** Value, and its gradient in numeric coordinates. */
  withGradient(x: Float64Array, gradient: Float64Array): number {
    const D = this.process.width;
    gradient.fill(0);
    let total = 0;
    if (this.bests[0] !== Infinity) {
      const deviation = this.process.predictWithGradient(x, this.alphas, this.means, this.meanSlopes, this.deviationSlope);
      for (let m = 0; m < this.alphas.length; m++) {
        const h = logExpectedImprovement((this.bests[m]! - this.means[m]!) / deviation);
        this.terms[m] = h.value;
        this.ratios[m] = h.derivative;
      }
      const mean = logMeanExp(this.terms);
      total = Math.log(deviation) + mean;
      for (let d = 0; d < D; d++) gradient[d] = this.deviationSlope[d]! / deviation;
      for (let m = 0; m < this.alphas.length; m++) {
        const weight = Math.exp(this.terms[m]! - mean) / this.alphas.length;
        const z = (this.bests[m]! - this.means[m]!) / deviation;
        for (let d = 0; d < D; d++) {
          gradient[d] = gradient[d]! - (weight * this.ratios[m]! * (this.meanSlopes[m * D + d]! + z * this.deviationSlope[d]!)) / deviation;
        }
      }
    }
    const mean = new Float64Array(1), slope = new Float64Array(D), deviationSlope = new Float64Array(D);
    for (const { process, alpha, limit } of this.constraints) {
      const deviation = process.predictWithGradient(x, [alpha], mean, slope, deviationSlope);
      const z = (limit - mean[0]!) / deviation;
      const log = logCdf(z);
      total += log;
      const hazard = Math.exp(-0.5 * z * z - LOG_SQRT_2PI - log);
      for (let d = 0; d < D; d++) gradient[d] = gradient[d]! - (hazard * (slope[d]! + z * deviationSlope[d]!)) / deviation;
    }
    return total;
  }
}

function logMeanExp(terms: Float64Array): number {
  let top = -Infinity;
  for (const t of terms) top = Math.max(top, t);
  let sum = 0;
  for (const t of terms) sum += Math.exp(t - top);
  return top + Math.log(sum / terms.length);
}

/** log Φ(z), by Mills' ratio far left. */
function logCdf(z: number): number {
  return z > -30 ? Math.log(normalCdf(z)) : -0.5 * z * z - LOG_SQRT_2PI - Math.log(-z);
}

/** Where to look. */
export interface SearchRegion {
  readonly dimensions: readonly UnitDimension[];
  /** Bounds of numeric coordinates: the unit cube or a trust region. */
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** Good points known, best first: many candidates are their neighbours. */
  readonly incumbents: readonly Float64Array[];
  /** Sets coordinates of inactive parameters to NaN in `out`. */
  readonly mask: (x: Float64Array, out: Float64Array) => void;
  /** Whether a masked point may be proposed. */
  readonly allowed: (x: Float64Array) => boolean;
}

const UNIFORM = 320, NEIGHBOURS = 120, FAR_STARTS = 4, NEAR_STARTS = 2;

/** The points found, masked, best first. */
export function maximise(acquisition: LogExpectedImprovement, region: SearchRegion, random: Random): Float64Array[] {
  const { dimensions, incumbents } = region;
  const D = dimensions.length;
  const masked = new Float64Array(D);
  const value = (x: Float64Array): number => {
    region.mask(x, masked);
    return region.allowed(masked) ? acquisition.value(masked) : -Infinity;
  };
  const draw = (count: number, fill: (x: Float64Array, i: number) => void): { x: Float64Array; value: number }[] =>
    Array.from({ length: count }, (_, i) => {
      const x = new Float64Array(D);
      fill(x, i);
      return { x, value: value(x) };
    }).sort((a, b) => b.value - a.value);
  const far = draw(UNIFORM, (x) => { for (let d = 0; d < D; d++) x[d] = uniformCoordinate(region, d, random); });
  const near = draw(incumbents.length > 0 ? NEIGHBOURS : 0, (x, i) => neighbour(region, incumbents[i % incumbents.length]!, random, x));
  // Both kinds climb: before climbing, neighbours of a polished optimum would crowd out every far point.
  const starts = [...far.slice(0, FAR_STARTS), ...near.slice(0, NEAR_STARTS)];
  const found = starts.filter((start) => start.value > -Infinity).map((start) => climb(acquisition, region, start.x, start.value, value, random));
  return [...found, ...far.slice(0, 50), ...near.slice(0, 50)].filter((p) => p.value > -Infinity).sort((a, b) => b.value - a.value).map(({ x }) => {
    const out = new Float64Array(D);
    region.mask(x, out);
    return out;
  });
}

/** Gradient ascent in continuous coordinates and exchange in the others, in turn, until neither helps. */
function climb(acquisition: LogExpectedImprovement, region: SearchRegion, start: Float64Array, startValue: number, value: (x: Float64Array) => number, random: Random): { x: Float64Array; value: number } {
  const { dimensions } = region;
  const continuous = dimensions.some(({ kind }) => kind === "continuous");
  const discrete = dimensions.flatMap(({ kind }, d) => (kind === "continuous" ? [] : [d]));
  let x = start.slice(), best = startValue;
  for (let round = 0; round < 4; round++) {
    if (continuous) {
      const low = x.slice(), high = x.slice(), moved = x.slice(), masked = x.slice();
      dimensions.forEach(({ kind }, d) => {
        if (kind === "continuous") { low[d] = region.low[d]!; high[d] = region.high[d]!; }
      });
      minimise((p, g) => {
        region.mask(p, masked);
        const v = acquisition.withGradient(masked, g);
        for (let d = 0; d < g.length; d++) g[d] = dimensions[d]!.kind === "continuous" ? -g[d]! : 0;
        return -v;
      }, moved, low, high, { iterations: 30, tolerance: 1e-4 });
      const reached = value(moved);
      if (reached > best) { x = moved; best = reached; }
    }
    let improved = false;
    for (const d of discrete) {
      const kept = x[d]!;
      let choice = kept;
      for (const u of alternatives(region, d, kept, random)) {
        x[d] = u;
        const v = value(x);
        if (v > best) { best = v; choice = u; improved = true; }
      }
      x[d] = choice;
    }
    if (!improved) break;
  }
  return { x, value: best };
}

function alternatives({ dimensions }: SearchRegion, d: number, u: number, random: Random): number[] {
  const dimension = dimensions[d]!;
  const cell = cellOf(dimension, u);
  const cells = dimension.levels <= 16 ? Array.from({ length: dimension.levels }, (_, c) => c)
    : [cell - 1, cell + 1, cell - 3, cell + 3, ...Array.from({ length: 4 }, () => random.integer(dimension.levels))];
  return cells.filter((c) => c !== cell && c >= 0 && c < dimension.levels).map((c) => cellCentre(dimension, c));
}

function uniformCoordinate(region: SearchRegion, d: number, random: Random): number {
  const dimension = region.dimensions[d]!;
  const u = dimension.kind === "categorical" ? random.uniform() : region.low[d]! + random.uniform() * (region.high[d]! - region.low[d]!);
  return dimension.kind === "continuous" ? u : cellCentre(dimension, cellOf(dimension, u));
}

/** A point near `from`: some coordinates move, by steps of very different sizes. */
function neighbour(region: SearchRegion, from: Float64Array, random: Random, out: Float64Array): void {
  const D = out.length;
  const share = Math.max(Math.min(1, 2 / D), random.uniform());
  const size = 10 ** (-0.5 - 2.5 * random.uniform());
  for (let d = 0; d < D; d++) {
    const dimension = region.dimensions[d]!;
    const u = Number.isNaN(from[d]!) ? uniformCoordinate(region, d, random) : from[d]!;
    if (random.uniform() >= share) { out[d] = u; continue; }
    if (dimension.kind === "categorical") { out[d] = uniformCoordinate(region, d, random); continue; }
    const moved = Math.min(region.high[d]!, Math.max(region.low[d]!, u + size * random.normal()));
    if (dimension.kind === "continuous") { out[d] = moved; continue; }
    const cell = cellOf(dimension, u);
    const target = cellOf(dimension, moved);
    // A step smaller than a cell still moves one cell now and then.
    out[d] = cellCentre(dimension, target !== cell ? target : Math.min(dimension.levels - 1, Math.max(0, cell + random.integer(3) - 1)));
  }
}
