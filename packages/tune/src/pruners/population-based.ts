// Population-based training (Jaderberg et al. 2017): every so many steps the worst fifth stop and start again from a
// checkpoint of the best fifth, with hyper-parameters a little changed; a schedule is found while training once.
import type { Random } from "../random/random.ts";
import { fromUnit, toUnit, unitWidth, type Internal } from "../space/distribution.ts";
import type { ParameterSpec } from "../space/space.ts";
import { TrialState, type DecideContext, type Decision, type Scheduler, type StudyView } from "../contract/contract.ts";
import { StudyError } from "../errors/errors.ts";
import { lossesAtStep, shareBetter, type Losses } from "./progress.ts";

/** When members copy better ones, and how far they stray. */
export interface PopulationBasedOptions {
  /** Steps between exploitations. */
  readonly interval: number;
  /** Share that copies and share that is copied; default 0.2. */
  readonly quantile?: number;
  /** Probability that a parameter is drawn anew instead of perturbed; default 0.25. */
  readonly resample?: number;
  /** Trials at a step before anyone copies; default 5. */
  readonly minimumPopulation?: number;
  /** Parameters that may change between steps; default all. A width of a layer, say, cannot. */
  readonly mutable?: readonly string[];
}

/** PBT as a scheduler: forks carry the parent's checkpoint; several objectives are ranked by dominance. */
export class PopulationBasedTraining implements Scheduler {
  readonly name = "population-based";
  private readonly options: Required<Omit<PopulationBasedOptions, "mutable">> & { readonly mutable: readonly string[] | null };

  constructor(options: PopulationBasedOptions) {
    const { interval, quantile = 0.2, resample = 0.25, minimumPopulation = 5, mutable = null } = options;
    if (!(interval > 0)) throw new StudyError(`interval must be a positive number of steps, not ${interval}.`);
    if (!(quantile > 0 && quantile <= 0.5)) throw new StudyError(`quantile must be in (0, 0.5], not ${quantile}.`);
    this.options = { interval, quantile, resample, minimumPopulation, mutable };
  }

  decide({ study, trial, step, random }: DecideContext): Decision {
    const { interval, quantile, minimumPopulation } = this.options;
    if (step <= 0 || step % interval !== 0) return { action: "continue" };
    const mine = lossesAtStep(study, trial, step);
    if (mine === null) return { action: "continue" };
    const peers = this.peers(study, trial, step);
    if (peers.length + 1 < minimumPopulation) return { action: "continue" };
    const losses = peers.map((peer) => peer.losses);
    const broken = mine.some(Number.isNaN);
    if (!broken && shareBetter(mine, losses) <= 1 - quantile) return { action: "continue" };
    const best = peers.filter((peer) => shareBetter(peer.losses, losses) < quantile);
    if (best.length === 0) return { action: broken ? "stop" : "continue" };
    const stream = random("explore");
    const parent = best[stream.integer(best.length)]!.trial;
    return { action: "fork", fork: { parent, assignment: this.explored(study, parent, stream) } };
  }

  /** Other trials with usable losses at this step that have a state to copy. */
  private peers(study: StudyView, trial: number, step: number): { trial: number; losses: Losses }[] {
    const peers: { trial: number; losses: Losses }[] = [];
    for (let other = 0; other < study.length; other++) {
      if (other === trial || study.states[other] === TrialState.FAIL) continue;
      const losses = lossesAtStep(study, other, step);
      if (losses !== null && !losses.some(Number.isNaN)) peers.push({ trial: other, losses });
    }
    return peers;
  }

  private explored(study: StudyView, parent: number, random: Random): Map<string, Internal> {
    const assignment = new Map<string, Internal>();
    for (const { name, distribution } of study.parameters.values()) {
      const value = study.internal(parent, name);
      if (value === undefined) continue;
      const fixed = this.options.mutable !== null && !this.options.mutable.includes(name);
      const branching = study.space?.parameters.some(({ condition }) => condition?.parameter === name) === true;
      assignment.set(name, fixed || branching ? value : this.perturbed({ name, distribution, condition: null }, value, random));
    }
    return assignment;
  }

  /** Numbers times 0.8 or 1.2 (kept inside); other kinds move to a neighbour in their unit form; sometimes drawn anew. */
  private perturbed({ distribution }: ParameterSpec, value: Internal, random: Random): Internal {
    const unit = new Float64Array(unitWidth(distribution));
    const anew = random.uniform() < this.options.resample;
    const factor = random.uniform() < 0.5 ? 0.8 : 1.2;
    if (anew || distribution.kind === "categorical") {
      if (!anew) return value;
      for (let d = 0; d < unit.length; d++) unit[d] = random.uniform();
      return fromUnit(distribution, unit);
    }
    if ((distribution.kind === "float" || distribution.kind === "int") && typeof value === "number") {
      const moved = Math.min(distribution.high, Math.max(distribution.low, value * factor));
      toUnit(distribution, distribution.kind === "int" ? Math.round(moved) : moved, unit);
      return fromUnit(distribution, unit);
    }
    toUnit(distribution, value, unit);
    for (let d = 0; d < unit.length; d++) unit[d] = Math.min(1, Math.max(0, unit[d]! + (random.uniform() - 0.5) * 0.4));
    return fromUnit(distribution, unit);
  }
}
