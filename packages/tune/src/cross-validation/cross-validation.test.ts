// Folds are partitions, balanced, seeded; the objective reports fold by fold and can be stopped.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Metrics } from "../trials/trial.ts";
import { kFold, stratifiedKFold, type Fold } from "./folds.ts";
import { crossValidated, type RacingTrial } from "./objective.ts";

function expectPartition(folds: Fold[], samples: number, k: number): void {
  for (let repeat = 0; repeat * k < folds.length; repeat++) {
    const group = folds.slice(repeat * k, (repeat + 1) * k);
    expect(group.flatMap((fold) => [...fold.test]).toSorted((a, b) => a - b)).toEqual(Array.from({ length: samples }, (_, i) => i));
    for (const { train, test: tested } of group) {
      expect(train.length + tested.length).toBe(samples);
      expect(new Set([...train, ...tested]).size).toBe(samples);
      expect([...tested]).toEqual([...tested].toSorted((a, b) => a - b));
    }
    const sizes = group.map((fold) => fold.test.length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  }
}

test("k-fold partitions any number of samples", () => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 2, max: 60 }), fc.integer({ min: 1, max: 3 }), (samples, k, repeats) => {
    const folds = Math.min(k, samples);
    const all = [...kFold(samples, { folds, repeats, seed: samples })];
    expect(all.map((fold) => fold.index)).toEqual(Array.from({ length: folds * repeats }, (_, i) => i));
    expectPartition(all, samples, folds);
  }));
});

test("stratified folds partition and hold every label in proportion", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 12, maxLength: 80 }), (labels) => {
    const all = [...stratifiedKFold(labels, { folds: 3 })];
    expectPartition(all, labels.length, 3);
    for (const label of new Set(labels)) {
      const counts = all.map(({ test: tested }) => tested.reduce((n, i) => n + (labels[i] === label ? 1 : 0), 0));
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
  }));
});

test("the seed decides, and repeats differ", () => {
  const tests = (seed: number) => [...kFold(30, { repeats: 2, seed })].map((fold) => [...fold.test]);
  expect(tests(1)).toEqual(tests(1));
  expect(tests(1)).not.toEqual(tests(2));
  const [first, , , , , second] = tests(1);
  expect(first).not.toEqual(second);
});

test("impossible splits", () => {
  expect(() => [...kFold(3, { folds: 4 })]).toThrow(/from 2 to the number of samples, 3/);
  expect(() => [...kFold(1)]).toThrow(/at least 2 samples/);
  expect(() => [...kFold(9, { repeats: 0 })]).toThrow(/repeats is 0/);
  expect(() => [...stratifiedKFold(["a", "b", "c"], { folds: 2 })]).toThrow(/no label has 2 samples/);
  expect(() => crossValidated([], () => 0)).toThrow(/no folds/);
});

describe("objective", () => {
  class Pruned extends Error {}
  class Recorder implements RacingTrial {
    readonly reports: [number, number][] = [];
    readonly stopAt: number;
    constructor(stopAt: number) {
      this.stopAt = stopAt;
    }
    report(value: Metrics, step: number): Promise<boolean> {
      this.reports.push([step, Number(value)]);
      return Promise.resolve(step >= this.stopAt);
    }
    prune(): never {
      throw new Pruned();
    }
  }
  const scores = [4, 2, 6];
  const folds = [...kFold(9, { folds: 3 })];
  const score = (_trial: Recorder, fold: Fold) => scores[fold.index]!;

  test("reports running means and returns the mean", async () => {
    const trial = new Recorder(Number.POSITIVE_INFINITY);
    expect(await crossValidated(folds, score)(trial)).toBe(4);
    expect(trial.reports).toEqual([[0, 4], [1, 3], [2, 4]]);
  });

  test("reports single folds when asked, for paired tests", async () => {
    const trial = new Recorder(Number.POSITIVE_INFINITY);
    await crossValidated(folds, score, { report: "fold" })(trial);
    expect(trial.reports).toEqual([[0, 4], [1, 2], [2, 6]]);
  });

  test("stops early, but not when the last fold is done", async () => {
    const early = new Recorder(1);
    await expect(crossValidated(folds, score)(early)).rejects.toThrow(Pruned);
    expect(early.reports).toHaveLength(2);
    expect(await crossValidated(folds, score)(new Recorder(2))).toBe(4);
  });
});
