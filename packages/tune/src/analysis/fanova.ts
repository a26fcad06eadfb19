// Functional ANOVA importance (Hutter, Hoos & Leyton-Brown 2014): the shares of a random forest's variance over the whole
// space that each parameter, and each pair beyond its members, explains. The trees are integrated box by box.
import { sameDistribution } from "../space/distribution.ts";
import { createRandom } from "../random/random.ts";
import { ValueError } from "../errors/errors.ts";
import { axesOf, coordinates, type Axis } from "./parameter-axes.ts";
import { growForest, type Leaf, type Side } from "./regression-forest.ts";
import { completed, objectiveName, parameterNames, type StudyResults } from "./results.ts";

/** Which objective and parameters, and how large a forest. */
export interface FanovaOptions {
  /** Index; default 0. */
  readonly objective?: number;
  /** Default 64. */
  readonly trees?: number;
  /** Default 0. */
  readonly seed?: number;
}

/** What two parameters do together beyond what each does alone. */
export interface Interaction {
  /** The two names. */
  readonly parameters: readonly [string, string];
  /** Fraction of the variance. */
  readonly share: number;
}

/** Shares of the variance that a forest explains. */
export interface FanovaDecomposition {
  /** Main effect of each parameter as a fraction of the variance. */
  readonly main: Readonly<Record<string, number>>;
  /** Every pair, strongest first. What main effects and pairs miss to 1 are interactions of three and more. */
  readonly interactions: readonly Interaction[];
}

/**
 * Main effects and pairwise interactions. Only parameters that every completed trial has with one range take part; for
 * others use `pedAnova`.
 *
 * @example
 * const { main, interactions } = fanova(results, { trees: 8 });
 * Object.keys(main).length; // 2
 * interactions.length; // 1
 */
export function fanova(results: StudyResults, options: FanovaOptions = {}): FanovaDecomposition {
  const { objective = 0, trees = 64, seed = 0 } = options;
  objectiveName(results, objective);
  const rows = completed(results).filter((row) => Number.isFinite(row.values[objective]!));
  if (rows.length < 3) throw new ValueError(`Importance needs at least 3 completed trials with finite values, got ${rows.length}.`);
  const first = rows[0]!.trial.distributions;
  const names = parameterNames(rows.map((row) => row.trial)).filter((name) => {
    const declared = first[name];
    return declared !== undefined && rows.every(({ trial }) => {
      const other = trial.distributions[name];
      return other !== undefined && sameDistribution(declared, other);
    });
  });
  if (names.length === 0)
    throw new ValueError("fanova: no parameter appears in every completed trial with the same range; use pedAnova, which handles conditional spaces.");

  const axes: Axis[] = [];
  const columns: Float64Array[] = [];
  const owner: string[] = [];
  for (const name of names) {
    const distribution = first[name]!;
    const points = rows.map((row) => coordinates(distribution, row.trial.params[name]!));
    for (const [a, axis] of axesOf(distribution).entries()) {
      axes.push(axis);
      columns.push(Float64Array.from(points, (point) => point[a]!));
      owner.push(name);
    }
  }
  const targets = Float64Array.from(rows, (row) => row.values[objective]!);
  const forest = growForest(axes, { columns, targets }, trees, createRandom(seed, 0, "fanova"));

  const main = new Map(names.map((name) => [name, 0]));
  const together = new Map<string, { parameters: [string, string]; share: number }>();
  names.forEach((p, i) => names.slice(i + 1).forEach((q) => together.set(`${p}\n${q}`, { parameters: [p, q], share: 0 })));
  const varied = forest.map(deviations).filter(({ variance }) => variance > 0);
  for (const { leaves, masses, variance } of varied) {
    const weight = 1 / variance / varied.length;
    const grids = axes.map((_, axis) => gridOf(leaves.map(({ sides }) => sides[axis]!)));
    grids.forEach((grid, i) => {
      const p = owner[i]!;
      main.set(p, main.get(p)! + weight * mainEffect(masses, grid));
      for (let j = i + 1; j < axes.length; j++) {
        const q = owner[j]!, share = weight * interactionEffect(masses, grid, grids[j]!);
        // Coordinates of one parameter act together as that parameter.
        if (p === q) main.set(p, main.get(p)! + share);
        else together.get(`${p}\n${q}`)!.share += share;
      }
    });
  }
  return { main: Object.fromEntries(main), interactions: [...together.values()].sort((x, y) => y.share - x.share) };
}

/** Each leaf's deviation from the tree's mean over the uniform cube, times its volume; and the tree's variance. */
function deviations(leaves: readonly Leaf[]): { leaves: readonly Leaf[]; masses: Float64Array; variance: number } {
  const volumes = leaves.map(({ sides }) => sides.reduce((product, side) => product * width(side), 1));
  const mean = leaves.reduce((sum, { value }, i) => sum + volumes[i]! * value, 0);
  return {
    leaves,
    masses: Float64Array.from(leaves, ({ value }, i) => (value - mean) * volumes[i]!),
    variance: leaves.reduce((sum, { value }, i) => sum + volumes[i]! * (value - mean) ** 2, 0),
  };
}

/** ∫ a(x)² dx of the centred marginal a(x) = E[tree | coordinate = x] − mean. */
function mainEffect(masses: Float64Array, { widths, ordered, starts, cells, amounts }: Grid): number {
  const marginal = new Float64Array(widths.length + 1);
  for (let leaf = 0; leaf < masses.length; leaf++)
    for (let k = starts[leaf]!; k < starts[leaf + 1]!; k++) marginal[cells[k]!]! += masses[leaf]! * amounts[k]!;
  if (ordered) accumulate(marginal, marginal.length, 1, 0);
  return widths.reduce((sum, cell, i) => sum + cell * marginal[i]! ** 2, 0);
}

/** ∫∫ (a(x, y) − a(x) − a(y))² dx dy of the centred marginals. */
function interactionEffect(masses: Float64Array, rows: Grid, columns: Grid): number {
  const height = rows.widths.length, across = columns.widths.length;
  const stride = across + 1;
  const joint = new Float64Array((height + 1) * stride);
  for (let leaf = 0; leaf < masses.length; leaf++) {
    for (let k = rows.starts[leaf]!; k < rows.starts[leaf + 1]!; k++) {
      const at = rows.cells[k]! * stride, mass = masses[leaf]! * rows.amounts[k]!;
      for (let l = columns.starts[leaf]!; l < columns.starts[leaf + 1]!; l++) joint[at + columns.cells[l]!]! += mass * columns.amounts[l]!;
    }
  }
  if (columns.ordered) for (let r = 0; r <= height; r++) accumulate(joint, stride, 1, r * stride);
  if (rows.ordered) for (let c = 0; c < stride; c++) accumulate(joint, height + 1, stride, c);
  const byRow = new Float64Array(height), byColumn = new Float64Array(across);
  for (let r = 0; r < height; r++) for (let c = 0; c < across; c++) {
    byRow[r]! += joint[r * stride + c]! * columns.widths[c]!;
    byColumn[c]! += joint[r * stride + c]! * rows.widths[r]!;
  }
  let sum = 0;
  for (let r = 0; r < height; r++) for (let c = 0; c < across; c++)
    sum += rows.widths[r]! * columns.widths[c]! * (joint[r * stride + c]! - byRow[r]! - byColumn[c]!) ** 2;
  return sum;
}

/** Running sums of `count` numbers from `start`, `step` apart, in place. */
function accumulate(values: Float64Array, count: number, step: number, start: number): void {
  for (let k = 1, at = start + step; k < count; k++, at += step) values[at]! += values[at - step]!;
}

/** Cells of one axis on which marginals are constant, or averaged where a forest has more edges than `CELLS`. */
interface Grid {
  readonly widths: Float64Array;
  /**
   * Leaf l covers `cells` by `amounts`, each over the leaf's width, from `starts[l]` to `starts[l + 1]`. On ordered axes
   * these are changes from cell to cell, at most four for an interval: running sums restore the amounts.
   */
  readonly starts: Int32Array;
  readonly cells: Int32Array;
  readonly amounts: Float64Array;
  readonly ordered: boolean;
}

/** Enough for shares to three digits, few enough for thousands of leaves. */
const CELLS = 100;

/** The grid of an axis on which the leaves have these sides. */
function gridOf(sides: readonly Side[]): Grid {
  const first = sides[0]!;
  const starts = new Int32Array(sides.length + 1), cells: number[] = [], amounts: number[] = [];
  const cover = (cell: number, amount: number): void => {
    if (amount !== 0) { cells.push(cell); amounts.push(amount); }
  };
  const grid = (widths: Float64Array, ordered: boolean): Grid => ({ widths, ordered, starts, cells: Int32Array.from(cells), amounts: Float64Array.from(amounts) });
  if ("members" in first) {
    sides.forEach((side, leaf) => {
      if ("members" in side) side.members.forEach((on, c) => cover(c, on / width(side)));
      starts[leaf + 1] = cells.length;
    });
    return grid(new Float64Array(first.members.length).fill(1 / first.members.length), false);
  }
  const ends = sides.flatMap((side) => ("members" in side ? [] : [side.low, side.high]));
  const all = Float64Array.from(new Set(ends)).sort();
  const count = Math.min(CELLS, all.length - 1);
  const edges = Float64Array.from({ length: count + 1 }, (_, k) => all[Math.round((k * (all.length - 1)) / count)]!);
  const widths = Float64Array.from({ length: count }, (_, k) => edges[k + 1]! - edges[k]!);
  /** A step at a position: what lies right of it in its cell, and the rest from the next cell on. */
  const step = (position: number, height: number): void => {
    let low = 0, high = count;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (edges[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    const rest = low === count ? 0 : (position - edges[low]!) / widths[low]!;
    cover(low, height * (1 - rest));
    cover(low + 1, height * rest);
  };
  for (let leaf = 0; leaf < sides.length; leaf++) {
    const [low, high] = [ends[2 * leaf]!, ends[2 * leaf + 1]!];
    step(low, 1 / (high - low));
    step(high, -1 / (high - low));
    starts[leaf + 1] = cells.length;
  }
  return grid(widths, true);
}

function width(side: Side): number {
  if (!("members" in side)) return side.high - side.low;
  return side.members.reduce((count, on) => count + on, 0) / side.members.length;
}
