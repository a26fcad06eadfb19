// NSGA-II and NSGA-III: generations by non-dominated rank, then by crowding or by reference directions. The generation
// of a trial is kept with it, so parents are recomputed from the history after a resume and by any number of workers.
import type { Internal } from "../../space/distribution.ts";
import type { ParameterSpec, SearchSpace } from "../../space/space.ts";
import { TrialState, type AskContext, type Proposal, type Sampler, type StudyView } from "../../contract/contract.ts";
import { historyOf, keepState, type History } from "../history.ts";
import { crowdingDistances, frontRanks } from "../../pareto/dominance.ts";
import { randomAssignment, randomValue } from "../random.ts";
import { cross, mutate, type Crossover, type Mutation } from "./variation.ts";

export interface NSGAOptions {
  /** Individuals per generation; default 50. */
  readonly populationSize?: number;
  /** How a last front that does not fit is thinned: `crowding` (NSGA-II, Deb 2002) or `reference` directions (NSGA-III, Deb & Jain 2014). Default: reference from four objectives on. */
  readonly diversity?: "crowding" | "reference";
  /** Default sbx. */
  readonly crossover?: Crossover;
  /** Probability that a child has two parents; default 0.9. */
  readonly crossoverRate?: number;
  /** Default polynomial. */
  readonly mutation?: Mutation;
  /** Probability that a coordinate mutates; default 1 / dimensions. */
  readonly mutationRate?: number;
}

const GENERATION = "nsga:generation";

/** Non-dominated sorting genetic algorithm for one or more objectives and constraints (feasible first, then less violation). */
export class NSGASampler implements Sampler {
  readonly name = "nsga";
  private readonly options: NSGAOptions;
  private readonly key = Symbol("nsga");

  constructor(options: NSGAOptions = {}) {
    this.options = options;
  }

  ask(context: AskContext): Proposal {
    const { space, study } = context;
    const history = historyOf(context);
    const state = keepState(context, this.key, () => new Generations(history, this.options));
    state.sync(study);
    const attributes = { [GENERATION]: state.generation };
    const { parents } = state;
    if (parents.length === 0) return { assignment: randomAssignment(context), attributes };
    const { crossover = "sbx", crossoverRate = 0.9, mutation = "polynomial" } = this.options;
    const mutationRate = this.options.mutationRate ?? 1 / Math.max(1, history.width);
    const random = context.random("variation");
    const child = new Float64Array(history.width);
    for (let tries = 0; tries < 20; tries++) {
      const mother = state.tournament(random.integer(parents.length), random.integer(parents.length));
      const father = state.tournament(random.integer(parents.length), random.integer(parents.length));
      if (random.uniform() < crossoverRate) cross(crossover, history.dimensions, history.row(mother), history.row(father), random, child);
      else child.set(history.row(mother));
      mutate(mutation, history.dimensions, mutationRate, random, child);
      const assignment = space.fromUnit(child);
      if (space.satisfies(assignment) && !study.isKnown(assignment)) return { assignment, attributes };
    }
    return { assignment: randomAssignment(context), attributes };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    return randomValue(context, parameter);
  }
}

class Generations {
  readonly history: History;
  /** Generation being bred. */
  generation = 0;
  /** Rows of the survivors, best first. */
  parents: number[] = [];
  private readonly options: NSGAOptions;
  private readonly size: number;
  private synced = 0;
  private brood: number[] = [];

  constructor(history: History, options: NSGAOptions) {
    this.history = history;
    this.options = options;
    this.size = options.populationSize ?? 50;
  }

  get space(): SearchSpace {
    return this.history.space;
  }

  sync(study: StudyView): void {
    for (; this.synced < this.history.length; this.synced++) {
      const trial = this.history.trials[this.synced]!;
      if (study.states[trial] !== TrialState.COMPLETE) continue;
      // Late results of earlier generations, and trials from elsewhere, breed with the present one.
      this.brood.push(this.synced);
      if (this.brood.length < this.size) continue;
      this.parents = this.survivors(study, [...this.parents, ...this.brood]);
      this.brood = [];
      this.generation++;
    }
  }

  /** The better of two parents, named by their places. */
  tournament(i: number, j: number): number {
    return this.parents[Math.min(i, j)]!;
  }

  private survivors(study: StudyView, rows: readonly number[]): number[] {
    const violation = (row: number): number => (study.constrained ? (Number.isNaN(study.violations[this.history.trials[row]!]!) ? Infinity : study.violations[this.history.trials[row]!]!) : 0);
    const feasible = rows.filter((row) => violation(row) <= 0);
    const infeasible = rows.filter((row) => violation(row) > 0).sort((a, b) => violation(a) - violation(b));
    const m = this.history.objectives;
    const losses = new Float64Array(feasible.length * m);
    feasible.forEach((row, i) => losses.set(this.history.losses.subarray(row * m, (row + 1) * m), i * m));
    const fronts: number[][] = [];
    frontRanks(losses, m).forEach((rank, i) => (fronts[rank] ??= []).push(i));
    const chosen: number[] = [];
    for (const front of fronts) {
      const room = this.size - chosen.length;
      if (room <= 0) break;
      chosen.push(...this.thinned(losses, m, chosen, front, room));
    }
    return [...chosen.map((i) => feasible[i]!), ...infeasible].slice(0, this.size);
  }

  /** At most `room` members of a front, most wanted first. */
  private thinned(losses: Float64Array, m: number, chosen: readonly number[], front: readonly number[], room: number): number[] {
    const reference = (this.options.diversity ?? (m >= 4 ? "reference" : "crowding")) === "reference";
    if (reference && front.length > room) return byReferenceDirections(losses, m, chosen, front, room, referenceDirections(m, this.size));
    const distance = crowdingDistances(losses, m, front);
    return front.map((_, i) => i).sort((a, b) => distance[b]! - distance[a]! || a - b).slice(0, room).map((i) => front[i]!);
  }
}

/** Das & Dennis's evenly spaced directions of the simplex, about as many as the population. */
export function referenceDirections(m: number, size: number): Float64Array[] {
  const count = (divisions: number): number => {
    let c = 1;
    for (let i = 1; i < m; i++) c = (c * (divisions + i)) / i;
    return c;
  };
  let divisions = 1;
  while (count(divisions + 1) <= Math.max(size, m)) divisions++;
  const directions: Float64Array[] = [];
  const fill = (direction: number[], left: number): void => {
    if (direction.length === m - 1) {
      directions.push(Float64Array.from([...direction, left], (v) => v / divisions));
      return;
    }
    for (let k = 0; k <= left; k++) fill([...direction, k], left - k);
  };
  fill([], divisions);
  return directions;
}

/** NSGA-III's niching: each place goes to the direction with the fewest members, to its nearest candidate. */
function byReferenceDirections(losses: Float64Array, m: number, chosen: readonly number[], front: readonly number[], room: number, directions: readonly Float64Array[]): number[] {
  const all = [...chosen, ...front];
  const low = new Float64Array(m).fill(Infinity), high = new Float64Array(m).fill(-Infinity);
  for (const i of all) for (let k = 0; k < m; k++) {
    low[k] = Math.min(low[k]!, losses[i * m + k]!);
    high[k] = Math.max(high[k]!, losses[i * m + k]!);
  }
  const nearest = (i: number): { niche: number; distance: number } => {
    let niche = 0, least = Infinity;
    directions.forEach((direction, j) => {
      let dot = 0, squares = 0, norm = 0;
      for (let k = 0; k < m; k++) {
        const v = (losses[i * m + k]! - low[k]!) / (high[k]! - low[k]! || 1);
        dot += v * direction[k]!;
        squares += v * v;
        norm += direction[k]! ** 2;
      }
      const distance = squares - (dot * dot) / norm;
      if (distance < least) { least = distance; niche = j; }
    });
    return { niche, distance: least };
  };
  const members = new Int32Array(directions.length);
  for (const i of chosen) members[nearest(i).niche]!++;
  const candidates = front.map((i) => ({ i, ...nearest(i) }));
  const result: number[] = [];
  while (result.length < room && candidates.length > 0) {
    let best = 0;
    for (let c = 1; c < candidates.length; c++) {
      const a = candidates[c]!, b = candidates[best]!;
      if ((members[a.niche]! - members[b.niche]! || a.distance - b.distance) < 0) best = c;
    }
    const [taken] = candidates.splice(best, 1);
    members[taken!.niche]!++;
    result.push(taken!.i);
  }
  return result;
}
