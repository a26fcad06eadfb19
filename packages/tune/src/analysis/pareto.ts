// Pareto dominance: who is no worse in every objective and better in one. All values are minimised.

/** Whether `a` is nowhere worse than `b` and somewhere better. */
export function dominates(a: readonly number[], b: readonly number[]): boolean {
  let better = false;
  for (let i = 0; i < a.length; i++) {
    if (a[i]! > b[i]!) return false;
    if (a[i]! < b[i]!) better = true;
  }
  return better;
}

/** Indices of the points that no other point dominates, ascending; equal points are all kept. */
export function paretoFront(points: readonly (readonly number[])[]): number[] {
  // In lexicographic order only an earlier point can dominate a later one.
  const order = points.map((_, i) => i).sort((a, b) => lexicographic(points[a]!, points[b]!));
  if (points[0]?.length === 2) return frontOfTwo(points, order);
  const front: number[] = [];
  for (const i of order) if (!front.some((j) => dominates(points[j]!, points[i]!))) front.push(i);
  return front.sort((a, b) => a - b);
}

/** 2 objectives: in lexicographic order only the lowest second value so far can dominate. */
function frontOfTwo(points: readonly (readonly number[])[], order: readonly number[]): number[] {
  const front: number[] = [];
  let last: readonly number[] | undefined;
  for (const i of order) {
    const point = points[i]!;
    if (last !== undefined && dominates(last, point)) continue;
    front.push(i);
    last = point;
  }
  return front.sort((a, b) => a - b);
}

/** The front each point is on: 0 for the Pareto front, 1 for the front without it, and so on. */
export function nonDominatedRanks(points: readonly (readonly number[])[]): Int32Array {
  const ranks = new Int32Array(points.length);
  let left = points.map((_, i) => i);
  for (let rank = 0; left.length > 0; rank++) {
    const front = new Set(paretoFront(left.map((i) => points[i]!)).map((k) => left[k]!));
    for (const i of front) ranks[i] = rank;
    left = left.filter((i) => !front.has(i));
  }
  return ranks;
}

function lexicographic(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1;
  return 0;
}
