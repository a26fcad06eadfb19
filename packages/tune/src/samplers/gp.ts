// Bayesian optimisation: a Gaussian process of the warped losses, log expected improvement, a trust region where the
// process would be too large or the space too wide. Everything is refitted from the history, so a resume asks the same.
import type { Internal } from "../space/distribution.ts";
import type { Assignment, ParameterSpec, SearchSpace } from "../space/space.ts";
import { TrialState, type AskContext, type Proposal, type Sampler, type StudyView } from "../study/contract.ts";
import { LogExpectedImprovement, maximise, type ConstraintModel, type SearchRegion } from "./acquisition.ts";
import { activeCoordinates } from "./conditions.ts";
import { GaussianProcess } from "./gaussian-process.ts";
import { historyOf, keepState, type History } from "./history.ts";
import { outputWarps, warped } from "./output-warping.ts";
import { randomValue } from "./random.ts";
import { sobolAssignment } from "./sobol.ts";

export interface GPOptions {
  /** Quasi-random trials before the model starts; default 8. */
  readonly startup?: number;
  /** Learns a warping of each input (doubles the hyper-parameters); default false. */
  readonly inputWarping?: boolean;
  /** Imagined outcomes of running trials; default 8. */
  readonly fantasies?: number;
  /** Observations the process conditions on at most, those nearest to the best; default 250. */
  readonly maximumSize?: number;
}

/** Gaussian-process optimisation of mixed and conditional spaces, with constraints; several objectives by random scalarisation (ParEGO). */
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
/**
 * After so many trials without a gain worth having, every other trial improves on the best found elsewhere, away from
 * the incumbent by a distance per √dimension: else a local optimum is polished for ever.
 */
const STALL = 6, ELSEWHERE = 0.15;

class Surrogate {
  readonly history: History;
  private readonly options: Required<GPOptions>;
  private readonly noisy: boolean;
  private readonly process: GaussianProcess;
  /** Rows with a usable loss, in order of finishing. */
  private readonly rows: number[] = [];
  private synced = 0;
  /** Number of rows the hyper-parameters and the warp were chosen with. */
  private fittedWith = 0;
  private warpedWith = 0;
  private warpName = "identity";
  /** Rows the process holds, in its order. */
  private conditioned: number[] = [];
  private readonly known = new Set<string>();

  constructor(history: History, options: Required<GPOptions>, noisy: boolean) {
    this.history = history;
    this.options = options;
    this.noisy = noisy;
    this.process = new GaussianProcess(history.dimensions, { inputWarping: options.inputWarping, noisy });
  }

  get space(): SearchSpace {
    return this.history.space;
  }

  get count(): number {
    return this.rows.length;
  }

  sync(study: StudyView): void {
    const { history } = this;
    for (; this.synced < history.length; this.synced++) {
      const usable = study.states[history.trials[this.synced]!] !== TrialState.FAIL;
      for (let k = 0; usable && k < history.objectives; k++) if (Number.isNaN(history.losses[this.synced * history.objectives + k]!)) continue;
      if (!usable || Number.isNaN(history.losses[this.synced * history.objectives]!)) continue;
      this.rows.push(this.synced);
      this.known.add(history.row(this.synced).join());
    }
  }

  propose(context: AskContext): { assignment: Assignment | null; why: string } {
    const { study, space } = context;
    const { history, process } = this;
    const random = context.random("acquisition");
    const losses = this.scalarLosses(context);
    const scalarised = history.objectives > 1;
    const feasible = this.rows.map((row) => !study.constrained || study.violations[history.trials[row]!]! <= 0);
    const anyFeasible = feasible.some(Boolean);

    this.fit(losses, scalarised);
    const order = this.byLoss(losses, feasible);
    const local = this.localRows(losses, order[0]!, this.rows.length);
    this.condition(local.map((i) => this.rows[i]!));
    const localLosses = Float64Array.from(local, (i) => losses[i]!);
    const { y } = warped(localLosses, this.warp(localLosses));

    // Running trials: imagined outcomes, each a draw from the joint posterior.
    const base = process.size;
    const running = study.running.filter((trial) => trial !== context.trial);
    const pending = running.map((trial) => {
      const row = new Float64Array(history.width);
      history.encode(study, trial, row, 0);
      return row;
    });
    const { alphas, lowest } = this.imagine(y, pending, context);
    const centre = history.row(this.rows[order[0]!]!);
    const elsewhere = this.stalledFor(y, local, feasible) >= STALL && this.rows.length % 2 === 1;
    const away = (x: Float64Array): boolean => !elsewhere || distance(x, centre) > ELSEWHERE * Math.sqrt(history.width);
    const incumbent = this.bestKnown(y, local, (i) => feasible[i]! && away(history.row(this.rows[i]!)), alphas[0]!);
    const bests = lowest.map((imagined) => (anyFeasible && incumbent < Infinity ? Math.min(incumbent, imagined) : Infinity));
    const acquisition = new LogExpectedImprovement(process, alphas, bests, study.constrained ? this.constraintModels(study, local) : []);

    const pendingKeys = new Set(pending.map((row) => row.join()));
    const finite = history.dimensions.every(({ kind }) => kind !== "continuous") && !study.noisy;
    const region: SearchRegion = {
      dimensions: history.dimensions,
      ...this.trustRegion(losses, feasible, order[0]!),
      incumbents: order.map((i) => history.row(this.rows[i]!)).filter(away).slice(0, CANDIDATE_ROWS_TO_SEARCH_FROM),
      mask: activeCoordinates(space, history),
      allowed: (x) => {
        if (!away(x)) return false;
        if (finite) {
          const key = x.join();
          if (this.known.has(key) || pendingKeys.has(key)) return false;
        }
        return space.constraints.length === 0 || space.satisfies(space.fromUnit(filled(x)));
      },
    };
    const found = maximise(acquisition, region, random);
    process.truncate(base);
    const why = `log EI after ${this.rows.length} trials, ${this.warpName} losses`;
    for (const x of found.slice(context.attempt)) {
      const assignment = space.fromUnit(filled(x));
      if (study.noisy || study.find(assignment) < 0) return { assignment, why };
    }
    return { assignment: null, why: "the model proposes nothing new" };
  }

  /** One loss per row: the objective, or a random augmented Chebyshev mixture of several (Knowles 2006). Infinite ones become the worst finite. */
  private scalarLosses(context: AskContext): Float64Array {
    const { history, rows } = this;
    const m = history.objectives;
    const losses = new Float64Array(rows.length);
    if (m === 1) rows.forEach((row, i) => { losses[i] = history.losses[row]!; });
    else {
      const random = context.random("weights");
      const weights = Float64Array.from({ length: m }, () => -Math.log(1 - random.uniform()));
      const sum = weights.reduce((a, b) => a + b, 0);
      const low = new Float64Array(m).fill(Infinity), high = new Float64Array(m).fill(-Infinity);
      for (const row of rows) for (let k = 0; k < m; k++) {
        const v = history.losses[row * m + k]!;
        if (!Number.isFinite(v)) continue;
        low[k] = Math.min(low[k]!, v);
        high[k] = Math.max(high[k]!, v);
      }
      rows.forEach((row, i) => {
        let worst = -Infinity, total = 0;
        for (let k = 0; k < m; k++) {
          const v = (weights[k]! / sum) * ((history.losses[row * m + k]! - low[k]!) / (high[k]! - low[k]! || 1));
          worst = Math.max(worst, v);
          total += v;
        }
        losses[i] = worst + 0.05 * total;
      });
    }
    let low = Infinity, high = -Infinity;
    for (const v of losses) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    if (high === -Infinity) low = high = 0;
    return losses.map((v) => (v === Infinity || Number.isNaN(v) ? high : v === -Infinity ? low : v));
  }

  /** Hyper-parameters and warp from a prefix of the history whose length depends on the count of rows alone. */
  private fit(losses: Float64Array, scalarised: boolean): void {
    const n = losses.length;
    const due = milestone(n, 20, 1.08);
    if (due === this.fittedWith && !scalarised) return;
    const prefix = losses.subarray(0, due);
    const best = prefix.reduce((b, v, i) => (v < prefix[b]! ? i : b), 0);
    const dueWarp = milestone(n, 8, 1.3);
    if (dueWarp !== this.warpedWith || scalarised) {
      this.warpName = this.chooseWarp(losses.subarray(0, dueWarp));
      this.warpedWith = dueWarp;
    }
    this.fitPrefix(prefix, this.localRows(prefix, best, due), 40);
    this.fittedWith = due;
  }

  private fitPrefix(losses: Float64Array, local: readonly number[], iterations: number): number {
    const chosen = Float64Array.from(local, (i) => losses[i]!);
    const { y, logJacobian } = warped(chosen, this.warp(chosen));
    this.process.theta = new GaussianProcess(this.history.dimensions, { inputWarping: this.options.inputWarping, noisy: this.noisy }).theta;
    this.process.clear();
    this.conditioned = [];
    for (const i of local) this.process.add(this.history.row(this.rows[i]!));
    return this.process.fit(y, iterations) - logJacobian;
  }

  /** The output warp of highest posterior density. */
  private chooseWarp(losses: Float64Array): string {
    const best = losses.reduce((b, v, i) => (v < losses[b]! ? i : b), 0);
    const local = this.localRows(losses, best, losses.length, 100);
    let name = "identity", lowest = Infinity;
    for (const warp of outputWarps(Float64Array.from(local, (i) => losses[i]!))) {
      this.warpName = warp.name;
      const value = this.fitPrefix(losses, local, 15);
      if (value < lowest) { lowest = value; name = warp.name; }
    }
    return name;
  }

  private warp(losses: Float64Array): ReturnType<typeof outputWarps>[number] {
    const warps = outputWarps(losses);
    return warps.find(({ name }) => name === this.warpName) ?? warps[0]!;
  }

  /** Positions (among the first n) of the rows to condition on: all, or the nearest to the best. */
  private localRows(losses: Float64Array, best: number, n: number, limit = this.options.maximumSize): number[] {
    const all = Array.from({ length: n }, (_, i) => i);
    if (n <= limit) return all;
    const { history } = this;
    const centre = history.row(this.rows[best]!);
    const distance = Float64Array.from(all, (i) => {
      const row = history.row(this.rows[i]!);
      let s = 0;
      for (let d = 0; d < history.width; d++) {
        const difference = row[d]! - centre[d]!;
        s += Number.isNaN(difference) ? 1 : history.dimensions[d]!.kind === "categorical" ? (difference === 0 ? 0 : 0.25) : difference ** 2;
      }
      return s;
    });
    return all.sort((a, b) => distance[a]! - distance[b]! || losses[a]! - losses[b]!).slice(0, limit).sort((a, b) => a - b);
  }

  /** Makes the process hold exactly these rows; rows appended to what it holds cost O(n²). */
  private condition(rows: readonly number[]): void {
    const shared = this.conditioned.findIndex((row, i) => rows[i] !== row);
    if (shared >= 0 || this.conditioned.length === 0 || this.process.size < this.conditioned.length) {
      this.process.truncate(shared > 0 ? shared : 0);
      this.conditioned.length = this.process.size;
    }
    this.process.truncate(this.conditioned.length);
    for (let i = this.conditioned.length; i < rows.length; i++) this.process.add(this.history.row(rows[i]!));
    this.conditioned = [...rows];
  }

  /** One α per imagined outcome of the running trials, and the lowest value each imagines; one α and +∞ without any. */
  private imagine(y: Float64Array, pending: readonly Float64Array[], context: AskContext): { alphas: Float64Array[]; lowest: Float64Array } {
    const { process } = this;
    if (pending.length === 0) return { alphas: [process.solve(y)], lowest: Float64Array.of(Infinity) };
    const count = this.options.fantasies;
    const random = context.random("fantasies");
    const outcomes = Array.from({ length: count }, () => Float64Array.of(...y, ...new Float64Array(pending.length)));
    const lowest = new Float64Array(count).fill(Infinity);
    pending.forEach((row, p) => {
      for (let m = 0; m < count; m++) {
        const { mean, deviation } = process.predict(row, process.solve(outcomes[m]!));
        const drawn = mean + deviation * random.normal();
        outcomes[m]![y.length + p] = drawn;
        lowest[m] = Math.min(lowest[m]!, drawn);
      }
      process.add(row);
    });
    return { alphas: outcomes.map((outcome) => process.solve(outcome)), lowest };
  }

  /** The value to improve on: the best observation, or with noise the best posterior mean at an observed point. */
  private bestKnown(y: Float64Array, local: readonly number[], counts: (i: number) => boolean, alpha: Float64Array): number {
    let best = Infinity;
    local.forEach((i, k) => {
      if (!counts(i)) return;
      best = Math.min(best, this.noisy ? this.process.predictMean(this.history.row(this.rows[i]!), alpha) : y[k]!);
    });
    return best;
  }

  private byLoss(losses: Float64Array, feasible: readonly boolean[]): number[] {
    return Array.from(losses, (_, i) => i).sort((a, b) => Number(feasible[b]) - Number(feasible[a]) || losses[a]! - losses[b]! || a - b);
  }

  /** Trials since the best warped loss last fell by a hundredth of a standard deviation. */
  private stalledFor(y: Float64Array, local: readonly number[], feasible: readonly boolean[]): number {
    let best = Infinity, since = 0;
    local.forEach((i, k) => {
      since++;
      if (!feasible[i] || y[k]! >= best - 0.01) return;
      best = y[k]!;
      since = 0;
    });
    return since;
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

  /** The whole cube, or in wide spaces and long studies a box about the best (Eriksson et al. 2019, TuRBO). */
  private trustRegion(losses: Float64Array, feasible: readonly boolean[], best: number): { low: Float64Array; high: Float64Array } {
    const { width } = this.history;
    const low = new Float64Array(width), high = new Float64Array(width).fill(1);
    const since = width > 20 ? this.options.startup : this.options.maximumSize;
    if (losses.length <= since) return { low, high };
    let length = 0.8, successes = 0, failures = 0, lowest = Infinity;
    for (let i = 0; i < losses.length; i++) {
      const better = feasible[i]! && losses[i]! < lowest - 1e-3 * Math.abs(lowest === Infinity ? 0 : lowest);
      if (feasible[i]!) lowest = Math.min(lowest, losses[i]!);
      if (i < since) continue;
      successes = better ? successes + 1 : 0;
      failures = better ? 0 : failures + 1;
      if (successes === 3) { length = Math.min(1.6, 2 * length); successes = 0; }
      if (failures === Math.max(5, width)) { length /= 2; failures = 0; }
      if (length < 2 ** -7) length = 0.8;
    }
    let logSum = 0;
    for (let d = 0; d < width; d++) logSum += Math.log(this.process.lengthScale(d));
    const centre = this.history.row(this.rows[best]!);
    for (let d = 0; d < width; d++) {
      if (Number.isNaN(centre[d]!)) continue;
      const half = 0.5 * length * this.process.lengthScale(d) / Math.exp(logSum / width);
      low[d] = Math.max(0, centre[d]! - half);
      high[d] = Math.min(1, centre[d]! + half);
    }
    return { low, high };
  }
}

/** The largest member ≤ n of: every number up to `dense`, then growing by `factor`. */
function milestone(n: number, dense: number, factor: number): number {
  if (n <= dense) return n;
  let last = dense;
  for (let next = dense; next <= n; next = Math.max(next + 1, Math.floor(next * factor))) last = next;
  return last;
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
