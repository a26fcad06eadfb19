// Stop what is plainly broken, and wait a while before believing that nothing improves.
import type { DecideContext, Decision, Pruner } from "../contract/contract.ts";
import { StudyError } from "../errors/errors.ts";
import { reportedLosses } from "./progress.ts";

/** The range that reports must stay in. */
export interface ThresholdOptions {
  /** Stops below it. */
  readonly lower?: number;
  /** Stops above it. */
  readonly upper?: number;
  /** No pruning before this step; default 0. */
  readonly warmupSteps?: number;
}

/**
 * Stops a trial whose report (as reported, of any objective) is NaN or outside [lower, upper].
 *
 * @example
 * await createStudy({ pruner: new ThresholdPruner({ upper: 100 }) });
 */
export class ThresholdPruner implements Pruner {
  readonly name = "threshold";
  private readonly options: ThresholdOptions;

  constructor(options: ThresholdOptions) {
    if (options.lower === undefined && options.upper === undefined) throw new StudyError("threshold needs lower, upper or both.");
    if ((options.lower ?? -Infinity) > (options.upper ?? Infinity)) throw new StudyError(`threshold: lower ${options.lower} is above upper ${options.upper}; swap them.`);
    this.options = options;
  }

  decide({ study, trial, step }: DecideContext): Decision {
    const { lower = -Infinity, upper = Infinity, warmupSteps = 0 } = this.options;
    if (step < warmupSteps) return { action: "continue" };
    const { length, metrics } = study.reports(trial);
    const broken = study.metricNames.some((name) => {
      const value = metrics.get(name)?.[length - 1];
      return value !== undefined && !(value >= lower && value <= upper);
    });
    return { action: broken ? "stop" : "continue" };
  }
}

/**
 * Lets another pruner decide only once the last `patience` + 1 reports have not improved on those before by more than `minimumGain`.
 *
 * @example
 * await createStudy({ pruner: new PatientPruner(new MedianPruner(), 3) });
 */
export class PatientPruner implements Pruner {
  readonly name = "patient";
  private readonly inner: Pruner | null;
  private readonly patience: number;
  private readonly minimumGain: number;

  /** With `inner` null, lack of improvement alone stops. */
  constructor(inner: Pruner | null, patience: number, minimumGain = 0) {
    if (!Number.isSafeInteger(patience) || patience < 0) throw new StudyError(`patience must be a whole number of reports, not ${patience}.`);
    this.inner = inner;
    this.patience = patience;
    this.minimumGain = minimumGain;
  }

  decide(context: DecideContext): Decision {
    const { study, trial } = context;
    const { length } = study.reports(trial);
    const window = this.patience + 1;
    if (length <= window) return { action: "continue" };
    const improved = study.directions.some((_, k) => {
      let before = Infinity, recent = Infinity;
      for (let i = 0; i < length; i++) {
        const loss = reportedLosses(study, trial, i)[k]!;
        if (i < length - window) before = Math.min(before, Number.isNaN(loss) ? Infinity : loss);
        else recent = Math.min(recent, Number.isNaN(loss) ? Infinity : loss);
      }
      return recent < before - this.minimumGain;
    });
    if (improved) return { action: "continue" };
    return this.inner === null ? { action: "stop" } : this.inner.decide(context);
  }
}
