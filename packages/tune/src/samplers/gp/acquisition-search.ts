// Where an acquisition function is largest: from many random points and neighbours of good ones, by gradient in continuous
// coordinates and by exchange in the others.
import type { Random } from "../../random/random.ts";
import type { Acquisition } from "./acquisition.ts";
import { cellCentre, cellOf, type UnitDimension } from "../history.ts";
import { minimise } from "../../math/lbfgsb.ts";

/** Where to look. */
export interface SearchRegion {
  readonly dimensions: readonly UnitDimension[];
  /** Bounds of numeric coordinates: the unit cube or a trust region. */
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** Good points known, best first: many candidates are their neighbours. */
  readonly incumbents: readonly Float64Array[];
  /** Sets coordinates of inactive parameters to NaN in `out`. */
  readonly mask: (x: Float64Array, out: Float64Array) => void;
  /** Whether a masked point may be proposed. */
  readonly allowed: (x: Float64Array) => boolean;
}

const UNIFORM = 320, NEIGHBOURS = 120, FAR_STARTS = 4, NEAR_STARTS = 2;

/** The points found, masked, best first. */
export function maximise(acquisition: Acquisition, region: SearchRegion, random: Random): Float64Array[] {
  const { dimensions, incumbents } = region;
  const D = dimensions.length;
  const masked = new Float64Array(D);
  const value = (x: Float64Array): number => {
    region.mask(x, masked);
    return region.allowed(masked) ? acquisition.value(masked) : -Infinity;
  };
  const draw = (count: number, fill: (x: Float64Array, i: number) => void): { x: Float64Array; value: number }[] =>
    Array.from({ length: count }, (_, i) => {
      const x = new Float64Array(D);
      fill(x, i);
      return { x, value: value(x) };
    }).sort((a, b) => b.value - a.value);
  const far = draw(UNIFORM, (x) => { for (let d = 0; d < D; d++) x[d] = uniformCoordinate(region, d, random); });
  const near = draw(incumbents.length > 0 ? NEIGHBOURS : 0, (x, i) => neighbour(region, incumbents[i % incumbents.length]!, random, x));
  // Both kinds climb: before climbing, neighbours of a polished optimum would crowd out every far point.
  const starts = [...far.slice(0, FAR_STARTS), ...near.slice(0, NEAR_STARTS)];
  const found = starts.filter((start) => start.value > -Infinity).map((start) => climb(acquisition, region, start.x, start.value, value, random));
  return [...found, ...far.slice(0, 50), ...near.slice(0, 50)].filter((p) => p.value > -Infinity).sort((a, b) => b.value - a.value).map(({ x }) => {
    const out = new Float64Array(D);
    region.mask(x, out);
    return out;
  });
}

/** Gradient ascent in continuous coordinates and exchange in the others, in turn, until neither helps. */
function climb(acquisition: Acquisition, region: SearchRegion, start: Float64Array, startValue: number, value: (x: Float64Array) => number, random: Random): { x: Float64Array; value: number } {
  const { dimensions } = region;
  const continuous = dimensions.some(({ kind }) => kind === "continuous");
  const discrete = dimensions.flatMap(({ kind }, d) => (kind === "continuous" ? [] : [d]));
  let x = start.slice(), best = startValue;
  for (let round = 0; round < 4; round++) {
    if (continuous) {
      const low = x.slice(), high = x.slice(), moved = x.slice(), masked = x.slice();
      dimensions.forEach(({ kind }, d) => {
        if (kind === "continuous") { low[d] = region.low[d]!; high[d] = region.high[d]!; }
      });
      minimise((p, g) => {
        region.mask(p, masked);
        const v = acquisition.withGradient(masked, g);
        for (let d = 0; d < g.length; d++) g[d] = dimensions[d]!.kind === "continuous" ? -g[d]! : 0;
        return -v;
      }, moved, low, high, { iterations: 30, tolerance: 1e-4 });
      const reached = value(moved);
      if (reached > best) { x = moved; best = reached; }
    }
    let improved = false;
    for (const d of discrete) {
      const kept = x[d]!;
      let choice = kept;
      for (const u of alternatives(region, d, kept, random)) {
        x[d] = u;
        const v = value(x);
        if (v > best) { best = v; choice = u; improved = true; }
      }
      x[d] = choice;
    }
    if (!improved) break;
  }
  return { x, value: best };
}

function alternatives({ dimensions }: SearchRegion, d: number, u: number, random: Random): number[] {
  const dimension = dimensions[d]!;
  const cell = cellOf(dimension, u);
  const cells = dimension.levels <= 16 ? Array.from({ length: dimension.levels }, (_, c) => c)
    : [cell - 1, cell + 1, cell - 3, cell + 3, ...Array.from({ length: 4 }, () => random.integer(dimension.levels))];
  return cells.filter((c) => c !== cell && c >= 0 && c < dimension.levels).map((c) => cellCentre(dimension, c));
}

function uniformCoordinate(region: SearchRegion, d: number, random: Random): number {
  const dimension = region.dimensions[d]!;
  const u = dimension.kind === "categorical" ? random.uniform() : region.low[d]! + random.uniform() * (region.high[d]! - region.low[d]!);
  return dimension.kind === "continuous" ? u : cellCentre(dimension, cellOf(dimension, u));
}

/** A point near `from`: some coordinates move, by steps of very different sizes. */
function neighbour(region: SearchRegion, from: Float64Array, random: Random, out: Float64Array): void {
  const D = out.length;
  const share = Math.max(Math.min(1, 2 / D), random.uniform());
  const size = 10 ** (-0.5 - 2.5 * random.uniform());
  for (let d = 0; d < D; d++) {
    const dimension = region.dimensions[d]!;
    const u = Number.isNaN(from[d]!) ? uniformCoordinate(region, d, random) : from[d]!;
    if (random.uniform() >= share) { out[d] = u; continue; }
    if (dimension.kind === "categorical") { out[d] = uniformCoordinate(region, d, random); continue; }
    const moved = Math.min(region.high[d]!, Math.max(region.low[d]!, u + size * random.normal()));
    if (dimension.kind === "continuous") { out[d] = moved; continue; }
    const cell = cellOf(dimension, u);
    const target = cellOf(dimension, moved);
    // A step smaller than a cell still moves one cell now and then.
    out[d] = cellCentre(dimension, target !== cell ? target : Math.min(dimension.levels - 1, Math.max(0, cell + random.integer(3) - 1)));
  }
}
