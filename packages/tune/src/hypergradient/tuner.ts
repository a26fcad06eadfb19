// Tunes continuous hyper-parameters by hypergradients, alone or inside a trial: a sampler chooses the start (and all that is
// discrete), hypergradients descend from there, and the trial's result is where they end.
import type { Trial } from "../trials/trial.ts";
import { HypergradientError } from "../errors/errors.ts";
import { ProjectedGradient, type Range } from "./projected-gradient.ts";
import type { Awaitable } from "./vector-space.ts";

/** A value and a gradient by position, as every algorithm of this folder returns them on `Float64Array`. */
export interface ValueAndGradient {
  /** The outer loss. */
  readonly value: number;
  /** In the order of the parameters. */
  readonly gradient: ArrayLike<number>;
}

/** What is tuned, and for how long. */
export interface HypergradientTuning {
  /** Ranges by name; their order is the order in `hyper` and in the gradient. */
  readonly parameters: Readonly<Record<string, Range>>;
  /** Computations of value and gradient; default 20. */
  readonly evaluations?: number;
  /** Stop when a projected gradient step moves no hyper-parameter by more than this share of its range; default 1e-6. */
  readonly tolerance?: number;
}

/** The best hyper-parameters met, and the way there. */
export interface TunedHyperparameters {
  /** By name. */
  readonly params: Record<string, number>;
  /** The outer loss there. */
  readonly value: number;
  /** Every evaluation in order. */
  readonly trajectory: readonly { readonly params: Record<string, number>; readonly value: number }[];
}

/** Minimises the outer loss from `start`; `afterEach` sees the best value so far and the number of the evaluation, from 0. */
export async function tuneByHypergradient(
  tuning: HypergradientTuning,
  start: Readonly<Record<string, number>>,
  hypergradient: (hyper: Float64Array) => Awaitable<ValueAndGradient>,
  afterEach: (best: number, evaluation: number) => Awaitable<void> = () => {},
): Promise<TunedHyperparameters> {
  const { evaluations = 20, tolerance = 1e-6 } = tuning;
  if (!Number.isInteger(evaluations) || evaluations < 1)
    throw new HypergradientError(`evaluations is ${evaluations}; give an integer ≥ 1.`);
  const names = Object.keys(tuning.parameters);
  const named = (hyper: Float64Array): Record<string, number> => Object.fromEntries(names.map((name, i) => [name, hyper[i]!]));
  const search = new ProjectedGradient(Object.values(tuning.parameters), names.map((name) => start[name] ?? Number.NaN));
  const trajectory: { params: Record<string, number>; value: number }[] = [];
  for (let i = 0; i < evaluations && search.stationarity > tolerance; i++) {
    const hyper = search.ask();
    const { value, gradient } = await hypergradient(hyper);
    search.tell(value, gradient);
    trajectory.push({ params: named(hyper), value });
    await afterEach(search.best!.value, i);
  }
  return { params: named(search.best!.hyper), value: search.best!.value, trajectory };
}

/**
 * An objective for a study that minimises: suggests each parameter as the start, reports the best value after each
 * evaluation (so it can be pruned), and keeps the tuned values as attribute "tuned" and the number of evaluations as
 * "hypergradients".
 */
export function hypergradientObjective<T extends Pick<Trial, "float" | "report" | "prune" | "setAttribute">>(
  tuning: HypergradientTuning,
  hypergradient: (hyper: Float64Array, trial: T) => Awaitable<ValueAndGradient>,
): (trial: T) => Promise<number> {
  return async (trial) => {
    const start = Object.fromEntries(
      Object.entries(tuning.parameters).map(([name, { low, high, log = false }]) => [name, trial.float(name, low, high, { log })]),
    );
    const tuned = await tuneByHypergradient(
      tuning,
      start,
      (hyper) => hypergradient(hyper, trial),
      async (best, evaluation) => {
        if (await trial.report(best, evaluation)) trial.prune();
      },
    );
    trial.setAttribute("tuned", tuned.params);
    trial.setAttribute("hypergradients", tuned.trajectory.length);
    return tuned.value;
  };
}
