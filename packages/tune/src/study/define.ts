// A study as a module: `export default defineStudy({ … })` is what workers import and `nabla tune run` reads.
import type { Objective } from "../executors/inline.ts";
import type { CreateStudyOptions, OptimizeOptions, Parameters } from "./study.ts";

/** Everything about a study but where it is kept and who works on it. */
export interface StudyDefinition<T> extends Omit<CreateStudyOptions<T>, "storage" | "ifExists" | "clock">, Pick<OptimizeOptions, "trials" | "trialTimeout" | "retries" | "failures"> {
  /** What is optimised. */
  readonly objective: Objective<T>;
}

/**
 * Types a study definition; export the result as the module's default.
 *
 * @example
 * // cnn.ts, for `nabla tune run cnn.ts --workers 4`:
 * const definition = defineStudy({ name: "cnn", trials: 100, objective: (trial) => trial.float("rate", 1e-4, 1, { log: true }) });
 * definition.trials; // 100
 */
export function defineStudy<T = Parameters>(definition: StudyDefinition<T>): StudyDefinition<T> {
  return definition;
}
