// A random forest for regression whose leaves keep their boxes, which functional ANOVA integrates over.
// Breiman 2001: trees grown to purity on bootstrap samples; each axis is sorted once and then only partitioned.
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
export function growForest(axes: readonly Axis[], { columns, targets }: Samples, trees: number, random: Random): Leaf[][] {
  const n = targets.length;
  const sorted = columns.map((column) => Int32Array.from(column.keys()).sort((a, b) => column[a]! - column[b]!));
  return Array.from({ length: trees }, () => {
    const drawn = Int32Array.from({ length: n }, () => random.integer(n)).sort();
    const orders = sorted.map((order) => inherit(order, drawn));
    return new Tree(axes, { columns: columns.map((column) => gather(column, drawn)), targets: gather(targets, drawn) }, orders).grow();
  });
}

/** The order of the drawn rows from the order of all: each row's draws stand together in the ascending `drawn`. */
function inherit(order: Int32Array, drawn: Int32Array): Int32Array {
  const first = new Int32Array(order.length + 1);
  for (const row of drawn) first[row + 1]!++;
  for (let row = 0; row < order.length; row++) first[row + 1]! += first[row]!;
  const inherited = new Int32Array(drawn.length);
  let filled = 0;
  for (const row of order) for (let draw = first[row]!; draw < first[row + 1]!; draw++) inherited[filled++] = draw;
  return inherited;
}

interface Split {
  readonly axis: number;
  /** Rows with a coordinate ≤ threshold go left. */
  readonly threshold: number;
  /** The categories that go left; undefined on ordered axes. */
  readonly left: Uint8Array | undefined;
  /** Σ_left² / n_left + Σ_right² / n_right of centred targets: what variance reduction maximises. */
  readonly score: number;
}

/** One tree in growth. A node is a range of every `orders[axis]`, which lists the node's rows in the order of that axis. */
class Tree {
  readonly #axes: readonly Axis[];
  readonly #columns: readonly Float64Array[];
  readonly #targets: Float64Array;
  readonly #orders: Int32Array[];
  readonly #goesLeft: Uint8Array;
  readonly #right: Int32Array;

  constructor(axes: readonly Axis[], { columns, targets }: Samples, orders: Int32Array[]) {
    this.#axes = axes;
    this.#columns = columns;
    this.#targets = targets;
    this.#orders = orders;
    this.#goesLeft = new Uint8Array(targets.length);
    this.#right = new Int32Array(targets.length);
  }

  grow(): Leaf[] {
    const leaves: Leaf[] = [];
    const sides = this.#axes.map(({ categories }): Side => (categories > 0 ? { members: new Uint8Array(categories).fill(1) } : { low: 0, high: 1 }));
    const open: { start: number; end: number; sides: Side[] }[] = [{ start: 0, end: this.#targets.length, sides }];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      const mean = this.#mean(node.start, node.end);
      const split = this.#bestSplit(node.start, node.end, mean);
      if (split === undefined) {
        leaves.push({ value: mean, sides: node.sides });
        continue;
      }
      const middle = this.#partition(node.start, node.end, split);
      const [left, right] = cut(node.sides[split.axis]!, split);
      open.push({ start: node.start, end: middle, sides: node.sides.with(split.axis, left) });
      open.push({ start: middle, end: node.end, sides: node.sides.with(split.axis, right) });
    }
    return leaves;
  }

  #mean(start: number, end: number): number {
    const order = this.#orders[0]!;
    let sum = 0;
    for (let i = start; i < end; i++) sum += this.#targets[order[i]!]!;
    return sum / (end - start);
  }

  #bestSplit(start: number, end: number, mean: number): Split | undefined {
    const order = this.#orders[0]!;
    const first = this.#targets[order[start]!]!;
    let pure = true;
    for (let i = start + 1; pure && i < end; i++) pure = this.#targets[order[i]!] === first;
    if (pure) return undefined;
    let best: Split | undefined;
    for (const [axis, { categories }] of this.#axes.entries()) {
      const split = categories > 0 ? this.#categorySplit(axis, categories, start, end, mean) : this.#orderedSplit(axis, start, end, mean);
      if (split !== undefined && (best === undefined || split.score > best.score)) best = split;
    }
    return best;
  }

  #orderedSplit(axis: number, start: number, end: number, mean: number): Split | undefined {
    const order = this.#orders[axis]!;
    const column = this.#columns[axis]!;
    const targets = this.#targets;
    const n = end - start;
    let sum = 0; // of centred targets, which add up to 0 over the node
    let score = Number.NEGATIVE_INFINITY;
    let at = -1;
    let here = column[order[start]!]!;
    for (let i = start; i + 1 < end; i++) {
      sum += targets[order[i]!]! - mean;
      const next = column[order[i + 1]!]!;
      if (here === next) continue;
      here = next;
      const count = i + 1 - start;
      const candidate = (sum * sum) / count + (sum * sum) / (n - count);
      if (candidate > score) [score, at] = [candidate, i];
    }
    if (at < 0) return undefined;
    const [low, high] = [column[order[at]!]!, column[order[at + 1]!]!];
    const middle = low + (high - low) / 2;
    return { axis, threshold: middle < high ? middle : low, left: undefined, score };
  }

  /** The best of the splits along the categories' means is the best of all splits (Fisher 1958). */
  #categorySplit(axis: number, categories: number, start: number, end: number, mean: number): Split | undefined {
    const order = this.#orders[axis]!;
    const column = this.#columns[axis]!;
    const sums = new Float64Array(categories);
    const counts = new Int32Array(categories);
    for (let i = start; i < end; i++) {
      const row = order[i]!;
      sums[column[row]!]! += this.#targets[row]! - mean;
      counts[column[row]!]!++;
    }
    const present = [...counts.keys()].filter((c) => counts[c]! > 0).sort((a, b) => sums[a]! / counts[a]! - sums[b]! / counts[b]!);
    let score = Number.NEGATIVE_INFINITY;
    let upTo = 0;
    let sum = 0;
    let count = 0;
    for (let k = 0; k + 1 < present.length; k++) {
      sum += sums[present[k]!]!;
      count += counts[present[k]!]!;
      const candidate = (sum * sum) / count + (sum * sum) / (end - start - count);
      if (candidate > score) [score, upTo] = [candidate, k + 1];
    }
    if (upTo === 0) return undefined;
    const left = new Uint8Array(categories);
    for (const c of present.slice(0, upTo)) left[c] = 1;
    return { axis, threshold: Number.NaN, left, score };
  }

  /** Moves the node's left rows before its right rows in every order, which stays sorted; returns where right begins. */
  #partition(start: number, end: number, { axis, threshold, left }: Split): number {
    const column = this.#columns[axis]!;
    const any = this.#orders[axis]!;
    for (let i = start; i < end; i++) {
      const row = any[i]!;
      this.#goesLeft[row] = left === undefined ? Number(column[row]! <= threshold) : left[column[row]!]!;
    }
    let middle = start;
    for (const order of this.#orders) {
      let [l, r] = [start, 0];
      for (let i = start; i < end; i++) {
        const row = order[i]!;
        if (this.#goesLeft[row] === 1) order[l++] = row;
        else this.#right[r++] = row;
      }
      order.set(this.#right.subarray(0, r), l);
      middle = l;
    }
    return middle;
  }
}

function cut(side: Side, { threshold, left }: Split): [Side, Side] {
  if ("members" in side)
    return [{ members: side.members.map((on, c) => on & left![c]!) }, { members: side.members.map((on, c) => on & (1 - left![c]!)) }];
  return [{ low: side.low, high: threshold }, { low: threshold, high: side.high }];
}

function gather(values: Float64Array, rows: Int32Array): Float64Array {
  return Float64Array.from(rows, (row) => values[row]!);
}
