// Trials, best trials and history as typed rows, and any such rows as CSV (RFC 4180).
import type { FrozenTrial, Json, TrialStateName } from "../contract/contract.ts";
import type { ParameterValue } from "../space/distribution.ts";
import { paretoFront } from "../pareto/dominance.ts";
import { bestSoFar } from "./regret.ts";
import { completed, type StudyResults } from "./results.ts";

/** One trial as a row. */
export interface TrialRow {
  /** From 0, in order of creation. */
  readonly number: number;
  /** Its state by name. */
  readonly state: TrialStateName;
  /** By objective name; empty until told. */
  readonly values: Readonly<Record<string, number>>;
  /** Values by name. */
  readonly params: Readonly<Record<string, ParameterValue>>;
  /** Feasible where ≤ 0. */
  readonly constraints: Readonly<Record<string, number>>;
  /** ISO 8601, UTC. */
  readonly started: string | null;
  /** ISO 8601, UTC; null until then. */
  readonly finished: string | null;
  /** From start to finish. */
  readonly seconds: number | null;
  /** How many workers have held it. */
  readonly attempt: number;
  /** How many. */
  readonly reports: number;
  /** What `setAttribute` kept. */
  readonly user: Readonly<Record<string, Json>>;
  /** What `setNote` kept. */
  readonly note: string;
  /** Why a trial failed. */
  readonly reason: string | null;
}

/** One completed trial of the course of a single objective. */
export interface HistoryRow {
  /** Of the trial. */
  readonly number: number;
  /** As told. */
  readonly value: number;
  /** Best feasible value so far; NaN before the first. */
  readonly best: number;
  /** Whether all constraints are ≤ 0. */
  readonly feasible: boolean;
}

/**
 * All trials as rows.
 *
 * @example
 * trialsTable(results)[0]!.state; // "COMPLETE"
 */
export function trialsTable(results: StudyResults): TrialRow[] {
  return results.trials.map((trial) => ({
    number: trial.number,
    state: trial.state,
    values: Object.fromEntries((trial.values ?? []).map((value, i) => [results.metricNames[i] ?? `value ${i}`, value])),
    params: trial.params,
    constraints: trial.constraints,
    started: isoTime(trial.started),
    finished: isoTime(trial.finished),
    seconds: trial.started === null || trial.finished === null ? null : (trial.finished - trial.started) / 1000,
    attempt: trial.attempt,
    reports: trial.reports.length,
    user: trial.userAttributes,
    note: trial.note,
    reason: failureOf(trial),
  }));
}

/**
 * Why a trial failed, or null where it did not.
 *
 * @example
 * failureOf(study.trials()[0]!); // null
 */
export function failureOf({ state, systemAttributes }: FrozenTrial): string | null {
  if (state !== "FAIL") return null;
  const reason = systemAttributes["fail_reason"];
  return typeof reason === "string" ? reason : "without a reason";
}

/**
 * The best feasible trial, or with several objectives the feasible Pareto front; empty when none is complete.
 *
 * @example
 * bestTrials(results).length; // 1
 */
export function bestTrials(results: StudyResults): FrozenTrial[] {
  const feasible = completed(results).filter((row) => row.feasible && !row.minimised.some(Number.isNaN));
  if (results.directions.length > 1)
    return paretoFront(feasible.map((row) => row.minimised)).map((i) => feasible[i]!.trial);
  const best = feasible.reduce<(typeof feasible)[number] | undefined>(
    (least, row) => (least === undefined || row.minimised[0]! < least.minimised[0]! ? row : least),
    undefined,
  );
  return best === undefined ? [] : [best.trial];
}

/**
 * The course of one objective over the completed trials.
 *
 * @example
 * historyTable(results).length; // 20
 */
export function historyTable(results: StudyResults, objective = 0): HistoryRow[] {
  const rows = completed(results);
  const values = rows.map((row) => (row.feasible ? row.values[objective]! : Number.NaN));
  const best = bestSoFar(values, results.directions[objective] ?? "minimize");
  return rows.map((row, i) => ({
    number: row.trial.number,
    value: row.values[objective]!,
    best: best[i]!,
    feasible: row.feasible,
  }));
}

/**
 * Rows as CSV with a header line and CRLF; nested records become columns such as `params.lr`, lists become JSON, null and undefined are empty.
 *
 * @example
 * toCsv([{ number: 0, params: { x: 1 } }]); // "number,params.x\r\n0,1\r\n"
 */
export function toCsv(rows: readonly object[]): string {
  const flat = rows.map((row) => new Map(flatten(row, "")));
  const columns = [...new Set(flat.flatMap((row) => [...row.keys()]))];
  const lines = [columns, ...flat.map((row) => columns.map((column) => row.get(column) ?? ""))];
  return lines.map((cells) => `${cells.map(quote).join(",")}\r\n`).join("");
}

function* flatten(value: object, prefix: string): Generator<[string, string]> {
  for (const [key, cell] of Object.entries(value) as [string, unknown][]) {
    if (typeof cell === "object" && cell !== null && !Array.isArray(cell)) yield* flatten(cell, `${prefix}${key}.`);
    else yield [`${prefix}${key}`, cellText(cell)];
  }
}

function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell as string | number | boolean);
}

function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function isoTime(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString();
}
