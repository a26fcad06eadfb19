// Optuna's relational schema, revision v3.2.0.a (schema version 12, unchanged in Optuna 5.0.0), as its own tools
// expect it, and two tables beside it that they ignore: leases with fences, and results that came too late.
import { describe, indexOfScalar, sameDistribution, type Distribution, type Scalar } from "../../space/distribution.ts";
import type { Json } from "../../contract/contract.ts";
import { StorageCorruptError } from "../../errors/errors.ts";
import { parseJson } from "../json.ts";

export const ALEMBIC_REVISION = "v3.2.0.a";
export const SCHEMA_VERSION = 12;
/** Written to version_info; from 5 on, Optuna reads times as UTC. */
export const LIBRARY_VERSION = "5.0.0";

interface Types { readonly id: string; readonly float: string; readonly time: string; readonly direction: string; readonly state: string; readonly value: string; readonly intermediate: string }

const SQLITE: Types = { id: "INTEGER NOT NULL PRIMARY KEY", float: "FLOAT", time: "DATETIME", direction: "VARCHAR(8)", state: "VARCHAR(8)", value: "VARCHAR(7)", intermediate: "VARCHAR(7)" };
const POSTGRES: Types = {
  id: "SERIAL PRIMARY KEY", float: "FLOAT(53)", time: "TIMESTAMP WITHOUT TIME ZONE",
  direction: "studydirection", state: "trialstate", value: "trialvaluetype", intermediate: "trialintermediatevaluetype",
};

const POSTGRES_ENUMS = [
  "CREATE TYPE studydirection AS ENUM ('NOT_SET', 'MINIMIZE', 'MAXIMIZE')",
  "CREATE TYPE trialstate AS ENUM ('RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING')",
  "CREATE TYPE trialvaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG')",
  "CREATE TYPE trialintermediatevaluetype AS ENUM ('FINITE', 'INF_POS', 'INF_NEG', 'NAN')",
];

/** The statements that make an empty database Optuna's. */
export function createOptunaTables(dialect: "sqlite" | "postgres"): string[] {
  const t = dialect === "sqlite" ? SQLITE : POSTGRES;
  const attributes = (table: string, id: string, owner: string): string =>
    `CREATE TABLE ${table} (${id} ${t.id}, ${owner} INTEGER REFERENCES ${owner === "study_id" ? "studies" : "trials"} (${owner}), "key" VARCHAR(512), value_json TEXT, UNIQUE (${owner}, "key"))`;
  return [
    ...(dialect === "postgres" ? POSTGRES_ENUMS : []),
    `CREATE TABLE studies (study_id ${t.id}, study_name VARCHAR(512) NOT NULL)`,
    "CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name)",
    `CREATE TABLE study_directions (study_direction_id ${t.id}, direction ${t.direction} NOT NULL, study_id INTEGER NOT NULL REFERENCES studies (study_id), objective INTEGER NOT NULL, UNIQUE (study_id, objective))`,
    attributes("study_user_attributes", "study_user_attribute_id", "study_id"),
    attributes("study_system_attributes", "study_system_attribute_id", "study_id"),
    `CREATE TABLE trials (trial_id ${t.id}, number INTEGER, study_id INTEGER REFERENCES studies (study_id), state ${t.state} NOT NULL, datetime_start ${t.time}, datetime_complete ${t.time})`,
    "CREATE INDEX ix_trials_study_id ON trials (study_id)",
    attributes("trial_user_attributes", "trial_user_attribute_id", "trial_id"),
    attributes("trial_system_attributes", "trial_system_attribute_id", "trial_id"),
    `CREATE TABLE trial_params (param_id ${t.id}, trial_id INTEGER REFERENCES trials (trial_id), param_name VARCHAR(512), param_value ${t.float}, distribution_json TEXT, UNIQUE (trial_id, param_name))`,
    `CREATE TABLE trial_values (trial_value_id ${t.id}, trial_id INTEGER NOT NULL REFERENCES trials (trial_id), objective INTEGER NOT NULL, value ${t.float}, value_type ${t.value} NOT NULL, UNIQUE (trial_id, objective))`,
    `CREATE TABLE trial_intermediate_values (trial_intermediate_value_id ${t.id}, trial_id INTEGER NOT NULL REFERENCES trials (trial_id), step INTEGER NOT NULL, intermediate_value ${t.float}, intermediate_value_type ${t.intermediate} NOT NULL, UNIQUE (trial_id, step))`,
    `CREATE TABLE trial_heartbeats (trial_heartbeat_id ${t.id}, trial_id INTEGER NOT NULL UNIQUE REFERENCES trials (trial_id), heartbeat ${t.time} NOT NULL DEFAULT CURRENT_TIMESTAMP)`,
    `CREATE TABLE version_info (version_info_id ${t.id}, schema_version INTEGER, library_version VARCHAR(256), CHECK (version_info_id = 1))`,
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
    `INSERT INTO version_info (version_info_id, schema_version, library_version) VALUES (1, ${SCHEMA_VERSION}, '${LIBRARY_VERSION}')`,
    `INSERT INTO alembic_version (version_num) VALUES ('${ALEMBIC_REVISION}')`,
  ];
}

/** The statements that add what this package keeps beside Optuna's tables; may be repeated. */
export function createSideTables(dialect: "sqlite" | "postgres"): string[] {
  const { float, id } = dialect === "sqlite" ? SQLITE : POSTGRES;
  return [
    `CREATE TABLE IF NOT EXISTS hpo_lease (trial_id INTEGER NOT NULL PRIMARY KEY REFERENCES trials (trial_id), owner TEXT NOT NULL, fence INTEGER NOT NULL, expires ${float})`,
    `CREATE TABLE IF NOT EXISTS hpo_late_result (late_result_id ${id}, trial_id INTEGER NOT NULL REFERENCES trials (trial_id), result_json TEXT NOT NULL)`,
    "CREATE INDEX IF NOT EXISTS ix_hpo_trials_number ON trials (study_id, number)",
  ];
}

/** One row of trial_params stands for one number of the internal form; wide kinds take several rows `name[i]`. */
export function componentDistribution(distribution: Distribution): Distribution {
  switch (distribution.kind) {
    case "ordinal": return { kind: "categorical", choices: distribution.choices };
    case "subset": return { kind: "categorical", choices: [false, true] };
    case "permutation": return { kind: "int", low: 0, high: distribution.choices.length - 1, log: false, step: 1 };
    case "simplex": return { kind: "float", low: 0, high: 1, log: false, step: null };
    default: return distribution;
  }
}

/** Optuna's JSON form of a float, int or categorical distribution, as plain data. */
export function toOptunaDistribution(distribution: Distribution): { readonly name: string; readonly attributes: Readonly<Record<string, Json>> } {
  switch (distribution.kind) {
    case "float": return { name: "FloatDistribution", attributes: { step: distribution.step, low: distribution.low, high: distribution.high, log: distribution.log } };
    case "int": return { name: "IntDistribution", attributes: { log: distribution.log, step: distribution.step, low: distribution.low, high: distribution.high } };
    case "categorical": return { name: "CategoricalDistribution", attributes: { choices: distribution.choices } };
    default: throw new StorageCorruptError(`${describe(distribution)} has no form in Optuna's schema.`);
  }
}

/** Reads distribution_json, in today's, the older and the short forms. Throws StorageCorruptError. */
export function fromOptunaDistribution(text: string): Distribution {
  const json = parseJson(text);
  if (!isObject(json)) throw new StorageCorruptError(`not a distribution: ${text.slice(0, 120)}`);
  const attributes = isObject(json["attributes"]) ? json["attributes"] : json;
  const number = (key: string, otherwise?: number): number => {
    const value = attributes[key] ?? otherwise;
    if (typeof value !== "number") throw new StorageCorruptError(`a distribution has no "${key}": ${text.slice(0, 120)}`);
    return value;
  };
  const range = { low: number("low", 0), high: number("high", 0) };
  const step = typeof attributes["step"] === "number" ? attributes["step"] : null;
  switch (json["name"] ?? json["type"]) {
    case "FloatDistribution": case "float": return { kind: "float", ...range, log: attributes["log"] === true, step };
    case "UniformDistribution": return { kind: "float", ...range, log: false, step: null };
    case "LogUniformDistribution": return { kind: "float", ...range, log: true, step: null };
    case "DiscreteUniformDistribution": return { kind: "float", ...range, log: false, step: number("q") };
    case "IntDistribution": case "int": return { kind: "int", ...range, log: attributes["log"] === true, step: step ?? 1 };
    case "IntUniformDistribution": return { kind: "int", ...range, log: false, step: step ?? 1 };
    case "IntLogUniformDistribution": return { kind: "int", ...range, log: true, step: 1 };
    case "CategoricalDistribution": case "categorical": {
      const choices = attributes["choices"];
      if (!Array.isArray(choices) || !choices.every(isScalar)) throw new StorageCorruptError(`a categorical distribution has choices that are no scalars: ${text.slice(0, 120)}`);
      return { kind: "categorical", choices };
    }
    default: throw new StorageCorruptError(`unknown distribution: ${text.slice(0, 120)}`);
  }
}

/** The distribution that covers both: choices and bounds only grow. Throws StorageCorruptError when the kinds differ. */
export function unite(a: Distribution, b: Distribution): Distribution {
  if (sameDistribution(a, b)) return a;
  if (a.kind === "categorical" && b.kind === "categorical") {
    const added = b.choices.filter((choice) => indexOfScalar(a.choices, choice) < 0);
    return added.length === 0 ? a : { kind: "categorical", choices: [...a.choices, ...added] };
  }
  if ((a.kind === "float" && b.kind === "float") || (a.kind === "int" && b.kind === "int")) {
    if (b.low >= a.low && b.high <= a.high) return a;
    return { ...a, low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) };
  }
  throw new StorageCorruptError(`a parameter is ${describe(a)} in one trial and ${describe(b)} in another.`);
}

/** `YYYY-MM-DD HH:MM:SS.ffffff`, UTC. */
export function formatTime(milliseconds: number): string {
  const [day, clock] = new Date(Math.floor(milliseconds)).toISOString().split("T");
  return `${day!} ${clock!.slice(0, -1)}000`;
}

/** Milliseconds since 1970 of a naive time, UTC (Optuna 5) or local (older). */
export function parseTime(text: string | null, utc: boolean): number | null {
  if (text === null) return null;
  const time = Date.parse(`${text.replace(" ", "T").replace(/(\.\d{3})\d*$/, "$1")}${utc ? "Z" : ""}`);
  if (Number.isNaN(time)) throw new StorageCorruptError(`not a time: ${text}`);
  return time;
}

export function isObject(json: Json | undefined): json is Readonly<Record<string, Json>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

export function isScalar(json: Json): json is Scalar {
  return json === null || typeof json !== "object";
}
