// What samplers, pruners and the study promise each other. A sampler reads a columnar StudyView and must be a
// function of (finished trials in order, running trials, trial number): then a resume and a replay ask the same.
import type { Distribution, Internal, ParameterValue } from "../space/distribution.ts";
import type { Assignment, ParameterSpec, SearchSpace } from "../space/space.ts";
import type { Random } from "../random/random.ts";

/** Which way an objective is better. */
export type Direction = "minimize" | "maximize";

/** Optuna's states and numbers, and PAUSED: stopped at a checkpoint until a scheduler promotes it. */
export const TrialState = { RUNNING: 0, COMPLETE: 1, PRUNED: 2, FAIL: 3, WAITING: 4, PAUSED: 5 } as const;
export type TrialState = (typeof TrialState)[keyof typeof TrialState];
/** A state by name, e.g. "COMPLETE". */
export type TrialStateName = keyof typeof TrialState;

/** The owner of trials that a person asked for; their leases never expire. */
export const MANUAL = "manual";

/** JSON values: what attributes hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Names a state that an objective saved and can load: a path, a URL, a content address. Opaque to the study. */
export type Checkpoint = string;

/** Everything known of one trial, as plain data. */
export interface FrozenTrial {
  /** From 0, in order of creation. */
  readonly number: number;
  /** Its state by name. */
  readonly state: TrialStateName;
  /** External values by name. */
  readonly params: Readonly<Record<string, ParameterValue>>;
  /** What each parameter was chosen from, by name. */
  readonly distributions: Readonly<Record<string, Distribution>>;
  /** One per objective; null until told. A pruned trial has its last report here when that was complete. */
  readonly values: readonly number[] | null;
  /** Feasible where ≤ 0. */
  readonly constraints: Readonly<Record<string, number>>;
  /** Progress in order of step: numbers by metric name. */
  readonly reports: readonly { readonly step: number; readonly metrics: Readonly<Record<string, number>> }[];
  /** What `setAttribute` kept. */
  readonly userAttributes: Readonly<Record<string, Json>>;
  /** What samplers, pruners and storages keep with it, e.g. "why" or "fail_reason". */
  readonly systemAttributes: Readonly<Record<string, Json>>;
  /** What `setNote` kept; "" without one. */
  readonly note: string;
  /** Milliseconds since 1970, UTC; null while waiting. */
  readonly started: number | null;
  /** Milliseconds since 1970, UTC; null until finished. */
  readonly finished: number | null;
  /** How many workers have held the trial, the present one included. */
  readonly attempt: number;
  /** The finished trial whose values answered this duplicate of it, or null. */
  readonly answeredBy: number | null;
  /** The trial this one was forked from, or null. */
  readonly parent: number | null;
  /** The state to start from, or null for a fresh start. */
  readonly checkpoint: Checkpoint | null;
}

/** One parameter over all trials. Row `t` of `data` is `width` numbers from `t * width` on; NaN where absent. */
export interface ParameterColumn {
  /** Flat, e.g. "optimizer.momentum". */
  readonly name: string;
  /** The union of what trials declared: choices only grow and keep their indices. */
  readonly distribution: Distribution;
  /** Numbers a trial: 1, or as many as a subset, permutation or simplex needs. */
  readonly width: number;
  /** May be longer than the study and is replaced when it grows: fetch it anew in every call. */
  readonly data: Float64Array;
  /** Number of trials that have the parameter. */
  readonly count: number;
}

/** The reports of one trial, in order of step. */
export interface Reports {
  /** How many. */
  readonly length: number;
  /** Ascending. */
  readonly steps: ArrayLike<number>;
  /** By metric name, aligned with `steps`; NaN where that metric was not reported. */
  readonly metrics: ReadonlyMap<string, ArrayLike<number>>;
}

/**
 * The history of a study in columns, appended in O(1). Arrays are indexed by trial number, may be longer than
 * `length`, and are replaced when they grow: never keep one across calls.
 */
export interface StudyView {
  /** The name of the study. */
  readonly name: string;
  /** What all its random numbers come from. */
  readonly seed: number;
  /** One per objective. */
  readonly directions: readonly Direction[];
  /** Names of the objectives, also the names scalar and list reports are filed under; ["value"] by default. */
  readonly metricNames: readonly string[];
  /** Whether evaluating a point twice may give two results. */
  readonly noisy: boolean;
  /** The declared space, or null for define-by-run. */
  readonly space: SearchSpace | null;
  /** Number of trials; their numbers are 0 … length − 1. */
  readonly length: number;
  /** Values of `TrialState` by trial number. */
  readonly states: Uint8Array;
  /** The parameters met so far, by name. */
  readonly parameters: ReadonlyMap<string, ParameterColumn>;
  /** One column per objective, as told (not negated for maximize); NaN until told. */
  readonly values: readonly Float64Array[];
  /** Σ max(0, constraint) of each trial: 0 is feasible; NaN when it has set none. Look only when `constrained`. */
  readonly violations: Float64Array;
  /** Whether any trial has set a constraint. */
  readonly constrained: boolean;
  /** How many trials have finished (COMPLETE, PRUNED or FAIL). The key of incremental caches. */
  readonly watermark: number;
  /** Trial numbers in the order of finishing; the first `watermark` entries count and never change. */
  readonly finished: Int32Array;
  /** Numbers of trials being evaluated, ascending. */
  readonly running: readonly number[];
  /** Numbers of paused trials, ascending. */
  readonly paused: readonly number[];
  /** The reports of a trial, in order of step. */
  reports(trial: number): Reports;
  /** The internal value, or undefined when the trial lacks the parameter. */
  internal(trial: number, parameter: string): Internal | undefined;
  /** All internal values of a trial. */
  assignment(trial: number): Assignment;
  /** The finished trial with values at exactly this configuration, or −1. */
  find(assignment: Assignment): number;
  /** Whether proposing exactly this configuration would tell nothing new: it was evaluated, or failed. Never in a noisy study. */
  isKnown(assignment: Assignment): boolean;
  /** What is kept with a trial under this key. */
  systemAttribute(trial: number, key: string): Json | undefined;
  /** The trial as plain data; slow, for display and rare use. */
  trial(number: number): FrozenTrial;
  /** The object made by `make` on first use with this key in this process: a place for a sampler's caches. */
  cache<T extends object>(key: symbol, make: () => T): T;
}

/** What a sampler is told when it is asked. */
export interface AskContext {
  /** The history. */
  readonly study: StudyView;
  /** Number of the trial to be made. */
  readonly trial: number;
  /** The declared space, or the parameters that every finished trial has had (none before the first). */
  readonly space: SearchSpace;
  /** Values that are already decided (enqueued or fixed); the study puts them over the proposal. */
  readonly fixed: Assignment;
  /** 0, then 1, 2, … when the last proposal for this trial was a duplicate of a running trial or broke a constraint. */
  readonly attempt: number;
  /** Evaluations the study may still start, this one included; Infinity when unknown. */
  readonly remaining: number;
  /** The stream of this name, keyed by (study seed, trial number, sampler and stream name, attempt). */
  random(stream: string): Random;
}

/** A sampler's answer. */
export interface Proposal {
  /** Values for parameters of `context.space`; those left out go to `askIndependent`. */
  readonly assignment: Assignment;
  /** Start from this trial's checkpoint (population-based training). */
  readonly parent?: number;
  /** Why this point, in a few words; kept as system attribute "why". */
  readonly why?: string;
  /** System attributes to keep with the trial. */
  readonly attributes?: Readonly<Record<string, Json>>;
}

/** Chooses configurations. */
export interface Sampler {
  /** Names its random streams: change it and the same seed draws others. */
  readonly name: string;
  /** Chooses jointly; null when the sampler has nothing left to propose (a grid that is done). */
  ask(context: AskContext): Proposal | null;
  /** Chooses one parameter that `ask` left out; must be active already. */
  askIndependent(context: AskContext, parameter: ParameterSpec): Internal;
  /** Called once after each trial that this process finishes. */
  afterTrial?(study: StudyView, trial: number): void;
}

/** What becomes of a trial that reported. */
export interface Decision {
  /** continue; stop = finish as PRUNED; pause = keep for promotion; fork = finish as PRUNED and start `fork` instead. */
  readonly action: "continue" | "stop" | "pause" | "fork";
  /** The new trial of a fork: it starts from the latest checkpoint of `parent` with these values fixed. */
  readonly fork?: { readonly parent: number; readonly assignment: Assignment };
  /** Paused trials to continue as soon as a worker is free. */
  readonly promote?: readonly number[];
  /** System attributes to keep with the reporting trial, e.g. its rung. */
  readonly attributes?: Readonly<Record<string, Json>>;
}

/** Decides after each report who goes on. `Pruner` is the name for schedulers that only ever continue or stop. */
export interface Scheduler {
  /** Names its random streams. */
  readonly name: string;
  /** Called after each report of a running trial, which is the last one in `study.reports(trial)` unless steps came out of order. */
  decide(context: DecideContext): Decision;
  /** The paused trial to continue, asked whenever a worker is free, before the sampler is; null for none. */
  next?(study: StudyView): number | null;
}
export type Pruner = Scheduler;

/** What a scheduler is told after a report. */
export interface DecideContext {
  /** The history, the report included. */
  readonly study: StudyView;
  /** The trial that reported. */
  readonly trial: number;
  /** The step just reported. */
  readonly step: number;
  /** Keyed by (study seed, trial number, scheduler and stream name). */
  random(stream: string): Random;
}
