// Parameters as axes of the unit cube for importance: one ordered or categorical axis per number of the unit form.
import { toInternal, toUnit, unitWidth, cardinality, type Distribution, type ParameterValue } from "../space/distribution.ts";

/** One coordinate of a parameter. */
export interface Axis {
  /** Number of unordered categories, or 0 for an ordered axis on [0, 1]. */
  readonly categories: number;
  /** Number of different positions on an ordered axis; Infinity when continuous. */
  readonly positions: number;
}

/** The axes of a parameter: one, except for subsets (a category pair each), permutations and simplexes. */
export function axesOf(distribution: Distribution): Axis[] {
  switch (distribution.kind) {
    case "categorical":
      return [{ categories: distribution.choices.length, positions: distribution.choices.length }];
    case "subset":
      return distribution.choices.map(() => ({ categories: 2, positions: 2 }));
    case "permutation":
      return distribution.choices.map(() => ({ categories: 0, positions: distribution.choices.length }));
    default: {
      const axis = { categories: 0, positions: cardinality(distribution) };
      return Array.from({ length: unitWidth(distribution) }, () => axis);
    }
  }
}

/** Coordinates of a value on those axes: category index, or position in [0, 1]. */
export function coordinates(distribution: Distribution, value: ParameterValue): Float64Array {
  const internal = toInternal(distribution, value);
  if (distribution.kind === "categorical") return Float64Array.of(Number(internal));
  if (distribution.kind === "subset" && typeof internal !== "number") return internal;
  const unit = new Float64Array(unitWidth(distribution));
  toUnit(distribution, internal, unit);
  return unit;
}
