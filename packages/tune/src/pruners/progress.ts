// What pruners compare: the intermediate losses of trials at a step, kept per step as trials finish.
import { TrialState, type StudyView } from "../contract/contract.ts";
import { frontRanks } from "../pareto/dominance.ts";

/** Losses (to minimise), one per objective. */
export type Losses = Float64Array;

/** The losses a trial reported at position `i`, NaN where a metric is missing. */
export function reportedLosses(study: StudyView, trial: number, i: number): Losses {
  const { metrics } = study.reports(trial);
  return Float64Array.from(study.metricNames, (name, k) => {
    const value = metrics.get(name)?.[i] ?? Number.NaN;
    return study.directions[k] === "maximize" ? -value : value;
  });
}

/** The losses at exactly this step, or null. */
export function lossesAtStep(study: StudyView, trial: number, step: number): Losses | null {
  const { steps, length } = study.reports(trial);
  for (let i = length - 1; i >= 0 && steps[i]! >= step; i--) if (steps[i] === step) return reportedLosses(study, trial, i);
  return null;
}

/** The best losses up to and including a step, per objective. */
export function bestUntil(study: StudyView, trial: number, step: number): Losses {
  const { steps, length } = study.reports(trial);
  const best = new Float64Array(study.directions.length).fill(Number.NaN);
  for (let i = 0; i < length && steps[i]! <= step; i++) {
    reportedLosses(study, trial, i).forEach((loss, k) => { if (!(best[k]! <= loss) && !Number.isNaN(loss)) best[k] = loss; });
  }
  return best;
}

const COMPLETED = Symbol("completed reports");

/** Per step the losses of all COMPLETE trials at it. */
export class CompletedReports {
  /** Number of complete trials. */
  trials = 0;
  private readonly steps = new Map<number, Losses[]>();
  private synced = 0;

  /** The shared instance of a study, up to date. */
  static of(study: StudyView): CompletedReports {
    const reports = study.cache(COMPLETED, () => new CompletedReports());
    for (; reports.synced < study.watermark; reports.synced++) {
      const trial = study.finished[reports.synced]!;
      if (study.states[trial] !== TrialState.COMPLETE) continue;
      reports.trials++;
      const { steps, length } = study.reports(trial);
      for (let i = 0; i < length; i++) {
        const column = reports.steps.get(steps[i]!);
        const losses = reportedLosses(study, trial, i);
        if (column === undefined) reports.steps.set(steps[i]!, [losses]);
        else column.push(losses);
      }
    }
    return reports;
  }

  at(step: number): readonly Losses[] {
    return this.steps.get(step) ?? [];
  }
}

/**
 * The place of `mine` among `others`: the share of them that is better, counting half of the equals. With several
 * objectives the rank of the non-dominated front decides, so that no objective needs a weight.
 */
export function shareBetter(mine: Losses, others: readonly Losses[]): number {
  const usable = others.filter((losses) => losses.every((v) => !Number.isNaN(v)));
  if (usable.length === 0) return 0;
  const m = mine.length;
  const ranks = m === 1 ? [...usable, mine].map((losses) => losses[0]!) : frontRanks(Float64Array.from([...usable, mine].flatMap((losses) => [...losses])), m);
  const own = ranks[ranks.length - 1]!;
  let better = 0;
  for (let i = 0; i < usable.length; i++) better += ranks[i]! < own ? 1 : ranks[i]! === own ? 0.5 : 0;
  return better / usable.length;
}
