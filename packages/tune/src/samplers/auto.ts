// The default: looks at the space, the budget and what has happened, lets the sampler that does best there choose, and
// says why. It is a function of the study, so a resume decides the same.
import type { Internal } from "../space/distribution.ts";
import { cardinality } from "../space/distribution.ts";
import type { ParameterSpec } from "../space/space.ts";
import { TrialState, type AskContext, type Proposal, type Sampler, type StudyView } from "../contract/contract.ts";
import { CMAESSampler } from "./cma-es/sampler.ts";
import { GPSampler } from "./gp/sampler.ts";
import { ExhaustiveSampler } from "./grid.ts";
import { NSGASampler } from "./evolution/nsga.ts";
import { TPESampler } from "./tpe/sampler.ts";

/** Finished trials up to which a Gaussian process pays for its cost, when the budget is usual or very large. */
const MODEL_TRIALS = 300, MODEL_TRIALS_OF_LARGE_BUDGET = 100, LARGE_BUDGET = 2000;
/** Coordinates up to which its length scales can be learned from so few trials. */
const MODEL_DIMENSIONS = 50;
/**
 * In purely discrete spaces every other trial then comes from TPE: tables have cliffs that a smooth model smooths away, and
 * which of the two is ahead differs from table to table.
 */
const SECOND_OPINION_FROM = 20;

/** Picks between exhaustive search, Gaussian process, TPE, CMA-ES and NSGA. */
export class AutoSampler implements Sampler {
  readonly name = "auto";
  private readonly exhaustive = new ExhaustiveSampler();
  private readonly gp = new GPSampler();
  private readonly tpe = new TPESampler();
  private readonly cma = new CMAESSampler();
  private readonly nsga = new NSGASampler();

  ask(context: AskContext): Proposal | null {
    const { sampler, reason } = this.choose(context);
    const proposal = sampler.ask({ ...context, random: (stream) => context.random(`${sampler.name}/${stream}`) });
    if (proposal === null) return null;
    return { ...proposal, why: `${sampler.name}: ${reason}${proposal.why === undefined ? "" : `; ${proposal.why}`}` };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    return this.tpe.askIndependent(context, parameter);
  }

  private choose(context: AskContext): { sampler: Sampler; reason: string } {
    const { study, space } = context;
    const done = study.watermark;
    const budget = done + study.running.length + context.remaining;
    if (space.parameters.length > 0 && Number.isFinite(budget) && space.cardinality() <= budget && !study.noisy) return { sampler: this.exhaustive, reason: "the budget covers the whole space" };
    const modelTrials = budget > LARGE_BUDGET && Number.isFinite(budget) ? MODEL_TRIALS_OF_LARGE_BUDGET : MODEL_TRIALS;
    if (study.directions.length > 1) {
      return done < modelTrials / 2 ? { sampler: this.gp, reason: "few trials, several objectives" } : { sampler: this.nsga, reason: "many trials, several objectives" };
    }
    if (space.unitDimensions > MODEL_DIMENSIONS) {
      return numeric(context) && budget > 100 * space.unitDimensions ? { sampler: this.cma, reason: "many numeric parameters and trials" } : { sampler: this.tpe, reason: "many parameters" };
    }
    if (prunedShare(study) > 0.25) return { sampler: this.tpe, reason: "pruned trials can be ranked but not modelled" };
    if (done >= modelTrials) return numeric(context) ? { sampler: this.cma, reason: "many trials, numeric parameters" } : { sampler: this.tpe, reason: "many trials, mixed parameters" };
    const discrete = space.parameters.every(({ distribution }) => Number.isFinite(cardinality(distribution)));
    if (discrete && done >= SECOND_OPINION_FROM && context.trial % 2 === 1) return { sampler: this.tpe, reason: "a second opinion in a discrete space" };
    return { sampler: this.gp, reason: "few trials" };
  }
}

/** Whether a covariance between parameters makes sense. */
function numeric({ space }: AskContext): boolean {
  return !space.conditional && space.parameters.every(({ distribution }) => distribution.kind === "float" || distribution.kind === "int" || distribution.kind === "simplex");
}

function prunedShare(study: StudyView): number {
  let pruned = 0;
  for (let i = 0; i < study.watermark; i++) if (study.states[study.finished[i]!] === TrialState.PRUNED) pruned++;
  return study.watermark < 10 ? 0 : pruned / study.watermark;
}
