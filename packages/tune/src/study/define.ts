// A study as a module: `export default defineStudy({ … })` is what workers import and `nabla tune run` reads.
import type { Objective } from "../executors/inline.ts";
import type { CreateStudyOptions, OptimizeOptions, Parameters } from "./study.ts";

/** Everything about a study but where it is kept and who works on it. */
export interface StudyDefinition<T> extends Omit<CreateStudyOptions<T>, "storage" | "ifExists" | "clock">, Pick<OptimizeOptions, "trials" | "trialTimeout" | "retries" | "failures"> {
  readonly objective: Objective<T>;
}

/** Types a study definition; export the result as the module's default. */
export function defineStudy<T = Parameters>(definition: StudyDefinition<T>): StudyDefinition<T> {
  return definition;
}
