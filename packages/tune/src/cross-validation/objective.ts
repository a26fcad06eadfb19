// An objective that scores a configuration by cross-validation and reports after every fold,
// so that a pruner can stop a poor configuration after the first folds (racing).
import { ValueError } from "../errors/errors.ts";
import type { Trial } from "../trials/trial.ts";
import type { Fold } from "./folds.ts";

/** The part of a trial that racing needs. */
export type RacingTrial = Pick<Trial, "report" | "prune">;

/** How `crossValidated` reports. */
export interface CrossValidationOptions {
  /**
   * What is reported after fold i: "mean" of the scores so far, which rank-based pruners (median, ASHA, Hyperband) compare
   * at equal steps; or the score of that "fold", whose pairs the Wilcoxon pruner tests. Default "mean".
   */
  readonly report?: "mean" | "fold";
}

/**
 * The objective `trial → mean score over folds`; `score` trains on `fold.train` and scores on `fold.test`.
 *
 * @example
 * const tuned = await createStudy({ seed: 1 });
 * await tuned.optimize(crossValidated(kFold(6, { folds: 3 }), (trial, fold) => trial.float("x", 0, 1) + fold.test.length), { trials: 3 });
 * tuned.trials("COMPLETE", "PRUNED").length; // 3
 */
export function crossValidated<T extends RacingTrial>(
  folds: Iterable<Fold>,
  score: (trial: T, fold: Fold) => number | Promise<number>,
  { report = "mean" }: CrossValidationOptions = {},
): (trial: T) => Promise<number> {
  const all = [...folds]; // every trial meets the same folds in the same order
  if (all.length === 0) throw new ValueError("crossValidated: there are no folds; pass kFold(…) or stratifiedKFold(…).");
  return async (trial) => {
    let sum = 0;
    for (const [step, fold] of all.entries()) {
      const value = await score(trial, fold);
      sum += value;
      const stop = await trial.report(report === "mean" ? sum / (step + 1) : value, step);
      if (stop && step + 1 < all.length) trial.prune();
    }
    return sum / all.length;
  };
}
