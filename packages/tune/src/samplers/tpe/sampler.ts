// Tree-structured Parzen estimator with the rules of Optuna 5: the best γ(n) trials make l(x), the rest and the running
// ones (constant liar) g(x), and the best of the candidates drawn from l, about by l/g, is next. It never repeats a point, and
// in coarse finite spaces half of the asks polish: the candidates are what lies next to the best trials.
import { fromUnit, type Internal } from "../../space/distribution.ts";
import { SearchSpace, type Assignment, type ParameterSpec } from "../../space/space.ts";
import { TrialState, type AskContext, type Proposal, type Sampler, type StudyView } from "../../contract/contract.ts";
import type { Random } from "../../random/random.ts";
import { activity } from "../conditions.ts";
import { cellCentre, cellOf, History, historyOf, keepState } from "../history.ts";
import { FINE_LEVELS, ParzenEstimator } from "./parzen.ts";
import { nondominatedPrefix } from "../../pareto/hypervolume.ts";
import { randomAssignment, randomValue } from "../random.ts";

export interface TPEOptions {
  /** Random trials before the model starts; default 10. */
  readonly startup?: number;
  /** Points drawn from l(x) per ask; default 24, and up to 320 in the first trials of a continuous space, where they pay and are cheap. */
  readonly candidates?: number;
  /** How many of n finished trials count as good; default min(⌈0.1 n⌉, 25). */
  readonly gamma?: (n: number) => number;
  /** One joint model of all parameters (true, default), or one model for each. */
  readonly multivariate?: boolean;
  /** Whether running trials count as bad, so that parallel workers spread out; default true. */
  readonly constantLiar?: boolean;
}

/** Optuna draws 24 always. More are worth nothing in finite spaces. */
const FEW_CANDIDATES = 24, MANY_CANDIDATES = 320;
/** Candidates of the joint model are compared by l^1.2 / g: l/g alone is also large where both are small, far from all that was tried, and least certain there. */
const GOOD_EXPONENT = 1.2;
/** Candidates times kernels that an ask affords. */
const AFFORDED = 24_000;
/** Finished trials from which half of the asks polish: earlier the best trials are not worth it yet. */
const POLISH_FROM = 30;

/** TPE (Bergstra 2011; Watanabe 2023; Ozaki 2022 for several objectives). Conditional spaces get one joint tree-structured model. */
export class TPESampler implements Sampler {
  readonly name = "tpe";
  private readonly startup: number;
  private readonly candidates: number | null;
  private readonly gamma: (n: number) => number;
  private readonly multivariate: boolean;
  private readonly constantLiar: boolean;
  private readonly key = Symbol("tpe");
  private readonly independent = new Map<string, { readonly key: symbol; readonly space: SearchSpace }>();

  constructor(options: TPEOptions = {}) {
    this.startup = options.startup ?? 10;
    this.candidates = options.candidates ?? null;
    this.gamma = options.gamma ?? ((n) => Math.min(Math.ceil(0.1 * n), 25));
    this.multivariate = options.multivariate ?? true;
    this.constantLiar = options.constantLiar ?? true;
  }

  ask(context: AskContext): Proposal {
    const { space, study } = context;
    if (space.parameters.length === 0 || usable(study) < this.startup) return { assignment: randomAssignment(context), why: "startup" };
    const history = historyOf(context);
    const model = keepState(context, this.key, () => new GoodAndBad(history, this.gamma));
    model.sync(study);
    const running = this.constantLiar ? model.addRunning(study, context.trial) : 0;
    const { assignment, from } = this.multivariate ? this.joint(context, model) : { assignment: this.separately(context, model), from: `${this.candidateCount(model)}` };
    model.removeRunning(running);
    return { assignment, why: `best l/g of ${from}; ${model.good.size} good of ${model.good.size + model.bad.size}` };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    const { study } = context;
    if (usable(study) < this.startup) return randomValue(context, parameter);
    let own = this.independent.get(parameter.name);
    if (own === undefined || own.space.parameters[0]!.distribution !== parameter.distribution) {
      own = { key: Symbol(parameter.name), space: new SearchSpace([{ ...parameter, condition: null }]) };
      this.independent.set(parameter.name, own);
    }
    const alone: AskContext = { ...context, space: own.space };
    const model = keepState(alone, own.key, () => new GoodAndBad(new History(alone.space, study.directions.length), this.gamma));
    model.history.sync(study);
    model.sync(study);
    const random = context.random(`tpe/${parameter.name}`);
    const unit = new Float64Array(model.history.width);
    for (let d = 0; d < unit.length; d++) unit[d] = this.bestCoordinate(model, d, () => model.good.sampleCoordinate(random, d));
    return fromUnit(parameter.distribution, unit);
  }

  private candidateCount(model: GoodAndBad): number {
    if (this.candidates !== null || Number.isFinite(model.space.cardinality())) return this.candidates ?? FEW_CANDIDATES;
    return Math.min(MANY_CANDIDATES, afforded(model));
  }

  private joint(context: AskContext, model: GoodAndBad): { assignment: Assignment; from: string } {
    const { space, study } = context;
    const random = context.random("candidates");
    const finite = Number.isFinite(space.cardinality()) && !study.noisy;
    const active = activity(space, model.history);
    const candidates = new Candidates(context, finite);
    if (finite && model.isCoarse && study.watermark >= POLISH_FROM && context.random("polish").uniform() < 0.5) {
      for (const row of model.goodRows) {
        for (const neighbour of someOf(model.neighbours(row, active), afforded(model), random)) candidates.take(neighbour);
        if (candidates.count > 0) break;
      }
    }
    const polished = candidates.count > 0;
    if (!polished) {
      const wanted = this.candidateCount(model), x = new Float64Array(model.history.width);
      // Candidates that are known, forbidden or repeated are drawn again, for a while.
      for (let draws = 0; candidates.count < wanted && draws < 10 * wanted; draws++) {
        model.good.sample(random, x, active);
        candidates.take(x);
      }
    }
    const best = candidates.best(model);
    return {
      assignment: best !== null && (finite || !study.isKnown(best)) ? best : randomAssignment(context),
      from: polished ? `${candidates.count} next to the best` : `${candidates.count}`,
    };
  }

  /** Each coordinate by its own l/g; a result that is known or forbidden is drawn again. */
  private separately(context: AskContext, model: GoodAndBad): Assignment {
    const { space, study } = context;
    const random = context.random("candidates");
    const active = activity(space, model.history);
    const x = new Float64Array(model.history.width);
    for (let attempt = 0; attempt < 50; attempt++) {
      for (let d = 0; d < x.length; d++) {
        x[d] = active(d, x) ? this.bestCoordinate(model, d, () => model.good.sampleCoordinate(random, d)) : Number.NaN;
      }
      const assignment = space.fromUnit(x);
      if (space.satisfies(assignment) && !study.isKnown(assignment) && (study.noisy || !isRunning(study, assignment))) return assignment;
    }
    return randomAssignment(context);
  }

  private bestCoordinate(model: GoodAndBad, d: number, draw: () => number): number {
    const x = new Float64Array(model.history.width).fill(Number.NaN);
    let best = 0.5, bestScore = -Infinity;
    for (let i = 0; i < (this.candidates ?? FEW_CANDIDATES); i++) {
      x[d] = draw();
      const score = model.good.logDensity(x, d) - model.bad.logDensity(x, d);
      if (score > bestScore) {
        bestScore = score;
        best = x[d]!;
      }
    }
    return best;
  }
}

/** The points that one ask compares. */
class Candidates {
  private readonly context: AskContext;
  private readonly finite: boolean;
  private readonly points: number[] = [];
  private readonly assignments: Assignment[] = [];
  private readonly seen = new Set<string>();

  constructor(context: AskContext, finite: boolean) {
    this.context = context;
    this.finite = finite;
  }

  get count(): number {
    return this.assignments.length;
  }

  /** Takes a point unless it is forbidden or, in a finite space, known or taken already. */
  take(x: Float64Array): void {
    const { space, study } = this.context;
    const assignment = space.fromUnit(x);
    if (space.constraints.length > 0 && !space.satisfies(assignment)) return;
    if (this.finite) {
      const key = x.join();
      if (this.seen.has(key)) return;
      this.seen.add(key);
      if (study.isKnown(assignment) || isRunning(study, assignment)) return;
    }
    this.points.push(...x);
    this.assignments.push(assignment);
  }

  /** The one of highest l^1.2 / g; null where there is none. */
  best(model: GoodAndBad): Assignment | null {
    const unit = Float64Array.from(this.points);
    const good = new Float64Array(this.count), bad = new Float64Array(this.count);
    model.good.logDensities(unit, this.count, good);
    model.bad.logDensities(unit, this.count, bad);
    let best: Assignment | null = null, bestScore = -Infinity;
    this.assignments.forEach((assignment, c) => {
      const score = GOOD_EXPONENT * good[c]! - bad[c]!;
      if (score <= bestScore) return;
      bestScore = score;
      best = assignment;
    });
    return best;
  }
}

/** How many candidates one ask can compare, for its cost. */
function afforded({ good, bad }: GoodAndBad): number {
  return Math.max(FEW_CANDIDATES, Math.floor(AFFORDED / (good.size + bad.size)));
}

/** At most `most` of `points`, at random. */
function someOf(points: readonly Float64Array[], most: number, random: Random): readonly Float64Array[] {
  return points.length <= most ? points : Array.from(random.permutation(points.length).subarray(0, most), (i) => points[i]!);
}

/** Trials that a model can learn from. */
function usable(study: StudyView): number {
  let failed = 0;
  for (let i = 0; i < study.watermark && i - failed < 1000; i++) if (study.states[study.finished[i]!] === TrialState.FAIL) failed++;
  return study.watermark - failed;
}

/** Whether a running trial is evaluating exactly this. */
function isRunning(study: StudyView, assignment: Assignment): boolean {
  return study.running.some((trial) => {
    for (const [name, value] of assignment) if (String(study.internal(trial, name)) !== String(value)) return false;
    return true;
  });
}

/** The two densities, kept up to date trial by trial. */
class GoodAndBad {
  readonly history: History;
  readonly good: ParzenEstimator;
  readonly bad: ParzenEstimator;
  private readonly gamma: (n: number) => number;
  private readonly objectives: number;
  /** Usable rows, best first. */
  private ranked: Int32Array = new Int32Array(64);
  private count = 0;
  private synced = 0;
  private isGood: Uint8Array = new Uint8Array(64);
  /** Best first. */
  goodRows: readonly number[] = [];
  /** Whether the space can be polished: one objective, and no coordinate so fine that its neighbours are not worth a trial each. */
  readonly isCoarse: boolean;

  constructor(history: History, gamma: (n: number) => number) {
    this.history = history;
    this.gamma = gamma;
    this.objectives = history.objectives;
    this.isCoarse = history.objectives === 1 && history.dimensions.every(({ levels }) => levels < FINE_LEVELS);
    // Ranks are worth much in continuous spaces and nothing in finite ones, where polishing is.
    const ranked = history.objectives === 1 && !Number.isFinite(history.space.cardinality());
    this.good = new ParzenEstimator(history, history.dimensions, { weights: ranked ? "ranked" : history.objectives === 1 ? "fading" : "equal", sharp: true });
    this.bad = new ParzenEstimator(history, history.dimensions, { weights: "fading", sharp: false });
  }

  get space(): SearchSpace {
    return this.history.space;
  }

  /** Ranks the trials finished since the last call and moves rows between the densities. */
  sync(study: StudyView): void {
    const { history } = this;
    if (this.isGood.length < history.length) {
      const flags = new Uint8Array(history.length * 2);
      flags.set(this.isGood);
      this.isGood = flags;
    }
    for (; this.synced < history.length; this.synced++) {
      const row = this.synced;
      if (history.row(row).every(Number.isNaN)) continue;
      // A failed trial is bad wherever the others stand.
      if (study.states[history.trials[row]!] !== TrialState.FAIL) this.rank(study, row);
      this.bad.add(row);
    }
    const rows = this.best(study, Math.min(this.count, Math.max(0, this.gamma(this.count))));
    const wanted = new Set(rows);
    for (const row of this.goodRows) if (!wanted.has(row)) { this.good.remove(row); this.bad.add(row); this.isGood[row] = 0; }
    for (const row of rows) if (this.isGood[row] === 0) { this.bad.remove(row); this.good.add(row); this.isGood[row] = 1; }
    this.goodRows = rows;
    this.good.rank(rows);
  }

  /** The points that differ from a row in one coordinate, by one cell where cells are ordered, and have the same coordinates. */
  neighbours(row: number, active: (dimension: number, point: Float64Array) => boolean): Float64Array[] {
    const { history } = this;
    const centre = history.row(row);
    const result: Float64Array[] = [];
    history.dimensions.forEach((dimension, d) => {
      if (Number.isNaN(centre[d])) return;
      const cell = cellOf(dimension, centre[d]!);
      for (let other = 0; other < dimension.levels; other++) {
        if (other === cell || (dimension.kind === "ordered" && Math.abs(other - cell) > 1)) continue;
        const point = centre.slice();
        point[d] = cellCentre(dimension, other);
        if (point.every((u, k) => active(k, point) !== Number.isNaN(u))) result.push(point);
      }
    });
    return result;
  }

  /** Adds the running trials to the bad density, in scratch rows behind the history; returns how many. */
  addRunning(study: StudyView, asking: number): number {
    const { history } = this;
    const running = study.running.filter((trial) => trial !== asking);
    const needed = (history.length + running.length) * history.width;
    if (needed > history.unit.length) {
      const unit = new Float64Array(needed * 2);
      unit.set(history.unit);
      history.unit = unit;
    }
    let added = 0;
    for (const trial of running) {
      const row = history.length + added;
      history.encode(study, trial, history.unit, row * history.width);
      if (history.row(row).every(Number.isNaN)) continue;
      this.bad.add(row);
      added++;
    }
    return added;
  }

  removeRunning(count: number): void {
    for (let k = count - 1; k >= 0; k--) this.bad.remove(this.history.length + k);
  }

  private best(study: StudyView, n: number): number[] {
    if (this.objectives === 1) return Array.from(this.ranked.subarray(0, n));
    // Complete feasible trials stand first; among them fronts and hypervolume decide.
    let complete = 0;
    while (complete < this.count && this.classOf(study, this.ranked[complete]!) === 0) complete++;
    if (complete <= n) return Array.from(this.ranked.subarray(0, n));
    const rows = this.ranked.subarray(0, complete);
    const losses = new Float64Array(complete * this.objectives);
    rows.forEach((row, i) => losses.set(this.history.losses.subarray(row * this.objectives, (row + 1) * this.objectives), i * this.objectives));
    return nondominatedPrefix(losses, this.objectives, n).map((i) => rows[i]!);
  }

  private rank(study: StudyView, row: number): void {
    if (this.count === this.ranked.length) {
      const longer = new Int32Array(this.count * 2);
      longer.set(this.ranked);
      this.ranked = longer;
    }
    let low = 0, high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(study, this.ranked[middle]!, row) <= 0) low = middle + 1;
      else high = middle;
    }
    this.ranked.copyWithin(low + 1, low, this.count);
    this.ranked[low] = row;
    this.count++;
  }

  /** 0 complete, 1 pruned, 2 infeasible. */
  private classOf(study: StudyView, row: number): number {
    const trial = this.history.trials[row]!;
    if (study.constrained && !(study.violations[trial]! <= 0)) return 2;
    return study.states[trial] === TrialState.PRUNED ? 1 : 0;
  }

  private compare(study: StudyView, a: number, b: number): number {
    const kind = this.classOf(study, a) - this.classOf(study, b);
    if (kind !== 0) return kind;
    const p = this.history.trials[a]!, q = this.history.trials[b]!;
    switch (this.classOf(study, a)) {
      case 2: return order(study.violations[p]!, study.violations[q]!);
      case 1: {
        const [x, y] = [lastReport(study, p), lastReport(study, q)];
        return y.step - x.step || order(x.loss, y.loss);
      }
      default: return this.objectives === 1 ? order(this.history.losses[a]!, this.history.losses[b]!) : 0;
    }
  }
}

/** Pruned trials that got further come first, then the better ones. */
function lastReport(study: StudyView, trial: number): { step: number; loss: number } {
  const reports = study.reports(trial);
  const column = reports.metrics.get(study.metricNames[0]!);
  if (reports.length === 0 || column === undefined) return { step: -Infinity, loss: 0 };
  const value = column[reports.length - 1]!;
  return { step: reports.steps[reports.length - 1]!, loss: study.directions[0] === "maximize" ? -value : value };
}

/** Ascending, NaN last. */
function order(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  if (Number.isNaN(b)) return -1;
  return a < b ? -1 : a > b ? 1 : 0;
}
