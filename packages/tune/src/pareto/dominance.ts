// Dominance among vectors of m losses: who is no worse in every one and better in one, the fronts that makes, and how
// crowded they are. Row-major arrays inside, lists of points at the public functions; all values are minimised.

/**
 * Whether `a` is nowhere worse than `b` and somewhere better.
 *
 * @example
 * dominates([1, 2], [1, 3]); // true
 */
export function dominates(a: readonly number[], b: readonly number[]): boolean {
  return rowDominates(Float64Array.of(...a, ...b), a.length, 0, 1);
}

/**
 * Indices of the points that no other point dominates, ascending; equal points are all kept.
 *
 * @example
 * paretoFront([[1, 3], [2, 2], [3, 3]]); // [0,1]
 */
export function paretoFront(points: readonly (readonly number[])[]): number[] {
  const m = points[0]?.length ?? 0;
  const losses = Float64Array.from(points.flat());
  if (m === 2) return [...planarRanks(losses, points.length)].flatMap((rank, i) => (rank === 0 ? [i] : []));
  // In lexicographic order only an earlier point can dominate a later one.
  const front: number[] = [];
  for (const i of lexicographic(losses, m, points.length)) if (!front.some((j) => rowDominates(losses, m, j, i))) front.push(i);
  return front.sort((a, b) => a - b);
}

/**
 * The front each point is on: 0 for the Pareto front, 1 for the front without it, and so on.
 *
 * @example
 * [...nonDominatedRanks([[1, 3], [2, 2], [3, 3]])]; // [0,0,1]
 */
export function nonDominatedRanks(points: readonly (readonly number[])[]): Int32Array {
  return points.length === 0 ? new Int32Array(0) : frontRanks(Float64Array.from(points.flat()), points[0]!.length);
}

/** Whether row i is nowhere worse than row j and somewhere better. */
export function rowDominates(losses: Float64Array, m: number, i: number, j: number): boolean {
  let better = false;
  for (let k = 0; k < m; k++) {
    const a = losses[i * m + k]!, b = losses[j * m + k]!;
    if (a > b) return false;
    if (a < b) better = true;
  }
  return better;
}

/** Rank of the front of each of n = losses.length / m vectors, 0 the best. */
export function frontRanks(losses: Float64Array, m: number): Int32Array {
  const n = losses.length / m;
  return m === 2 ? planarRanks(losses, n) : efficientRanks(losses, m, n);
}

/** Lexicographic order of the rows. */
function lexicographic(losses: Float64Array, m: number, n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => {
    for (let k = 0; k < m; k++) {
      const x = losses[a * m + k]!, y = losses[b * m + k]!;
      if (x !== y) return x < y ? -1 : 1;
    }
    return a - b;
  });
}

/** Two objectives: in order of the first, a point's front is found by bisection on the last second loss of each front (Jensen 2003). */
function planarRanks(losses: Float64Array, n: number): Int32Array {
  const ranks = new Int32Array(n);
  const last: number[] = []; // index of the last point of each front
  for (const i of lexicographic(losses, 2, n)) {
    let low = 0, high = last.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rowDominates(losses, 2, last[middle]!, i)) low = middle + 1;
      else high = middle;
    }
    last[low] = i;
    ranks[i] = low;
  }
  return ranks;
}

/** Any number of objectives: insertion into fronts in lexicographic order with binary search (Zhang et al. 2015, ENS-BS). */
function efficientRanks(losses: Float64Array, m: number, n: number): Int32Array {
  const ranks = new Int32Array(n);
  const fronts: number[][] = [];
  for (const i of lexicographic(losses, m, n)) {
    let low = 0, high = fronts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const front = fronts[middle]!;
      let dominated = false;
      for (let k = front.length - 1; k >= 0 && !dominated; k--) dominated = rowDominates(losses, m, front[k]!, i);
      if (dominated) low = middle + 1;
      else high = middle;
    }
    (fronts[low] ??= []).push(i);
    ranks[i] = low;
  }
  return ranks;
}

/** Crowding distance of the members of one front (Deb et al. 2002); the ends of each objective are infinitely far. */
export function crowdingDistances(losses: Float64Array, m: number, members: readonly number[]): Float64Array {
  const distance = new Float64Array(members.length);
  const order = members.map((_, i) => i);
  for (let k = 0; k < m; k++) {
    const at = (i: number): number => losses[members[i]! * m + k]!;
    order.sort((a, b) => at(a) - at(b) || a - b);
    const range = at(order[order.length - 1]!) - at(order[0]!);
    distance[order[0]!] = distance[order[order.length - 1]!] = Infinity;
    if (!(range > 0)) continue;
    for (let r = 1; r < order.length - 1; r++) distance[order[r]!] = distance[order[r]!]! + (at(order[r + 1]!) - at(order[r - 1]!)) / range;
  }
  return distance;
}
