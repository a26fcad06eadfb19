// Evolution as breeders know it: a random population, ranked by fitness; the worst give way to crossed and mutated
// children of the better ones, one at a time so that no worker idles, until good enough or no longer improving.
import type { Internal } from "../../space/distribution.ts";
import type { ParameterSpec, SearchSpace } from "../../space/space.ts";
import { TrialState, type AskContext, type Proposal, type Sampler, type StudyView } from "../../contract/contract.ts";
import { StudyError } from "../../errors/errors.ts";
import { historyOf, keepState, type History } from "../history.ts";
import { randomAssignment, randomValue } from "../random.ts";
import { cross, mutate, type Crossover, type Mutation } from "./variation.ts";

export interface EvolutionOptions {
  /** Random individuals to start with, and the size kept; default 100. */
  readonly populationSize?: number;
  /** Default uniform. */
  readonly crossover?: Crossover;
  /** Default gaussian. */
  readonly mutation?: Mutation;
  /** Probability that a coordinate mutates; default 1 / dimensions. */
  readonly mutationRate?: number;
  /** Satisfied once a trial is at least this good (in the objective's own direction); default never. */
  readonly target?: number;
  /** Stalled after so many evaluations without a new best; default never. */
  readonly patience?: number;
}

/** Steady-state genetic search with rank selection; one objective. */
export class EvolutionSampler implements Sampler {
  readonly name = "evolution";
  private readonly options: EvolutionOptions;
  private readonly key = Symbol("evolution");

  constructor(options: EvolutionOptions = {}) {
    const { populationSize = 100 } = options;
    if (!Number.isSafeInteger(populationSize) || populationSize < 2) throw new StudyError(`evolution needs a population of at least 2, not ${populationSize}.`);
    this.options = options;
  }

  /** Null once satisfied or stalled. */
  ask(context: AskContext): Proposal | null {
    const { space, study } = context;
    if (study.directions.length > 1) throw new StudyError("evolution ranks by one objective; use nsga for several.");
    const { populationSize = 100, crossover = "uniform", mutation = "gaussian", target, patience = Infinity } = this.options;
    const history = historyOf(context);
    const state = keepState(context, this.key, () => new Population(history, populationSize));
    state.sync(study);
    const { members } = state;
    if (members.length > 0) {
      const best = history.losses[members[0]!]!;
      if (target !== undefined && state.feasible(study, members[0]!) && best <= (study.directions[0] === "maximize" ? -target : target)) return null;
      if (state.sinceBest >= patience) return null;
    }
    if (members.length < populationSize) return { assignment: randomAssignment(context), why: "initial population" };
    const random = context.random("variation");
    const child = new Float64Array(history.width);
    for (let tries = 0; tries < 50; tries++) {
      cross(crossover, history.dimensions, history.row(members[rankSelected(random.uniform(), members.length)]!), history.row(members[rankSelected(random.uniform(), members.length)]!), random, child);
      mutate(mutation, history.dimensions, this.options.mutationRate ?? 1 / child.length, random, child);
      const assignment = space.fromUnit(child);
      if (space.satisfies(assignment) && !study.isKnown(assignment)) return { assignment, why: `child of the fittest of ${members.length}` };
    }
    return { assignment: randomAssignment(context), why: "no new child" };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    return randomValue(context, parameter);
  }
}

/** A place from 0 (best) to n − 1, linearly less likely with rank (Baker 1985, pressure 2). */
function rankSelected(u: number, n: number): number {
  return Math.min(n - 1, Math.floor(n * (1 - Math.sqrt(1 - u))));
}

/** The best rows so far, sorted; a new row takes the place of the worst. */
class Population {
  readonly history: History;
  members: number[] = [];
  /** Evaluations since the best changed. */
  sinceBest = 0;
  private readonly size: number;
  private synced = 0;

  constructor(history: History, size: number) {
    this.history = history;
    this.size = size;
  }

  get space(): SearchSpace {
    return this.history.space;
  }

  sync(study: StudyView): void {
    const { history, members } = this;
    for (; this.synced < history.length; this.synced++) {
      const row = this.synced;
      if (study.states[history.trials[row]!] === TrialState.FAIL || Number.isNaN(history.losses[row]!)) {
        this.sinceBest++;
        continue;
      }
      let at = members.length;
      while (at > 0 && this.better(study, row, members[at - 1]!)) at--;
      this.sinceBest = at === 0 ? 0 : this.sinceBest + 1;
      members.splice(at, 0, row);
      if (members.length > this.size) members.pop();
    }
  }

  feasible(study: StudyView, row: number): boolean {
    return !study.constrained || study.violations[this.history.trials[row]!]! <= 0;
  }

  private better(study: StudyView, a: number, b: number): boolean {
    if (study.constrained) {
      const p = study.violations[this.history.trials[a]!]!, q = study.violations[this.history.trials[b]!]!;
      const difference = (Number.isNaN(p) ? Infinity : p) - (Number.isNaN(q) ? Infinity : q);
      if (difference !== 0 && !Number.isNaN(difference)) return difference < 0;
    }
    return this.history.losses[a]! < this.history.losses[b]!;
  }
}
