// What a journal survives: a tail torn at any byte, a master killed at any moment, also while it writes a checkpoint, a
// second master, another version, damage.
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RandomSampler } from "../../samplers/random.ts";
import { StorageCorruptError, StorageLockedError, StorageVersionError, StudyError } from "../../errors/errors.ts";
import { createStudy, loadStudy, type Study } from "../../study/study.ts";
import { JournalStorage, type JournalOptions, type JournalStore } from "./journal.ts";

let folder = "";
const warnings: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "journal-"));
  warnings.length = 0;
  vi.spyOn(process, "emitWarning").mockImplementation((warning) => { warnings.push(String(warning)); });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const sampler = new RandomSampler();
const objective = (trial: Parameters<Parameters<Study["optimize"]>[0]>[0]): number => trial.float("x", 0, 1) + trial.int("n", 0, 1000);

async function written(path: string, trials: number): Promise<Study> {
  const study = await createStudy({ storage: `journal:${path}`, seed: 9, sampler, clock: () => 5 });
  await study.optimize(objective, { trials });
  return study;
}

describe("journal", () => {
  test("a study goes on where it ended, exactly as if it had not", async () => {
    const path = join(folder, "a.journal");
    await (await written(path, 7)).close();
    const study = await loadStudy({ storage: `journal:${path}`, sampler, clock: () => 5 });
    await study.optimize(objective, { trials: 15 });
    const whole = await createStudy({ seed: 9, sampler, clock: () => 5 });
    await whole.optimize(objective, { trials: 15 });
    expect(study.trials()).toEqual(whole.trials());
    await study.close();
  });

  test("a tail torn at every byte offset loses nothing that was whole", async () => {
    const path = join(folder, "whole.journal");
    const study = await written(path, 2);
    study.setAttribute("plan", [Number.NaN, "ü"]);
    await study.close();
    const bytes = readFileSync(path);
    const torn = join(folder, "torn.journal");
    let complete = 0;
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(torn, bytes.subarray(0, length));
      const names = await new JournalStorage(torn).names();
      const again = names.length === 0
        ? await createStudy({ storage: `journal:${torn}`, seed: 9, sampler, clock: () => 5 })
        : await loadStudy({ storage: `journal:${torn}`, sampler, clock: () => 5 });
      expect(again.trials("COMPLETE").length).toBeGreaterThanOrEqual(complete);
      for (const warning of warnings.splice(0)) {
        const [, at, copy] = /byte (\d+),.* kept in (.*)\.$/.exec(warning)!;
        expect(readFileSync(copy!)).toEqual(bytes.subarray(Number(at), length));
        rmSync(copy!);
      }
      complete = again.trials("COMPLETE").length;
      if (length % 16 === 0 || length > bytes.length - 8) {
        await again.optimize(objective, { trials: 3 });
        expect([again.trials("COMPLETE").length, again.evaluations]).toEqual([3, 3]);
        await again.close();
        const checked = await loadStudy({ storage: `journal:${torn}`, sampler });
        expect(checked.trials("COMPLETE")).toHaveLength(3);
        await checked.close();
      } else await again.close();
    }
    expect(complete).toBe(2);
  }, 60_000);

  test("one sync per durable trial with five parameters and ten reports, fewer when trials end together", async () => {
    const store = await new JournalStorage(join(folder, "s.journal")).create({ type: "create", name: "s", seed: 1, directions: ["minimize"], metricNames: ["value"], noisy: false });
    const storage = { address: "journal:s", create: () => Promise.resolve(store), load: () => Promise.resolve(store), names: () => Promise.resolve([]), remove: () => Promise.resolve(), close: () => Promise.resolve() };
    const study = await createStudy({ storage, sampler });
    const start = store.syncs;
    const work = async (trial: Parameters<Parameters<Study["optimize"]>[0]>[0]): Promise<number> => {
      for (let i = 0; i < 5; i++) trial.float(`x${i}`, 0, 1);
      for (let step = 0; step < 10; step++) await trial.report(step, step);
      return 1;
    };
    await study.optimize(work, { trials: 20 });
    expect(store.syncs - start).toBeLessThanOrEqual(21);
    const middle = store.syncs;
    await study.optimize(work, { trials: 60, workers: 20 });
    expect(store.syncs - middle).toBeLessThan(15);
    await study.close();
  });

  describe("checkpoints", () => {
    const open = (path: string, options: JournalOptions = {}): Promise<Study> => loadStudy({ storage: new JournalStorage(path, options), sampler, clock: () => 5 });

    test("a study with many goes on exactly as one without, and its file grows no longer than its results", async () => {
      const whole = await createStudy({ seed: 9, sampler, clock: () => 5 });
      const path = join(folder, "a.journal");
      const storage = new JournalStorage(path, { tail: 4000 });
      const study = await createStudy({ storage, seed: 9, sampler, clock: () => 5 });
      for (const s of [study, whole]) await s.optimize(async (trial) => { for (let i = 0; i < 30; i++) await trial.report(i, 0); return objective(trial); }, { trials: 60, workers: 6 });
      await study.close();
      expect(statSync(path).size).toBeLessThan(30_000);
      const again = await open(path);
      expect(again.trials()).toEqual(whole.trials());
      for (const s of [again, whole]) await s.optimize(objective, { trials: 70 });
      expect(again.trials()).toEqual(whole.trials());
      await again.close();
    });

    /** A journal of 12 trials as events, and one that begins with their checkpoint and has two more trials after it. */
    async function bothForms(): Promise<{ events: Buffer; checkpoint: Buffer; length: number }> {
      const path = join(folder, "forms.journal");
      await (await written(path, 12)).close();
      const events = readFileSync(path);
      const storage = new JournalStorage(path, { tail: 1 });
      const store = await storage.load(undefined) as JournalStore;
      store.append({ type: "note", trial: null, text: "noted" });
      await store.flush();
      expect(store.checkpoints).toBe(1);
      await store.close();
      const { length } = readFileSync(path);
      const study = await open(path);
      await study.optimize(objective, { trials: 14 });
      await study.close();
      return { events, checkpoint: readFileSync(path), length };
    }

    test("cut at every byte: after the checkpoint nothing of it is lost, within it the file is refused and left as it is", async () => {
      const { checkpoint, length } = await bothForms();
      const path = join(folder, "cut.journal");
      for (let cut = 40; cut <= checkpoint.length; cut += cut < length - 40 ? 7 : 1) {
        writeFileSync(path, checkpoint.subarray(0, cut));
        if (cut < length) {
          // Within its first frame there is no study yet.
          const names = await new JournalStorage(path).names();
          if (names.length > 0) await expect(open(path)).rejects.toThrow(/within its checkpoint/);
          expect(statSync(path).size).toBe(cut);
        } else {
          const study = await open(path);
          expect([study.note, Math.min(12, study.trials("COMPLETE").length)]).toEqual(["noted", 12]);
          await study.close();
        }
      }
    }, 60_000);

    test("a crash after each step of writing one leaves the old journal or the new", async () => {
      const { events, checkpoint, length } = await bothForms();
      const path = join(folder, "step.journal"), next = `${path}.new`;
      const steps: [Buffer, Buffer | null][] = [[events, null], ...[0, 1, 20, length / 2, length - 1, length].map((n): [Buffer, Buffer] => [events, checkpoint.subarray(0, n)]), [checkpoint.subarray(0, length), null]];
      for (const [current, successor] of steps) {
        writeFileSync(path, current);
        if (successor !== null) writeFileSync(next, successor);
        const study = await open(path, { tail: 1 });
        expect(existsSync(next)).toBe(false);
        expect(study.trials("COMPLETE")).toHaveLength(12);
        await study.optimize(objective, { trials: 15 });
        await study.close();
        const again = await open(path);
        expect(again.trials("COMPLETE")).toHaveLength(15);
        await again.close();
      }
    });

    test("one that cannot be written costs nothing", async () => {
      const path = join(folder, "full.journal");
      const study = await createStudy({ storage: new JournalStorage(path, { tail: 1 }), seed: 9, sampler });
      mkdirSync(join(`${path}.new`, "in the way"), { recursive: true });
      await study.optimize(objective, { trials: 10 });
      await study.close();
      rmSync(`${path}.new`, { recursive: true });
      const again = await open(path);
      expect(again.trials("COMPLETE")).toHaveLength(10);
      await again.close();
    });

    test("kill -9 at any moment: every trial that was confirmed is there", async () => {
      const path = join(folder, "killed.journal");
      let confirmed = -1;
      for (let round = 0; round < 4; round++) {
        const child = spawn(process.execPath, [fileURLToPath(new URL("./journal.fixture.ts", import.meta.url)), path], { stdio: ["ignore", "pipe", "inherit"] });
        const lines = createInterface({ input: child.stdout });
        let killer: ReturnType<typeof setTimeout> | undefined;
        for await (const line of lines) {
          confirmed = Math.max(confirmed, Number(line));
          killer ??= setTimeout(() => { child.kill("SIGKILL"); }, 30 + 37 * round);
        }
        const copy = join(folder, `copy ${round}.journal`);
        copyFileSync(path, copy);
        const study = await open(copy);
        expect(study.trials().slice(0, confirmed + 1).filter((trial) => trial.state !== "COMPLETE")).toEqual([]);
        expect(study.trials().every((trial) => trial.state !== "COMPLETE" || trial.values![0] === Number(trial.params["x"]))).toBe(true);
        await study.close();
      }
      expect(confirmed).toBeGreaterThan(5);
    }, 60_000);
  });

  test("a flush that comes right after another has ended is served", async () => {
    const store = await new JournalStorage(join(folder, "f.journal")).create({ type: "create", name: "s", seed: 1, directions: ["minimize"], metricNames: ["value"], noisy: false });
    for (let i = 0; i < 5; i++) {
      store.append({ type: "note", trial: null, text: String(i) });
      await new Promise((resolve) => setTimeout(resolve, 60)); // its timer has written it
      await store.flush();
      await store.flush();
    }
    await store.close();
  });

  test("a second master is refused; a reader is welcome", async () => {
    const path = join(folder, "a.journal");
    const study = await written(path, 2);
    await expect(loadStudy({ storage: `journal:${path}` })).rejects.toThrow(StorageLockedError);
    const reader = await loadStudy({ storage: new JournalStorage(path, { readOnly: true }) });
    expect(reader.trials()).toHaveLength(2);
    expect(() => { reader.setAttribute("a", 1); }).toThrow(/reading only/);
    await study.close();
    await (await loadStudy({ storage: `journal:${path}` })).close();
  });

  test("another version, another file, another study, damage", async () => {
    const path = join(folder, "a.journal");
    await (await written(path, 3)).close();
    await expect(createStudy({ storage: `journal:${path}`, name: "other" })).rejects.toThrow(StudyError);
    const bytes = readFileSync(path);
    const damaged = Buffer.from(bytes);
    damaged[60]! ^= 1;
    writeFileSync(path, damaged);
    await expect(loadStudy({ storage: `journal:${path}` })).rejects.toThrow(StorageCorruptError);
    expect(readFileSync(path)).toEqual(damaged);
    writeFileSync(path, Buffer.concat([Buffer.from("nabla-journal v1\n"), bytes]));
    await expect(loadStudy({ storage: `journal:${path}` })).rejects.toThrow(StorageVersionError);
    writeFileSync(path, "{}");
    await expect(createStudy({ storage: `journal:${path}` })).rejects.toThrow(/not a journal/);
  });
});
