// Dominance among vectors of losses: fronts, crowding, and the choice of a spread-out subset by hypervolume.

/** Whether a (at offset i) is at least as good everywhere and better somewhere than b (at offset j). */
export function dominates(losses: Float64Array, m: number, i: number, j: number): boolean {
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
      const d = losses[a * m + k]! - losses[b * m + k]!;
      if (d !== 0) return d;
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
      if (dominates(losses, 2, last[middle]!, i)) low = middle + 1;
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
      for (let k = front.length - 1; k >= 0 && !dominated; k--) dominated = dominates(losses, m, front[k]!, i);
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

/** Volume dominated by the vectors and bounded by `reference`; exact, by slicing along the last objective. */
export function hypervolume(points: readonly Float64Array[], reference: Float64Array): number {
  const inside = points.filter((p) => p.every((x, k) => x < reference[k]!));
  return volume(inside, reference, reference.length);
}

function volume(points: readonly Float64Array[], reference: Float64Array, m: number): number {
  if (points.length === 0) return 0;
  if (m === 1) return reference[0]! - points.reduce((best, p) => Math.min(best, p[0]!), Infinity);
  const sorted = [...points].sort((a, b) => a[m - 1]! - b[m - 1]!);
  if (m === 2) {
    let area = 0, ceiling = reference[0]!;
    // From low second loss to high: each point adds what lies left of all before it.
    for (const p of sorted) {
      if (p[0]! >= ceiling) continue;
      area += (ceiling - p[0]!) * (reference[1]! - p[1]!);
      ceiling = p[0]!;
    }
    return area;
  }
  let total = 0;
  for (let i = 0; i < sorted.length; i++) {
    const top = i + 1 < sorted.length ? sorted[i + 1]![m - 1]! : reference[m - 1]!;
    const height = top - sorted[i]![m - 1]!;
    if (height > 0) total += height * volume(sorted.slice(0, i + 1), reference, m - 1);
  }
  return total;
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
  const points = front.map((i) => losses.slice(i * m, (i + 1) * m));
  const reference = new Float64Array(m);
  for (let k = 0; k < m; k++) {
    const worst = points.reduce((w, p) => Math.max(w, p[k]!), -Infinity);
    reference[k] = Math.max(1.1 * worst, 0.9 * worst) || 1e-12;
  }
  const chosen: Float64Array[] = [];
  const left = front.map((_, i) => i);
  const result: number[] = [];
  let covered = 0;
  while (result.length < size) {
    let best = 0, bestVolume = -1;
    for (let j = 0; j < left.length; j++) {
      const v = hypervolume([...chosen, points[left[j]!]!], reference);
      if (v > bestVolume) { bestVolume = v; best = j; }
    }
    const [index] = left.splice(best, 1);
    chosen.push(points[index!]!);
    result.push(front[index!]!);
    covered = Math.max(covered, bestVolume);
  }
  return result;
}
