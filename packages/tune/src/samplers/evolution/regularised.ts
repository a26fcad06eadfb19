// Regularised (ageing) evolution (Real et al. 2019): the best of a random sample of the youngest hundred is mutated in one
// place; age, not fitness, decides who dies, which forgets lucky results.
import type { Internal } from "../../space/distribution.ts";
import type { ParameterSpec } from "../../space/space.ts";
import type { AskContext, Proposal, Sampler } from "../../contract/contract.ts";
import { TrialState } from "../../contract/contract.ts";
import { StudyError } from "../../errors/errors.ts";
import { historyOf } from "../history.ts";
import { randomAssignment, randomValue } from "../random.ts";
import { mutate } from "./variation.ts";

export interface RegularisedEvolutionOptions {
  /** The youngest so many trials are alive; default 100. */
  readonly populationSize?: number;
  /** Size of the sample whose best becomes the parent; default 25. */
  readonly sampleSize?: number;
}

/** Ageing evolution, made for large discrete spaces; one objective. */
export class RegularisedEvolutionSampler implements Sampler {
  readonly name = "regularised-evolution";
  private readonly populationSize: number;
  private readonly sampleSize: number;

  constructor(options: RegularisedEvolutionOptions = {}) {
    this.populationSize = options.populationSize ?? 100;
    this.sampleSize = options.sampleSize ?? 25;
  }

  ask(context: AskContext): Proposal {
    const { space, study } = context;
    if (study.directions.length > 1) throw new StudyError("regularised evolution has one objective; use nsga for several.");
    const history = historyOf(context);
    if (history.length < this.populationSize) return { assignment: randomAssignment(context), why: "initial population" };
    const random = context.random("variation");
    const child = new Float64Array(history.width);
    for (let tries = 0; tries < 50; tries++) {
      let parent = -1;
      for (let k = 0; k < this.sampleSize; k++) {
        const row = history.length - 1 - random.integer(Math.min(this.populationSize, history.length));
        if (study.states[history.trials[row]!] === TrialState.FAIL || Number.isNaN(history.losses[row]!)) continue;
        if (parent < 0 || fitter(context, row, parent)) parent = row;
      }
      if (parent < 0) break;
      child.set(history.row(parent));
      const changed = random.integer(child.length);
      const one = child.subarray(changed, changed + 1);
      mutate("gaussian", [history.dimensions[changed]!], 1, random, one);
      const assignment = space.fromUnit(child.map((u) => (Number.isNaN(u) ? random.uniform() : u)));
      if (space.satisfies(assignment) && !study.isKnown(assignment)) return { assignment, why: `mutant of trial ${history.trials[parent]!}` };
    }
    return { assignment: randomAssignment(context), why: "no new mutant" };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    return randomValue(context, parameter);
  }
}

function fitter(context: AskContext, a: number, b: number): boolean {
  const { study } = context;
  const history = historyOf(context);
  const p = study.violations[history.trials[a]!]!, q = study.violations[history.trials[b]!]!;
  if (study.constrained && p !== q && !(Number.isNaN(p) && Number.isNaN(q))) return p < q || Number.isNaN(q);
  return history.losses[a]! < history.losses[b]!;
}
