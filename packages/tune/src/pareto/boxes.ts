// The region that no point of a front dominates, cut into boxes: expected improvements of the hypervolume are sums of
// products over them. Slabs along the last objective, each cut in one objective fewer; equal neighbours are merged.

/** Disjoint boxes of m objectives, row-major `count × m`; the lower ends may be −∞. */
export interface Boxes {
  readonly count: number;
  readonly low: Float64Array;
  readonly high: Float64Array;
}

interface Box { readonly low: readonly number[]; readonly high: readonly number[] }

/** Cuts what lies below `reference` and is not dominated by any of `front` (all values minimised). */
export function nonDominatedBoxes(front: readonly (readonly number[])[], reference: readonly number[]): Boxes {
  const boxes = cut(front.filter((point) => point.every((x, k) => x < reference[k]!)), reference, reference.length);
  return {
    count: boxes.length,
    low: Float64Array.from(boxes.flatMap(({ low }) => low)),
    high: Float64Array.from(boxes.flatMap(({ high }) => high)),
  };
}

function cut(points: readonly (readonly number[])[], reference: readonly number[], m: number): Box[] {
  if (m === 1) {
    const best = points.reduce((least, point) => Math.min(least, point[0]!), reference[0]!);
    return [{ low: [-Infinity], high: [best] }];
  }
  const rising = [...points].sort((a, b) => a[m - 1]! - b[m - 1]!);
  const done: Box[] = [];
  // Boxes of the slabs so far that reach its upper face, by their extent in the other objectives.
  let open = new Map<string, { box: Box; from: number }>();
  let from = -Infinity;
  const closeAt = (end: number, kept: ReadonlyMap<string, unknown>): void => {
    for (const [key, { box, from: start }] of open)
      if (!kept.has(key) && end > start) done.push({ low: [...box.low, start], high: [...box.high, end] });
  };
  for (let i = 0; i <= rising.length; i++) {
    const end = rising[i]?.[m - 1] ?? reference[m - 1]!;
    if (end === from) continue;
    const next = new Map<string, { box: Box; from: number }>();
    for (const box of cut(rising.slice(0, i), reference, m - 1)) {
      const key = `${box.low.join()} ${box.high.join()}`;
      next.set(key, open.get(key) ?? { box, from });
    }
    closeAt(from, next);
    open = next;
    from = end;
  }
  closeAt(from, new Map());
  return done;
}
