// Exact hypervolume: the volume that a set of points dominates, up to a reference point. All values are minimised.
// Sweeps for 2 and 3 objectives; WFG (While, Bradstreet & Barone 2012) above. And the subset that covers most of it.
import { ValueError } from "../errors/errors.ts";
import { frontRanks, paretoFront } from "./dominance.ts";

type Point = readonly number[];

/**
 * Volume dominated by `points` and bounded by `reference`; points not below the reference in every objective add nothing.
 *
 * @example
 * hypervolume([[1, 2], [2, 1]], [3, 3]); // 3
 */
export function hypervolume(points: readonly Point[], reference: Point): number {
  for (const value of reference)
    if (!Number.isFinite(value)) throw new ValueError(`The reference point holds ${value}; give finite numbers.`);
  for (const [i, point] of points.entries()) {
    if (point.length !== reference.length)
      throw new ValueError(`Point ${i} has ${point.length} values, the reference point ${reference.length}; give equally many.`);
    if (point.some(Number.isNaN)) throw new ValueError(`Point ${i} holds NaN; leave such points out.`);
  }
  const inside = points.filter((point) => point.every((value, i) => value < reference[i]!));
  if (inside.some((point) => point.includes(Number.NEGATIVE_INFINITY))) return Number.POSITIVE_INFINITY;
  return volumeOf(inside, reference);
}

/**
 * How much of the hypervolume each point alone provides.
 *
 * @example
 * [...hypervolumeContributions([[1, 2], [2, 1]], [3, 3])]; // [1,1]
 */
export function hypervolumeContributions(points: readonly Point[], reference: Point): Float64Array {
  const total = hypervolume(points, reference);
  return Float64Array.from(points, (_, i) => Math.max(0, total - hypervolume(points.toSpliced(i, 1), reference)));
}

/** The best n rows: whole fronts, and of the last front the subset that greedily adds most hypervolume (Bader & Zitzler 2011; Guerreiro 2016). */
export function nondominatedPrefix(losses: Float64Array, m: number, n: number): number[] {
  const ranks = frontRanks(losses, m);
  const fronts: number[][] = [];
  ranks.forEach((rank, i) => (fronts[rank] ??= []).push(i));
  const chosen: number[] = [];
  for (const front of fronts) {
    if (chosen.length + front.length <= n) { chosen.push(...front); continue; }
    chosen.push(...spreadSubset(losses, m, front, n - chosen.length));
    break;
  }
  return chosen.sort((a, b) => a - b);
}

function spreadSubset(losses: Float64Array, m: number, front: readonly number[], size: number): number[] {
  const points = front.map((i) => Array.from(losses.subarray(i * m, (i + 1) * m)));
  const reference = Array.from({ length: m }, (_, k) => {
    const worst = points.reduce((w, p) => Math.max(w, p[k]!), -Infinity);
    return Math.max(1.1 * worst, 0.9 * worst) || 1e-12;
  });
  const chosen: Point[] = [];
  const left = front.map((_, i) => i);
  const result: number[] = [];
  while (result.length < size) {
    let best = 0, bestVolume = -1;
    for (let j = 0; j < left.length; j++) {
      const v = volumeOf([...chosen, points[left[j]!]!].filter((p) => p.every((x, k) => x < reference[k]!)), reference);
      if (v > bestVolume) { bestVolume = v; best = j; }
    }
    const [index] = left.splice(best, 1);
    chosen.push(points[index!]!);
    result.push(front[index!]!);
  }
  return result;
}

function volumeOf(points: readonly Point[], reference: Point): number {
  if (points.length === 0) return 0;
  switch (reference.length) {
    case 1:
      return reference[0]! - points.reduce((least, point) => Math.min(least, point[0]!), Number.POSITIVE_INFINITY);
    case 2:
      return area(points, reference);
    case 3:
      return sweep(points, reference);
    default:
      return wfg(points, reference);
  }
}

/** 2 objectives: strips from left to right. */
function area(points: readonly Point[], [right, top]: Point): number {
  let sum = 0;
  let ceiling = top!;
  for (const [x, y] of points.toSorted((a, b) => a[0]! - b[0]! || a[1]! - b[1]!)) {
    if (y! >= ceiling) continue;
    sum += (right! - x!) * (ceiling - y!);
    ceiling = y!;
  }
  return sum;
}

/** 3 objectives: sweep along z over a staircase of (x, y) whose area grows point by point. */
function sweep(points: readonly Point[], [right, top, end]: Point): number {
  const rising = points.toSorted((a, b) => a[2]! - b[2]!);
  const stairs: Point[] = [[Number.NEGATIVE_INFINITY, top!], [right!, Number.NEGATIVE_INFINITY]]; // x rises, y falls
  let areaNow = 0;
  let volume = 0;
  for (const [k, point] of rising.entries()) {
    const [x, y] = point;
    let at = firstRightOf(stairs, x!);
    if (stairs[at - 1]![1]! > y!) {
      let ceiling = stairs[at - 1]![1]!;
      let left = x!;
      const start = at;
      while (stairs[at]![1]! >= y!) {
        areaNow += (stairs[at]![0]! - left) * (ceiling - y!);
        [left, ceiling] = [stairs[at]![0]!, stairs[at]![1]!];
        at++;
      }
      areaNow += (stairs[at]![0]! - left) * (ceiling - y!);
      // A stair at the same x is hidden behind the new one.
      const first = stairs[start - 1]![0] === x ? start - 1 : start;
      stairs.splice(first, at - first, [x!, y!]);
    }
    volume += areaNow * ((rising[k + 1]?.[2] ?? end!) - point[2]!);
  }
  return volume;
}

/** Index of the first stair with a greater x. */
function firstRightOf(stairs: readonly Point[], x: number): number {
  let low = 0;
  let high = stairs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (stairs[middle]![0]! > x) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * n objectives: each point's box, less what the later points dominate of it. Worst last objective first, so that within
 * a point's box all later points begin at its own last value: one objective fewer remains.
 */
function wfg(points: readonly Point[], reference: Point): number {
  const front = nonDominated(points).sort((a, b) => b.at(-1)! - a.at(-1)!);
  const below = reference.slice(0, -1);
  let volume = 0;
  for (const [k, point] of front.entries()) {
    const base = below.reduce((product, value, i) => product * (value - point[i]!), 1);
    const limited = front.slice(k + 1).map((other) => below.map((_, i) => Math.max(other[i]!, point[i]!)));
    volume += (reference.at(-1)! - point.at(-1)!) * (base - volumeOf(limited, below));
  }
  return volume;
}

/** The front, each point once. */
function nonDominated(points: readonly Point[]): Point[] {
  const front = paretoFront(points).map((i) => points[i]!);
  return front.filter((point, i) => !front.slice(0, i).some((other) => other.every((value, d) => value === point[d])));
}
