// One objective as a Gaussian process: its losses warped and standardised, hyper-parameters refitted on a geometric
// schedule, and in between rows added one by one.
import type { Random } from "../../random/random.ts";
import { GaussianProcess, type GaussianProcessOptions } from "./process.ts";
import type { UnitDimension } from "../history.ts";
import { warped, type OutputWarp, type WarpFamily } from "./output-warping.ts";

/** Chooses at most `limit` of the first n rows to condition on, ascending. */
export type ChooseRows = (n: number, limit?: number) => readonly number[];

export class LossModel {
  readonly process: GaussianProcess;
  warpName = "identity";
  private readonly dimensions: readonly UnitDimension[];
  private readonly options: GaussianProcessOptions;
  private readonly warps: WarpFamily;
  /** Number of rows the hyper-parameters and the warp were chosen with. */
  private fittedWith = 0;
  private warpedWith = 0;
  /** Rows the process holds, in its order. */
  private conditioned: number[] = [];

  constructor(dimensions: readonly UnitDimension[], warps: WarpFamily, options: GaussianProcessOptions) {
    this.dimensions = dimensions;
    this.warps = warps;
    this.options = options;
    this.process = new GaussianProcess(dimensions, options);
  }

  /** Hyper-parameters and warp from a prefix of the losses whose length depends on their count alone. */
  fit(losses: Float64Array, rowAt: (i: number) => Float64Array, choose: ChooseRows): void {
    const n = losses.length;
    const due = milestone(n, 20, 1.08);
    if (due === this.fittedWith) return;
    const dueWarp = milestone(n, 8, 1.3);
    if (dueWarp !== this.warpedWith) {
      this.warpName = this.chooseWarp(losses, rowAt, choose(dueWarp, 100));
      this.warpedWith = dueWarp;
    }
    this.fitRows(losses, rowAt, choose(due), 40);
    this.fittedWith = due;
  }

  /** Makes the process hold exactly the chosen rows, those appended to what it holds in O(n²); returns their standardised losses. */
  condition(losses: Float64Array, rowAt: (i: number) => Float64Array, chosen: readonly number[]): Float64Array {
    const { process } = this;
    const shared = this.conditioned.findIndex((row, i) => chosen[i] !== row);
    if (shared >= 0 || this.conditioned.length === 0 || process.size < this.conditioned.length) {
      process.truncate(shared > 0 ? shared : 0);
      this.conditioned.length = process.size;
    }
    process.truncate(this.conditioned.length);
    for (let i = this.conditioned.length; i < chosen.length; i++) process.add(rowAt(chosen[i]!));
    this.conditioned = [...chosen];
    const some = Float64Array.from(chosen, (i) => losses[i]!);
    return warped(some, this.warp(some)).y;
  }

  /**
   * Imagines outcomes of running trials: `count` draws from their joint posterior given standardised losses y. The process
   * then holds `pending` too, until the next `condition`. Without pending trials there is one outcome, empty.
   */
  imagine(y: Float64Array, pending: readonly Float64Array[], count: number, random: Random): { alphas: Float64Array[]; outcomes: Float64Array[] } {
    const { process } = this;
    if (pending.length === 0) return { alphas: [process.solve(y)], outcomes: [new Float64Array(0)] };
    const losses = Array.from({ length: count }, () => Float64Array.of(...y, ...new Float64Array(pending.length)));
    pending.forEach((row, p) => {
      for (const imagined of losses) {
        const { mean, deviation } = process.predict(row, process.solve(imagined));
        imagined[y.length + p] = mean + deviation * random.normal();
      }
      process.add(row);
    });
    return { alphas: losses.map((imagined) => process.solve(imagined)), outcomes: losses.map((imagined) => imagined.slice(y.length)) };
  }

  private fitRows(losses: Float64Array, rowAt: (i: number) => Float64Array, chosen: readonly number[], iterations: number): number {
    const some = Float64Array.from(chosen, (i) => losses[i]!);
    const { y, logJacobian } = warped(some, this.warp(some));
    this.process.theta = new GaussianProcess(this.dimensions, this.options).theta;
    this.process.clear();
    this.conditioned = [];
    for (const i of chosen) this.process.add(rowAt(i));
    return this.process.fit(y, iterations) - logJacobian;
  }

  /** The output warp of highest posterior density. */
  private chooseWarp(losses: Float64Array, rowAt: (i: number) => Float64Array, chosen: readonly number[]): string {
    let name = "identity", lowest = Infinity;
    for (const warp of this.warps(Float64Array.from(chosen, (i) => losses[i]!))) {
      this.warpName = warp.name;
      const value = this.fitRows(losses, rowAt, chosen, 15);
      if (value < lowest) { lowest = value; name = warp.name; }
    }
    return name;
  }

  private warp(losses: Float64Array): OutputWarp {
    const warps = this.warps(losses);
    return warps.find(({ name }) => name === this.warpName) ?? warps[0]!;
  }
}

/** The largest member ≤ n of: every number up to `dense`, then growing by `factor`. */
function milestone(n: number, dense: number, factor: number): number {
  if (n <= dense) return n;
  let last = dense;
  for (let next = dense; next <= n; next = Math.max(next + 1, Math.floor(next * factor))) last = next;
  return last;
}
