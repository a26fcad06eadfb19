// What a journal survives: a tail torn at any byte, a killed master, a second master, another version, damage.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RandomSampler } from "../samplers/random.ts";
import { StorageCorruptError, StorageLockedError, StorageVersionError, StudyError } from "../study/errors.ts";
import { createStudy, loadStudy, type Study } from "../study/study.ts";
import { JournalStorage } from "./journal.ts";

let folder = "";
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "journal-")); });
afterEach(() => { rmSync(folder, { recursive: true }); });

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
    writeFileSync(path, Buffer.concat([Buffer.from("nabla-journal v2\n"), bytes]));
    await expect(loadStudy({ storage: `journal:${path}` })).rejects.toThrow(StorageVersionError);
    writeFileSync(path, "{}");
    await expect(createStudy({ storage: `journal:${path}` })).rejects.toThrow(/not a journal/);
  });
});
