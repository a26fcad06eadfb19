// The behaviour of a study in memory: ask and tell, optimise, budgets, duplicates, failures, determinism, bad input.
import { describe, expect, test } from "vitest";
import { ExhaustiveSampler, GridSampler } from "../samplers/grid.ts";
import { RandomSampler } from "../samplers/random.ts";
import { space } from "../space/builder.ts";
import { MemoryStorage, MemoryStore } from "../storage/memory.ts";
import type { Decision, FrozenTrial, Scheduler } from "../contract/contract.ts";
import { DistributionError, NaNValueError, ParameterRedeclaredError, StorageError, StudyError, TrialStateError, ValueError } from "../errors/errors.ts";
import { replay } from "../state/state.ts";
import { createStudy, loadStudy, type OptimizeOptions } from "./study.ts";
import type { CreateEvent, StudyEvent } from "../state/events.ts";
import type { Storage } from "../storage/storage.ts";
import type { Trial } from "../trials/trial.ts";

const random = new RandomSampler();
const quadratic = (trial: Trial): number => (trial.float("x", -5, 5) - 2) ** 2 + trial.int("n", 0, 100);

/** A scheduler from a function of the last report. */
function schedule(decide: (trial: number, step: number, value: number) => Decision, next?: Scheduler["next"]): Scheduler {
  return {
    name: "scripted",
    decide: ({ study, trial, step }) => decide(trial, step, study.reports(trial).metrics.get("value")?.[study.reports(trial).length - 1] ?? Number.NaN),
    ...(next === undefined ? {} : { next }),
  };
}

describe("optimize", () => {
  test("define-by-run, with the best trial", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    await study.optimize(quadratic, { trials: 50 });
    expect(study.trials("COMPLETE")).toHaveLength(50);
    const best = study.best!;
    expect(best.values![0]).toBe(Math.min(...study.trials().map((t) => t.values![0]!)));
    expect((Number(best.params["x"]) - 2) ** 2 + Number(best.params["n"])).toBe(best.values![0]);
  });

  test("a typed space gives typed parameters", async () => {
    const study = await createStudy({ seed: 1, sampler: random, direction: "maximize", space: space.object({ x: space.float(0, 1), kind: space.choice(["a", "b"]) }) });
    await study.optimize(({ params }) => {
      const kind: "a" | "b" = params.kind;
      // @ts-expect-error x is a number
      const x: string = params.x;
      return Number(x) + (kind === "a" ? 1 : 0);
    }, { trials: 30 });
    expect(study.best!.params["kind"]).toBe("a");
  });

  test("the budget is exact with many workers and over several runs", async () => {
    const study = await createStudy({ seed: 0, sampler: random });
    let calls = 0;
    const slow = async (trial: Trial): Promise<number> => {
      calls++;
      await new Promise((resolve) => setTimeout(resolve, trial.number % 3));
      return trial.float("x", 0, 1);
    };
    await study.optimize(slow, { trials: 20, workers: 7 });
    expect([calls, study.evaluations]).toEqual([20, 20]);
    await study.optimize(slow, { trials: 30, workers: 7 });
    await study.optimize(slow, { trials: 30, workers: 7 });
    expect(calls).toBe(30);
  });

  test("same seed, same study; another seed, another", async () => {
    const points = async (seed: number): Promise<unknown> => {
      const study = await createStudy({ seed, sampler: random });
      await study.optimize(quadratic, { trials: 10 });
      return study.trials().map((t) => t.params);
    };
    expect(await points(3)).toEqual(await points(3));
    expect(await points(3)).not.toEqual(await points(4));
  });

  test("replaying the events gives the same state", async () => {
    const events: StudyEvent[] = [];
    class RecordingStore extends MemoryStore {
      override append(event: StudyEvent): void {
        super.append(event);
        events.push(event);
      }
    }
    const store = new RecordingStore();
    const storage: Storage = Object.assign(new MemoryStorage(), { create: (event: CreateEvent) => { store.append(event); return Promise.resolve(store); } });
    const study = await createStudy({ seed: 5, sampler: random, storage, clock: () => 1000 });
    await study.optimize(async (trial) => {
      await trial.report(1, 0);
      trial.setAttribute("k", { deep: [1] });
      trial.constraint("c", 0.5);
      return quadratic(trial);
    }, { trials: 5 });
    const copy = replay(JSON.parse(JSON.stringify(events)) as typeof events);
    expect(Array.from({ length: copy.length }, (_, t) => copy.trial(t))).toEqual(study.trials());
  });

  test("several objectives have a front and no best", async () => {
    const study = await createStudy({ seed: 1, sampler: random, directions: ["minimize", "maximize"], metricNames: ["cost", "gain"] });
    await study.optimize((trial) => {
      const x = trial.float("x", 0, 1);
      return { cost: x, gain: x < 0.5 ? x : 0.1 };
    }, { trials: 40 });
    expect(study.front.length).toBeGreaterThan(1);
    expect(study.front.every((t) => t.values![0]! < 0.5)).toBe(true);
    expect(() => study.best).toThrow(StudyError);
  });

  test("infeasible trials are never best", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    await study.optimize((trial) => {
      const x = trial.float("x", 0, 1);
      trial.constraint("at least half", 0.5 - x);
      return x;
    }, { trials: 30 });
    expect(study.best!.values![0]).toBeGreaterThanOrEqual(0.5);
    expect(study.best!.constraints["at least half"]).toBeLessThanOrEqual(0);
  });

  test("callbacks, stop, timeout", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    const seen: FrozenTrial[] = [];
    await study.optimize(quadratic, { callbacks: [(trial) => { seen.push(trial); if (seen.length === 7) study.stop(); }] });
    expect(seen.map((t) => t.number)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    await study.optimize(quadratic, { timeout: 0, trials: 100 });
    expect(study.evaluations).toBe(7);
  });

  test.each<[string, OptimizeOptions]>([["one worker", {}], ["three workers", { workers: 3 }]])("without a budget the default sampler goes on until it is stopped, %s", async (_, options) => {
    const stopped = await createStudy({ seed: 1 });
    await stopped.optimize(quadratic, { ...options, callbacks: [() => { if (stopped.evaluations >= 14) stopped.stop(); }] });
    expect(stopped.evaluations).toBeGreaterThanOrEqual(14);
    const aborted = await createStudy({ seed: 1 });
    const control = new AbortController();
    await aborted.optimize(quadratic, { ...options, signal: control.signal, callbacks: [() => { if (aborted.evaluations >= 14) control.abort(); }] });
    expect(aborted.evaluations).toBeGreaterThanOrEqual(14);
    const told = await createStudy({ seed: 1 });
    for (let i = 0; i < 14; i++) {
      const trial = await told.ask();
      await told.tell(trial, trial.float("x", -5, 5) ** 2);
    }
    expect(told.evaluations).toBe(14);
  });

  test("failures stop by default, or cost their trial only; retries get another attempt with the same point", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    const fail = (trial: Trial): number => { quadratic(trial); throw new RangeError("too wide"); };
    await expect(study.optimize(fail, { trials: 5 })).rejects.toThrow("too wide");
    expect(study.trials("FAIL")).toHaveLength(1);
    expect(study.trials()[0]!.systemAttributes["fail_reason"]).toMatch(/^RangeError: too wide \(study\.test\.ts:\d+:\d+\)$/);
    await study.optimize(fail, { trials: 5, failures: "continue" });
    expect(study.trials("FAIL")).toHaveLength(5);
    const points: number[] = [];
    await study.optimize((trial) => {
      points.push(trial.float("x", -5, 5));
      if (trial.attempt < 3) throw new Error("flaky");
      return 1;
    }, { trials: 6, retries: 2 });
    expect(new Set(points).size).toBe(1);
    expect([points.length, study.trials("COMPLETE").length, study.evaluations]).toEqual([3, 1, 6]);
  });

  test("NaN fails its trial and nothing else; a trial out of time too", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    await study.optimize((trial) => (trial.number === 1 ? Number.NaN : quadratic(trial)), { trials: 3 });
    expect(study.trials().map((t) => t.state)).toEqual(["COMPLETE", "FAIL", "COMPLETE"]);
    expect(study.trials()[1]!.systemAttributes["fail_reason"]).toMatch(/NaN/);
    await study.optimize((trial) => new Promise((resolve) => { trial.signal.addEventListener("abort", () => { resolve(0); }); }), { trials: 4, trialTimeout: 5 });
    expect(study.trials()[3]!.state).toBe("FAIL");
  });
});

describe("duplicates", () => {
  test("are answered from memory and cost nothing", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    let calls = 0;
    await study.optimize((trial) => {
      const value = trial.int("a", 0, 3) * 10 + trial.int("b", 0, 3);
      calls++;
      return value;
    }, { trials: 1000 });
    expect(calls).toBe(16);
    expect(study.evaluations).toBe(16);
    for (const trial of study.trials("COMPLETE")) {
      if (trial.answeredBy !== null) expect(trial.values).toEqual(study.trials()[trial.answeredBy]!.values);
    }
  });

  test("conditional define-by-run points are recognised before they are evaluated", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    const seen = new Set<string>();
    await study.optimize((trial) => {
      const key = trial.choice("kind", ["a", "b"]) === "a" ? `a${trial.int("n", 0, 2)}` : "b";
      expect(seen.has(key)).toBe(false);
      seen.add(key);
      if (seen.size === 4) study.stop();
      return seen.size;
    });
    expect(seen.size).toBe(4);
  });

  test("a noisy study evaluates them again", async () => {
    const study = await createStudy({ seed: 1, sampler: random, noisy: true });
    await study.optimize((trial) => trial.int("a", 0, 1), { trials: 20 });
    expect(study.evaluations).toBe(20);
  });

  test("running points are avoided while there are others", async () => {
    const study = await createStudy({ seed: 1, sampler: random, space: space.object({ a: space.int(0, 3) }) });
    const asked = await Promise.all([study.ask(), study.ask(), study.ask(), study.ask()]);
    expect(new Set(asked.map((t) => t.params.a)).size).toBe(4);
    await expect(study.ask()).rejects.toThrow(StudyError);
  });

  test("constrained finite spaces are exhausted exactly", async () => {
    const triangle = space.object({ x: space.int(0, 3), y: space.int(0, 3) }).atMost({ x: 1, y: 1 }, 2);
    const study = await createStudy({ seed: 1, sampler: random, space: triangle });
    await study.optimize(({ params }) => params.x + params.y, { trials: 100 });
    expect(study.evaluations).toBe(6);
  });

  test("exhaustive and grid end by themselves", async () => {
    const study = await createStudy({ seed: 1, sampler: new ExhaustiveSampler(), space: space.object({ a: space.int(0, 3), b: space.choice(["x", "y"]) }) });
    await study.optimize(({ params }) => params.a, { workers: 3 });
    expect(study.evaluations).toBe(8);
    const grid = await createStudy({ seed: 1, sampler: new GridSampler({ count: 5 }), space: space.object({ x: space.float(0, 1) }) });
    await grid.optimize(({ params }) => params.x);
    expect(grid.trials().map((t) => Number(t.params["x"])).sort((a, b) => a - b)).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });
});

describe("enqueue and fixed", () => {
  test("enqueued trials come first, in order, completed by the sampler", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    await study.enqueue({ x: 2, n: 0 }, { source: "me" });
    await study.enqueue({ x: 3 });
    await study.optimize(quadratic, { trials: 3 });
    const [first, second] = study.trials();
    expect(first!.values).toEqual([0]);
    expect(first!.userAttributes).toEqual({ source: "me" });
    expect(second!.params["x"]).toBe(3);
    expect(study.evaluations).toBe(3);
  });

  test("of a typed space, nested and checked", async () => {
    const study = await createStudy({ seed: 1, sampler: random, space: space.object({ o: space.choice({ sgd: { m: space.float(0, 1) }, adam: {} }), x: space.int(0, 9) }) });
    await study.enqueue({ o: { kind: "sgd", m: 0.25 } });
    await expect(study.enqueue({ x: 10 })).rejects.toThrow(DistributionError);
    const trial = await study.ask();
    expect(trial.params.o).toEqual({ kind: "sgd", m: 0.25 });
  });

  test("an impossible enqueued value fails its trial, not the study", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    await study.enqueue({ x: 99 });
    await study.optimize(quadratic, { trials: 3, failures: "continue" });
    expect(study.trials().map((t) => t.state)).toEqual(["FAIL", "COMPLETE", "COMPLETE"]);
  });

  test("fixed parameters are held", async () => {
    const study = await createStudy({ seed: 1, sampler: random, fixed: { n: 7 } });
    await study.optimize(quadratic, { trials: 4 });
    expect(study.trials().every((t) => t.params["n"] === 7)).toBe(true);
  });
});

describe("schedulers", () => {
  test("stop prunes with the last report as value", async () => {
    const study = await createStudy({ seed: 1, sampler: random, pruner: schedule((_, step) => ({ action: step === 2 ? "stop" : "continue" })) });
    await study.optimize(async (trial) => {
      trial.float("x", 0, 1);
      for (let step = 0; step < 5; step++) if (await trial.report(10 - step, step)) trial.prune();
      return 0;
    }, { trials: 2 });
    expect(study.trials().map((t) => [t.state, t.values])).toEqual([["PRUNED", [8]], ["PRUNED", [8]]]);
  });

  test("pause, promote: the trial goes on from its checkpoint and costs no second budget", async () => {
    const pruner = schedule((_, step) => ({ action: step === 0 ? "pause" : "continue" }), (study) => (study.watermark >= 0 && study.paused.length >= 2 ? study.paused[0]! : null));
    const study = await createStudy({ seed: 1, sampler: random, pruner });
    const starts: (string | null)[] = [];
    await study.optimize(async (trial) => {
      trial.float("x", 0, 1);
      starts.push(trial.checkpoint);
      for (let step = trial.checkpoint === null ? 0 : 1; step < 3; step++) {
        if (await trial.report(step, step, `epoch-${step}`)) trial.prune();
      }
      return trial.number;
    }, { trials: 3 });
    expect(starts).toEqual([null, null, "epoch-0", null, "epoch-0"]);
    expect(study.trials().map((t) => t.state)).toEqual(["COMPLETE", "COMPLETE", "PAUSED"]);
    expect(study.evaluations).toBe(3);
  });

  test("fork ends a trial and starts another from a checkpoint", async () => {
    const pruner = schedule((trial, step) => (trial === 1 && step === 0
      ? { action: "fork", fork: { parent: 0, assignment: new Map([["x", 0.5]]) } } : { action: "continue" }));
    const study = await createStudy({ seed: 1, sampler: random, pruner });
    await study.optimize(async (trial) => {
      const x = trial.float("x", 0, 1);
      if (await trial.report(x, 0, `of-${trial.number}`)) trial.prune();
      return x;
    }, { trials: 3 });
    const [, second, third] = study.trials();
    expect(second!.state).toBe("PRUNED");
    expect([third!.params["x"], third!.parent]).toEqual([0.5, 0]);
  });
});

describe("ask and tell", () => {
  test("a result is told once, by number or by trial", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    const a = await study.ask();
    a.float("x", 0, 1);
    const b = await study.ask({ x: 0.5 });
    expect(b.float("x", 0, 1)).toBe(0.5);
    expect((await study.tell(a, 3)).state).toBe("COMPLETE");
    expect((await study.tell(b.number, { state: "FAIL", reason: "power" })).systemAttributes["fail_reason"]).toBe("power");
    await expect(study.tell(a, 3)).rejects.toThrow(TrialStateError);
    await expect(study.tell(b.number, 3)).rejects.toThrow(TrialStateError);
    await expect(study.tell(17, 3)).rejects.toThrow(TrialStateError);
  });

  test("unusable values are refused and the trial stays as it was", async () => {
    const study = await createStudy({ seed: 1, sampler: random, directions: ["minimize", "minimize"] });
    const trial = await study.ask();
    await expect(study.tell(trial, 1)).rejects.toThrow(ValueError);
    await expect(study.tell(trial, [1, Number.NaN])).rejects.toThrow(NaNValueError);
    await expect(study.tell(trial, [1, 2, 3])).rejects.toThrow(/2 numbers/);
    await expect(study.tell(trial, { value0: 1 })).rejects.toThrow(/"value1" is missing/);
    expect(study.trials()[0]!.state).toBe("RUNNING");
    expect((await study.tell(trial, [1, Infinity])).values).toEqual([1, Infinity]);
  });
});

describe("bad input", () => {
  test("a parameter declared again with another range", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    await expect(study.optimize((t) => t.float("x", 0, 1) + t.float("x", 0, 2), { trials: 1 })).rejects.toThrow(ParameterRedeclaredError);
    await expect(study.optimize((t) => t.float("x", 0, 3), { trials: 2 })).rejects.toThrow(/keep the declaration/);
    expect(study.trials("FAIL")).toHaveLength(2);
  });

  test("choices may grow, and keep their meaning", async () => {
    const study = await createStudy({ seed: 1, sampler: random });
    await study.optimize((t) => (t.choice("c", ["a", "b"]) === "a" ? 1 : 2), { trials: 2 });
    await study.optimize((t) => ({ a: 1, b: 2, z: 3 })[t.choice("c", ["z", "b", "a"])], { trials: 3 });
    for (const t of study.trials("COMPLETE")) expect(t.values![0]).toBe({ a: 1, b: 2, z: 3 }[String(t.params["c"])]);
    expect(study.evaluations).toBe(3);
  });

  test("of a declared space too, when the study is opened again", async () => {
    const storage = new MemoryStorage();
    const before = await createStudy({ seed: 1, sampler: random, storage, space: space.object({ c: space.choice(["a", "b"]) }) });
    await before.optimize(({ params }) => params.c.length, { trials: 2 });
    const after = await loadStudy({ sampler: random, storage, space: space.object({ c: space.choice(["z", "b", "a"]) }).where(({ c }) => c !== "a") });
    await after.optimize(({ params }) => { expect(params.c).toBe("z"); return 1; }, { trials: 10 });
    expect(after.evaluations).toBe(3);
    await expect(loadStudy({ storage, space: space.object({ c: space.choice(["z"]) }) })).rejects.toThrow(ParameterRedeclaredError);
  });

  test("impossible studies and unknown storages", async () => {
    const storage = new MemoryStorage();
    await createStudy({ storage, name: "a" });
    await expect(createStudy({ storage, name: "a" })).rejects.toThrow(/ifExists/);
    await expect(createStudy({ storage, name: "a", ifExists: "load", direction: "maximize" })).rejects.toThrow(StudyError);
    await expect(loadStudy({ storage, name: "b" })).rejects.toThrow(/it has "a"/);
    await expect(createStudy({ storage: "redis://x" })).rejects.toThrow(StorageError);
    await expect(createStudy({ storage: "x.db" })).rejects.toThrow(/no scheme/);
    await expect(createStudy({ seed: -1 })).rejects.toThrow(/seed/);
    await expect(createStudy({ directions: [] })).rejects.toThrow(/empty/);
    await expect(createStudy({ space: space.object({}) })).rejects.toThrow(/no parameters/);
    for (const sampler of ["tpe", RandomSampler, {}]) await expect(createStudy({ sampler: sampler as never })).rejects.toThrow(/pass a sampler/);
    await expect(createStudy({ pruner: "median" as never })).rejects.toThrow(/pass a pruner/);
    const study = await createStudy({ sampler: random });
    for (const options of [{ timeout: -1 }, { trialTimeout: Number.NaN }, { retries: 0.5 }, { restarts: -1 }, { trials: "9" }, { failures: "ignore" }, { callbacks: [1] }]) {
      await expect(study.optimize(quadratic, { trials: 1, ...options } as never)).rejects.toThrow(StudyError);
    }
    expect(study.trials()).toEqual([]);
    await expect(study.optimize(quadratic, { trials: 1.5 })).rejects.toThrow(/integer/);
    await expect(study.optimize(quadratic, { workers: 0 })).rejects.toThrow(/positive/);
    const never = await createStudy({ sampler: random, space: space.object({ x: space.float(0, 1) }).where(() => false) });
    await expect(never.optimize(() => 0, { trials: 1 })).rejects.toThrow(/constraints/);
  });
});
