import { describe, expect, test } from "vitest";
import { createRandom } from "../random/random.ts";
import { floatDistribution } from "../space/distribution.ts";
import { SearchSpace } from "../space/space.ts";
import { emptyStudy } from "../samplers/study.fixture.ts";
import type { Decision, Direction, Scheduler } from "../contract/contract.ts";
import type { StudyState } from "../state/state.ts";
import { HyperbandPruner, SuccessiveHalvingPruner } from "./halving.ts";
import { MedianPruner, PercentilePruner } from "./percentile.ts";
import { PopulationBasedTraining } from "./population-based.ts";
import { PatientPruner, ThresholdPruner } from "./threshold.ts";
import { signedRankProbability, WilcoxonPruner } from "./wilcoxon.ts";

const space = new SearchSpace([{ name: "rate", distribution: floatDistribution(0.1, 10), condition: null }]);

function newStudy(directions: readonly Direction[] = ["minimize"]): StudyState {
  return emptyStudy({ space, seed: 1, directions });
}

function start(study: StudyState, rate = 1): number {
  const trial = study.length;
  study.apply({ type: "ask", trial, time: 0, owner: "w", watermark: study.watermark });
  study.apply({ type: "parameters", trial, values: { rate } });
  return trial;
}

function report(study: StudyState, pruner: Scheduler, trial: number, step: number, ...values: number[]): Decision {
  study.apply({ type: "report", trial, step, metrics: Object.fromEntries(values.map((v, k) => [study.metricNames[k]!, v])) });
  return pruner.decide({ study, trial, step, random: (stream) => createRandom(1, trial, stream) });
}

/** A complete trial with these reports from step 1 on. */
function finished(study: StudyState, pruner: Scheduler, ...reports: number[]): number {
  const trial = start(study);
  reports.forEach((value, i) => report(study, pruner, trial, i + 1, value));
  study.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: [reports.at(-1)!] });
  return trial;
}

describe("median and percentile", () => {
  test("stops what is worse than the median of complete trials at the step, after five", () => {
    const study = newStudy(), pruner = new MedianPruner();
    for (const v of [1, 2, 3, 4]) finished(study, pruner, v, v);
    expect(report(study, pruner, start(study), 1, 99).action).toBe("continue");
    finished(study, pruner, 5, 5);
    expect(report(study, pruner, start(study), 1, 2.9).action).toBe("continue");
    expect(report(study, pruner, start(study), 1, 3.1).action).toBe("stop");
    expect(report(study, pruner, start(study), 1, Number.NaN).action).toBe("stop");
  });

  test("the best report of the trial counts, and maximise turns it round", () => {
    const study = newStudy(["maximize"]), pruner = new MedianPruner({ startupTrials: 3 });
    for (const v of [1, 2, 3]) finished(study, pruner, v, v);
    const trial = start(study);
    expect(report(study, pruner, trial, 1, 9).action).toBe("continue");
    expect(report(study, pruner, trial, 2, 0).action).toBe("continue");
    expect(report(study, pruner, start(study), 1, 1.5).action).toBe("stop");
  });

  test("warm-up and interval", () => {
    const study = newStudy(), pruner = new PercentilePruner(10, { startupTrials: 1, warmupSteps: 2, interval: 3 });
    finished(study, pruner, ...Array.from({ length: 10 }, () => 0));
    const trial = start(study);
    expect([1, 2, 3, 4, 5, 6].map((step) => report(study, pruner, trial, step, 1).action)).toEqual(["continue", "stop", "continue", "continue", "stop", "continue"]);
  });

  test("several objectives: dominated trials stop, trade-offs go on", () => {
    const study = newStudy(["minimize", "minimize"]), pruner = new MedianPruner({ startupTrials: 3 });
    for (const [a, b] of [[1, 5], [3, 3], [5, 1]]) {
      const trial = start(study);
      report(study, pruner, trial, 1, a!, b!);
      study.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: [a!, b!] });
    }
    expect(report(study, pruner, start(study), 1, 2, 4).action).toBe("continue");
    expect(report(study, pruner, start(study), 1, 6, 6).action).toBe("stop");
  });
});

describe("successive halving", () => {
  test("stop mode: of those at a rung only the best quarter so far goes on", () => {
    const study = newStudy(), pruner = new SuccessiveHalvingPruner();
    const actions = [4, 5, 3, 6, 2, 2.5, 1].map((v) => report(study, pruner, start(study), 1, v).action);
    expect(actions).toEqual(["continue", "stop", "continue", "stop", "continue", "stop", "continue"]);
    // Rungs are at steps 1, 4, 16: between them nothing happens.
    expect(report(study, pruner, 0, 3, 100).action).toBe("continue");
  });

  test("promote mode: everyone pauses unless among the best, and free workers take the best paused", () => {
    const study = newStudy(), pruner = new SuccessiveHalvingPruner({ mode: "promote", reductionFactor: 2 });
    const pause = (trial: number): void => study.apply({ type: "pause", trial });
    const trials = [5, 6, 7, 8].map((v) => {
      const trial = start(study);
      if (report(study, pruner, trial, 1, v).action === "pause") pause(trial);
      return trial;
    });
    expect([...study.paused]).toEqual(trials.slice(1));
    // Two of four may go on: trial 0 did, so the next best follows, once.
    expect(pruner.next(study)).toBe(trials[1]);
    expect(pruner.next(study)).toBe(null);
  });

  test("rungs are rebuilt from reports after a resume", () => {
    const study = newStudy(), first = new SuccessiveHalvingPruner();
    for (const v of [4, 3]) report(study, first, start(study), 1, v);
    expect(report(study, new SuccessiveHalvingPruner(), start(study), 1, 3.5).action).toBe("stop");
  });

  test("hyperband spreads trials over brackets that begin to cut at different steps", () => {
    const study = newStudy(), pruner = new HyperbandPruner({ maximumResource: 9 });
    const counts = [0, 0, 0];
    for (let trial = 0; trial < 400; trial++) counts[pruner.bracketOf(study, trial)]!++;
    // Shares 9 : 5 : 3.
    expect(counts[0]).toBeGreaterThan(counts[1]!);
    expect(counts[1]).toBeGreaterThan(counts[2]!);
    expect(counts[2]).toBeGreaterThan(30);
  });
});

describe("threshold, patient, wilcoxon", () => {
  test("threshold", () => {
    const study = newStudy(), pruner = new ThresholdPruner({ upper: 10, warmupSteps: 2 });
    const trial = start(study);
    expect(report(study, pruner, trial, 1, 11).action).toBe("continue");
    expect(report(study, pruner, trial, 2, 9).action).toBe("continue");
    expect(report(study, pruner, trial, 3, 11).action).toBe("stop");
    expect(report(study, pruner, start(study), 3, Number.NaN).action).toBe("stop");
    expect(() => new ThresholdPruner({})).toThrow(/lower, upper or both/);
  });

  test("patient waits for so many reports without a gain", () => {
    const study = newStudy(), pruner = new PatientPruner(null, 1);
    const trial = start(study);
    const actions = [5, 4, 4, 4, 3, 3, 3].map((v, i) => report(study, pruner, trial, i + 1, v).action);
    expect(actions).toEqual(["continue", "continue", "continue", "stop", "continue", "continue", "stop"]);
  });

  test("signed-rank probabilities at published values", () => {
    // n = 5, all positive: 1/32; W⁺ = 0: 1.
    expect(signedRankProbability([1, 2, 3, 4, 5])).toBeCloseTo(1 / 32, 12);
    expect(signedRankProbability([-1, -2, -3, -4, -5])).toBeCloseTo(1, 12);
    // n = 8, W⁺ = 27: 32 of 256 sign patterns reach it.
    expect(signedRankProbability([-4, 1, 2, 3, -5, 6, 7, 8])).toBeCloseTo(32 / 256, 2);
  });

  test("wilcoxon stops a trial that loses fold after fold, not one that wins", () => {
    const study = newStudy(), pruner = new WilcoxonPruner();
    finished(study, pruner, 1, 1, 1, 1, 1, 1, 1, 1);
    const worse = start(study), better = start(study);
    const actions = [1, 2, 3, 4, 5].map((step) => report(study, pruner, worse, step, 1 + 0.1 * step).action);
    expect(actions.at(-1)).toBe("stop");
    expect([1, 2, 3, 4, 5].map((step) => report(study, pruner, better, step, 1 - 0.1 * step).action)).toEqual(Array.from({ length: 5 }, () => "continue"));
  });
});

test("population-based training forks the worst from one of the best with changed parameters", () => {
  const study = newStudy(), pbt = new PopulationBasedTraining({ interval: 2, resample: 0 });
  const trials = [1, 2, 3, 4, 5].map((rate) => start(study, rate));
  trials.forEach((trial) => expect(report(study, pbt, trial, 1, trial).action).toBe("continue"));
  const decisions = trials.map((trial) => report(study, pbt, trial, 2, trial));
  expect(decisions.slice(0, 4).map(({ action }) => action)).toEqual(["continue", "continue", "continue", "continue"]);
  expect(decisions[4]!.action).toBe("fork");
  expect(decisions[4]!.fork!.parent).toBe(0);
  expect([0.8, 1.2]).toContainEqual(Number(Number(decisions[4]!.fork!.assignment.get("rate")).toFixed(6)));
});
