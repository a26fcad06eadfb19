// L-SHADE (Tanabe & Fukunaga 2014): differential evolution whose step sizes and crossover rates learn from what worked,
// with a population that shrinks linearly as the budget is spent. Each trial carries its target, F and CR.
import type { Random } from "../../random/random.ts";
import type { Internal } from "../../space/distribution.ts";
import type { ParameterSpec, SearchSpace } from "../../space/space.ts";
import { TrialState, type AskContext, type Proposal, type Sampler, type StudyView } from "../../contract/contract.ts";
import { StudyError } from "../../errors/errors.ts";
import { cellCentre, cellOf, historyOf, keepState, type History } from "../history.ts";
import { randomAssignment, randomValue } from "../random.ts";

export interface LSHADEOptions {
  /** Initial population; default 18 · dimensions, at most a tenth of the budget and at least 8. */
  readonly populationSize?: number;
}

const MEMORY = 6, SMALLEST = 4, BEST_SHARE = 0.11, ARCHIVE_RATE = 2.6;
const STEP = "lshade";

/** Success-history adaptive differential evolution for numeric spaces; discrete coordinates are rounded. One objective. */
export class LSHADESampler implements Sampler {
  readonly name = "lshade";
  private readonly options: LSHADEOptions;
  private readonly key = Symbol("lshade");

  constructor(options: LSHADEOptions = {}) {
    this.options = options;
  }

  ask(context: AskContext): Proposal {
    const { study, space } = context;
    if (study.directions.length > 1) throw new StudyError("lshade has one objective; use nsga for several.");
    const history = historyOf(context);
    const budget = Number.isFinite(context.remaining) ? history.length + study.running.length + context.remaining : 1000 * history.width;
    const size = this.options.populationSize ?? Math.max(8, Math.min(18 * history.width, Math.floor(budget / 10)));
    const state = keepState(context, this.key, () => new Differential(history, size));
    state.sync(study, budget);
    if (!state.started) return { assignment: randomAssignment(context), why: "initial population" };
    const random = context.random("variation");
    for (let tries = 0; tries < 20; tries++) {
      const { unit, step } = state.child(random);
      const assignment = space.fromUnit(unit);
      if (!space.satisfies(assignment) || study.isKnown(assignment)) continue;
      return { assignment, attributes: { [STEP]: step }, why: `F ${step[1]!.toFixed(2)}, CR ${step[2]!.toFixed(2)}` };
    }
    return { assignment: randomAssignment(context), why: "no new child" };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    return randomValue(context, parameter);
  }
}

interface Success { readonly factor: number; readonly rate: number; readonly gain: number }

class Differential {
  readonly history: History;
  readonly size: number;
  /** Rows. */
  population: number[] = [];
  /** Whether the initial population is complete. */
  started = false;
  private archive: number[] = [];
  private readonly factors: Float64Array = new Float64Array(MEMORY).fill(0.5);
  /** NaN: crossover rates of this slot have died out. */
  private readonly rates: Float64Array = new Float64Array(MEMORY).fill(0.5);
  private slot = 0;
  private successes: Success[] = [];
  private told = 0;
  private synced = 0;

  constructor(history: History, size: number) {
    this.history = history;
    this.size = size;
  }

  get space(): SearchSpace {
    return this.history.space;
  }

  private loss(study: StudyView, row: number): number {
    const violation = study.constrained ? study.violations[this.history.trials[row]!]! : 0;
    return violation > 0 || Number.isNaN(violation) ? Infinity : this.history.losses[row]!;
  }

  sync(study: StudyView, budget: number): void {
    const { history } = this;
    for (; this.synced < history.length; this.synced++) {
      const row = this.synced;
      if (study.states[history.trials[row]!] === TrialState.FAIL || Number.isNaN(history.losses[row]!)) continue;
      if (!this.started) {
        this.population.push(row);
        this.started = this.population.length === this.size;
      } else this.compete(study, row);
      // After every trial, not at every ask: a resume must shrink at the same moments.
      if (this.started) this.shrink(study, budget);
    }
  }

  /** A child that is no worse takes the place of its target; a trial from elsewhere competes with the worst. */
  private compete(study: StudyView, row: number): void {
    const step = study.systemAttribute(this.history.trials[row]!, STEP);
    const at = Array.isArray(step) ? this.population.indexOf(Number(step[0])) : -1;
    const place = at >= 0 ? at : this.worst(study);
    const target = this.population[place]!;
    const loss = this.loss(study, row), before = this.loss(study, target);
    if (loss <= before) {
      if (loss < before && Array.isArray(step)) {
        this.archive.push(target);
        this.successes.push({ factor: Number(step[1]), rate: Number(step[2]), gain: Number.isFinite(before) ? before - loss : 1 });
      }
      this.population[place] = row;
    }
    if (Array.isArray(step) && ++this.told >= this.population.length) this.learn();
  }

  private shrink(study: StudyView, budget: number): void {
    const wanted = Math.max(SMALLEST, Math.round(this.size + (SMALLEST - this.size) * Math.min(1, (this.synced + 1) / budget)));
    while (this.population.length > wanted) this.population.splice(this.worst(study), 1);
    const room = Math.round(ARCHIVE_RATE * this.population.length);
    if (this.archive.length > room) this.archive = this.archive.slice(-room);
    this.population.sort((a, b) => this.loss(study, a) - this.loss(study, b) || a - b);
  }

  /** current-to-pbest/1 with archive, binomial crossover; bounds are met half way from the target. */
  child(random: Random): { unit: Float64Array; step: [number, number, number] } {
    const { history, population } = this;
    const n = population.length;
    const slot = random.integer(MEMORY);
    const rate = Number.isNaN(this.rates[slot]!) ? 0 : Math.min(1, Math.max(0, this.rates[slot]! + 0.1 * random.normal()));
    let factor = 0;
    while (factor <= 0) factor = Math.min(1, this.factors[slot]! + 0.1 * Math.tan(Math.PI * (random.uniform() - 0.5)));
    const target = random.integer(n);
    const best = population[random.integer(Math.max(2, Math.round(BEST_SHARE * n)))]!;
    const others = [...population, ...this.archive];
    let first = target, second = target;
    while (first === target) first = random.integer(n);
    while (second === target || second === first) second = random.integer(others.length);
    const x = history.row(population[target]!), b = history.row(best), p = history.row(population[first]!), q = history.row(others[second]!);
    const unit = new Float64Array(history.width);
    const forced = random.integer(history.width);
    for (let d = 0; d < unit.length; d++) {
      const take = random.uniform() < rate || d === forced;
      const u = Number.isNaN(x[d]!) ? random.uniform() : x[d]!;
      if (!take) { unit[d] = u; continue; }
      const dimension = history.dimensions[d]!;
      let v = u + factor * (orElse(b[d]!, u) - u) + factor * (orElse(p[d]!, u) - orElse(q[d]!, u));
      if (dimension.kind === "categorical") v = [orElse(b[d]!, u), orElse(p[d]!, u)][random.integer(2)]!;
      if (v < 0) v = u / 2;
      if (v > 1) v = (1 + u) / 2;
      unit[d] = dimension.kind === "continuous" ? v : cellCentre(dimension, cellOf(dimension, v));
    }
    return { unit, step: [population[target]!, factor, rate] };
  }

  /** Weighted Lehmer means of what succeeded go to the next slot of the memory. */
  private learn(): void {
    this.told = 0;
    if (this.successes.length === 0) return;
    const total = this.successes.reduce((s, { gain }) => s + gain, 0) || 1;
    const lehmer = (of: (s: Success) => number): number => {
      let squares = 0, sum = 0;
      for (const s of this.successes) {
        squares += (s.gain / total) * of(s) ** 2;
        sum += (s.gain / total) * of(s);
      }
      return sum > 0 ? squares / sum : 0;
    };
    this.factors[this.slot] = lehmer((s) => s.factor) || 0.5;
    const rate = lehmer((s) => s.rate);
    this.rates[this.slot] = Number.isNaN(this.rates[this.slot]!) || rate === 0 ? Number.NaN : rate;
    this.slot = (this.slot + 1) % MEMORY;
    this.successes = [];
  }

  private worst(study: StudyView): number {
    let worst = 0;
    for (let i = 1; i < this.population.length; i++) if (this.loss(study, this.population[i]!) >= this.loss(study, this.population[worst]!)) worst = i;
    return worst;
  }
}

function orElse(u: number, fallback: number): number {
  return Number.isNaN(u) ? fallback : u;
}
