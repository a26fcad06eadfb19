// Crossover and mutation of points in the unit cube, aware of which coordinates are ordered, unordered or continuous:
// the operators that the evolutionary samplers share.
import type { Random } from "../../random/random.ts";
import { cellCentre, cellOf, type UnitDimension } from "../history.ts";

/** How two parents mix: `uniform` swaps coordinates; `sbx` (Deb & Agrawal 1995) and `blx` (Eshelman & Schaffer 1993) blend numbers. */
export type Crossover = "uniform" | "sbx" | "blx";
/** How a coordinate changes: `gaussian` with deviation 0.1; `polynomial` (Deb & Goyal 1996) with index 20. */
export type Mutation = "gaussian" | "polynomial";

const SBX_INDEX = 2, BLX_ALPHA = 0.5, POLYNOMIAL_INDEX = 20, GAUSSIAN_DEVIATION = 0.1;

/** Writes a child of parents a and b. Unordered coordinates, and those one parent lacks, come whole from either. */
export function cross(kind: Crossover, dimensions: readonly UnitDimension[], a: Float64Array, b: Float64Array, random: Random, out: Float64Array): void {
  for (let d = 0; d < dimensions.length; d++) {
    const [p, q] = [a[d]!, b[d]!];
    const heads = random.uniform() < 0.5;
    const u = random.uniform();
    if (Number.isNaN(p) || Number.isNaN(q)) out[d] = Number.isNaN(p) ? q : p;
    else if (kind === "uniform" || dimensions[d]!.kind === "categorical") out[d] = heads ? p : q;
    else if (kind === "blx") {
      const low = Math.min(p, q), spread = Math.abs(p - q);
      out[d] = settle(dimensions[d]!, low - BLX_ALPHA * spread + u * (1 + 2 * BLX_ALPHA) * spread);
    } else {
      const beta = u < 0.5 ? (2 * u) ** (1 / (SBX_INDEX + 1)) : (1 / (2 - 2 * u)) ** (1 / (SBX_INDEX + 1));
      out[d] = settle(dimensions[d]!, 0.5 * ((1 + (heads ? beta : -beta)) * p + (1 - (heads ? beta : -beta)) * q));
    }
  }
}

/** Changes each coordinate with probability `rate`; an absent one becomes uniform, and so does a mutated unordered one. */
export function mutate(kind: Mutation, dimensions: readonly UnitDimension[], rate: number, random: Random, x: Float64Array): void {
  for (let d = 0; d < x.length; d++) {
    const dimension = dimensions[d]!;
    const chosen = random.uniform() < rate;
    if (!chosen && !Number.isNaN(x[d]!)) continue;
    if (Number.isNaN(x[d]!) || dimension.kind === "categorical") {
      x[d] = settle(dimension, random.uniform());
      continue;
    }
    const moved = kind === "gaussian" ? x[d]! + GAUSSIAN_DEVIATION * random.normal() : polynomial(x[d]!, random.uniform());
    const before = x[d]!;
    x[d] = settle(dimension, moved);
    // A step too small for the grid still takes one cell.
    if (dimension.kind === "ordered" && x[d] === before && dimension.levels > 1) {
      const cell = cellOf(dimension, before);
      const up = cell === 0 || (cell < dimension.levels - 1 && random.uniform() < 0.5);
      x[d] = cellCentre(dimension, up ? cell + 1 : cell - 1);
    }
  }
}

/** Bounded polynomial mutation: the step stays inside the unit interval. */
function polynomial(x: number, u: number): number {
  const power = POLYNOMIAL_INDEX + 1;
  const step = u < 0.5
    ? (2 * u + (1 - 2 * u) * (1 - x) ** power) ** (1 / power) - 1
    : 1 - (2 * (1 - u) + 2 * (u - 0.5) * x ** power) ** (1 / power);
  return x + step;
}

/** Reflects a coordinate into the unit interval and onto the grid. */
export function settle(dimension: UnitDimension, u: number): number {
  let v = Math.abs(u) % 2;
  if (v > 1) v = 2 - v;
  return dimension.kind === "continuous" ? v : cellCentre(dimension, cellOf(dimension, v));
}
