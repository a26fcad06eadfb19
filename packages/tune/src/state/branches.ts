// What define-by-run objectives ask for, learned from finished trials: parameters that depend on a choice, and, where the
// values are finitely many, the tree of all configurations with what has been tried of it.
import type { Distribution, Internal } from "../space/distribution.ts";
import { cardinality, valueAt } from "../space/distribution.ts";
import { SearchSpace, type ParameterSpec } from "../space/space.ts";
import type { Random } from "../random/random.ts";
import { TrialState, type ParameterColumn, type StudyView } from "../contract/contract.ts";

/**
 * The space that these trials have in common: parameters that all of them have, and those that exactly the trials with one
 * choice of an earlier one have. Others are left out: they follow no such rule, or none that these trials show.
 */
export function inferSpace(study: StudyView, trials: readonly number[]): SearchSpace {
  const specs: ParameterSpec[] = [];
  for (const { name, distribution } of study.parameters.values()) {
    const having = trials.filter((trial) => study.internal(trial, name) !== undefined);
    if (having.length === 0) continue;
    if (having.length === trials.length) specs.push({ name, distribution, condition: null });
    else {
      const condition = conditionOf(study, specs, trials, having);
      if (condition !== null) specs.push({ name, distribution, condition });
    }
  }
  return new SearchSpace(specs);
}

/** The choice that exactly the trials `having` made; null when there is none. */
function conditionOf(study: StudyView, specs: readonly ParameterSpec[], trials: readonly number[], having: readonly number[]): ParameterSpec["condition"] {
  for (const { name, distribution } of specs) {
    if (distribution.kind !== "categorical") continue;
    const choice = study.internal(having[0]!, name);
    if (typeof choice !== "number") continue;
    const taking = trials.filter((trial) => study.internal(trial, name) === choice);
    if (taking.length === having.length && taking.every((trial, i) => trial === having[i])) return { parameter: name, choice };
  }
  return null;
}

/** Whether a trial has exactly those parameters of a space that the space says it has. */
export function follows(study: StudyView, space: SearchSpace, trial: number): boolean {
  const assignment = study.assignment(trial);
  return space.parameters.every((spec) => space.isActive(spec, assignment) === assignment.has(spec.name));
}

/** The values of a parameter that count. */
export interface Values { readonly size: number; at(index: number): Internal }

/** All values of a distribution. */
export function allValues(distribution: Distribution): Values {
  return { size: cardinality(distribution), at: (index) => valueAt(distribution, index) };
}

/**
 * A path to a configuration that has not been tried, as far as it is known what will be asked for; null when all have
 * been. A trial in progress counts as tried, a failed one when it failed more than `retries` times.
 */
export function untried(study: StudyView, values: (name: string, distribution: Distribution) => Values, random: Random, retries = 1): Map<string, Internal> | null {
  const columns = [...study.parameters.values()].filter(({ count }) => count > 0);
  const trials = Array.from({ length: study.length }, (_, trial) => trial).filter((trial) => study.states[trial] !== TrialState.WAITING && columns.some(({ name }) => study.internal(trial, name) !== undefined));
  const path = new Map<string, Internal>();

  function search(at: readonly number[]): boolean {
    const column = nextAsked(study, columns, path, at);
    if (column === null) return at.filter((trial) => study.states[trial] === TrialState.FAIL).length === at.length && at.length <= retries;
    const groups = new Map<string, { value: Internal; trials: number[] }>();
    for (const trial of at) {
      const value = study.internal(trial, column.name);
      if (value === undefined) continue;
      const group = groups.get(String(value));
      if (group === undefined) groups.set(String(value), { value, trials: [trial] });
      else group.trials.push(trial);
    }
    const { size, at: valueOf } = values(column.name, column.distribution);
    if (!Number.isFinite(size)) return true; // there is always another
    const start = random.integer(size);
    for (let k = 0; k < Math.min(size, groups.size + 1); k++) {
      const value = valueOf((start + k) % size);
      if (groups.has(String(value))) continue;
      path.set(column.name, value);
      return true;
    }
    const listed = new Set(Array.from({ length: size }, (_, i) => String(valueOf(i))));
    const known = [...groups].flatMap(([key, group]) => (listed.has(key) ? [group] : []));
    for (const i of random.permutation(known.length)) {
      path.set(column.name, known[i]!.value);
      if (search(known[i]!.trials)) return true;
    }
    path.delete(column.name);
    return false;
  }
  return trials.length === 0 || search(trials) ? path : null;
}

/** The next parameter that these trials, alike so far, were all asked for; those that ended early or run may lack it. */
function nextAsked(study: StudyView, columns: readonly ParameterColumn[], path: ReadonlyMap<string, Internal>, trials: readonly number[]): ParameterColumn | null {
  return columns.find(({ name }) => !path.has(name)
    && trials.some((trial) => study.internal(trial, name) !== undefined)
    && trials.every((trial) => study.states[trial] !== TrialState.COMPLETE || study.internal(trial, name) !== undefined)) ?? null;
}
