// What every analysis reads: the trials of a study with its objectives, as plain data.
// All comparisons are made on minimised values, so that no analysis repeats the case of each direction.
import { ValueError } from "../errors/errors.ts";
import type { Direction, FrozenTrial, StudyView } from "../contract/contract.ts";

/** A study as plain data; load it from any storage, or take it from a running study with `resultsOf`. */
export interface StudyResults {
  /** Shown in titles and messages. */
  readonly name: string;
  /** One per objective. */
  readonly directions: readonly Direction[];
  /** One name per objective. */
  readonly metricNames: readonly string[];
  /** In order of number. */
  readonly trials: readonly FrozenTrial[];
}

/** A completed trial with usable objective values. */
export interface CompletedTrial {
  /** All of it. */
  readonly trial: FrozenTrial;
  /** As told. */
  readonly values: readonly number[];
  /** Negated where the direction is maximize. */
  readonly minimised: readonly number[];
  /** Whether all constraints are ≤ 0. */
  readonly feasible: boolean;
}

/**
 * The present state of a study, or of a view of one.
 *
 * @example
 * resultsOf(study).trials.length; // 20
 */
export function resultsOf(study: StudyView | { readonly view: StudyView }): StudyResults {
  const view = (study as { readonly view?: StudyView } | null | undefined)?.view ?? (study as StudyView | null | undefined);
  if (typeof view?.trial !== "function") throw new ValueError("resultsOf: this is no study. Pass one, e.g. `await tune.loadStudy({ name, storage })`.");
  return {
    name: view.name,
    directions: view.directions,
    metricNames: view.metricNames,
    trials: Array.from({ length: view.length }, (_, number) => view.trial(number)),
  };
}

/**
 * The COMPLETE trials in order of number.
 *
 * @example
 * completed(results).length; // 20
 */
export function completed(results: StudyResults): CompletedTrial[] {
  const list: CompletedTrial[] = [];
  for (const trial of results.trials) {
    if (trial.state !== "COMPLETE" || trial.values === null) continue;
    if (trial.values.length !== results.directions.length)
      throw new ValueError(
        `Trial ${trial.number} of study "${results.name}" has ${trial.values.length} values for ${results.directions.length} directions; the study's record is damaged.`,
      );
    list.push({
      trial,
      values: trial.values,
      minimised: minimise(trial.values, results.directions),
      feasible: Object.values(trial.constraints).every((constraint) => constraint <= 0),
    });
  }
  return list.toSorted((a, b) => a.trial.number - b.trial.number);
}

/** Values with the sign under which smaller is better. */
export function minimise(values: readonly number[], directions: readonly Direction[]): number[] {
  return values.map((value, i) => (directions[i] === "maximize" ? -value : value));
}

/** The name of an objective, or an error that lists those there are. */
export function objectiveName(results: StudyResults, objective: number): string {
  if (results.directions[objective] === undefined)
    throw new ValueError(
      `Study "${results.name}" has no objective ${objective}; it has ${results.directions.length}: ${results.metricNames.join(", ")}.`,
    );
  return results.metricNames[objective] ?? `value ${objective}`;
}

/** The names of all parameters in order of first use. */
export function parameterNames(trials: readonly FrozenTrial[]): string[] {
  const names = new Set<string>();
  for (const trial of trials) for (const name of Object.keys(trial.params)) names.add(name);
  return [...names];
}
