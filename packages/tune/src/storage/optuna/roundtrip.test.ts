// The round trip through the real Optuna: either side opens what the other wrote, sees the same facts and goes on, on
// SQLite and PostgreSQL. NABLA_TEST_OPTUNA names a Python that has Optuna 5; with PostgreSQL also psycopg2.
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { importance } from "../../analysis/importance.ts";
import { resultsOf } from "../../analysis/results.ts";
import { toCsv, trialsTable } from "../../analysis/tables.ts";
import { TPESampler } from "../../samplers/tpe/sampler.ts";
import type { FrozenTrial, Json } from "../../contract/contract.ts";
import { createStudy, loadStudy, type Study } from "../../study/study.ts";
import type { Trial } from "../../trials/trial.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { toOptunaDistribution } from "./schema.ts";

const python = process.env["NABLA_TEST_OPTUNA"] ?? "";
const postgres = process.env["NABLA_TEST_POSTGRES"] ?? "";
if (python === "") process.stderr.write("Optuna round trips are skipped; set NABLA_TEST_OPTUNA to a python that has Optuna 5 to run them.\n");

const folder = mkdtempSync(join(tmpdir(), "roundtrip-"));
afterAll(() => { optuna.stop(); rmSync(folder, { recursive: true }); });

/** Optuna in a process of its own, far from UTC, where naive local times would show. */
class Optuna {
  private child: ChildProcessByStdio<Writable, Readable, null> | null = null;
  private answers: AsyncIterator<string> | null = null;

  /** What the fixture answers to a command. */
  async ask(command: string, url: string, study: string, ...rest: readonly unknown[]): Promise<Record<string, Json>> {
    if (this.child === null || this.answers === null) {
      const fixture = fileURLToPath(new URL("./optuna.fixture.py", import.meta.url));
      this.child = spawn(python, [fixture], { env: { ...process.env, TZ: "America/New_York", PYTHONUTF8: "1" }, stdio: ["pipe", "pipe", "inherit"] });
      this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    }
    this.child.stdin.write(`${stringifyJson([command, url, study, ...rest])}\n`);
    const line = await this.answers.next();
    if (line.done === true) throw new Error("the Python process has ended.");
    const answer = parseJson(line.value) as Record<string, Json>;
    if (answer["error"] !== undefined) throw new Error(String(answer["error"]));
    return answer;
  }

  stop(): void {
    this.child?.kill();
  }
}
const optuna = new Optuna();
const options = { sampler: new TPESampler(), pruner: null };

/** The same objective as `single` of the fixture. */
async function single(trial: Trial): Promise<number> {
  const kind = trial.choice("kind", ["adam", null, true, 3, 2.5, Number.NaN, "ünï \"q\" 'q'"]);
  trial.choice("mixed", [0, 1, false, true, 0.5, "1"]);
  const x = trial.float("x", -1, 1);
  trial.float("log", 1e-5, 1e-1, { log: true });
  trial.float("grid", 0, 1, { step: 0.1 });
  const n = trial.int("n", 1, 64, { log: true });
  trial.int("even", 2, 10, { step: 2 });
  if (kind === "adam") trial.float("beta", 0.5, 0.999);
  else if (n > 8) trial.choice("big", [false, true]);
  trial.setAttribute("deep", { list: [1, Number.NaN, Infinity, "ü ' \""], none: null });
  trial.constraint("memory", x - 0.5);
  for (const [i, value] of [x, Number.NaN, Infinity, -Infinity].entries()) await trial.report(value, 2 * i);
  switch (trial.number % 6) {
    case 1: return trial.prune();
    case 2: throw new Error("broken");
    case 3: return Number.NaN;
    case 4: return Infinity;
    default: return x * x + n;
  }
}

function double(trial: Trial): number[] {
  const x = trial.float("x", 0, 1), y = trial.int("y", 0, 5);
  trial.constraint("sum", x + y - 5);
  return [x + y, trial.number === 2 ? -Infinity : x - y];
}

/** What the fixture's `facts` says, from our side. */
function facts(study: Study): unknown {
  const first = study.metricNames[0]!;
  return {
    name: study.name, directions: study.directions, attributes: study.userAttributes,
    trials: study.trials().map((t: FrozenTrial) => ({
      number: t.number, state: t.state, params: t.params, values: t.values, attributes: t.userAttributes, constraints: t.constraints,
      reports: Object.fromEntries(t.reports.map(({ step, metrics }) => [step, metrics[first]])),
      fixed: t.systemAttributes["fixed_params"] ?? null, started: t.started, finished: t.finished,
      distributions: Object.fromEntries(Object.entries(t.distributions).map(([name, d]) => [name, toOptunaDistribution(d)])),
    })),
  };
}

let studies = 0;
const places = [
  { kind: "sqlite", open: () => { const file = join(folder, `${++studies}.db`); return { ours: `sqlite:${file}`, theirs: `sqlite:///${file}` }; } },
  ...(postgres === "" ? [] : [{ kind: "postgres", open: () => ({ ours: postgres, theirs: postgres.replace(/^postgres:/, "postgresql+psycopg2:") }) }]),
];

describe.runIf(python !== "").each(places)("$kind", ({ kind, open }) => {
  const fresh = (): string => `"it's" ünïcode % 研究 ${process.pid} ${++studies}`;

  async function goOn(at: { ours: string; theirs: string }, name: string, objective: (trial: Trial) => number | number[] | Promise<number>, trials: number): Promise<void> {
    const study = await loadStudy({ storage: at.ours, name, ...options });
    try {
      expect(facts(study)).toEqual(await optuna.ask("facts", at.theirs, name));
      await study.optimize(objective, { trials, failures: "continue" });
      expect(study.evaluations).toBe(trials);
      const ours = facts(study);
      await study.refresh();
      expect(await optuna.ask("facts", at.theirs, name)).toEqual(ours);
    } finally {
      await study.close();
    }
  }

  test("a study written here, gone on with in turns", async () => {
    const at = open(), name = fresh();
    const study = await createStudy({ storage: at.ours, name, seed: 1, ...options });
    study.setAttribute("team", { n: Number.NaN, who: "Grüße" });
    await study.enqueue({ x: 0.25, kind: Number.NaN }, { by: "us" });
    await study.optimize(single, { trials: 7, failures: "continue" });
    await study.enqueue({ kind: null, grid: 0.3, beta: 0.75 });
    const ours = facts(study);
    await study.close();
    expect(await optuna.ask("facts", at.theirs, name)).toEqual(ours);
    await optuna.ask("enqueue", at.theirs, name, { kind: Number.NaN, x: -0.5, n: 3 });
    await optuna.ask("optimize", at.theirs, name, 1);
    await goOn(at, name, single, 13);
    await optuna.ask("optimize", at.theirs, name, 2);
    await goOn(at, name, single, 17);
    const again = await loadStudy({ storage: at.ours, name, ...options });
    expect(again.trials()[7]!.params).toMatchObject({ kind: null, grid: 0.3 });
    expect(again.trials()[8]!.params).toMatchObject({ kind: Number.NaN, x: -0.5, n: 3 });
    const theirs = await optuna.ask("analyse", at.theirs, name);
    expect(theirs["best"]).toEqual([again.best!.number]);
    expect(theirs["rows"]).toBe(17);
    expect(theirs["columns"]).toEqual(expect.arrayContaining(["value", "params_kind", "state", "user_attrs_deep"]));
    await again.close();
  }, 120_000);

  test("a study of Optuna's: our analysis agrees with its own", async () => {
    const at = open(), name = fresh();
    await optuna.ask("create", at.theirs, name, "minimize");
    await optuna.ask("optimize", at.theirs, name, 6);
    await optuna.ask("enqueue", at.theirs, name, { kind: true, x: 0.125 });
    await goOn(at, name, single, 10);
    await optuna.ask("optimize", at.theirs, name, 3);
    const study = await loadStudy({ storage: at.ours, name, ...options });
    expect(study.trials()[6]).toMatchObject({ params: { kind: true, x: 0.125 }, userAttributes: { by: "optuna" } });
    const theirs = await optuna.ask("analyse", at.theirs, name);
    expect(theirs["best"]).toEqual([study.best!.number]);
    expect(toCsv(trialsTable(resultsOf(study.view))).trim().split("\r\n")).toHaveLength(14);
    expect(Object.keys(importance(resultsOf(study.view))).length).toBeGreaterThan(3);
    await study.close();
  }, 120_000);

  test("several objectives with constraints, both ways", async () => {
    const at = open(), name = fresh();
    await optuna.ask("create", at.theirs, name, "minimize", "maximize");
    await optuna.ask("optimize", at.theirs, name, 4);
    await goOn(at, name, double, 9);
    await optuna.ask("optimize", at.theirs, name, 3);
    await goOn(at, name, double, 14);
    const study = await loadStudy({ storage: at.ours, name, ...options });
    const theirs = await optuna.ask("analyse", at.theirs, name);
    expect(theirs["best"]).toEqual(study.front.map((trial) => trial.number).sort((a, b) => a - b));
    await study.close();
    const mine = fresh();
    const ours = await createStudy({ storage: at.ours, name: mine, directions: ["maximize", "minimize"], metricNames: ["gain", "cost"], ...options });
    await ours.optimize(double, { trials: 5 });
    await ours.close();
    const { columns, rows } = await optuna.ask("analyse", at.theirs, mine);
    expect([rows, columns]).toEqual([5, expect.arrayContaining(["values_gain", "values_cost"])]);
    await optuna.ask("optimize", at.theirs, mine, 2);
    await goOn(at, mine, double, 9);
  }, 120_000);

  // On SQLite Optuna reads and then takes a waiting trial without a lock; only a server can hold it off.
  test.runIf(kind === "postgres")("workers of both at once: every enqueued trial is evaluated once", async () => {
    const at = open(), name = fresh();
    const study = await createStudy({ storage: at.ours, name, directions: ["minimize", "minimize"], ...options });
    for (let i = 0; i < 24; i++) await study.enqueue({ x: i / 24, y: i % 6 });
    let mine = 0;
    const counted = async (trial: Trial): Promise<number[]> => {
      mine++;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return double(trial);
    };
    await Promise.all([optuna.ask("optimize", at.theirs, name, 8), study.optimize(counted, { trials: 24, workers: 2 })]);
    await study.refresh();
    // Optuna knows no common budget: should ours be spent before it has had its eight, it makes trials of its own.
    const { length } = study.trials("COMPLETE");
    expect([mine + 8, study.evaluations, study.trials().length]).toEqual([length, length, length]);
    expect(study.trials().slice(0, 24).map((trial) => trial.params["x"])).toEqual(Array.from({ length: 24 }, (_, i) => i / 24));
    await study.close();
  }, 60_000);
});
