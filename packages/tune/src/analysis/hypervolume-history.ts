// How the hypervolume of a study with several objectives grew: one number for the quality of a front.
import { ValueError } from "../errors/errors.ts";
import { hypervolume } from "../pareto/hypervolume.ts";
import { dominates } from "../pareto/dominance.ts";
import { completed, minimise, type StudyResults } from "./results.ts";

/**
 * Hypervolume of the feasible front after each completed trial, in order of number. `reference` is in the objectives' own
 * units: a point that every trial worth counting beats in all objectives.
 *
 * @example
 * hypervolumeHistory(front, [2, 2]).length; // 20
 */
export function hypervolumeHistory(results: StudyResults, reference: readonly number[]): Float64Array {
  if (reference.length !== results.directions.length)
    throw new ValueError(`The reference point has ${reference.length} values; study "${results.name}" has ${results.directions.length} objectives.`);
  const bound = minimise(reference, results.directions);
  let front: (readonly number[])[] = [];
  let volume = 0;
  return Float64Array.from(completed(results), ({ minimised, feasible }) => {
    const counts = feasible && minimised.every((value, i) => value < bound[i]!);
    if (counts && !front.some((point) => dominates(point, minimised))) {
      front = [...front.filter((point) => !dominates(minimised, point)), minimised];
      volume = hypervolume(front, bound);
    }
    return volume;
  });
}
