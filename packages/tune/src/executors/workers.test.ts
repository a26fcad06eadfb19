// Threads and processes evaluate like the inline executor; death, silence, lies and kill -9 cost no trial.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { RandomSampler } from "../samplers/random.ts";
import { LeaseError } from "../errors/errors.ts";
import { Master } from "../trials/master.ts";
import type { Executor } from "../trials/loop.ts";
import { createStudy, loadStudy, type Study } from "../study/study.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { RemoteExecutor } from "./remote.ts";
import { processExecutor, threadExecutor } from "./workers.ts";

const module = new URL("./quadratic.fixture.ts", import.meta.url);
const sampler = new RandomSampler();
let executor: Executor | null = null;
afterEach(async () => { await executor?.close(); });

async function studyWith(mode: string, storage = "memory:"): Promise<Study> {
  return createStudy({ seed: 7, sampler, storage, fixed: { mode } });
}

/** Process ids of the living worker processes of this test. */
function agents(): number[] {
  const lines = execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(process.pid)], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => line.includes("agent.ts")).map((line) => Number.parseInt(line, 10));
}

describe.each([["threads", threadExecutor], ["processes", processExecutor]] as const)("%s", (_, make) => {
  test("give the same study as the inline executor", async () => {
    executor = make(module, { workers: 1 });
    const study = await studyWith("plain");
    await study.run(executor, { trials: 6 });
    const inline = await studyWith("plain");
    const { default: definition } = await import("./quadratic.fixture.ts");
    await inline.optimize(definition.objective, { trials: 6 });
    const plain = (s: Study): unknown => s.trials().map((t) => ({ ...t, started: 0, finished: 0 }));
    expect(plain(study)).toEqual(plain(inline));
    expect(study.trials()[0]!.userAttributes).toEqual({ thread: "worker" });
  });

  test("work side by side, and bring home exceptions and NaN", async () => {
    executor = make(module, { workers: 3 });
    const study = await studyWith("wait");
    await study.run(executor, { trials: 12 });
    expect([study.trials("COMPLETE").length, study.evaluations]).toEqual([12, 12]);
    const failing = await studyWith("throw");
    await expect(failing.run(executor, { trials: 3 })).rejects.toThrow("asked to throw");
    const nan = await studyWith("nan");
    await nan.run(executor, { trials: 2 });
    expect(nan.trials("FAIL")).toHaveLength(2);
  });

  test("a blocked worker is ended when its trial's time is up", async () => {
    executor = make(module, { workers: 1 });
    const study = await studyWith("block");
    const start = performance.now();
    await study.run(executor, { trials: 1, trialTimeout: 300 });
    expect(performance.now() - start).toBeLessThan(2500);
    expect(study.trials()[0]!.state).toBe("FAIL");
  });

  test("a module without a study says so", async () => {
    executor = make(new URL("./protocol.ts", import.meta.url), { workers: 1 });
    await expect((await studyWith("plain")).run(executor, { trials: 1 })).rejects.toThrow(/does not export a study/);
  });
});

describe("lost workers", () => {
  test("a killed process: the trial starts again with the same point and one more attempt", async () => {
    executor = processExecutor(module, { workers: 2 });
    const study = await studyWith("exit");
    await study.run(executor, { trials: 4 });
    expect(study.trials().map((t) => [t.state, t.attempt])).toEqual(new Array(4).fill(["COMPLETE", 2]));
  });

  test("a trial that keeps killing its worker fails in the end", async () => {
    executor = processExecutor(module, { workers: 1 });
    const study = await studyWith("exit");
    await study.run(executor, { trials: 1, restarts: 0 });
    expect(study.trials()[0]).toMatchObject({ state: "FAIL", systemAttributes: { fail_reason: expect.stringMatching(/SIGKILL/) as string } });
  });

  test("blocking is not silence: the heart beats in another thread", async () => {
    executor = processExecutor(module, { workers: 1, silence: 3000 });
    const study = await studyWith("block");
    await study.run(executor, { trials: 1 });
    expect(study.trials()[0]).toMatchObject({ state: "COMPLETE", attempt: 1 });
  });

  test("a stopped process loses its lease; what it says later is filed as late", async () => {
    executor = processExecutor(module, { workers: 1, silence: 1500 });
    const study = await studyWith("wait");
    await study.run(executor, { trials: 1 });
    const [frozen] = agents();
    const after = study.run(executor, { trials: 2 });
    await expect.poll(() => study.trials()[1]?.reports.length, { interval: 5 }).toBe(1);
    process.kill(frozen!, "SIGSTOP");
    await after;
    expect(study.trials()[1]).toMatchObject({ state: "COMPLETE", attempt: 2 });
    process.kill(frozen!, "SIGCONT");
    await expect.poll(() => study.lateResults.length, { timeout: 10_000 }).toBe(1);
    expect(study.lateResults[0]).toMatchObject({ trial: 1, fence: 1, state: "COMPLETE" });
    expect(study.lateResults[0]!.values).toEqual(study.trials()[1]!.values);
  });

  test("a worker that lies about its lease is refused", async () => {
    const store = await new MemoryStorage().create({ type: "create", name: "s", seed: 1, directions: ["minimize"], metricNames: ["value"], noisy: false });
    const master = new Master(store, { sampler, scheduler: null, declared: null, fixed: {}, owner: "me", now: Date.now });
    const { number, fence } = (await master.next())!;
    await expect(master.finish(number, fence + 1, { kind: "values", values: 0 })).rejects.toThrow(LeaseError);
    await expect(master.finish(number + 5, 1, { kind: "values", values: 0 })).rejects.toThrow(LeaseError);
    expect(await master.report(number, fence + 1, 0, 1, undefined)).toBe(true);
    expect(() => master.suggest(number, fence + 1, "x", { kind: "float", low: 0, high: 1, log: false, step: null })).toThrow(LeaseError);
    expect(await master.finish(number, fence, { kind: "values", values: 0 })).toBe("finished");
    expect(await master.finish(number, fence, { kind: "values", values: 9 })).toBe("late");
    expect(store.state.trial(number).values).toEqual([0]);
  });

  test("a worker that speaks for another's trial changes nothing there, is ended, and its own trial starts again", async () => {
    const study = await studyWith("plain");
    const killed: number[] = [];
    let started = 0;
    // The first worker claims the second's result; the others answer honestly.
    executor = new RemoteExecutor((_, received) => {
      const worker = started++;
      return {
        post: (message) => {
          if (message.type !== "trial") return;
          const { number, fence } = message.init;
          const about = worker === 0 ? { trial: 1, fence: 1 } : { trial: number, fence };
          setTimeout(() => {
            received({ type: "attribute", ...about, key: "by", value: worker });
            received({ type: "done", ...about, outcome: { kind: "values", values: worker } });
          }, worker === 0 ? 0 : 20);
        },
        kill: () => { killed.push(worker); },
      };
    }, 2, Infinity);
    await study.run(executor, { trials: 2 });
    expect(killed).toEqual([0]);
    expect(study.trials().map((t) => [t.state, t.attempt, t.values])).toEqual([["COMPLETE", 2, expect.any(Array)], ["COMPLETE", 1, [1]]]);
    expect(study.trials()[1]!.userAttributes).toEqual({ by: 1 });
    expect(study.trials()[0]!.values).not.toEqual([0]);
  });

  test("kill -9 all the time: nothing lost, nothing twice, exact budget", async () => {
    const folder = mkdtempSync(join(tmpdir(), "chaos-"));
    executor = processExecutor(module, { workers: 8 });
    const study = await studyWith("wait", `journal:${join(folder, "a.journal")}`);
    let kills = 0;
    const killer = setInterval(() => {
      // On a busy machine a worker may need longer to start than to be killed.
      if (study.trials("COMPLETE").length < kills) return;
      const pids = agents();
      const pid = pids[kills % Math.max(1, pids.length)];
      if (pid !== undefined) { process.kill(pid, "SIGKILL"); kills++; }
    }, 600);
    try {
      await study.run(executor, { trials: 40, restarts: 1000 });
    } finally {
      clearInterval(killer);
    }
    await study.close();
    const again = await loadStudy({ storage: `journal:${join(folder, "a.journal")}`, sampler });
    expect([again.evaluations, again.trials("COMPLETE").length, again.trials().filter((t) => t.answeredBy === null).length]).toEqual([40, 40, 40]);
    expect(kills).toBeGreaterThan(0);
    await again.close();
    rmSync(folder, { recursive: true });
  }, 60_000);
});
