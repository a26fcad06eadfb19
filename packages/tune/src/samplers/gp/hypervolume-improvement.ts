// What several objectives gain at a point: log expected improvement of the hypervolume (Ament et al. 2023, LogEHVI). With
// independent objectives it is in closed form a sum over the boxes of the region that no trial dominates (Yang et al.
// 2019); running trials enter as imagined outcomes, each with its own front, so the Monte Carlo part is over them alone.
import { nonDominatedBoxes } from "../../pareto/boxes.ts";
import { paretoFront } from "../../pareto/dominance.ts";
import { nondominatedPrefix } from "../../pareto/hypervolume.ts";
import { logMeanExp, type Acquisition, type LogFeasibility } from "./acquisition.ts";
import type { GaussianProcess } from "./process.ts";
import { logExpectedImprovement } from "../../math/normal.ts";

/** One objective: its process, and K⁻¹y per imagined outcome. */
export interface ObjectiveModel { readonly process: GaussianProcess; readonly alphas: readonly Float64Array[] }

/** The boxes under one front; ends are positions in `thresholds` of the objective, −1 for −∞. */
interface Region {
  readonly count: number;
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly thresholds: readonly Float64Array[];
  /** Per objective and threshold: log h(z) and h'(z) / h(z) of the normal improvement h. */
  readonly logs: readonly Float64Array[];
  readonly ratios: readonly Float64Array[];
}

function regionOf(front: readonly (readonly number[])[], reference: readonly number[]): Region {
  const m = reference.length;
  const { count, low, high } = nonDominatedBoxes(front, reference);
  const positions = Array.from({ length: m }, () => new Map<number, number>());
  const position = (value: number, k: number): number => {
    if (value === -Infinity) return -1;
    const known = positions[k]!;
    if (!known.has(value)) known.set(value, known.size);
    return known.get(value)!;
  };
  return {
    count,
    low: Int32Array.from(low, (value, i) => position(value, i % m)),
    high: Int32Array.from(high, (value, i) => position(value, i % m)),
    thresholds: positions.map((known) => Float64Array.from(known.keys())),
    logs: positions.map((known) => new Float64Array(known.size)),
    ratios: positions.map((known) => new Float64Array(known.size)),
  };
}

/** Points of a front at most, by number of objectives: the boxes below it multiply with each. */
const FRONT = [Infinity, Infinity, Infinity, 100, 40], WIDE_FRONT = 16;

/** The front of some points, thinned where it is too large for its number of objectives. */
function thinnedFront(points: readonly (readonly number[])[], m: number): (readonly number[])[] {
  const front = paretoFront(points).map((i) => points[i]!);
  const limit = FRONT[m] ?? WIDE_FRONT;
  return front.length <= limit ? front : nondominatedPrefix(Float64Array.from(front.flat()), m, limit).map((i) => front[i]!);
}

/** The first trials that decide, with the front, which values are worth having. */
const EARLY = 16;

/**
 * The upper quartile of the first trials, feasible or not, or the worst value of the front where that is worse, and a
 * tenth of all trials' extent beyond. Later trials gather about the front: quantiles that moved with them, or the front's
 * own extent, would leave out parts of it that have not been found.
 */
function referenceOf(front: readonly (readonly number[])[], trials: readonly (readonly number[])[]): number[] {
  return front[0]!.map((_, k) => {
    const column = trials.map((point) => point[k]!), early = column.slice(0, EARLY).sort((a, b) => a - b);
    const worst = Math.max(early[Math.floor(0.75 * early.length)]!, ...front.map((point) => point[k]!));
    return worst + 0.1 * (Math.max(...column) - Math.min(...column) || 1);
  });
}

/** log of the expected gain in hypervolume, averaged over imagined outcomes, plus log feasibility. */
export class LogExpectedHypervolumeImprovement implements Acquisition {
  private readonly objectives: readonly ObjectiveModel[];
  private readonly feasibility: LogFeasibility;
  /** Per imagined outcome. */
  private readonly regions: readonly Region[];
  /** `objectives × outcomes`. */
  private readonly means: readonly Float64Array[];
  private readonly deviations: Float64Array;
  private readonly terms: Float64Array;
  private readonly boxTerms: Float64Array;

  /** In the units of the processes: all `trials` in order, those `observed` that count, and per imagined outcome one point for each running trial. */
  constructor(objectives: readonly ObjectiveModel[], trials: readonly (readonly number[])[], observed: readonly (readonly number[])[], imagined: readonly (readonly (readonly number[])[])[], feasibility: LogFeasibility) {
    const m = objectives.length;
    const front = thinnedFront(observed, m);
    const reference = referenceOf(front, trials);
    this.objectives = objectives;
    this.feasibility = feasibility;
    this.regions = imagined.map((drawn) => regionOf(drawn.length === 0 ? front : thinnedFront([...front, ...drawn], m), reference));
    this.means = objectives.map(() => new Float64Array(imagined.length));
    this.deviations = new Float64Array(objectives.length);
    this.terms = new Float64Array(imagined.length);
    this.boxTerms = new Float64Array(Math.max(...this.regions.map(({ count }) => count)));
  }

  value(x: Float64Array): number {
    this.objectives.forEach(({ process, alphas }, k) => {
      const { mean, deviation } = process.predict(x, alphas[0]!);
      this.deviations[k] = deviation;
      this.means[k]![0] = mean;
      for (let o = 1; o < alphas.length; o++) this.means[k]![o] = process.predictMean(x, alphas[o]!);
    });
    for (let o = 0; o < this.regions.length; o++) this.terms[o] = this.gain(o);
    return logMeanExp(this.terms) + this.feasibility.value(x);
  }

  withGradient(x: Float64Array, gradient: Float64Array): number {
    const D = gradient.length, outcomes = this.regions.length;
    const slopes = this.objectives.map(({ process, alphas }, k) => {
      const mean = new Float64Array(outcomes * D), deviation = new Float64Array(D);
      this.deviations[k] = process.predictWithGradient(x, alphas, this.means[k]!, mean, deviation);
      return { mean, deviation };
    });
    for (let o = 0; o < outcomes; o++) this.terms[o] = this.gain(o);
    const mean = logMeanExp(this.terms);
    gradient.fill(0);
    for (let o = 0; o < outcomes; o++) {
      const log = this.gain(o); // fills the region's tables and box terms once more
      const share = Math.exp(log - mean) / outcomes;
      slopes.forEach((slope, k) => {
        const { byMean, byDeviation } = this.slopes(o, k, log);
        for (let d = 0; d < D; d++) gradient[d] = gradient[d]! + share * (byMean * slope.mean[o * D + d]! + byDeviation * slope.deviation[d]!);
      });
    }
    return mean + this.feasibility.addGradient(x, gradient);
  }

  /** log of the expected gain under one imagined outcome: boxes' products of differences of expected improvements. */
  private gain(outcome: number): number {
    const { count, low, high, thresholds, logs, ratios } = this.regions[outcome]!;
    const m = this.objectives.length, terms = this.boxTerms;
    let scale = 0;
    for (let k = 0; k < m; k++) {
      const mean = this.means[k]![outcome]!, deviation = this.deviations[k]!;
      scale += Math.log(deviation);
      for (let t = 0; t < thresholds[k]!.length; t++) {
        const { value, derivative } = logExpectedImprovement((thresholds[k]![t]! - mean) / deviation);
        logs[k]![t] = value;
        ratios[k]![t] = derivative;
      }
    }
    let top = -Infinity;
    for (let b = 0; b < count; b++) {
      let log = 0, part = 1;
      for (let k = 0; k < m; k++) {
        const l = low[b * m + k]!, upper = logs[k]![high[b * m + k]!]!;
        log += upper;
        if (l >= 0) part *= inside(logs[k]![l]! - upper);
      }
      terms[b] = log += Math.log(part);
      if (log > top) top = log;
    }
    let sum = 0;
    for (let b = 0; b < count; b++) sum += Math.exp(terms[b]! - top);
    return scale + top + Math.log(sum);
  }

  /** Derivatives of the log gain just computed, by mean and deviation of objective k. */
  private slopes(outcome: number, k: number, log: number): { byMean: number; byDeviation: number } {
    const { count, low, high, thresholds, logs, ratios } = this.regions[outcome]!;
    const m = this.objectives.length;
    const mean = this.means[k]![outcome]!, deviation = this.deviations[k]!;
    let scale = 0;
    for (const d of this.deviations) scale += Math.log(d);
    let byMean = 0, byDeviation = 0;
    for (let b = 0; b < count; b++) {
      const share = Math.exp(scale + this.boxTerms[b]! - log);
      if (share < 1e-12) continue;
      const l = low[b * m + k]!, u = high[b * m + k]!;
      // φ(z) = h(z)·(1 − z·h'(z)/h(z)), so h cancels and nothing underflows.
      const upper = ratios[k]![u]!;
      let difference = upper, density = 1 - ((thresholds[k]![u]! - mean) / deviation) * upper, part = 1;
      if (l >= 0) {
        const ratio = logs[k]![l]! - logs[k]![u]!, q = Math.exp(ratio), lower = ratios[k]![l]!;
        difference -= q * lower;
        density -= q * (1 - ((thresholds[k]![l]! - mean) / deviation) * lower);
        part = inside(ratio);
      }
      byMean -= (share * difference) / (deviation * part);
      byDeviation += (share * density) / (deviation * part);
    }
    return { byMean, byDeviation };
  }
}

/** 1 − e^d for d < 0: the share of an improvement below a box's upper end that is not below its lower end. */
function inside(d: number): number {
  return Math.max(1e-300, -Math.expm1(d));
}
