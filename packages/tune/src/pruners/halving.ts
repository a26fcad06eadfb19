// Asynchronous successive halving: at each rung only the best 1/η of those who got there go on, at once (stop) or later
// (pause and promote). Hyperband runs several halvings that differ in how early they begin to cut.
import { hashString } from "../random/random.ts";
import type { DecideContext, Decision, Scheduler, StudyView } from "../contract/contract.ts";
import { StudyError } from "../errors/errors.ts";
import { reportedLosses, shareBetter, type Losses } from "./progress.ts";

/** Rungs and what share goes on from each. */
export interface HalvingOptions {
  /** Step of the first rung; default 1. */
  readonly minimumResource?: number;
  /** Each rung keeps one in η and is η times as far; default 4. */
  readonly reductionFactor?: number;
  /**
   * `stop`: a trial not among the best 1/η so far is pruned. `promote`: every trial pauses at its rung, and a free worker continues
   * the most advanced one among the best 1/η (Li et al. 2020, ASHA), so early bad luck is repaired. Default stop.
   */
  readonly mode?: "stop" | "promote";
}

interface Rung { readonly losses: Map<number, Losses>; readonly promoted: Set<number> }

/**
 * ASHA; with several objectives the best are those of lower dominance rank.
 *
 * @example
 * await createStudy({ pruner: new SuccessiveHalvingPruner() });
 */
export class SuccessiveHalvingPruner implements Scheduler {
  readonly name: string;
  private readonly minimumResource: number;
  private readonly factor: number;
  private readonly mode: "stop" | "promote";
  /** Which trials compete; all by default. */
  private readonly member: (study: StudyView, trial: number) => boolean;
  private readonly key = Symbol("rungs");

  constructor(options: HalvingOptions = {}, name = "successive-halving", member: (study: StudyView, trial: number) => boolean = () => true) {
    const { minimumResource = 1, reductionFactor = 4, mode = "stop" } = options;
    if (!(minimumResource >= 1)) throw new StudyError(`minimumResource must be at least 1 step, not ${minimumResource}.`);
    if (!(reductionFactor > 1)) throw new StudyError(`reductionFactor must exceed 1, not ${reductionFactor}.`);
    this.name = name;
    this.minimumResource = minimumResource;
    this.factor = reductionFactor;
    this.mode = mode;
    this.member = member;
  }

  decide({ study, trial, step }: DecideContext): Decision {
    const rungs = this.rungs(study, trial);
    const reached = this.rungAt(step);
    const before = this.highest(rungs, trial);
    if (reached <= before) return { action: "continue" };
    const { length } = study.reports(trial);
    const losses = reportedLosses(study, trial, length - 1);
    for (let k = before + 1; k <= reached; k++) (rungs[k] ??= { losses: new Map(), promoted: new Set() }).losses.set(trial, losses);
    const attributes = { [`completed_rung_${reached}`]: losses[0]! };
    if (losses.some(Number.isNaN)) return { action: "stop" };
    const best = this.isAmongBest(rungs[reached]!, trial);
    if (best) {
      rungs[reached]!.promoted.add(trial);
      return { action: "continue", attributes };
    }
    return { action: this.mode === "stop" ? "stop" : "pause", attributes };
  }

  /** The paused trial at the highest rung that is now among its best. */
  next(study: StudyView): number | null {
    if (this.mode !== "promote") return null;
    const rungs = this.rungs(study);
    const paused = study.paused.filter((trial) => this.member(study, trial));
    for (let k = rungs.length - 1; k >= 0; k--) {
      const rung = rungs[k];
      if (rung === undefined) continue;
      for (const trial of paused) {
        if (!rung.losses.has(trial) || rung.promoted.has(trial) || this.highest(rungs, trial) !== k || !this.isAmongBest(rung, trial)) continue;
        rung.promoted.add(trial);
        return trial;
      }
    }
    return null;
  }

  /** Highest rung whose step is at most `step`; −1 before the first. */
  private rungAt(step: number): number {
    let rung = -1;
    for (let need = this.minimumResource; need <= step; need *= this.factor) rung++;
    return rung;
  }

  private highest(rungs: readonly (Rung | undefined)[], trial: number): number {
    for (let k = rungs.length - 1; k >= 0; k--) if (rungs[k]?.losses.has(trial) === true) return k;
    return -1;
  }

  private isAmongBest(rung: Rung, trial: number): boolean {
    const mine = rung.losses.get(trial)!;
    const others: Losses[] = [];
    for (const [other, losses] of rung.losses) if (other !== trial) others.push(losses);
    // While fewer than η got here, only the best of them goes on.
    const n = others.length + 1;
    const places = Math.max(1, Math.floor(n / this.factor));
    return shareBetter(mine, others) * others.length <= places - 0.5;
  }

  /** The rungs of this study; made from all reports, but for the one being decided, when this process meets the study. */
  private rungs(study: StudyView, deciding = -1): (Rung | undefined)[] {
    return study.cache<(Rung | undefined)[]>(this.key, () => {
      const rungs: (Rung | undefined)[] = [];
      for (let trial = 0; trial < study.length; trial++) {
        if (!this.member(study, trial)) continue;
        const { steps, length } = study.reports(trial);
        let highest = -1;
        const known = trial === deciding ? length - 1 : length;
        for (let i = 0; i < known; i++) {
          for (const rung = this.rungAt(steps[i]!); highest < rung;) {
            highest++;
            (rungs[highest] ??= { losses: new Map(), promoted: new Set() }).losses.set(trial, reportedLosses(study, trial, i));
          }
        }
        for (let k = 0; k < highest; k++) rungs[k]!.promoted.add(trial);
      }
      return rungs;
    });
  }
}

/** Resources, reduction and brackets. */
export interface HyperbandOptions {
  /** Default 1. */
  readonly minimumResource?: number;
  /** Step at which a trial is trained fully. */
  readonly maximumResource: number;
  /** Default 3. */
  readonly reductionFactor?: number;
  readonly mode?: "stop" | "promote";
}

/**
 * Hyperband (Li et al. 2018) over asynchronous halvings; a trial's bracket follows from the study's name and its number.
 *
 * @example
 * await createStudy({ pruner: new HyperbandPruner({ maximumResource: 27 }) });
 */
export class HyperbandPruner implements Scheduler {
  readonly name = "hyperband";
  private readonly brackets: SuccessiveHalvingPruner[];
  private readonly shares: number[];

  constructor(options: HyperbandOptions) {
    const { minimumResource = 1, maximumResource, reductionFactor = 3, mode = "stop" } = options;
    if (!(maximumResource >= minimumResource)) throw new StudyError(`maximumResource ${maximumResource} is below minimumResource ${minimumResource}.`);
    const count = Math.floor(Math.log(maximumResource / minimumResource) / Math.log(reductionFactor) + 1e-9) + 1;
    this.shares = [];
    this.brackets = Array.from({ length: count }, (_, b) => {
      // Bracket b starts cutting η^b later; it gets trials in proportion to ⌈count · η^s / (s + 1)⌉ with s = count − 1 − b.
      const s = count - 1 - b;
      this.shares.push(Math.ceil((count * reductionFactor ** s) / (s + 1)));
      return new SuccessiveHalvingPruner({ minimumResource: minimumResource * reductionFactor ** b, reductionFactor, mode }, `hyperband-${b}`, (study, trial) => this.bracketOf(study, trial) === b);
    });
  }

  decide(context: DecideContext): Decision {
    return this.brackets[this.bracketOf(context.study, context.trial)]!.decide(context);
  }

  next(study: StudyView): number | null {
    for (const bracket of this.brackets) {
      const trial = bracket.next(study);
      if (trial !== null) return trial;
    }
    return null;
  }

  /** The bracket a trial belongs to. */
  bracketOf(study: StudyView, trial: number): number {
    let left = hashString(`${study.name}_${trial}`) % this.shares.reduce((a, b) => a + b, 0);
    for (let b = 0; b < this.shares.length; b++) if ((left -= this.shares[b]!) < 0) return b;
    return this.shares.length - 1;
  }
}
