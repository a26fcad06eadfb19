// A random forest for regression whose leaves keep their boxes, which functional ANOVA integrates over.
// Breiman 2001: trees grown to purity on bootstrap samples; categories are split in the order of their means.
import type { Random } from "../random/random.ts";
import type { Axis } from "./parameter-axes.ts";

/** One side of a box: an interval of [0, 1], or which categories it holds. */
export type Side = { readonly low: number; readonly high: number } | { readonly members: Uint8Array };

/** A leaf: its constant and its box, one side per axis. */
export interface Leaf {
  readonly value: number;
  readonly sides: readonly Side[];
}

export interface Samples {
  /** One column of coordinates per axis. */
  readonly columns: readonly Float64Array[];
  readonly targets: Float64Array;
}

/** The leaves of each tree; together the boxes of a tree fill the cube. */
export function growForest(axes: readonly Axis[], samples: Samples, trees: number, random: Random): Leaf[][] {
  const n = samples.targets.length;
  return Array.from({ length: trees }, () => {
    const rows = Int32Array.from({ length: n }, () => random.integer(n));
    return growTree(axes, samples, rows);
  });
}

interface Split {
  readonly axis: number;
  /** Rows with a coordinate ≤ threshold go left. */
  readonly threshold: number;
  /** The categories that go left; undefined on ordered axes. */
  readonly left: Uint8Array | undefined;
  /** Σ_left² / n_left + Σ_right² / n_right: what variance reduction maximises. */
  readonly score: number;
}

function growTree(axes: readonly Axis[], samples: Samples, rows: Int32Array): Leaf[] {
  const leaves: Leaf[] = [];
  const root = axes.map(({ categories }): Side => (categories > 0 ? { members: new Uint8Array(categories).fill(1) } : { low: 0, high: 1 }));
  const open: { rows: Int32Array; sides: Side[] }[] = [{ rows, sides: root }];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const split = bestSplit(axes, samples, node.rows);
    if (split === undefined) {
      leaves.push({ value: mean(samples.targets, node.rows), sides: node.sides });
      continue;
    }
    const column = samples.columns[split.axis]!;
    const goesLeft = (row: number): boolean =>
      split.left === undefined ? column[row]! <= split.threshold : split.left[column[row]!] === 1;
    const [left, right] = cut(node.sides[split.axis]!, split);
    open.push({ rows: node.rows.filter(goesLeft), sides: node.sides.with(split.axis, left) });
    open.push({ rows: node.rows.filter((row) => !goesLeft(row)), sides: node.sides.with(split.axis, right) });
  }
  return leaves;
}

function cut(side: Side, { threshold, left }: Split): [Side, Side] {
  if (left === undefined || !("members" in side)) {
    const { low, high } = side as { low: number; high: number };
    return [{ low, high: threshold }, { low: threshold, high }];
  }
  return [{ members: side.members.map((on, c) => on & left[c]!) }, { members: side.members.map((on, c) => on & (1 - left[c]!)) }];
}

function bestSplit(axes: readonly Axis[], { columns, targets }: Samples, rows: Int32Array): Split | undefined {
  const first = targets[rows[0]!]!;
  if (rows.every((row) => targets[row] === first)) return undefined;
  let best: Split | undefined;
  for (const [axis, { categories }] of axes.entries()) {
    const split = categories > 0 ? categorySplit(axis, categories, columns[axis]!, targets, rows) : orderedSplit(axis, columns[axis]!, targets, rows);
    if (split !== undefined && (best === undefined || split.score > best.score)) best = split;
  }
  return best;
}

function orderedSplit(axis: number, column: Float64Array, targets: Float64Array, rows: Int32Array): Split | undefined {
  const sorted = rows.toSorted((a, b) => column[a]! - column[b]!);
  const n = sorted.length;
  const offset = mean(targets, rows); // centred sums keep the scores exact for targets far from zero
  let total = 0;
  for (let i = 0; i < n; i++) total += targets[sorted[i]!]! - offset;
  let sum = 0;
  let score = Number.NEGATIVE_INFINITY;
  let threshold = Number.NaN;
  for (let i = 0; i + 1 < n; i++) {
    sum += targets[sorted[i]!]! - offset;
    const here = column[sorted[i]!]!;
    const next = column[sorted[i + 1]!]!;
    if (here === next) continue;
    const candidate = (sum * sum) / (i + 1) + (total - sum) ** 2 / (n - i - 1);
    if (candidate > score) {
      const middle = here + (next - here) / 2;
      [score, threshold] = [candidate, middle < next ? middle : here];
    }
  }
  return Number.isNaN(threshold) ? undefined : { axis, threshold, left: undefined, score };
}

/** The best of the splits along the categories' means is the best of all splits (Fisher 1958). */
function categorySplit(axis: number, categories: number, column: Float64Array, targets: Float64Array, rows: Int32Array): Split | undefined {
  const sums = new Float64Array(categories);
  const counts = new Int32Array(categories);
  const offset = mean(targets, rows);
  let total = 0;
  for (const row of rows) {
    sums[column[row]!]! += targets[row]! - offset;
    counts[column[row]!]!++;
    total += targets[row]! - offset;
  }
  const order = [...counts.keys()].filter((c) => counts[c]! > 0).sort((a, b) => sums[a]! / counts[a]! - sums[b]! / counts[b]!);
  let best: { score: number; upTo: number } | undefined;
  let sum = 0;
  let count = 0;
  for (let k = 0; k + 1 < order.length; k++) {
    sum += sums[order[k]!]!;
    count += counts[order[k]!]!;
    const score = (sum * sum) / count + (total - sum) ** 2 / (rows.length - count);
    if (best === undefined || score > best.score) best = { score, upTo: k };
  }
  if (best === undefined) return undefined;
  const left = new Uint8Array(categories);
  for (const c of order.slice(0, best.upTo + 1)) left[c] = 1;
  return { axis, threshold: Number.NaN, left, score: best.score };
}

function mean(targets: Float64Array, rows: Int32Array): number {
  let sum = 0;
  for (const row of rows) sum += targets[row]!;
  return sum / rows.length;
}
