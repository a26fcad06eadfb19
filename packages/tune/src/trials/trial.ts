// What an objective holds: it suggests parameters, reports progress, and learns when to stop. The same class serves
// an objective in the master and one in a worker; only the channel behind it differs.
import {
  categoricalDistribution, describe, floatDistribution, intDistribution, ordinalDistribution, permutationDistribution, sameDistribution, simplexDistribution,
  subsetDistribution, toExternal, type Distribution, type FloatOptions, type IntOptions, type Internal, type ParameterValue, type Scalar, type SubsetOptions,
} from "../space/distribution.ts";
import type { ObjectSpace, Fields } from "../space/builder.ts";
import { checkName, checkParameterName } from "../space/names.ts";
import type { Assignment } from "../space/space.ts";
import { copyJson } from "../storage/json.ts";
import type { Checkpoint, Json } from "../contract/contract.ts";
import { ParameterRedeclaredError, ValueError } from "../errors/errors.ts";

/** A report or a result: one number, one per objective, or numbers by name. */
export type Metrics = number | readonly number[] | Readonly<Record<string, number>>;

/** What ends a trial from inside its objective; `optimize` and workers catch it. */
export class TrialPruned extends Error {
  override readonly name: string = "TrialPruned";
  constructor(message = "the trial was pruned; let this error pass through the objective.") {
    super(message);
  }
}

/** The point turned out, parameter by parameter, to be one evaluated before; its values are already known. */
export class TrialAnswered extends Error {
  override readonly name: string = "TrialAnswered";
  /** The trial that evaluated this point. */
  readonly answeredBy: number;
  constructor(answeredBy: number) {
    super(`the point was evaluated before, in trial ${answeredBy}; let this error pass through the objective.`);
    this.answeredBy = answeredBy;
  }
}

/** The master's side of a trial, near or far. */
export interface TrialChannel {
  /** Decides a parameter that is not decided yet; may throw TrialAnswered. */
  suggest(name: string, distribution: Distribution): Internal;
  /** Files a report and returns whether the objective should stop. */
  report(step: number, metrics: Metrics, checkpoint: Checkpoint | undefined): Promise<boolean>;
  constraint(name: string, value: number): void;
  attribute(key: string, value: Json): void;
  note(text: string): void;
}

export interface TrialInit {
  readonly number: number;
  readonly fence: number;
  readonly attempt: number;
  readonly checkpoint: Checkpoint | null;
  /** The decided values, when a space was declared. */
  readonly assignment: Assignment;
}

/** One evaluation in progress; T is the type of a declared space's configurations. */
export class Trial<T = Readonly<Record<string, ParameterValue>>> {
  /** From 0, in order of creation. */
  readonly number: number;
  /** Identifies this evaluation among the attempts at the trial. */
  readonly fence: number;
  /** 1 for the first attempt; more after a retry, a lost worker or a pause. */
  readonly attempt: number;
  /** The state to start from, or null to start afresh. */
  readonly checkpoint: Checkpoint | null;
  /** Aborted when the trial must end at once (its time is up, or the study stops). */
  readonly signal: AbortSignal;
  private readonly channel: TrialChannel;
  private readonly declared: ObjectSpace<Fields> | null;
  private readonly decided: Map<string, { distribution: Distribution; value: ParameterValue }> = new Map();
  private readonly assignment: Assignment;
  private typed: T | undefined;

  constructor(init: TrialInit, channel: TrialChannel, declared: ObjectSpace<Fields> | null, signal: AbortSignal) {
    this.number = init.number;
    this.fence = init.fence;
    this.attempt = init.attempt;
    this.checkpoint = init.checkpoint;
    this.assignment = init.assignment;
    this.channel = channel;
    this.declared = declared;
    this.signal = signal;
  }

  /** The configuration: of the declared space, typed; without one, what was suggested so far. */
  get params(): T {
    if (this.declared === null) return Object.fromEntries([...this.decided].map(([name, { value }]) => [name, value])) as T;
    return (this.typed ??= this.declared.assemble(this.assignment) as T);
  }

  /** A float in [low, high]; `log` for a logarithmic scale, `step` for a grid. */
  float(name: string, low: number, high: number, options?: FloatOptions): number {
    return Number(this.suggest(name, floatDistribution(low, high, options)));
  }

  /** An integer in [low, high]; `log` for a logarithmic scale, `step` for every step-th. */
  int(name: string, low: number, high: number, options?: IntOptions): number {
    return Number(this.suggest(name, intDistribution(low, high, options)));
  }

  /** One of `choices`, which may grow from run to run. */
  choice<const C extends readonly Scalar[]>(name: string, choices: C): C[number] {
    return this.suggest(name, categoricalDistribution(choices)) as C[number];
  }

  /** One of `choices`, whose order matters. */
  ordinal<const C extends readonly Scalar[]>(name: string, choices: C): C[number] {
    return this.suggest(name, ordinalDistribution(choices)) as C[number];
  }

  /** Some of `choices`, in their order. */
  subset<const C extends readonly Scalar[]>(name: string, choices: C, options?: SubsetOptions): readonly C[number][] {
    return this.suggest(name, subsetDistribution(choices, options)) as readonly C[number][];
  }

  /** All of `items`, in some order. */
  permutation<const C extends readonly Scalar[]>(name: string, items: C): readonly C[number][] {
    return this.suggest(name, permutationDistribution(items)) as readonly C[number][];
  }

  /** `size` non-negative weights that sum to 1. */
  simplex(name: string, size: number): readonly number[] {
    return this.suggest(name, simplexDistribution(size)) as readonly number[];
  }

  /**
   * Files progress at an integer `step` ≥ 0: a number, one per objective, or numbers by name; with `checkpoint`, what a
   * later attempt can start from. Returns true when the objective should save nothing more and call `prune()`.
   *
   * @example
   * await study.optimize(async (trial) => {
   *   let loss = trial.float("x", -5, 5) ** 2;
   *   for (let epoch = 0; epoch < 5; epoch++) {
   *     loss *= 0.9;
   *     if (await trial.report(loss, epoch)) trial.prune();
   *   }
   *   return loss;
   * }, { trials: 22 });
   */
  report(metrics: Metrics, step: number, checkpoint?: Checkpoint): Promise<boolean> {
    if (!Number.isSafeInteger(step) || step < 0) throw new ValueError(`report of trial ${this.number}: the step must be an integer ≥ 0, not ${step}; count epochs or batches.`);
    return this.channel.report(step, metrics, checkpoint);
  }

  /** Ends the trial here. */
  prune(): never {
    throw new TrialPruned();
  }

  /** Files how far a constraint is violated; ≤ 0 is feasible. */
  constraint(name: string, value: number): void {
    if (Number.isNaN(value)) throw new ValueError(`constraint "${name}" of trial ${this.number} is NaN; give a number, ≤ 0 where feasible.`);
    checkName("constraint", name);
    this.channel.constraint(name, value);
  }

  /** Keeps a JSON value with the trial. */
  setAttribute(key: string, value: Json): void {
    checkName("attribute", key);
    this.channel.attribute(key, copyJson(`the attribute "${key}" of trial ${this.number}`, value));
  }

  /** Keeps a text with the trial. */
  setNote(text: string): void {
    this.channel.note(text);
  }

  private suggest(name: string, distribution: Distribution): ParameterValue {
    const known = this.decided.get(name);
    if (known !== undefined) {
      if (!sameDistribution(known.distribution, distribution)) {
        throw new ParameterRedeclaredError(`trial ${this.number} declares "${name}" as ${describe(known.distribution)} and again as ${describe(distribution)}; use one declaration or two names.`);
      }
      return known.value;
    }
    checkParameterName(name);
    const value = toExternal(distribution, this.channel.suggest(name, distribution));
    this.decided.set(name, { distribution, value });
    return value;
  }
}
