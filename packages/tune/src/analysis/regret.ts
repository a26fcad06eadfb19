// How good a search was: best value so far, regret to a known optimum over several runs, and the distribution of values.
import { ValueError } from "../errors/errors.ts";
import { completed, objectiveName, type StudyResults } from "./results.ts";

/**
 * Best of the values so far, under the given direction; NaN values are passed over.
 *
 * @example
 * [...bestSoFar([3, 1, 2], "minimize")]; // [3,1,1]
 */
export function bestSoFar(values: ArrayLike<number>, direction: "minimize" | "maximize"): Float64Array {
  const best = new Float64Array(values.length);
  let now = Number.NaN;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isNaN(now) || (direction === "minimize" ? value < now : value > now)) now = value;
    best[i] = now;
  }
  return best;
}

/**
 * Simple regret |best so far − optimum| after each completed trial of a single-objective study.
 *
 * @example
 * regretCurve(results, 0).length; // 20
 */
export function regretCurve(results: StudyResults, optimum: number): Float64Array {
  requireSingle(results);
  const values = completed(results).map((row) => (row.feasible ? row.values[0]! : Number.NaN));
  return bestSoFar(values, results.directions[0]!).map((value) => Math.abs(value - optimum));
}

/**
 * Quantiles of several curves at each position; positions beyond a curve's end use its last value.
 *
 * @example
 * quantileCurves([[3, 1], [5, 3]], [0.5]).map((curve) => [...curve]); // [[4,2]]
 */
export function quantileCurves(curves: readonly ArrayLike<number>[], quantiles: readonly number[]): Float64Array[] {
  const used = curves.filter((curve) => curve.length > 0);
  const length = Math.max(0, ...used.map((curve) => curve.length));
  return quantiles.map((q) =>
    Float64Array.from({ length }, (_, i) => quantile(used.map((curve) => curve[Math.min(i, curve.length - 1)]!), q)),
  );
}

/**
 * Linear-interpolated quantile of the values, q in [0, 1]; NaN when there are none.
 *
 * @example
 * quantile([4, 1, 3, 2], 0.5); // 2.5
 */
export function quantile(values: readonly number[], q: number): number {
  if (!(q >= 0 && q <= 1)) throw new ValueError(`quantile ${q} is not in [0, 1].`);
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const position = q * (sorted.length - 1);
  const low = sorted[Math.floor(position)];
  const high = sorted[Math.ceil(position)];
  if (low === undefined || high === undefined) return Number.NaN;
  return low === high ? low : low + (high - low) * (position - Math.floor(position));
}

/** The empirical distribution function: `fractions[i]` of the completed trials have a value ≤ `values[i]`. */
export interface EmpiricalDistribution {
  /** Ascending. */
  readonly values: Float64Array;
  /** The share of all that is at most each value. */
  readonly fractions: Float64Array;
}

/**
 * The EDF of one objective over the completed trials.
 *
 * @example
 * empiricalDistribution(results).fractions.at(-1); // 1
 */
export function empiricalDistribution(results: StudyResults, objective = 0): EmpiricalDistribution {
  objectiveName(results, objective);
  const values = Float64Array.from(completed(results), (row) => row.values[objective]!).filter(Number.isFinite).sort();
  return { values, fractions: values.map((_, i) => (i + 1) / values.length) };
}

function requireSingle(results: StudyResults): void {
  if (results.directions.length !== 1)
    throw new ValueError(`Study "${results.name}" has ${results.directions.length} objectives; regret needs one. Use hypervolume.`);
}
