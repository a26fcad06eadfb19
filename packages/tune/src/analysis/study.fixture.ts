// Studies made up for the tests of this folder.
import { fromUnit, toExternal, type Distribution, type ParameterValue } from "../space/distribution.ts";
import type { Direction, FrozenTrial } from "../contract/contract.ts";
import { createRandom } from "../random/random.ts";
import type { StudyResults } from "./results.ts";

/** A trial with the given parts and defaults for the rest. */
export function trialOf(number: number, parts: Partial<FrozenTrial>): FrozenTrial {
  return {
    number, state: "COMPLETE", params: {}, distributions: {}, values: null, constraints: {}, reports: [], userAttributes: {},
    systemAttributes: {}, note: "", started: number * 1000, finished: number * 1000 + 500, attempt: 1, answeredBy: null, parent: null,
    checkpoint: null, ...parts,
  };
}

/** A single-objective study, or one with several when values are lists. */
export function studyOf(trials: readonly FrozenTrial[], directions: readonly Direction[] = ["minimize"]): StudyResults {
  return { name: "fixture", directions, metricNames: directions.length === 1 ? ["value"] : directions.map((_, i) => `f${i}`), trials };
}

/** `count` random trials over a space, with the objective's values. */
export function randomStudy<P extends Record<string, ParameterValue>>(
  distributions: Record<keyof P & string, Distribution>,
  objective: (params: P) => number | readonly number[],
  count: number,
  options: { seed?: number; directions?: readonly Direction[] } = {},
): StudyResults {
  const trials = Array.from({ length: count }, (_, number) => {
    const random = createRandom(options.seed ?? 0, number, "fixture");
    const params = Object.fromEntries(
      Object.entries<Distribution>(distributions).map(([name, distribution]) => {
        const unit = Float64Array.from({ length: 16 }, () => random.uniform());
        return [name, toExternal(distribution, fromUnit(distribution, unit))];
      }),
    );
    const value = objective(params as P);
    return trialOf(number, { params, distributions, values: typeof value === "number" ? [value] : value });
  });
  return studyOf(trials, options.directions);
}

