// What is to be gained at a point: log expected improvement, averaged over imagined results of running trials (qLogEI),
// times the chance to be feasible.
import type { GaussianProcess } from "./process.ts";
import { logExpectedImprovement, LOG_SQRT_2PI, normalCdf } from "../../math/normal.ts";

/** A function of points of the unit cube to be maximised, NaN standing for absent coordinates. */
export interface Acquisition {
  value(x: Float64Array): number;
  /** Value, and its gradient in numeric coordinates. */
  withGradient(x: Float64Array, gradient: Float64Array): number;
}

/** A model of one black-box constraint, feasible where its standardised value is at most `limit`. */
export interface ConstraintModel { readonly process: GaussianProcess; readonly alpha: Float64Array; readonly limit: number }

/** log of the chance that a point meets all constraints: alone, what to maximise while nothing feasible is known. */
export class LogFeasibility implements Acquisition {
  private readonly constraints: readonly ConstraintModel[];

  constructor(constraints: readonly ConstraintModel[]) {
    this.constraints = constraints;
  }

  value(x: Float64Array): number {
    let total = 0;
    for (const { process, alpha, limit } of this.constraints) {
      const { mean, deviation } = process.predict(x, alpha);
      total += logCdf((limit - mean) / deviation);
    }
    return total;
  }

  withGradient(x: Float64Array, gradient: Float64Array): number {
    gradient.fill(0);
    return this.addGradient(x, gradient);
  }

  /** Value; adds its gradient. */
  addGradient(x: Float64Array, gradient: Float64Array): number {
    const D = gradient.length;
    const mean = new Float64Array(1), slope = new Float64Array(D), deviationSlope = new Float64Array(D);
    let total = 0;
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

/** log of the mean of the expected improvements under several imagined outcomes, plus log feasibility. */
export class LogExpectedImprovement implements Acquisition {
  private readonly process: GaussianProcess;
  private readonly alphas: readonly Float64Array[];
  /** Value to improve on, per imagined outcome. */
  private readonly bests: Float64Array;
  private readonly feasibility: LogFeasibility;
  private readonly means: Float64Array;
  private readonly meanSlopes: Float64Array;
  private readonly deviationSlope: Float64Array;
  private readonly terms: Float64Array;
  private readonly ratios: Float64Array;

  constructor(process: GaussianProcess, alphas: readonly Float64Array[], bests: Float64Array, feasibility: LogFeasibility) {
    this.process = process;
    this.alphas = alphas;
    this.bests = bests;
    this.feasibility = feasibility;
    this.means = new Float64Array(alphas.length);
    this.meanSlopes = new Float64Array(alphas.length * process.width);
    this.deviationSlope = new Float64Array(process.width);
    this.terms = new Float64Array(alphas.length);
    this.ratios = new Float64Array(alphas.length);
  }

  value(x: Float64Array): number {
    const { mean, deviation } = this.process.predict(x, this.alphas[0]!);
    for (let m = 0; m < this.alphas.length; m++) {
      const center = m === 0 ? mean : this.process.predictMean(x, this.alphas[m]!);
      this.terms[m] = logExpectedImprovement((this.bests[m]! - center) / deviation).value;
    }
    return Math.log(deviation) + logMeanExp(this.terms) + this.feasibility.value(x);
  }

  withGradient(x: Float64Array, gradient: Float64Array): number {
    const D = this.process.width;
    const deviation = this.process.predictWithGradient(x, this.alphas, this.means, this.meanSlopes, this.deviationSlope);
    for (let m = 0; m < this.alphas.length; m++) {
      const h = logExpectedImprovement((this.bests[m]! - this.means[m]!) / deviation);
      this.terms[m] = h.value;
      this.ratios[m] = h.derivative;
    }
    const mean = logMeanExp(this.terms);
    for (let d = 0; d < D; d++) gradient[d] = this.deviationSlope[d]! / deviation;
    for (let m = 0; m < this.alphas.length; m++) {
      const weight = Math.exp(this.terms[m]! - mean) / this.alphas.length;
      const z = (this.bests[m]! - this.means[m]!) / deviation;
      for (let d = 0; d < D; d++) {
        gradient[d] = gradient[d]! - (weight * this.ratios[m]! * (this.meanSlopes[m * D + d]! + z * this.deviationSlope[d]!)) / deviation;
      }
    }
    return Math.log(deviation) + mean + this.feasibility.addGradient(x, gradient);
  }
}

/** log of the mean of exponentials. */
export function logMeanExp(terms: Float64Array): number {
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

