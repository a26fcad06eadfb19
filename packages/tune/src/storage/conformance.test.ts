// One suite for every storage: what is kept, what a reopening finds, and what several masters on one study may do.
// PostgreSQL joins in when NABLA_TEST_POSTGRES holds the URL of an empty database that may be written.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Sampler } from "../contract/contract.ts";
import { ExhaustiveSampler } from "../samplers/grid.ts";
import { RandomSampler } from "../samplers/random.ts";
import { space } from "../space/builder.ts";
import { StudyError, StudyExistsError, ValueError } from "../errors/errors.ts";
import { Master } from "../trials/master.ts";
import { createStudy, loadStudy, type Study } from "../study/study.ts";
import type { Trial } from "../trials/trial.ts";
import { MemoryStorage } from "./memory.ts";
import { JournalStorage } from "./journal/journal.ts";
import { openPostgres, openSqlite } from "./optuna/open.ts";
import { OptunaStore } from "./optuna/store.ts";
import type { Storage } from "./storage.ts";

const postgres = process.env["NABLA_TEST_POSTGRES"];
if (postgres === undefined) process.stderr.write("storage conformance: PostgreSQL is skipped; set NABLA_TEST_POSTGRES=postgres://user@host/database to test it.\n");

const folder = mkdtempSync(join(tmpdir(), "storages-"));
afterAll(() => { rmSync(folder, { recursive: true }); });
let file = 0;
let name = "";
beforeEach(() => { file++; name = `study ${process.pid} ${file}`; });

const sampler = new RandomSampler();
const LEASE = 1;

interface Kind { readonly kind: string; readonly shared: boolean; open(): Promise<Storage> }
const memory = new MemoryStorage();
const kinds: Kind[] = [
  { kind: "memory", shared: false, open: () => Promise.resolve(memory) },
  { kind: "journal", shared: false, open: () => Promise.resolve(new JournalStorage(join(folder, `${file}.journal`))) },
  { kind: "journal with checkpoints", shared: false, open: () => Promise.resolve(new JournalStorage(join(folder, `${file}.journal`), { tail: 1 })) },
  { kind: "sqlite", shared: true, open: () => openSqlite(join(folder, `${file}.db`), { lease: LEASE }) },
  ...(postgres === undefined ? [] : [{ kind: "postgres", shared: true, open: () => openPostgres(postgres, { lease: LEASE }) }]),
];

/** Everything an objective can leave behind. */
async function everything(trial: Trial): Promise<number[]> {
  const x = trial.float("x", -1, 1);
  trial.float("log", 1e-5, 1e-1, { log: true });
  trial.float("grid", 0, 1, { step: 0.1 });
  trial.int("n", 1, 64, { log: true });
  const kind = trial.choice("kind", ["a", null, true, 3, 2.5, Number.NaN]);
  trial.ordinal("size", ["s", "m", "l"]);
  trial.subset("some", ["p", "q", "r"], { min: 1 });
  trial.permutation("order", ["i", "j", "k"]);
  trial.simplex("weights", 3);
  if (kind === "a") trial.float("only with a", 0, 1);
  await trial.report({ loss: x, other: 2 }, 0, "checkpoint-0");
  await trial.report({ loss: trial.number === 0 ? Number.NaN : -Infinity }, 3);
  trial.setAttribute("deep", { list: [1, Number.NaN, "ü ' \""], none: null });
  trial.setNote("a note");
  trial.constraint("c", x - 0.5);
  if (trial.number === 2) throw new Error("broken");
  if (trial.number === 3) trial.prune();
  return [x, trial.number === 1 ? Infinity : -1];
}

function facts(study: Study): unknown {
  return { name: study.name, seed: study.seed, metricNames: study.metricNames, directions: study.directions, attributes: study.userAttributes, note: study.note, evaluations: study.evaluations, trials: study.trials() };
}

describe.each(kinds)("$kind", ({ kind, open, shared }) => {
  const opened: (Study | Storage)[] = [];
  const keep = <T extends Study | Storage>(thing: T): T => { opened.push(thing); return thing; };
  afterEach(async () => { for (const thing of opened.splice(0).reverse()) await thing.close().catch(() => undefined); });

  test("a reopened study is the study that was closed", async () => {
    const storage = keep(await open());
    const study = await createStudy({ storage, name, seed: 2 ** 40 + 3, sampler, directions: ["minimize", "maximize"], metricNames: ["loss", "gain"] });
    await study.enqueue({ x: 0.25 }, { why: "try" });
    await study.optimize(everything, { trials: 8, failures: "continue" });
    await study.enqueue({ x: -0.25 });
    study.setAttribute("plan", [1, 2]);
    study.setNote("what this is");
    const asked = await study.ask();
    asked.float("x", -1, 1);
    const before = facts(study);
    await study.close();
    const again = await loadStudy({ storage: keep(await open()), name, sampler });
    expect(facts(again)).toEqual(before);
    await again.tell(asked.number, [1, 2]);
    expect(again.trials()[asked.number]!.state).toBe("COMPLETE");
    await again.close();
  });

  test("a resumed study proposes what it would have proposed", async () => {
    const objective = (trial: Trial): number => trial.float("x", 0, 1) + trial.int("n", 0, 9);
    const whole = await createStudy({ seed: 11, sampler });
    await whole.optimize(objective, { trials: 10 });
    const study = await createStudy({ storage: keep(await open()), name, seed: 11, sampler });
    await study.optimize(objective, { trials: 4 });
    await study.close();
    const again = await loadStudy({ storage: keep(await open()), name, sampler });
    await again.optimize(objective, { trials: 10 });
    expect(again.trials().map((t) => [t.params, t.values])).toEqual(whole.trials().map((t) => [t.params, t.values]));
    await again.close();
  });

  test("names, existing studies, removal", async () => {
    const storage = keep(await open());
    await (await createStudy({ storage, name })).close();
    await expect(createStudy({ storage, name })).rejects.toThrow(StudyError);
    const loaded = await createStudy({ storage, name, ifExists: "load" });
    await loaded.close();
    expect(await storage.names()).toContain(name);
    await storage.remove(name);
    expect(await storage.names()).not.toContain(name);
    await expect(loadStudy({ storage, name })).rejects.toThrow(StudyError);
  });

  test.runIf(shared)("masters that start together on an empty storage all join one study", async () => {
    const path = join(folder, `${file} together.db`);
    const studies = await Promise.all(Array.from({ length: 6 }, async (_, seed) => {
      const storage = keep(kind === "sqlite" ? await openSqlite(path, { lease: LEASE }) : await open());
      return keep(await createStudy({ storage, name, sampler, seed, ifExists: "load" }));
    }));
    expect(new Set(studies.map((study) => study.seed)).size).toBe(1);
    await expect(createStudy({ storage: studies[0]!.storage, name })).rejects.toThrow(StudyExistsError);
  });

  test.runIf(shared)("masters with a finite space between them evaluate every point once", async () => {
    const grid = space.object({ a: space.int(0, 5), b: space.int(0, 5) });
    const studies = await Promise.all([1, 2, 3].map(async () => keep(await createStudy({ storage: keep(await open()), name, seed: 4, sampler: new ExhaustiveSampler(), space: grid, ifExists: "load" }))));
    const seen: string[] = [];
    await Promise.all(studies.map((study) => study.optimize(async ({ params: { a, b } }) => {
      seen.push(`${a} ${b}`);
      await new Promise((resolve) => setTimeout(resolve, 3));
      return a + b;
    }, { workers: 2 })));
    expect([seen.length, new Set(seen).size]).toEqual([36, 36]);
    await studies[0]!.refresh();
    expect(studies[0]!.trials("COMPLETE").filter((trial) => trial.answeredBy === null)).toHaveLength(36);
    expect(studies[0]!.trials().every((trial) => trial.state === "COMPLETE")).toBe(true);
  }, 30_000);

  test.runIf(shared)("what a slow sampler says holds, whatever other masters have done meanwhile", async () => {
    const slow: Sampler = {
      name: "slow",
      ask: ({ random }) => { const end = Date.now() + 150; while (Date.now() < end); return { assignment: new Map([["x", random("x").uniform()]]), why: "slowly" }; },
      askIndependent: () => { throw new Error("everything was proposed"); },
    };
    const unit = space.object({ x: space.float(0, 1) });
    const open1 = async (s: Sampler): Promise<Study<{ x: number }>> => keep(await createStudy({ storage: keep(await open()), name, seed: 4, sampler: s, space: unit, ifExists: "load" }));
    const one = await open1(slow), other = await open1(sampler);
    await Promise.all([one, other].map((study) => study.optimize(async ({ params: { x } }) => { await new Promise((resolve) => setTimeout(resolve, 20)); return x; }, { trials: 24 })));
    await one.refresh();
    const trials = one.trials();
    expect([trials.length, new Set(trials.map((trial) => trial.params["x"])).size, one.evaluations]).toEqual([24, 24, 24]);
    expect(trials.every((trial) => trial.state === "COMPLETE" && trial.values![0] === trial.params["x"])).toBe(true);
    expect(trials.filter((trial) => trial.systemAttributes["why"] === "slowly").length).toBeGreaterThan(1);
  }, 30_000);

  test.runIf(kind !== "memory")("a program that forgets to close its study ends, and nothing is lost", async () => {
    const address = kind === "postgres" ? postgres! : kind === "sqlite" ? `sqlite:${join(folder, `${file}.db`)}` : `journal:${join(folder, `${file}.journal`)}`;
    const child = spawn(process.execPath, [fileURLToPath(new URL("./unclosed.fixture.ts", import.meta.url)), address, name], { stdio: "inherit" });
    const stuck = setTimeout(() => { child.kill("SIGKILL"); }, 30_000);
    const code = await new Promise((resolve) => { child.on("exit", resolve); });
    clearTimeout(stuck);
    expect(code).toBe(0);
    const study = keep(await loadStudy({ storage: keep(await open()), name }));
    expect([study.note, study.trials("COMPLETE").length]).toEqual(["the end", 3]);
  });

  test.runIf(kind === "postgres")("a sampler may think for longer than the server lets a transaction stand", async () => {
    const slow: Sampler = {
      name: "slow",
      ask: () => { const end = Date.now() + 6000; while (Date.now() < end); return { assignment: new Map([["x", 0.5]]) }; },
      askIndependent: () => { throw new Error("everything was proposed"); },
    };
    const unit = space.object({ x: space.float(0, 1) });
    const study = keep(await createStudy({ storage: keep(await open()), name, sampler: slow, space: unit }));
    const other = keep(await loadStudy({ storage: keep(await open()), name, sampler, space: unit }));
    await study.optimize(({ params }) => params.x, { trials: 1 });
    await other.optimize(({ params }) => params.x, { trials: 3 });
    expect([study.evaluations, other.trials("COMPLETE").length, other.trials()[0]!.attempt]).toEqual([1, 3, 1]);
  }, 30_000);

  test("late steps and strange names are kept; impossible names are refused, and the study goes on", async () => {
    const study = await createStudy({ storage: keep(await open()), name: `${name} \u{1F52C}'";--`, sampler });
    await study.optimize(async (trial) => {
      const x = trial.float("per cent %, 'quoted' \"x\" \u{1F52C}[0]", 0, 1);
      trial.setAttribute("__proto__", "\0 \ud800");
      expect(() => { trial.setAttribute("a".repeat(600), 1); }).toThrow(ValueError);
      expect(() => trial.float("x\0", 0, 1)).toThrow(/NUL/);
      await trial.report(x, 3e9);
      await trial.report(2 * x, 2 ** 50);
      return x;
    }, { trials: 2 });
    const before = facts(study);
    await study.close();
    const again = await loadStudy({ storage: keep(await open()), name: `${name} \u{1F52C}'";--`, sampler });
    expect(facts(again)).toEqual(before);
    expect(again.trials()[1]!.reports.map(({ step }) => step)).toEqual([3e9, 2 ** 50]);
    await again.close();
    await expect(createStudy({ storage: keep(await open()), name: "n".repeat(1000) })).rejects.toThrow(ValueError);
  });

  test("values that JSON cannot hold are refused, what is kept is a copy, and the study goes on", async () => {
    const circular: { me?: unknown } = {};
    circular.me = circular;
    const study = keep(await createStudy({ storage: keep(await open()), name, sampler }));
    for (const value of [undefined, () => 1, Symbol("s"), 10n, circular, { deep: [10n] }]) {
      expect(() => { study.setAttribute("bad", value as never); }).toThrow(ValueError);
      await expect(study.enqueue({ x: 0.5 }, { bad: value as never })).rejects.toThrow(ValueError);
      await expect(study.enqueue({ x: value as never })).rejects.toThrow(ValueError);
    }
    const list = [1, Number.NaN];
    study.setAttribute("list", list);
    list.push(3);
    await study.optimize((trial) => {
      expect(() => { trial.setAttribute("bad", circular as never); }).toThrow(/attribute "bad" of trial 0 has no JSON/);
      return trial.float("x", 0, 1);
    }, { trials: 1 });
    await study.close();
    const again = keep(await loadStudy({ storage: keep(await open()), name }));
    expect([again.trials().length, again.userAttributes]).toEqual([1, { list: [1, Number.NaN] }]);
  });

  test.runIf(shared)("another master that looks on sees what the one at work sees", async () => {
    const study = keep(await createStudy({ storage: keep(await open()), name, sampler }));
    const onlooker = keep(await loadStudy({ storage: keep(await open()), name, sampler }));
    const states: unknown[] = [];
    await study.optimize(async (trial) => {
      const x = trial.float("x", 0, 1);
      const look = async (): Promise<void> => {
        await study.refresh();
        await onlooker.refresh();
        states.push(facts(study));
        expect(facts(onlooker)).toEqual(states.at(-1));
      };
      await look();
      await trial.report(x, 3, "at 3");
      await look();
      await trial.report({ value: 2 * x, other: 1 }, 7, "at 7");
      trial.setAttribute("seen", [x]);
      trial.constraint("c", x - 1);
      trial.setAttribute("twice", "first");
      await look();
      trial.setAttribute("twice", "second");
      return x;
    }, { trials: 2 });
    await onlooker.refresh();
    expect(facts(onlooker)).toEqual(facts(study));
    expect(study.trials().map(({ checkpoint, reports, userAttributes }) => [checkpoint, reports.length, userAttributes["twice"]])).toEqual(new Array(2).fill(["at 7", 2, "second"]));
    expect(states).toHaveLength(6);
  });

  test("a trial whose master vanished starts again under a new fence; the old one's result is filed as late", async () => {
    const first = await keep(await open()).create({ type: "create", name, seed: 1, directions: ["minimize"], metricNames: ["value"], noisy: false });
    const options = { sampler, scheduler: null, declared: null, fixed: {}, now: Date.now };
    const lost = new Master(first, { ...options, owner: "lost" });
    const { number, fence } = (await lost.next())!;
    const x = lost.suggest(number, fence, "x", { kind: "float", low: 0, high: 1, log: false, step: null });
    await lost.store.flush();
    if (shared) await new Promise((resolve) => setTimeout(resolve, 50));
    // The heart of the lost master stops: its lease ends by the clock of a shared storage, at once in an exclusive one.
    const second = shared ? await keep(await open()).load(name) : first;
    if (shared) await stopHeart(first);
    const heir = new Master(second, { ...options, owner: "heir" });
    heir.begin(1, 0, 3);
    await expect.poll(() => heir.reap(), { timeout: 5000, interval: 200 }).toEqual([number]);
    const taken = (await heir.next())!;
    expect([taken.number, taken.fence]).toEqual([number, 2]);
    expect(heir.suggest(number, 2, "x", { kind: "float", low: 0, high: 1, log: false, step: null })).toBe(x);
    expect(await lost.report(number, fence, 0, 1, undefined)).toBe(true);
    expect(await lost.finish(number, fence, { kind: "values", values: 5 })).toBe("late");
    expect(await heir.finish(number, 2, { kind: "values", values: 4 })).toBe("finished");
    await second.refresh();
    expect(second.state.trial(number).values).toEqual([4]);
    expect(second.state.late).toMatchObject([{ trial: number, fence: 1, values: [5] }]);
    expect(await heir.next()).toBeNull();
    await first.close();
    if (shared) await second.close();
  });

  test.runIf(shared)("several masters share one budget and evaluate every enqueued trial once", async () => {
    const storage = keep(await open());
    const studies = [await createStudy({ storage, name, sampler, seed: 1 })];
    for (let i = 1; i < 4; i++) studies.push(await loadStudy({ storage: keep(await open()), name, sampler }));
    for (let i = 0; i < 20; i++) await studies[0]!.enqueue({ x: i / 20 });
    const seen: number[] = [];
    await Promise.all(studies.map((study) => study.optimize(async (trial) => {
      seen.push(trial.number);
      await new Promise((resolve) => setTimeout(resolve, trial.number % 3));
      return trial.float("x", 0, 1);
    }, { trials: 40, workers: 2 })));
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    for (const study of studies) await study.refresh();
    const [first, ...others] = studies.map((study) => study.trials());
    expect(first!.every((trial) => trial.state === "COMPLETE" && trial.attempt === 1)).toBe(true);
    expect(first!.slice(0, 20).map((trial) => trial.params["x"])).toEqual(Array.from({ length: 20 }, (_, i) => i / 20));
    for (const other of others) expect(other).toEqual(first);
    for (const study of studies) await study.close();
  }, 30_000);
});

/** Ends the thread that renews a store's leases, as the death of its process would. */
async function stopHeart(store: object): Promise<void> {
  if (store instanceof OptunaStore) await store.leases.end();
}
