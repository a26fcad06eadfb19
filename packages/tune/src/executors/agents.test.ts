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
import { connectPostgres } from "../storage/optuna/postgres.ts";
import { openPostgres, openSqlite } from "../storage/optuna/open.ts";
import type { Storage } from "../storage/storage.ts";
import { StorageError } from "../errors/errors.ts";
import { Master } from "../trials/master.ts";
import { createStudy, loadStudy, type Study } from "../study/study.ts";
import type { Trial } from "../trials/trial.ts";

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
    const look = setInterval(() => { void other.store.refresh().then(() => other.reap()).then((lost) => { reaped += lost.length; }); }, 20);
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

  /**
   * A network between us and the server, whose directions can be cut: what is sent meanwhile arrives when they heal. Or
   * one line goes dead for good, when this is sent for the given time.
   */
  async function network(): Promise<{ address: string; cut(...directions: Direction[]): void; cutAt(sent: RegExp, time: number): void; heal(): void; close(): void }> {
    const lost = new Set<Direction>();
    let deadly: { readonly sent: RegExp; times: number } | null = null;
    let held: { readonly direction: Direction; readonly deliver: () => void }[] = [];
    const sockets = new Set<Socket>();
    const { port: to } = new URL(postgres!);
    const server = createServer((client: Socket) => {
      const upstream = connect(Number(to), "127.0.0.1");
      let dead = false;
      const pass = (direction: Direction, deliver: () => void): void => {
        if (dead) return;
        if (lost.has(direction)) held.push({ direction, deliver });
        else deliver();
      };
      client.on("data", (data) => {
        if (deadly?.sent.test(data.toString("latin1")) === true && --deadly.times === 0) {
          dead = true;
          deadly = null;
        }
        pass("there", () => upstream.write(data));
      });
      upstream.on("data", (data) => { pass("back", () => client.write(data)); });
      client.on("close", () => { pass("there", () => upstream.destroy()); });
      upstream.on("close", () => { pass("back", () => client.destroy()); });
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on("error", () => undefined);
      }
    });
    await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", resolve); });
    return {
      address: throughPort((server.address() as AddressInfo).port),
      cut(...directions) { for (const direction of directions) lost.add(direction); },
      cutAt(sent, times) { deadly = { sent, times }; },
      heal() {
        lost.clear();
        const all = held;
        held = [];
        for (const { deliver } of all) deliver();
      },
      close() { server.close(); for (const socket of sockets) socket.destroy(); },
    };
  }
  type Direction = "there" | "back";

  /** Where the server is found behind a proxy. */
  function throughPort(port: number): string {
    return postgres!.replace(/(@|\/\/)[^@/]*:\d+\//, (_, at: string) => `${at}127.0.0.1:${port}/`);
  }

  /** A study that a machine reaches over `address`, with leases that end soon. */
  async function over(address: string, patience: number, lease = 2): Promise<Study> {
    const storage = await openPostgres(address, { lease, silence: 1, patience });
    const study = await createStudy({ storage, name: `${mine} ${++names}`, seed: 1, ...options });
    opened.push(storage, study);
    return study;
  }

  /** Reports until told to stop, and says how many seconds that took. */
  async function reportUntilStopped(trial: Trial, x: number): Promise<number> {
    const start = performance.now();
    for (let step = 1; !(await trial.report(x, step)); step++) await pause(50);
    return (performance.now() - start) / 1000;
  }

  test.each([[["there", "back"]], [["there"]], [["back"]]] as const)("cut off %j: the lease is given up in its time, another machine does the trial once, the late result is kept, and the machine goes on", async (directions) => {
    const net = await network();
    const study = await over(net.address, 60);
    const storage = await openPostgres(postgres!, { lease: 2 });
    const elsewhere = await loadStudy({ storage, name: study.name, ...options });
    opened.push(storage, elsewhere);
    let stopped = Infinity;
    let evaluatedElsewhere = 0;
    await study.optimize(async (trial) => {
      const x = trial.float("x", 0, 1);
      if (trial.number > 0) return 2 * x;
      await trial.report(x, 0);
      await pause(700);
      net.cut(...directions);
      const other = elsewhere.optimize(async (theirs) => {
        evaluatedElsewhere++;
        const same = theirs.float("x", 0, 1);
        await pause(3000);
        return 2 * same;
      }, { trials: 1 });
      stopped = await reportUntilStopped(trial, x);
      await other;
      net.heal();
      return 4 * x;
    }, { trials: 4 });
    expect([stopped > 1, stopped < 4, evaluatedElsewhere]).toEqual([true, true, 1]);
    await elsewhere.refresh();
    for (const seen of [study, elsewhere]) {
      expectWhole(seen, 4);
      expect(seen.trials().map((trial) => trial.attempt)).toEqual([2, 1, 1, 1]);
      expect(seen.lateResults.map(({ trial, fence, state, values }) => [trial, fence, state, values![0]])).toEqual([[0, 1, "COMPLETE", 4 * Number(seen.trials()[0]!.params["x"])]]);
    }
    await study.close();
    net.close();
  }, 60_000);

  test("cut off while nobody else is there: a trial that was told to stop starts again, one that ended is kept", async () => {
    const net = await network();
    const study = await over(net.address, 60);
    await study.optimize(async (trial) => {
      const x = trial.float("x", 0, 1);
      if (trial.attempt > 1 || trial.number > 1) return 2 * x;
      net.cut("there", "back");
      setTimeout(() => { net.heal(); }, 4000);
      await reportUntilStopped(trial, x);
      if (trial.number === 0) trial.prune();
      return 2 * x;
    }, { trials: 3 });
    expectWhole(study, 3);
    expect([study.trials().map((trial) => trial.attempt), study.lateResults]).toEqual([[2, 1, 1], []]);
    await study.close();
    net.close();
  }, 60_000);

  test("cut off for good: the machine ends with an error that says so, and its trial is done elsewhere", async () => {
    const net = await network();
    const study = await over(net.address, 3);
    const run = study.optimize(async (trial) => {
      const x = trial.float("x", 0, 1);
      await trial.report(x, 0);
      await pause(700);
      net.cut("there", "back");
      return 2 * x;
    }, { trials: 2 });
    await expect(run).rejects.toThrow(/postgres.* failed \(.*\); what was confirmed is safe/);
    await expect(study.enqueue({ x: 0.5 })).rejects.toThrow(StorageError);
    const start = performance.now();
    await study.close().catch(() => undefined);
    expect(performance.now() - start).toBeLessThan(6000);
    const elsewhere = await loadStudy({ storage: postgres!, name: study.name, ...options });
    opened.push(elsewhere);
    await elsewhere.optimize((trial) => 2 * trial.float("x", 0, 1), { trials: 2 });
    expectWhole(elsewhere, 2);
    expect(elsewhere.trials().map((trial) => trial.attempt)).toEqual([2, 1]);
    net.close();
  }, 60_000);

  test("a heartbeat whose line alone goes dead renews over another one in time", async () => {
    const net = await network();
    const study = await over(net.address, 60, 4);
    const storage = await openPostgres(postgres!, { lease: 4 });
    const other = new Master(await storage.load(study.name), { sampler: options.sampler, scheduler: null, declared: null, fixed: {}, owner: "other", now: Date.now });
    let reaped = 0;
    const look = setInterval(() => { void other.store.refresh().then(() => other.reap()).then((lost) => { reaped += lost.length; }); }, 100);
    let stopped = 0;
    await study.optimize(async (trial) => {
      const x = trial.float("x", 0, 1);
      net.cutAt(/UPDATE hpo_lease SET expires = .* WHERE owner/s, 2);
      for (let step = 0; step < 80; step++) { stopped += Number(await trial.report(x, step)); await pause(100); }
      return 2 * x;
    }, { trials: 1 });
    clearInterval(look);
    expectWhole(study, 1);
    expect([reaped, stopped, study.trials()[0]!.attempt]).toEqual([0, 0, 1]);
    await other.store.close();
    await storage.close();
    await study.close();
    net.close();
  }, 60_000);

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
    return { server, address: throughPort((server.address() as AddressInfo).port) };
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
