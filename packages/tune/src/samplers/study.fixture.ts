// How tests and benchmarks see what a sampler does: through createStudy and optimize, as everybody else, over a flat space
// and with a plain function of its assignment. `emptyStudy` and `askContext` are for tests that write the history themselves.
import { createRandom } from "../random/random.ts";
import { ObjectSpace, type Fields, type InferFields } from "../space/builder.ts";
import type { Assignment, SearchSpace } from "../space/space.ts";
import { createStudy, type Study } from "../study/study.ts";
import type { AskContext, Direction, Sampler } from "../contract/contract.ts";
import { defaultMetricNames } from "../state/events.ts";
import { StudyState } from "../state/state.ts";
import type { Metrics } from "../trials/trial.ts";

export interface StudyOptions {
  readonly space: SearchSpace;
  readonly seed: number;
  readonly directions?: readonly Direction[];
  readonly noisy?: boolean;
}

export interface RunOptions extends StudyOptions {
  /** Evaluations. */
  readonly trials: number;
  /** Whether the sampler is not told how many there will be: the study is stopped after them. */
  readonly unbudgeted?: boolean;
  /** Evaluations at a time; default 1. */
  readonly workers?: number;
}

/** A flat space where a declared one is asked for. */
class FlatSpace extends ObjectSpace<Fields> {
  readonly #search: SearchSpace;

  constructor(search: SearchSpace) {
    super({});
    this.#search = search;
  }

  override get search(): SearchSpace {
    return this.#search;
  }
}

/** A study in memory over a flat space, without a pruner. */
export function openStudy(sampler: Sampler, { space, seed, directions = ["minimize"], noisy = false }: StudyOptions): Promise<Study<InferFields<Fields>>> {
  return createStudy({ sampler, space: new FlatSpace(space), seed, directions, noisy, pruner: null });
}

/** Optimises a function of the assignment; a trial in which it throws fails. Returns the history. */
export async function optimized(sampler: Sampler, objective: (assignment: Assignment) => Metrics, options: RunOptions): Promise<StudyState> {
  const { trials, unbudgeted = false, workers = 1 } = options;
  const study = await openStudy(sampler, options);
  await study.optimize(async (trial) => {
    if (workers > 1) await Promise.resolve();
    return objective(study.view.assignment(trial.number));
  }, {
    workers, failures: "continue",
    ...(unbudgeted ? { callbacks: [() => { if (study.evaluations >= trials) study.stop(); }] } : { trials }),
  });
  return study.view as StudyState;
}

/** The best value of a study with one objective that is minimised. */
export function bestOf({ values, length }: StudyState): number {
  return Math.min(...Array.from(values[0]!.subarray(0, length)).filter((value) => !Number.isNaN(value)));
}

/** A study without any trial, to be filled by events. */
export function emptyStudy({ space, seed, directions = ["minimize"], noisy = false }: StudyOptions): StudyState {
  const study = new StudyState();
  const metricNames = defaultMetricNames(directions.length);
  study.apply({ type: "create", name: "study", seed, directions, metricNames, noisy });
  study.space = space;
  for (const { name, distribution } of space.parameters) study.apply({ type: "declare", name, distribution });
  return study;
}

/** The context of the next ask; without a budget unless one is given. */
export function askContext(study: StudyState, sampler: Sampler, remaining: number = Infinity): AskContext {
  const trial = study.length;
  return {
    study, trial, space: study.jointSpace, fixed: new Map(), attempt: 0, remaining,
    random: (stream) => createRandom(study.seed, trial, `${sampler.name}/${stream}/0`),
  };
}
