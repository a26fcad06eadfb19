// Bayesian optimisation: a Gaussian process of each objective's warped losses, log expected improvement (of the hypervolume
// where there are several), a trust region where the process would be too large or the space too wide. Everything is
// refitted from the history, so a resume asks the same.
import type { Internal } from "../../space/distribution.ts";
import type { Assignment, ParameterSpec, SearchSpace } from "../../space/space.ts";
import { TrialState, type AskContext, type Proposal, type Sampler, type StudyView } from "../../contract/contract.ts";
import { frontRanks } from "../../pareto/dominance.ts";
import { LogExpectedImprovement, LogFeasibility, type Acquisition, type ConstraintModel } from "./acquisition.ts";
import { maximise, type SearchRegion } from "./acquisition-search.ts";
import { activeCoordinates } from "../conditions.ts";
import { GaussianProcess } from "./process.ts";
import { historyOf, keepState, type History } from "../history.ts";
import { LogExpectedHypervolumeImprovement } from "./hypervolume-improvement.ts";
import { LossModel } from "./loss-model.ts";
import { outputWarps, tailWarps } from "./output-warping.ts";
import { randomValue } from "../random.ts";
import { sobolAssignment } from "../sobol.ts";

export interface GPOptions {
  /** Quasi-random trials before the model starts; default 8. */
  readonly startup?: number;
  /**
   * Learns a warping of each input, for objectives that change much faster at one end of a range; default false: it
   * triples the hyper-parameters, and on the benchmark's functions and tables it was worth nothing.
   */
  readonly inputWarping?: boolean;
  /** Imagined outcomes of running trials; default 8. */
  readonly fantasies?: number;
  /** Observations the process conditions on at most, those nearest to the best; default 250. */
  readonly maximumSize?: number;
}

/** Gaussian-process optimisation of mixed and conditional spaces, with constraints, for one objective or several. */
export class GPSampler implements Sampler {
  readonly name = "gp";
  private readonly options: Required<GPOptions>;
  private readonly key = Symbol("gp");

  constructor(options: GPOptions = {}) {
    this.options = { startup: 8, inputWarping: false, fantasies: 8, maximumSize: 250, ...options };
  }

  ask(context: AskContext): Proposal {
    const { study, space } = context;
    if (space.parameters.length === 0) return { assignment: sobolAssignment(context) };
    const history = historyOf(context);
    const state = keepState(context, this.key, () => new Surrogate(history, this.options, study.noisy));
    state.sync(study);
    if (state.count < this.options.startup) return { assignment: sobolAssignment(context), why: "startup" };
    const { assignment, why } = state.propose(context);
    return { assignment: assignment ?? sobolAssignment({ ...context, attempt: 1 }), why };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    return randomValue(context, parameter);
  }
}

const CANDIDATE_ROWS_TO_SEARCH_FROM = 5;
/** Failed trials that the model of success conditions on at most. */
const FAILED_ROWS = 100;
/**
 * After so many trials without a gain worth having, every other trial improves on the best found elsewhere, away from
 * the incumbent by a distance per √dimension: else a local optimum is polished for ever.
 */
const STALL = 6, ELSEWHERE = 0.25;

/** Positions in `rows`: all, best first, and those that the search is about: the best one, or the front. */
interface Ranking { readonly order: readonly number[]; readonly centres: readonly number[] }

class Surrogate {
  readonly history: History;
  private readonly options: Required<GPOptions>;
  private readonly noisy: boolean;
  /** One per objective. */
  private readonly models: readonly LossModel[];
  /** Rows with usable losses, in order of finishing. */
  private readonly rows: number[] = [];
  /** Rows of failed trials. */
  private readonly failed: number[] = [];
  private synced = 0;
  private readonly known = new Set<string>();

  constructor(history: History, options: Required<GPOptions>, noisy: boolean) {
    this.history = history;
    this.options = options;
    this.noisy = noisy;
    const warps = history.objectives === 1 ? outputWarps : tailWarps;
    this.models = Array.from({ length: history.objectives }, () => new LossModel(history.dimensions, warps, { inputWarping: options.inputWarping, noisy }));
  }

  get space(): SearchSpace {
    return this.history.space;
  }

  /** Trials that did not fail. */
  get count(): number {
    return this.rows.length;
  }

  sync(study: StudyView): void {
    const { history } = this;
    for (; this.synced < history.length; this.synced++) {
      const at = this.synced * history.objectives;
      if (study.states[history.trials[this.synced]!] === TrialState.FAIL) {
        this.failed.push(this.synced);
        this.known.add(history.row(this.synced).join());
        continue;
      }
      if (history.losses.subarray(at, at + history.objectives).some(Number.isNaN)) continue;
      this.rows.push(this.synced);
      this.known.add(history.row(this.synced).join());
    }
  }

  propose(context: AskContext): { assignment: Assignment | null; why: string } {
    const { study, space } = context;
    const { models } = this;
    const losses = models.map((_, k) => this.finiteLosses(k));
    const feasible = this.rows.map((row) => !study.constrained || study.violations[this.history.trials[row]!]! <= 0);
    models.forEach((model, k) => model.fit(losses[k]!, this.rowAt, (n, limit) => this.nearest(n, [lowest(losses[k]!.subarray(0, n))], limit)));

    const ranking = ranked(losses, feasible);
    const local = this.nearest(this.rows.length, ranking.centres);
    const y = models.map((model, k) => model.condition(losses[k]!, this.rowAt, local));
    const running = study.running.filter((trial) => trial !== context.trial);
    const pending = running.map((trial) => {
      const row = new Float64Array(this.history.width);
      this.history.encode(study, trial, row, 0);
      return row;
    });

    const centre = this.rowAt(ranking.centres[0]!);
    const elsewhere = models.length === 1 && stalledFor(y[0]!, local, feasible) >= STALL && this.rows.length % 2 === 1;
    const away = (x: Float64Array): boolean => !elsewhere || distance(x, centre) > ELSEWHERE * Math.sqrt(this.history.width);
    const success = this.successModel(local);
    const acquisition = this.acquisition(context, local, y, pending, success, (i) => feasible[i]! && away(this.rowAt(i)));

    const taken = new Set(pending.map((row) => row.join()));
    const finite = this.history.dimensions.every(({ kind }) => kind !== "continuous") && !study.noisy;
    const incumbents = models.length === 1 ? ranking.order : ranking.centres;
    const region: SearchRegion = {
      dimensions: this.history.dimensions,
      ...this.trustRegion(losses, feasible, ranking.centres[context.trial % ranking.centres.length]!),
      incumbents: incumbents.map(this.rowAt).filter(away).slice(0, models.length === 1 ? CANDIDATE_ROWS_TO_SEARCH_FROM : Infinity),
      mask: activeCoordinates(space, this.history),
      allowed: (x) => {
        if (!away(x)) return false;
        // What extrapolates well where everything fails is not worth its improbable success.
        if (success !== null && success.process.predictMean(x, success.alpha) > 0) return false;
        if (finite) {
          const key = x.join();
          if (this.known.has(key) || taken.has(key)) return false;
        }
        return space.constraints.length === 0 || space.satisfies(space.fromUnit(filled(x)));
      },
    };
    const found = maximise(acquisition, region, context.random("acquisition"));
    const why = `log ${models.length === 1 ? "EI" : "EHVI"} after ${this.rows.length} trials, ${models.map(({ warpName }) => warpName).join(" and ")} losses`;
    for (const x of found.slice(context.attempt)) {
      const assignment = space.fromUnit(filled(x));
      if (!study.isKnown(assignment)) return { assignment, why };
    }
    return { assignment: null, why: "the model proposes nothing new" };
  }

  private readonly rowAt = (i: number): Float64Array => this.history.row(this.rows[i]!);

  /** What to maximise: feasibility alone until something `counts`, then expected improvement of the best value or of the front. */
  private acquisition(context: AskContext, local: readonly number[], y: readonly Float64Array[], pending: readonly Float64Array[], success: ConstraintModel | null, counts: (i: number) => boolean): Acquisition {
    const { models } = this;
    const feasibility = new LogFeasibility([...(context.study.constrained ? this.constraintModels(context.study, local) : []), ...(success === null ? [] : [success])]);
    const random = context.random("fantasies");
    const imagined = models.map((model, k) => model.imagine(y[k]!, pending, this.options.fantasies, random));
    const counting = local.flatMap((i, at) => (counts(i) ? [at] : []));
    if (counting.length === 0) return feasibility;
    // With noise the value of a point is its posterior mean, not a lucky observation.
    const value = (k: number, at: number): number =>
      (this.noisy ? models[k]!.process.predictMean(this.rowAt(local[at]!), imagined[k]!.alphas[0]!) : y[k]![at]!);
    if (models.length === 1) {
      const { alphas, outcomes } = imagined[0]!;
      const best = counting.reduce((least, at) => Math.min(least, value(0, at)), Infinity);
      return new LogExpectedImprovement(models[0]!.process, alphas, Float64Array.from(outcomes, (drawn) => Math.min(best, ...drawn)), feasibility);
    }
    const objectives = models.map(({ process }, k) => ({ process, alphas: imagined[k]!.alphas }));
    const trials = local.map((_, at) => y.map((column) => column[at]!));
    const observed = counting.map((at) => models.map((_, k) => value(k, at)));
    const fronts = imagined[0]!.outcomes.map((_, o) => pending.map((_row, p) => imagined.map(({ outcomes }) => outcomes[o]![p]!)));
    return new LogExpectedHypervolumeImprovement(objectives, trials, observed, fronts, feasibility);
  }

  /** The losses of one objective; infinite ones become the worst or best finite. */
  private finiteLosses(k: number): Float64Array {
    const { history } = this;
    const losses = Float64Array.from(this.rows, (row) => history.losses[row * history.objectives + k]!);
    let low = Infinity, high = -Infinity;
    for (const v of losses) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    if (high === -Infinity) low = high = 0;
    return losses.map((v) => (v === Infinity ? high : v === -Infinity ? low : v));
  }

  /** Positions (among the first n) of the rows to condition on: all, or those nearest to any of `centres`. */
  private nearest(n: number, centres: readonly number[], limit = this.options.maximumSize): number[] {
    const all = Array.from({ length: n }, (_, i) => i);
    if (n <= limit) return all;
    const { history } = this;
    const apart = Float64Array.from(all, (i) => centres.reduce((least, c) => Math.min(least, separation(history, this.rowAt(i), this.rowAt(c))), Infinity));
    return all.sort((a, b) => apart[a]! - apart[b]! || a - b).slice(0, limit).sort((a, b) => a - b);
  }

  /** Where trials fail: a process of −1 for those that did not and 1 for the latest of those that did. Null without failures. */
  private successModel(local: readonly number[]): ConstraintModel | null {
    const failed = this.failed.slice(-FAILED_ROWS);
    if (failed.length === 0) return null;
    const process = new GaussianProcess(this.history.dimensions, { noisy: this.noisy });
    for (const i of local) process.add(this.rowAt(i));
    for (const row of failed) process.add(this.history.row(row));
    const y = Float64Array.from({ length: local.length + failed.length }, (_, i) => (i < local.length ? -1 : 1));
    process.fit(y, 15);
    return { process, alpha: process.solve(y), limit: 0 };
  }

  /** One process per named constraint; trials that did not set it are left out. */
  private constraintModels(study: StudyView, local: readonly number[]): ConstraintModel[] {
    const byName = new Map<string, { rows: number[]; values: number[] }>();
    for (const i of local) {
      const row = this.rows[i]!;
      for (const [name, value] of Object.entries(study.trial(this.history.trials[row]!).constraints)) {
        let entry = byName.get(name);
        if (entry === undefined) byName.set(name, (entry = { rows: [], values: [] }));
        entry.rows.push(row);
        entry.values.push(value);
      }
    }
    return [...byName.values()].map(({ rows, values }) => {
      const process = new GaussianProcess(this.history.dimensions, { noisy: this.noisy });
      for (const row of rows) process.add(this.history.row(row));
      const spread = Math.sqrt(values.reduce((s, v) => s + v * v, 0) / values.length) || 1;
      const y = Float64Array.from(values, (v) => v / spread); // zero stays the limit
      process.fit(y, 15);
      return { process, alpha: process.solve(y), limit: 0 };
    });
  }

  /** The whole cube, or in wide spaces and long studies a box about a good row (Eriksson et al. 2019, TuRBO; Daulton et al. 2022, MORBO). */
  private trustRegion(losses: readonly Float64Array[], feasible: readonly boolean[], about: number): { low: Float64Array; high: Float64Array } {
    const { width } = this.history;
    const low = new Float64Array(width), high = new Float64Array(width).fill(1);
    const since = width > 20 ? this.options.startup : this.options.maximumSize;
    if (feasible.length <= since) return { low, high };
    const gains = gainsOf(losses, feasible);
    let length = 0.8, successes = 0, failures = 0;
    for (let i = since; i < gains.length; i++) {
      successes = gains[i]! ? successes + 1 : 0;
      failures = gains[i]! ? 0 : failures + 1;
      if (successes === 3) { length = Math.min(1.6, 2 * length); successes = 0; }
      if (failures === Math.max(5, width)) { length /= 2; failures = 0; }
      if (length < 2 ** -7) length = 0.8;
    }
    const scales = Float64Array.from({ length: width }, (_, d) => this.models.reduce((sum, { process }) => sum + Math.log(process.lengthScale(d)), 0) / this.models.length);
    const mean = scales.reduce((a, b) => a + b, 0) / width;
    const centre = this.rowAt(about);
    for (let d = 0; d < width; d++) {
      if (Number.isNaN(centre[d]!)) continue;
      const half = 0.5 * length * Math.exp(scales[d]! - mean);
      low[d] = Math.max(0, centre[d]! - half);
      high[d] = Math.min(1, centre[d]! + half);
    }
    return { low, high };
  }
}

/** Feasible rows first; among them by loss, or by front. */
function ranked(losses: readonly Float64Array[], feasible: readonly boolean[]): Ranking {
  const m = losses.length, some = feasible.includes(true);
  const key = m === 1 ? losses[0]!
    : frontRanks(Float64Array.from({ length: m * feasible.length }, (_, i) => (some && !feasible[Math.floor(i / m)]! ? Infinity : losses[i % m]![Math.floor(i / m)]!)), m);
  const order = Array.from(key, (_, i) => i).sort((a, b) => Number(feasible[b]) - Number(feasible[a]) || key[a]! - key[b]! || a - b);
  return { order, centres: m === 1 ? order.slice(0, 1) : order.filter((i) => key[i] === 0) };
}

/** Which rows, when they finished, beat the best by a thousandth, or joined the front. */
function gainsOf(losses: readonly Float64Array[], feasible: readonly boolean[]): boolean[] {
  let best = Infinity;
  let front: number[] = [];
  return feasible.map((counts, i) => {
    if (!counts) return false;
    if (losses.length === 1) {
      const loss = losses[0]![i]!;
      const gain = loss < best - 1e-3 * Math.abs(best === Infinity ? 0 : best);
      best = Math.min(best, loss);
      return gain;
    }
    if (front.some((j) => losses.every((column) => column[j]! <= column[i]!))) return false;
    front = [...front.filter((j) => losses.some((column) => column[j]! < column[i]!)), i];
    return true;
  });
}

/** Trials since the best warped loss last fell by a hundredth of a standard deviation. */
function stalledFor(y: Float64Array, local: readonly number[], feasible: readonly boolean[]): number {
  let best = Infinity, since = 0;
  local.forEach((i, k) => {
    since++;
    if (!feasible[i] || y[k]! >= best - 0.01) return;
    best = y[k]!;
    since = 0;
  });
  return since;
}

function lowest(losses: Float64Array): number {
  return losses.reduce((b, v, i) => (v < losses[b]! ? i : b), 0);
}

/** Absent coordinates as ½, for decoding. */
function filled(x: Float64Array): Float64Array {
  return x.map((u) => (Number.isNaN(u) ? 0.5 : u));
}

/** Euclidean distance over coordinates both points have. */
function distance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) if (!Number.isNaN(a[d]! - b[d]!)) sum += (a[d]! - b[d]!) ** 2;
  return Math.sqrt(sum);
}

/** Squared distance in which another category counts ½² and an absent coordinate 1. */
function separation(history: History, a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let d = 0; d < history.width; d++) {
    const difference = a[d]! - b[d]!;
    sum += Number.isNaN(difference) ? 1 : history.dimensions[d]!.kind === "categorical" ? (difference === 0 ? 0 : 0.25) : difference ** 2;
  }
  return sum;
}
