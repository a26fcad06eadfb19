// From rows of Optuna's tables to the events that bring a state up to them, whoever wrote the rows: this package,
// another master, or Optuna itself. Only differences become events, so reading twice changes nothing.
import { indexOfScalar, internalWidth, ordinalDistribution, permutationDistribution, sameDistribution, simplexDistribution, subsetDistribution, type Distribution, type Internal } from "../../space/distribution.ts";
import { sameInternal } from "../../space/space.ts";
import { TrialState, type Json } from "../../contract/contract.ts";
import { StorageCorruptError } from "../../errors/errors.ts";
import { isStudyEvent, toJsonInternal, type FinishEvent, type StudyEvent } from "../../state/events.ts";
import type { LateResult, StudyState } from "../../state/state.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { fromOptunaDistribution, isObject, isScalar, parseTime, unite } from "./schema.ts";

export interface TrialRow { trial_id: number; number: number; state: string; datetime_start: string | null; datetime_complete: string | null }
export interface ParameterRow { trial_id: number; param_name: string; param_value: number; distribution_json: string }
export interface ValueRow { trial_id: number; objective: number; value: number | null; value_type: string }
export interface IntermediateRow { trial_id: number; step: number; intermediate_value: number | null; intermediate_value_type: string }
export interface AttributeRow { trial_id: number; key: string; value_json: string }
export interface StudyAttributeRow { key: string; value_json: string }
export interface LeaseRow { trial_id: number; owner: string; fence: number }

/** All rows of the trials that may have changed. */
export interface TrialRows {
  readonly trials: readonly TrialRow[];
  readonly parameters: readonly ParameterRow[];
  readonly values: readonly ValueRow[];
  readonly intermediates: readonly IntermediateRow[];
  readonly user: readonly AttributeRow[];
  readonly system: readonly AttributeRow[];
  readonly leases: readonly LeaseRow[];
}

export interface ReaderContext {
  readonly state: StudyState;
  readonly emit: (event: StudyEvent) => void;
  /** Whether the writer's times are UTC. */
  readonly utc: boolean;
  readonly distributionText: Map<string, { readonly distribution: Distribution; readonly text: string }>;
  /** Waiting trials that another process is just taking: left to it. */
  readonly taken: ReadonlySet<number>;
}

/** Who holds a trial that runs without a lease: a worker of Optuna's. */
const FOREIGN = "manual";

/** Brings the state up to the rows. */
export function readTrials(rows: TrialRows, context: ReaderContext): void {
  const { state, emit } = context;
  const of = <R extends { trial_id: number }>(all: readonly R[]): Map<number, R[]> => {
    const map = new Map<number, R[]>();
    for (const row of all) {
      const list = map.get(row.trial_id);
      if (list === undefined) map.set(row.trial_id, [row]);
      else list.push(row);
    }
    return map;
  };
  const parameters = of(rows.parameters), values = of(rows.values), intermediates = of(rows.intermediates);
  const user = of(rows.user), system = of(rows.system), leases = of(rows.leases);
  const finishes: FinishEvent[] = [];
  for (const row of rows.trials.toSorted((a, b) => a.number - b.number)) {
    const id = row.trial_id;
    const attributes = new Map((system.get(id) ?? []).map(({ key, value_json }) => [key, parseJson(value_json)]));
    place(row, attributes, leases.get(id)?.[0], context);
    const trial = row.number;
    if (parameters.has(id)) readParameters(trial, parameters.get(id)!, context);
    readReports(trial, intermediates.get(id) ?? [], attributes, context);
    for (const { key, value_json } of user.get(id) ?? []) {
      const value = parseJson(value_json);
      if (stringifyJson(value) !== stringifyJson(state.userAttribute(trial, key))) emit({ type: "attribute", trial, scope: "user", key, value });
    }
    readSystem(trial, attributes, context);
    if (attributes.get("nabla:paused") === true && state.states[trial] === TrialState.RUNNING && row.state === "RUNNING") emit({ type: "pause", trial });
    if (!["COMPLETE", "PRUNED", "FAIL"].includes(row.state) || isFinished(state, trial)) continue;
    const answeredBy = attributes.get("nabla:answered_by");
    finishes.push({
      type: "finish", trial, time: parseTime(row.datetime_complete, context.utc) ?? 0, state: row.state as FinishEvent["state"],
      values: readValues(values.get(id) ?? [], state.directions.length),
      ...(typeof answeredBy === "number" ? { answeredBy } : {}),
    });
  }
  for (const finish of finishes.sort((a, b) => a.time - b.time || a.trial - b.trial)) emit(finish);
}

/** Creates the trial or moves it between waiting, running and paused, as its row says. */
function place(row: TrialRow, attributes: ReadonlyMap<string, Json>, lease: LeaseRow | undefined, { state, emit, utc, taken }: ReaderContext): void {
  const trial = row.number;
  const time = parseTime(row.datetime_start, utc) ?? 0;
  const rowState = row.state === "WAITING" && taken.has(trial) ? "RUNNING" : row.state;
  const owner = lease?.owner ?? FOREIGN;
  const parent = attributes.get("nabla:parent"), checkpoint = attributes.get("nabla:checkpoint"), fixed = attributes.get("fixed_params");
  const origin = { ...(typeof parent === "number" ? { parent } : {}), ...(typeof checkpoint === "string" ? { checkpoint } : {}) };
  if (trial === state.length) {
    if (rowState === "WAITING") {
      emit({ type: "enqueue", trial, time, fixed: isObject(fixed) ? fixed : {}, ...origin });
      // A trial that runs again keeps count of its leases.
      if (lease !== undefined) { emit({ type: "claim", trial, time, owner, fence: lease.fence }); emit({ type: "requeue", trial, reason: "expired" }); }
    } else emit({ type: "ask", trial, time, owner, watermark: -1, fence: lease?.fence ?? 1, ...origin });
    return;
  }
  if (isFinished(state, trial)) return;
  const known = state.states[trial];
  const fence = lease?.fence ?? state.fence(trial);
  if (rowState === "WAITING") {
    if (known !== TrialState.WAITING) emit({ type: "requeue", trial, reason: known === TrialState.PAUSED ? "promoted" : "expired" });
    return;
  }
  const again = fence > state.fence(trial);
  if (known !== TrialState.WAITING && again) emit({ type: "requeue", trial, reason: "expired" });
  if (known === TrialState.WAITING || again) emit({ type: "claim", trial, time, owner, fence: Math.max(fence, state.fence(trial) + 1) });
}

function readParameters(trial: number, rows: readonly ParameterRow[], context: ReaderContext): void {
  const { state, emit, distributionText } = context;
  const values = new Map<string, { value: number[]; distribution: Distribution }>();
  for (const { param_name, param_value, distribution_json } of rows) {
    const [, base, index] = /^(.*)\[(\d+)\]$/s.exec(param_name) ?? [];
    const wide = base === undefined ? undefined : declaredKind(state, base);
    const name = wide === undefined ? param_name : base!;
    const distribution = wide ?? declaredKind(state, name) ?? fromOptunaDistribution(distribution_json);
    const known = distributionText.get(name);
    if (wide === undefined && known?.text !== distribution_json) distributionText.set(name, { distribution, text: distribution_json });
    let entry = values.get(name);
    if (entry === undefined) values.set(name, (entry = { value: new Array<number>(internalWidth(distribution)).fill(0), distribution }));
    entry.value[wide === undefined ? 0 : Number(index)] = param_value;
  }
  for (const [name, { value, distribution }] of values) {
    const known = state.parameters.get(name)?.distribution;
    const union = known === undefined ? distribution : unite(known, distribution);
    if (known === undefined || !sameDistribution(known, union)) emit({ type: "declare", name, distribution: union });
    const text = distributionText.get(name);
    if (text !== undefined && sameDistribution(text.distribution, union)) distributionText.set(name, { distribution: union, text: text.text });
    let internal: Internal = value.length === 1 ? value[0]! : Float64Array.from(value);
    if (union.kind === "categorical" && distribution.kind === "categorical") {
      internal = value[0]! in distribution.choices ? indexOfScalar(union.choices, distribution.choices[value[0]!]) : -1;
      if (internal < 0) throw new StorageCorruptError(`trial ${trial} has choice ${value[0]!} of "${name}", which has ${distribution.choices.length}.`);
    }
    if (!sameInternal(state.internal(trial, name), internal)) emit({ type: "parameters", trial, values: { [name]: toJsonInternal(internal) } });
  }
}

/** The distribution of a kind that Optuna does not know, from the study's attributes. */
function declaredKind(state: StudyState, name: string): Distribution | undefined {
  const json = state.systemAttributes.get(`nabla:parameter:${name}`);
  if (!isObject(json)) return undefined;
  const { kind, choices, min, max, size } = json;
  if (kind === "simplex" && typeof size === "number") return simplexDistribution(size);
  if (!Array.isArray(choices) || !choices.every(isScalar)) return undefined;
  switch (kind) {
    case "ordinal": return ordinalDistribution(choices);
    case "permutation": return permutationDistribution(choices);
    case "subset": return typeof min === "number" && typeof max === "number" ? subsetDistribution(choices, { min, max }) : undefined;
    default: return undefined;
  }
}

function readReports(trial: number, rows: readonly IntermediateRow[], attributes: ReadonlyMap<string, Json>, { state, emit }: ReaderContext): void {
  const reports = new Map<number, Record<string, number>>();
  const at = (step: number): Record<string, number> => {
    let metrics = reports.get(step);
    if (metrics === undefined) reports.set(step, (metrics = {}));
    return metrics;
  };
  for (const { step, intermediate_value, intermediate_value_type } of rows) at(step)[state.metricNames[0]!] = untyped(intermediate_value, intermediate_value_type);
  for (const [key, value] of attributes) {
    if (!key.startsWith("nabla:report:") || !isObject(value)) continue;
    for (const [name, x] of Object.entries(value)) if (typeof x === "number") at(Number(key.slice("nabla:report:".length)))[name] = x;
  }
  const known = state.reports(trial);
  const rowOf = new Map(Array.from(known.steps, (step, i) => [step, i]));
  for (const [step, metrics] of [...reports].sort(([a], [b]) => a - b)) {
    const i = rowOf.get(step);
    const same = i !== undefined && Object.entries(metrics).every(([name, x]) => Object.is(known.metrics.get(name)?.[i], x));
    if (!same) emit({ type: "report", trial, step, metrics });
  }
  const checkpoint = attributes.get("nabla:checkpoint");
  if (typeof checkpoint === "string" && state.checkpoint(trial) !== checkpoint) {
    // It came with a report, by now the last one; the state's reports may be another object since then.
    const step = state.reports(trial).steps[state.reports(trial).length - 1] ?? 0;
    emit({ type: "report", trial, step, metrics: {}, checkpoint });
  }
}

function readSystem(trial: number, attributes: ReadonlyMap<string, Json>, { state, emit }: ReaderContext): void {
  const named = [...attributes.keys()].some((key) => key.startsWith("constraints:"));
  for (const [key, value] of attributes) {
    // The list repeats those with names.
    if (key === "constraints" && named) continue;
    if (key.startsWith("constraints:") || key === "constraints") {
      const list = key === "constraints" ? (Array.isArray(value) ? value.map((x: Json, i) => [String(i), x] as const) : []) : [[key.slice("constraints:".length), value] as const];
      for (const [name, x] of list) if (typeof x === "number" && state.constraint(trial, name) !== x) emit({ type: "constraint", trial, name, value: x });
    } else if (!key.startsWith("nabla:") && stringifyJson(value) !== stringifyJson(state.systemAttribute(trial, key))) {
      emit({ type: "attribute", trial, scope: "system", key, value });
    }
  }
}

/** Attributes of the study itself that the state lacks. */
export function readStudyAttributes(scope: "user" | "system", rows: readonly StudyAttributeRow[], { state, emit }: Pick<ReaderContext, "state" | "emit">): void {
  for (const { key, value_json } of rows) {
    if (scope === "system" && NOTE.test(key)) continue;
    const value = parseJson(value_json);
    const known = (scope === "user" ? state.userAttributes : state.systemAttributes).get(key);
    if (stringifyJson(known) !== stringifyJson(value)) emit({ type: "attribute", trial: null, scope, key, value });
  }
}

/** optuna-dashboard's notes: of the study, or of the trial with this row id; in chunks. */
const NOTE = /^dashboard:(?:(\d+):)?note_(?:ver|str:(\d+))$/;

/** The notes among the study's attributes; `numberOf` gives a trial's number by row id. */
export function readNotes(rows: readonly StudyAttributeRow[], numberOf: ReadonlyMap<number, number>, { state, emit }: Pick<ReaderContext, "state" | "emit">): void {
  const texts = new Map<number | null, string[]>();
  for (const { key, value_json } of rows) {
    const [, id, chunk] = NOTE.exec(key) ?? [];
    const trial = id === undefined ? null : numberOf.get(Number(id));
    if (chunk === undefined || trial === undefined) continue;
    let chunks = texts.get(trial);
    if (chunks === undefined) texts.set(trial, (chunks = []));
    chunks[Number(chunk)] = String(parseJson(value_json));
  }
  for (const [trial, chunks] of texts) {
    const text = chunks.join("");
    if (text !== (trial === null ? state.note : state.noteOf(trial))) emit({ type: "note", trial, text });
  }
}

/** A late result as it was filed. */
export function readLateResult(text: string): LateResult {
  const json: unknown = parseJson(text);
  const event: unknown = typeof json === "object" && json !== null ? { ...json, type: "late" } : null;
  if (!isStudyEvent(event) || event.type !== "late") throw new StorageCorruptError(`not a late result: ${text.slice(0, 80)}`);
  const { type: _, ...result } = event;
  return result;
}

function readValues(rows: readonly ValueRow[], objectives: number): readonly number[] | null {
  if (rows.length !== objectives) return null;
  return rows.toSorted((a, b) => a.objective - b.objective).map(({ value, value_type }) => untyped(value, value_type));
}

function untyped(value: number | null, type: string): number {
  switch (type) {
    case "INF_POS": return Infinity;
    case "INF_NEG": return -Infinity;
    case "NAN": return Number.NaN;
    default: return value ?? Number.NaN;
  }
}

function isFinished(state: StudyState, trial: number): boolean {
  const known = state.states[trial]!;
  return known === TrialState.COMPLETE || known === TrialState.PRUNED || known === TrialState.FAIL;
}
