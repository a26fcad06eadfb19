// Stop what has done worse than most finished trials had at the same step.
import type { DecideContext, Decision, Pruner } from "../contract/contract.ts";
import { StudyError } from "../errors/errors.ts";
import { bestUntil, CompletedReports, shareBetter } from "./progress.ts";

/** When comparisons begin, and with whom. */
export interface PercentileOptions {
  /** No pruning before so many trials are complete; default 5. */
  readonly startupTrials?: number;
  /** No pruning before this step; default 0. */
  readonly warmupSteps?: number;
  /** Looks only at every so many steps after the warm-up; default 1. */
  readonly interval?: number;
  /** No pruning at a step that fewer complete trials have reported; default 1. */
  readonly minimumTrials?: number;
}

/**
 * Keeps a trial only while its best report is within the best `percentile` percent of complete trials at that step (by dominance rank with several objectives).
 *
 * @example
 * await createStudy({ pruner: new PercentilePruner(25) });
 */
export class PercentilePruner implements Pruner {
  readonly name: string = "percentile";
  private readonly percentile: number;
  private readonly options: Required<PercentileOptions>;

  constructor(percentile: number, options: PercentileOptions = {}) {
    if (!(percentile >= 0 && percentile <= 100)) throw new StudyError(`percentile must be between 0 and 100, not ${percentile}.`);
    this.percentile = percentile;
    this.options = { startupTrials: 5, warmupSteps: 0, interval: 1, minimumTrials: 1, ...options };
  }

  decide({ study, trial, step }: DecideContext): Decision {
    const { startupTrials, warmupSteps, interval, minimumTrials } = this.options;
    const completed = CompletedReports.of(study);
    if (completed.trials < startupTrials || completed.trials === 0 || step < warmupSteps) return { action: "continue" };
    const previous = study.reports(trial).length > 1 ? study.reports(trial).steps[study.reports(trial).length - 2]! : -1;
    // Due when the step enters a new interval: objectives may not report every step.
    if (Math.floor((step - warmupSteps) / interval) === Math.floor((previous - warmupSteps) / interval) && previous >= warmupSteps) return { action: "continue" };
    const best = bestUntil(study, trial, step);
    if (best.some(Number.isNaN)) return { action: "stop" };
    const others = completed.at(step);
    if (others.length < minimumTrials || others.length === 0) return { action: "continue" };
    return { action: shareBetter(best, others) * 100 > this.percentile ? "stop" : "continue" };
  }
}

/**
 * Keeps a trial while it does better than the median of complete trials at the same step.
 *
 * @example
 * await createStudy({ pruner: new MedianPruner() });
 */
export class MedianPruner extends PercentilePruner {
  override readonly name = "median";

  constructor(options: PercentileOptions = {}) {
    super(50, options);
  }
}
