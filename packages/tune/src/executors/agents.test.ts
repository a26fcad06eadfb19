// Machines that share a study through a storage: they are killed, stopped, cut off and have wrong clocks, and still
// every trial ends exactly once, the budget is exact, and what comes too late is kept.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RandomSampler } from "../samplers/random.ts";
import { connectPostgres, openPostgres } from "../storage/postgres.ts";
import { openSqlite } from "../storage/sqlite.ts";
import type { Storage } from "../storage/storage.ts";
import { Master } from "../study/master.ts";
import { createStudy, loadStudy, type Study } from "../study/study.ts";

const postgres = process.env["NABLA_TEST_POSTGRES"];
const folder = mkdtempSync(join(tmpdir(), "agents-"));
const agents = new Set<ChildProcess>();
const opened: (Study | Storage)[] = [];
beforeEach(() => { vi.spyOn(process, "emitWarning").mockImplementation(() => undefined); });
afterEach(async () => {
  vi.restoreAllMocks();
  for (const agent of agents) agent.kill("SIGKILL");
  for (const thing of opened.splice(0).reverse()) await thing.close().catch(() => undefined);
});
afterAll(() => { rmSync(folder, { recursive: true }); });

const LEASE = 1;
const options = { sampler: new RandomSampler(), pruner: null };
const mine = `agents ${process.pid}`;
let names = 0;

interface Kind { readonly kind: string; readonly address: string; open(): Promise<Storage> }
const file = join(folder, "a.db");
// The name of the application tells this test's connections from those of others.
const named = `${postgres ?? ""}?application_name=${encodeURIComponent(mine)}`;
const kinds: Kind[] = [
  { kind: "sqlite", address: `sqlite:${file}`, open: () => openSqlite(file, { lease: LEASE }) },
  ...(postgres === undefined ? [] : [{ kind: "postgres", address: named, open: () => openPostgres(named, { lease: LEASE }) }]),
];

async function create(open: () => Promise<Storage>): Promise<Study> {
  const storage = await open();
  const study = await createStudy({ storage, name: `${mine} ${++names}`, seed: names, ...options });
  opened.push(storage, study);
  return study;
}

function startAgent(address: string, study: string, trials: number, milliseconds: number): ChildProcess {
  const agent = spawn(process.execPath, [fileURLToPath(new URL("./agent.fixture.ts", import.meta.url)), address, String(LEASE), study, String(trials), String(milliseconds)], { stdio: ["ignore", "inherit", "ignore"] });
  agents.add(agent);
  agent.on("exit", () => agents.delete(agent));
  return agent;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function sql(query: string): Promise<void> {
  const connection = await connectPostgres(postgres!);
  await connection.all(query);
  await connection.close();
}

function expectWhole(study: Study, trials: number): void {
  expect([study.evaluations, study.trials().length, study.trials("COMPLETE").length]).toEqual([trials, trials, trials]);
  expect(study.trials().filter(({ params, values }) => values![0] !== 2 * Number(params["x"]))).toEqual([]);
}

describe.each(kinds)("$kind", ({ kind, address, open }) => {
  test("killed agents, and with a server cut connections: nothing lost, nothing twice, exact budget", async () => {
    const study = await create(open);
    const start = (): void => { startAgent(address, study.name, 60, 100); };
    start(); start(); start();
    let killed = 0;
    for (let round = 0; study.trials("COMPLETE").length < 60; round++) {
      await pause(300);
      await study.refresh();
      const [victim] = agents;
      if (killed < 5 && round % 4 === 3 && victim !== undefined) { victim.kill("SIGKILL"); killed++; }
      else if (kind === "postgres" && round % 2 === 0) await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${mine}' ORDER BY random() LIMIT 1`);
      while (agents.size < 3 && study.trials("COMPLETE").length < 60) start();
    }
    await Promise.all([...agents].map((agent) => new Promise((resolve) => { agent.on("exit", resolve); })));
    await study.refresh();
    expectWhole(study, 60);
    expect(killed).toBeGreaterThan(0);
  }, 120_000);

  test("an agent that was stopped longer than its lease loses its trials; what it tells later is kept beside them", async () => {
    const study = await create(open);
    const agent = startAgent(address, study.name, 1000, 2000);
    await expect.poll(async () => { await study.refresh(); return study.trials("RUNNING").filter((trial) => trial.reports.length > 0).length; }, { timeout: 20_000, interval: 5 }).toBe(2);
    await pause(200);
    agent.kill("SIGSTOP");
    await study.optimize((trial) => 2 * trial.float("x", 0, 1), { trials: 4 });
    expectWhole(study, 4);
    expect(study.trials().map((trial) => trial.attempt)).toEqual([2, 2, 1, 1]);
    agent.kill("SIGCONT");
    await expect.poll(async () => { await study.refresh(); return study.lateResults.length; }, { timeout: 20_000, interval: 50 }).toBe(2);
    agent.kill("SIGKILL");
    for (const { trial, fence, values } of study.lateResults) expect([fence, values]).toEqual([1, study.trials()[trial]!.values]);
  }, 60_000);

  test("training that blocks its thread for longer than a lease keeps its trial, whatever the clocks say", async () => {
    const study = await create(open);
    const storage = await open();
    // Another machine, a day ahead, that looks for lost trials all the time.
    const other = new Master(await storage.load(study.name), { sampler: options.sampler, scheduler: null, declared: null, fixed: {}, owner: "ahead", now: () => Date.now() + 86_400_000 });
    let reaped = 0;
    const work = study.optimize(async (trial) => {
      const x = trial.float("x", 0, 1);
      for (let i = 0; i < 3; i++) {
        const end = Date.now() + 1000 * LEASE;
        while (Date.now() < end);
        await pause(30);
      }
      return 2 * x;
    }, { trials: 1 });
    const look = setInterval(() => { void other.reap().then((lost) => { reaped += lost.length; }); }, 20);
    await work;
    clearInterval(look);
    expect([reaped, study.trials()[0]!.attempt]).toEqual([0, 1]);
    await other.store.close();
    await storage.close();
  }, 30_000);
});

describe.runIf(postgres !== undefined)("a network that fails", () => {
  test("a machine that freezes within a transaction holds the others up for seconds only", async () => {
    const storage = await openPostgres(named);
    const study = await createStudy({ storage, name: `${mine} ${++names}`, seed: 1, ...options });
    opened.push(storage, study);
    const frozen = await connectPostgres(postgres!);
    const [row] = await frozen.all<{ study_id: number }>("SELECT study_id FROM studies WHERE study_name = ?", [study.name]);
    await frozen.begin(row!.study_id, true);
    const start = performance.now();
    await study.optimize((trial) => 2 * trial.float("x", 0, 1), { trials: 2 });
    expectWhole(study, 2);
    expect(performance.now() - start).toBeLessThan(20_000);
    await frozen.close();
  }, 40_000);

  /** Passes bytes to the server and back, and cuts the line when `cut` says so of what the client sent. */
  async function proxy(cut: (sent: Buffer) => "before" | "after" | null): Promise<{ server: Server; address: string }> {
    const { port: to } = new URL(postgres!);
    const server = createServer((client: Socket) => {
      const upstream = connect(Number(to), "127.0.0.1");
      let over = false;
      client.on("data", (data) => {
        const when = cut(data);
        if (when === "before") { upstream.destroy(); client.destroy(); return; }
        over ||= when === "after";
        upstream.write(data);
      });
      upstream.on("data", (data) => {
        // The server has done it; the client never learns.
        if (over) { upstream.destroy(); client.destroy(); } else client.write(data);
      });
      for (const socket of [client, upstream]) {
        socket.on("error", () => undefined);
        socket.on("close", () => { client.destroy(); upstream.destroy(); });
      }
    });
    await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", resolve); });
    return { server, address: postgres!.replace(/(@|\/\/)[^@/]*:\d+\//, (_, at: string) => `${at}127.0.0.1:${(server.address() as AddressInfo).port}/`) };
  }

  test.each(["before", "after"] as const)("lines cut just %s the server commits: every trial is evaluated once and told once", async (when) => {
    let commits = 0;
    const { server, address } = await proxy((sent) => (sent.includes("COMMIT") && ++commits % 5 === 0 ? when : null));
    const storage = await openPostgres(address, { lease: 30 });
    const study = await createStudy({ storage, name: `${mine} ${++names}`, seed: 1, ...options });
    opened.push(storage, study);
    const calls: number[] = [];
    await study.optimize(async (trial) => {
      calls.push(trial.number);
      const x = trial.float("x", 0, 1);
      await trial.report(x, 0);
      await pause(5);
      await trial.report(x, 1);
      return 2 * x;
    }, { trials: 25, workers: 3 });
    expect(calls.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, i) => i));
    expect(commits).toBeGreaterThan(25);
    const direct = await loadStudy({ storage: postgres!, name: study.name, ...options });
    opened.push(direct);
    for (const seen of [study, direct]) {
      expectWhole(seen, 25);
      expect(seen.trials().map((trial) => [trial.attempt, trial.reports.length])).toEqual(new Array(25).fill([1, 2]));
      expect(seen.lateResults).toEqual([]);
    }
    await study.close();
    server.close();
  }, 60_000);

  test("a server away during a long evaluation gets its reports and its result when it is back", async () => {
    let away = false;
    const { server, address } = await proxy(() => (away ? "before" : null));
    const storage = await openPostgres(address, { lease: 30 });
    const study = await createStudy({ storage, name: `${mine} ${++names}`, seed: 1, ...options });
    opened.push(storage, study);
    await study.optimize(async (trial) => {
      const x = trial.float("x", 0, 1);
      await trial.report(x, 0);
      if (trial.number === 1) {
        away = true;
        setTimeout(() => { away = false; }, 1500);
        for (let step = 1; step < 10; step++) { void trial.report(x, step); await pause(100); }
      }
      return 2 * x;
    }, { trials: 3 });
    expectWhole(study, 3);
    expect(study.trials()[1]!.reports).toHaveLength(10);
    expect(process.emitWarning).toHaveBeenCalledWith(expect.stringMatching(/went away/));
    await study.close();
    server.close();
  }, 60_000);
});
