// Stop a trial that loses to the best one instance by instance (fold, task, seed): Wilcoxon's signed-rank test on the
// paired reports, where a step is the number of an instance rather than a time.
import { normalCdf } from "../math/normal.ts";
import { TrialState, type DecideContext, type Decision, type Pruner, type StudyView } from "../contract/contract.ts";
import { StudyError } from "../errors/errors.ts";
import { reportedLosses } from "./progress.ts";

/** When the paired test decides. */
export interface WilcoxonOptions {
  /** Stops when the probability of such a deficit by chance is below it; default 0.1. */
  readonly threshold?: number;
  /** No pruning with fewer pairs; default 2. */
  readonly startupSteps?: number;
}

/**
 * Wilcoxon pruning against the best complete trial; one objective.
 *
 * @example
 * await createStudy({ pruner: new WilcoxonPruner() });
 */
export class WilcoxonPruner implements Pruner {
  readonly name = "wilcoxon";
  private readonly threshold: number;
  private readonly startupSteps: number;

  constructor({ threshold = 0.1, startupSteps = 2 }: WilcoxonOptions = {}) {
    if (!(threshold > 0 && threshold < 1)) throw new StudyError(`threshold is a probability between 0 and 1, not ${threshold}.`);
    this.threshold = threshold;
    this.startupSteps = startupSteps;
  }

  decide({ study, trial }: DecideContext): Decision {
    if (study.directions.length > 1) throw new StudyError("wilcoxon compares one objective; use median or successive halving for several.");
    const best = bestComplete(study);
    if (best < 0) return { action: "continue" };
    const mine = lossesByStep(study, trial), theirs = lossesByStep(study, best);
    const differences: number[] = [];
    for (const [step, loss] of mine) {
      const other = theirs.get(step);
      if (other !== undefined) differences.push(loss - other);
    }
    if (differences.length < Math.max(2, this.startupSteps)) return { action: "continue" };
    const average = differences.reduce((a, b) => a + b, 0);
    return { action: average > 0 && signedRankProbability(differences) < this.threshold ? "stop" : "continue" };
  }
}

function bestComplete(study: StudyView): number {
  let best = -1;
  const sign = study.directions[0] === "maximize" ? -1 : 1;
  for (let i = 0; i < study.watermark; i++) {
    const trial = study.finished[i]!;
    if (study.states[trial] !== TrialState.COMPLETE || study.reports(trial).length === 0) continue;
    if (best < 0 || sign * study.values[0]![trial]! < sign * study.values[0]![best]!) best = trial;
  }
  return best;
}

function lossesByStep(study: StudyView, trial: number): Map<number, number> {
  const { steps, length } = study.reports(trial);
  const losses = new Map<number, number>();
  for (let i = 0; i < length; i++) {
    const loss = reportedLosses(study, trial, i)[0]!;
    if (Number.isFinite(loss)) losses.set(steps[i]!, loss);
  }
  return losses;
}

/** P(W⁺ ≥ observed) under symmetry about zero: exact up to 25 untied pairs, normal with tie correction beyond; zeros are ranked and split (Pratt). */
export function signedRankProbability(differences: readonly number[]): number {
  const n = differences.length;
  const order = differences.map((_, i) => i).sort((a, b) => Math.abs(differences[a]!) - Math.abs(differences[b]!));
  const ranks = new Float64Array(n);
  let tied = false, tieTerm = 0;
  for (let i = 0; i < n;) {
    let j = i;
    while (j < n && Math.abs(differences[order[j]!]!) === Math.abs(differences[order[i]!]!)) j++;
    for (let k = i; k < j; k++) ranks[order[k]!] = (i + j + 1) / 2;
    if (j - i > 1) { tied = true; tieTerm += (j - i) ** 3 - (j - i); }
    i = j;
  }
  let positive = 0;
  differences.forEach((d, i) => { positive += d > 0 ? ranks[i]! : d === 0 ? ranks[i]! / 2 : 0; });
  if (!tied && n <= 25) {
    // Number of subsets of {1 … n} with each sum.
    const counts = new Float64Array((n * (n + 1)) / 2 + 1);
    counts[0] = 1;
    for (let r = 1; r <= n; r++) for (let s = counts.length - 1; s >= r; s--) counts[s] = counts[s]! + counts[s - r]!;
    let above = 0;
    for (let s = Math.ceil(positive); s < counts.length; s++) above += counts[s]!;
    return above / 2 ** n;
  }
  const mean = (n * (n + 1)) / 4;
  const variance = (n * (n + 1) * (2 * n + 1)) / 24 - tieTerm / 48;
  return variance > 0 ? normalCdf((mean - positive) / Math.sqrt(variance)) : 1;
}
