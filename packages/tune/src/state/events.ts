// Everything that can happen to a study, as plain JSON-able facts. A storage keeps these; StudyState.apply turns
// them into the state; nothing else changes a study.
import type { Distribution, Internal } from "../space/distribution.ts";
import type { Checkpoint, Direction, Json } from "../contract/contract.ts";

/** Internal values as JSON: numbers, or lists for the wide kinds. */
export type JsonInternal = number | readonly number[];

export interface CreateEvent {
  readonly type: "create"; readonly name: string; readonly seed: number; readonly directions: readonly Direction[];
  readonly metricNames: readonly string[]; readonly noisy: boolean;
}
/** A parameter is new, or its choices or bounds have grown. */
export interface DeclareEvent { readonly type: "declare"; readonly name: string; readonly distribution: Distribution }
/** A trial is enqueued: WAITING with its decided values as external JSON in system attribute `fixed_params`. */
export interface EnqueueEvent {
  readonly type: "enqueue"; readonly trial: number; readonly time: number; readonly fixed: Readonly<Record<string, Json>>;
  readonly parent?: number; readonly checkpoint?: Checkpoint; readonly attributes?: Readonly<Record<string, Json>>;
}
/** A trial is created for a worker `owner`, who holds its lease with fence 1 (more when an older history is read back). */
export interface AskEvent {
  readonly type: "ask"; readonly trial: number; readonly time: number; readonly owner: string;
  /** Finished trials the sampler saw; makes a replay exact. */
  readonly watermark: number;
  readonly fence?: number;
  readonly parent?: number; readonly checkpoint?: Checkpoint;
}
/** A waiting trial goes to a worker under a new fence. */
export interface ClaimEvent { readonly type: "claim"; readonly trial: number; readonly time: number; readonly owner: string; readonly fence: number }
/** Parameters of a running trial get their values. */
export interface ParametersEvent { readonly type: "parameters"; readonly trial: number; readonly values: Readonly<Record<string, JsonInternal>> }
export interface ReportEvent {
  readonly type: "report"; readonly trial: number; readonly step: number; readonly metrics: Readonly<Record<string, number>>; readonly checkpoint?: Checkpoint;
}
export interface ConstraintEvent { readonly type: "constraint"; readonly trial: number; readonly name: string; readonly value: number }
/** `trial` null: an attribute of the study. */
export interface AttributeEvent { readonly type: "attribute"; readonly trial: number | null; readonly scope: "user" | "system"; readonly key: string; readonly value: Json }
export interface NoteEvent { readonly type: "note"; readonly trial: number | null; readonly text: string }
export type FinishState = "COMPLETE" | "PRUNED" | "FAIL";
export interface FinishEvent {
  readonly type: "finish"; readonly trial: number; readonly time: number; readonly state: FinishState; readonly values: readonly number[] | null;
  /** The trial that had evaluated this very point. */
  readonly answeredBy?: number;
  /** Why it failed. */
  readonly error?: string;
}
export interface PauseEvent { readonly type: "pause"; readonly trial: number }
/** A running or paused trial goes back to the queue: its worker died, it is retried, or it is promoted. */
export interface RequeueEvent { readonly type: "requeue"; readonly trial: number; readonly reason: "expired" | "retry" | "promoted" }
/** A worker told a trial whose lease it had lost; the result is kept beside the trial. */
export interface LateEvent {
  readonly type: "late"; readonly trial: number; readonly fence: number; readonly time: number; readonly owner: string;
  readonly state: FinishState; readonly values: readonly number[] | null;
}

/** One fact in the history of a study. */
export type StudyEvent =
  | CreateEvent | DeclareEvent | EnqueueEvent | AskEvent | ClaimEvent | ParametersEvent | ReportEvent | ConstraintEvent
  | AttributeEvent | NoteEvent | FinishEvent | PauseEvent | RequeueEvent | LateEvent;

/** What objectives are called that were given no names. */
export function defaultMetricNames(objectives: number): readonly string[] {
  return objectives === 1 ? ["value"] : Array.from({ length: objectives }, (_, i) => `value${i}`);
}

/** Internal values in their JSON form. */
export function toJsonInternal(value: Internal): JsonInternal {
  return typeof value === "number" ? value : Array.from(value);
}

const TYPES: ReadonlySet<string> = new Set<StudyEvent["type"]>([
  "create", "declare", "enqueue", "ask", "claim", "parameters", "report", "constraint", "attribute", "note", "finish", "pause", "requeue", "late",
]);

/** Whether a stored value has the outline of an event; the state checks the rest when it applies it. */
export function isStudyEvent(value: unknown): value is StudyEvent {
  if (typeof value !== "object" || value === null || !("type" in value) || !TYPES.has(String(value.type))) return false;
  return value.type === "create" || value.type === "declare" || ("trial" in value && (value.trial === null || Number.isSafeInteger(value.trial)));
}
