// Which coordinates of the unit cube mean something, given the choices made in earlier ones.
import { cardinality } from "../space/distribution.ts";
import type { SearchSpace } from "../space/space.ts";
import type { History } from "./history.ts";

/** Whether coordinate d is active in a point whose earlier coordinates are set, NaN where inactive. */
export function activity(space: SearchSpace, history: History): (d: number, x: Float64Array) => boolean {
  if (!space.conditional) return () => true;
  const parents = history.dimensions.map(({ parameter }) => {
    const { condition } = space.parameters[parameter]!;
    if (condition === null) return null;
    return { at: space.unitOffset(condition.parameter), choices: cardinality(space.get(condition.parameter)!.distribution), choice: condition.choice };
  });
  return (d, x) => {
    const parent = parents[d]!;
    if (parent === null) return true;
    const u = x[parent.at]!;
    return !Number.isNaN(u) && Math.min(parent.choices - 1, Math.floor(u * parent.choices)) === parent.choice;
  };
}

/** Copies a point, setting inactive coordinates to NaN. */
export function activeCoordinates(space: SearchSpace, history: History): (x: Float64Array, out: Float64Array) => void {
  if (!space.conditional) return (x, out) => out.set(x);
  const active = activity(space, history);
  return (x, out) => {
    out.fill(Number.NaN);
    for (let d = 0; d < x.length; d++) if (active(d, out)) out[d] = x[d]!;
  };
}
