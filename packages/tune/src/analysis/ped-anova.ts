// PED-ANOVA importance (Watanabe, Bansal & Hutter 2023): how far a parameter's density among the best trials differs from its
// density among all. O(trials) per parameter, robust to how the trials were sampled.
import { normalCdf } from "../math/normal.ts";
import { sameDistribution, type Distribution } from "../space/distribution.ts";
import { ValueError } from "../errors/errors.ts";
import { axesOf, coordinates, type Axis } from "./parameter-axes.ts";
import { completed, objectiveName, parameterNames, type CompletedTrial, type StudyResults } from "./results.ts";

/** Which objective and parameters, and what counts as good. */
export interface PedAnovaOptions {
  /** Index; default 0. */
  readonly objective?: number;
  /** γ': the share of trials that count as best; default 0.1. */
  readonly target?: number;
  /** γ: the share of trials among which importance is asked; default 1, all. */
  readonly region?: number;
}

/** Cells of a continuous axis. */
const CELLS = 50;
/** Weight of the uniform prior, in trials. */
const PRIOR = 1;

/**
 * Unnormalised importance of each parameter for being among the best: the Pearson divergence of p(x | best) from p(x).
 * A parameter that is only sometimes active, or has had several ranges, counts within each of these regimes R:
 * Σ_R P(R) P(best | R)² D_R / P(best)², the variance of P(best | x, R) that its value explains. What activates it is
 * its parent's merit.
 *
 * @example
 * Object.keys(pedAnova(results)).length; // 2
 */
export function pedAnova(results: StudyResults, options: PedAnovaOptions = {}): Record<string, number> {
  const { objective = 0, target = 0.1, region = 1 } = options;
  objectiveName(results, objective);
  if (!(target > 0 && target < region && region <= 1))
    throw new ValueError(`target ${target} and region ${region} must satisfy 0 < target < region ≤ 1.`);
  const ranked = completed(results)
    .filter((row) => Number.isFinite(row.minimised[objective]!))
    .sort((a, b) => a.minimised[objective]! - b.minimised[objective]!);
  if (ranked.length < 3) throw new ValueError(`Importance needs at least 3 completed trials with finite values, got ${ranked.length}.`);
  const all = best(ranked, region, objective);
  const top = new Set(best(ranked, target, objective));
  return Object.fromEntries(
    parameterNames(all.map((row) => row.trial)).map((name) => {
      let sum = 0;
      for (const regime of regimesOf(all, name)) {
        const good = regime.rows.filter((row) => top.has(row));
        if (good.length === 0) continue;
        const divergence = axisDivergences(regime, good, name);
        // P(R) P(best|R)² / P(best)²  =  (n_R/n) (t_R/n_R)² (n/t)²
        sum += (divergence * good.length ** 2 * all.length) / (regime.rows.length * top.size ** 2);
      }
      return [name, sum];
    }),
  );
}

interface Regime {
  readonly distribution: Distribution;
  readonly rows: CompletedTrial[];
}

/** The best share, at least 2, with all that tie with the last. */
function best(ranked: readonly CompletedTrial[], share: number, objective: number): CompletedTrial[] {
  const last = ranked[Math.min(ranked.length, Math.max(2, Math.ceil(share * ranked.length))) - 1]!;
  return ranked.filter((row) => row.minimised[objective]! <= last.minimised[objective]!);
}

function regimesOf(rows: readonly CompletedTrial[], name: string): Regime[] {
  const regimes: Regime[] = [];
  for (const row of rows) {
    const distribution = row.trial.distributions[name];
    if (distribution === undefined) continue;
    const regime = regimes.find((known) => sameDistribution(known.distribution, distribution));
    if (regime === undefined) regimes.push({ distribution, rows: [row] });
    else regime.rows.push(row);
  }
  return regimes;
}

/** Σ over the parameter's axes of the divergence of the good rows from all rows. */
function axisDivergences({ distribution, rows }: Regime, good: readonly CompletedTrial[], name: string): number {
  const axes = axesOf(distribution);
  const points = (some: readonly CompletedTrial[]) => some.map((row) => coordinates(distribution, row.trial.params[name]!));
  const allPoints = points(rows);
  const goodPoints = points(good);
  let sum = 0;
  for (const [a, axis] of axes.entries()) {
    const local = cellDensity(axis, allPoints.map((point) => point[a]!));
    const top = cellDensity(axis, goodPoints.map((point) => point[a]!));
    for (const [cell, p] of local.entries()) sum += p * (top[cell]! / p - 1) ** 2;
  }
  return sum;
}

/** Probability of each cell: smoothed counts of categories, or a Parzen estimate with Scott's bandwidth. */
function cellDensity(axis: Axis, positions: readonly number[]): Float64Array {
  const cells = axis.categories > 0 ? axis.categories : Math.min(CELLS, axis.positions);
  const density = new Float64Array(cells);
  const counts = new Float64Array(cells);
  for (const position of positions) {
    const cell = axis.categories > 0 ? position : Math.min(cells - 1, Math.floor(position * cells));
    counts[cell]!++;
  }
  const total = positions.length + PRIOR;
  density.fill(PRIOR / cells / total);
  if (axis.categories > 0) return density.map((p, cell) => p + counts[cell]! / total);
  const sigma = scottBandwidth(counts, positions.length);
  for (const [centre, count] of counts.entries()) {
    if (count === 0) continue;
    const start = normalCdf((-0.5 - centre) / sigma);
    const mass = normalCdf((cells - 0.5 - centre) / sigma) - start;
    let below = start;
    for (let cell = 0; cell < cells; cell++) {
      const above = normalCdf((cell + 0.5 - centre) / sigma);
      density[cell]! += ((above - below) / mass) * (count / total);
      below = above;
    }
  }
  return density;
}

/** Scott 1992: 1.059 min(IQR / 1.34, s) n^(−1/5), in cells; at least so wide that one cell holds 90 % of a kernel. */
function scottBandwidth(counts: Float64Array, n: number): number {
  let mean = 0;
  for (const [cell, count] of counts.entries()) mean += (cell * count) / n;
  let variance = 0;
  for (const [cell, count] of counts.entries()) variance += (count * (cell - mean) ** 2) / Math.max(1, n - 1);
  const quartile = (q: number): number => {
    let seen = 0;
    return counts.findIndex((count) => (seen += count) >= q * n);
  };
  const spread = Math.min((quartile(0.75) - quartile(0.25)) / 1.34, Math.sqrt(variance));
  return Math.max(1.059 * spread * n ** -0.2, 0.5 / 1.645);
}
