// Databases as Optuna leaves them, and databases as Optuna must find them, row by row; what needs no Python.
// Optuna itself opens our studies in optuna-roundtrip.test.ts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RandomSampler } from "../../samplers/random.ts";
import { StorageCorruptError, StorageError, StorageVersionError } from "../../errors/errors.ts";
import { createStudy, loadStudy } from "../../study/study.ts";
import { openStorage } from "../open.ts";
import { connectPostgres } from "./postgres.ts";
import { createOptunaTables, formatTime, fromOptunaDistribution, parseTime } from "./schema.ts";

let folder = "", path = "";
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "optuna-")); path = join(folder, "o.db"); });
afterEach(() => { rmSync(folder, { recursive: true }); });
const sampler = new RandomSampler();
const postgres = process.env["NABLA_TEST_POSTGRES"] ?? "";

/** A database with Optuna's tables and these rows. */
function foreign(rows: string[]): void {
  const database = new DatabaseSync(path);
  for (const sql of [...createOptunaTables("sqlite"), ...rows]) database.exec(sql);
  database.close();
}

function rows(sql: string): unknown[] {
  const database = new DatabaseSync(path);
  try {
    return database.prepare(sql).all().map((row) => Object.values(row));
  } finally {
    database.close();
  }
}

const KIND = '{"name": "CategoricalDistribution", "attributes": {"choices": ["adam", null, true, 3, 2.5, NaN]}}';
const RATE = '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 1.0, "log": true}}';

describe("a study of Optuna's", () => {
  beforeEach(() => {
    foreign([
      "INSERT INTO studies VALUES (7, 'theirs')",
      "INSERT INTO study_directions VALUES (1, 'MAXIMIZE', 7, 0)",
      "INSERT INTO study_user_attributes VALUES (1, 7, 'team', '{\"n\": NaN}')",
      "INSERT INTO trials VALUES (11, 0, 7, 'COMPLETE', '2026-08-21 10:00:00.123456', '2026-08-21 10:00:02.000000'), (12, 1, 7, 'PRUNED', '2026-08-21 10:00:01.000000', '2026-08-21 10:00:01.500000'), (13, 2, 7, 'FAIL', '2026-08-21 10:00:03.000000', '2026-08-21 10:00:04.000000'), (14, 3, 7, 'WAITING', NULL, NULL), (15, 4, 7, 'RUNNING', '2026-08-21 10:00:05.000000', NULL), (16, 5, 7, 'COMPLETE', '2026-08-21 10:00:05.000000', '2026-08-21 10:00:06.000000')",
      `INSERT INTO trial_params VALUES (1, 11, 'kind', 5.0, '${KIND}'), (2, 11, 'rate', 0.001, '${RATE}'), (3, 12, 'kind', 0.0, '${KIND}'), (4, 12, 'layers', 3.0, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 4}}'), (5, 16, 'rate', 0.5, '${RATE}')`,
      "INSERT INTO trial_values VALUES (1, 11, 0, NULL, 'INF_NEG'), (2, 12, 0, 0.5, 'FINITE'), (3, 16, 0, 2.5, 'FINITE')",
      "INSERT INTO trial_intermediate_values VALUES (1, 12, 0, 0.25, 'FINITE'), (2, 12, 4, NULL, 'NAN'), (3, 12, 9, NULL, 'INF_POS')",
      "INSERT INTO trial_system_attributes VALUES (1, 14, 'fixed_params', '{\"kind\": \"adam\", \"rate\": 0.01}'), (2, 11, 'constraints', '[-1.0, 0.5]'), (3, 16, 'constraints:memory', '-2.0')",
      "INSERT INTO trial_user_attributes VALUES (1, 16, 'a', '\"b\"')",
      `INSERT INTO study_system_attributes VALUES (1, 7, 'dashboard:note_ver', '3'), (2, 7, 'dashboard:note_str:1', '"end"'), (3, 7, 'dashboard:note_str:0', '"begin and "'), (4, 7, 'dashboard:12:note_ver', '1'), (5, 7, 'dashboard:12:note_str:0', '"too deep"')`,
    ]);
  });

  test("is read as it is meant", async () => {
    const study = await loadStudy({ storage: `sqlite:${path}`, sampler });
    expect([study.name, study.directions, study.userAttributes]).toEqual(["theirs", ["maximize"], { team: { n: Number.NaN } }]);
    const trials = study.trials();
    expect(trials.map((t) => t.state)).toEqual(["COMPLETE", "PRUNED", "FAIL", "WAITING", "RUNNING", "COMPLETE"]);
    expect(trials[0]).toMatchObject({ params: { kind: Number.NaN, rate: 0.001 }, values: [-Infinity], constraints: { 0: -1, 1: 0.5 }, started: Date.UTC(2026, 7, 21, 10, 0, 0, 123) });
    expect(trials[1]).toMatchObject({ params: { kind: "adam", layers: 3 }, values: [0.5], reports: [{ step: 0, metrics: { value: 0.25 } }, { step: 4, metrics: { value: Number.NaN } }, { step: 9, metrics: { value: Infinity } }] });
    expect(trials[5]).toMatchObject({ userAttributes: { a: "b" }, constraints: { memory: -2 } });
    expect(study.best!.number).toBe(5);
    expect([study.note, trials[1]!.note]).toEqual(["begin and end", "too deep"]);
    await study.close();
  });

  test("goes on here: the enqueued trial first, its distributions' text untouched", async () => {
    const study = await loadStudy({ storage: `sqlite:${path}`, sampler });
    await study.optimize((trial) => {
      trial.choice("kind", ["adam", null, true, 3, 2.5, Number.NaN]);
      return trial.float("rate", 1e-5, 1, { log: true });
    }, { trials: 6 });
    expect(study.trials()[3]).toMatchObject({ state: "COMPLETE", params: { kind: "adam", rate: 0.01 }, values: [0.01] });
    await study.close();
    expect(rows("SELECT DISTINCT distribution_json FROM trial_params WHERE param_name IN ('kind', 'rate')")).toEqual(expect.arrayContaining([[KIND], [RATE]]));
    expect(rows("SELECT count(DISTINCT distribution_json) FROM trial_params WHERE param_name IN ('kind', 'rate')")).toEqual([[2]]);
    expect(rows("SELECT param_value FROM trial_params WHERE trial_id = 14 ORDER BY param_name")).toEqual([[0], [0.01]]);
  });

  test("sees what Optuna's workers do meanwhile", async () => {
    const study = await loadStudy({ storage: `sqlite:${path}`, sampler });
    const database = new DatabaseSync(path);
    database.exec("UPDATE trials SET state = 'COMPLETE', datetime_complete = '2026-08-21 10:00:09.000000' WHERE trial_id = 15; INSERT INTO trial_values VALUES (9, 15, 0, 7.0, 'FINITE'); INSERT INTO trials VALUES (17, 6, 7, 'RUNNING', '2026-08-21 10:00:09.000000', NULL)");
    database.close();
    await study.refresh();
    expect(study.trials().slice(4).map((t) => [t.state, t.values])).toEqual([["COMPLETE", [7]], ["COMPLETE", [2.5]], ["RUNNING", null]]);
    await study.close();
  });
});

test("a study of ours has the rows Optuna expects", async () => {
  const study = await createStudy({ storage: `sqlite:${path}`, name: "ours", directions: ["minimize", "maximize"], seed: 1, sampler, clock: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) });
  await study.enqueue({ x: 0.5 });
  await study.optimize(async (trial) => {
    trial.float("x", 0, 1);
    trial.int("n", 1, 9, { step: 2 });
    trial.choice("c", ["a", null]);
    trial.constraint("memory", -1);
    trial.setNote("seen");
    await trial.report([Number.NaN, 1], 0);
    return [Infinity, -2];
  }, { trials: 1 });
  await study.close();
  expect(rows("SELECT * FROM alembic_version")).toEqual([["v3.2.0.a"]]);
  expect(rows("SELECT * FROM version_info")).toEqual([[1, 12, "5.0.0"]]);
  expect(rows("SELECT direction, objective FROM study_directions ORDER BY objective")).toEqual([["MINIMIZE", 0], ["MAXIMIZE", 1]]);
  expect(rows("SELECT number, state, datetime_start, datetime_complete FROM trials")).toEqual([[0, "COMPLETE", "2026-01-02 03:04:05.006000", "2026-01-02 03:04:05.006000"]]);
  expect(rows("SELECT objective, value, value_type FROM trial_values ORDER BY objective")).toEqual([[0, null, "INF_POS"], [1, -2, "FINITE"]]);
  expect(rows("SELECT step, intermediate_value, intermediate_value_type FROM trial_intermediate_values")).toEqual([[0, null, "NAN"]]);
  expect(rows("SELECT \"key\", value_json FROM trial_system_attributes WHERE \"key\" IN ('fixed_params', 'constraints:memory', 'constraints') ORDER BY 1")).toEqual([["constraints", "[-1]"], ["constraints:memory", "-1"], ["fixed_params", '{"x":0.5}']]);
  expect(rows("SELECT \"key\", value_json FROM study_system_attributes WHERE \"key\" LIKE 'dashboard:%:note_str%'")).toEqual([["dashboard:1:note_str:0", '"seen"']]);
  const parameters = rows("SELECT param_name, distribution_json FROM trial_params ORDER BY param_name") as [string, string][];
  expect(parameters.map(([name, json]) => [name, JSON.parse(json)])).toEqual([
    ["c", { name: "CategoricalDistribution", attributes: { choices: ["a", null] } }],
    ["n", { name: "IntDistribution", attributes: { log: false, step: 2, low: 1, high: 9 } }],
    ["x", { name: "FloatDistribution", attributes: { step: null, low: 0, high: 1, log: false } }],
  ]);
});

describe("refused", () => {
  test("a newer schema, another program's tables, no database", async () => {
    foreign(["UPDATE alembic_version SET version_num = 'v9.0.0.a'"]);
    await expect(loadStudy({ storage: `sqlite:${path}` })).rejects.toThrow(StorageVersionError);
    await expect(createStudy({ storage: `sqlite:${path}` })).rejects.toThrow(/v9\.0\.0\.a/);
    path = join(folder, "other.db");
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE studies (id INTEGER)");
    database.close();
    await expect(createStudy({ storage: `sqlite:${path}` })).rejects.toThrow(StorageVersionError);
    await expect(createStudy({ storage: `sqlite:${join(folder, "no", "such.db")}` })).rejects.toThrow(StorageError);
  });

  test.runIf(postgres !== "")("a newer schema, missing tables and missing rights on PostgreSQL", async () => {
    const schema = `nabla_${process.pid}`;
    const storage = `${postgres}?options=-c%20search_path%3D${schema}`;
    const admin = await connectPostgres(postgres);
    const read = (): Promise<unknown> => openStorage(storage, { readOnly: true });
    await expect(read()).rejects.toThrow(StorageError);
    await expect(createStudy({ storage })).rejects.toThrow(/may be written/);
    await admin.all(`CREATE SCHEMA ${schema}`);
    try {
      await expect(read()).rejects.toThrow(/no tables/);
      await (await createStudy({ storage, sampler })).close();
      await admin.all(`UPDATE ${schema}.alembic_version SET version_num = 'v9.0.0.a'`);
      await expect(loadStudy({ storage })).rejects.toThrow(StorageVersionError);
    } finally {
      await admin.all(`DROP SCHEMA ${schema} CASCADE`);
      await admin.close();
    }
  });

  test("a choice or a distribution that cannot be", async () => {
    foreign([
      "INSERT INTO studies VALUES (1, 's')", "INSERT INTO study_directions VALUES (1, 'MINIMIZE', 1, 0)", "INSERT INTO trials VALUES (1, 0, 1, 'RUNNING', NULL, NULL)",
      `INSERT INTO trial_params VALUES (1, 1, 'kind', 9.0, '${KIND}')`,
    ]);
    await expect(loadStudy({ storage: `sqlite:${path}` })).rejects.toThrow(StorageCorruptError);
    expect(() => fromOptunaDistribution('{"name": "MagicDistribution", "attributes": {}}')).toThrow(StorageCorruptError);
    expect(() => fromOptunaDistribution('{"name": "DiscreteUniformDistribution", "attributes": {"low": 0}}')).toThrow(/"q"/);
  });
});

test("older distributions and times", () => {
  expect(fromOptunaDistribution('{"name": "DiscreteUniformDistribution", "attributes": {"low": 0, "high": 1, "q": 0.25}}')).toEqual({ kind: "float", low: 0, high: 1, log: false, step: 0.25 });
  expect(fromOptunaDistribution('{"name": "LogUniformDistribution", "attributes": {"low": 1e-3, "high": 1}}')).toEqual({ kind: "float", low: 1e-3, high: 1, log: true, step: null });
  expect(fromOptunaDistribution('{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 4, "step": 1}}')).toEqual({ kind: "int", low: 1, high: 4, log: false, step: 1 });
  expect(fromOptunaDistribution('{"type": "int", "low": 1, "high": 8, "log": true}')).toEqual({ kind: "int", low: 1, high: 8, log: true, step: 1 });
  expect(parseTime(formatTime(1_234_567_890_123), true)).toBe(1_234_567_890_123);
  expect(parseTime("2026-01-02 03:04:05", false)).toBe(new Date(2026, 0, 2, 3, 4, 5).getTime());
});
