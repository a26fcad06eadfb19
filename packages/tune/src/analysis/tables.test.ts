// Rows, best trials, history, regret, EDF and CSV on studies small enough to write down.
import { expect, test } from "vitest";
import { bestSoFar, empiricalDistribution, quantile, quantileCurves, regretCurve } from "./regret.ts";
import { studyOf, trialOf } from "./study.fixture.ts";
import { bestTrials, historyTable, toCsv, trialsTable } from "./tables.ts";

const study = studyOf([
  trialOf(0, { params: { lr: 0.1 }, values: [3] }),
  trialOf(1, { params: { lr: 0.2 }, state: "PRUNED" }),
  trialOf(2, { params: { lr: 0.3 }, values: [0.5], constraints: { size: 2 } }),
  trialOf(3, { params: { lr: 0.4 }, values: [1], constraints: { size: -1 } }),
  trialOf(4, { params: { lr: 0.5 }, values: [2] }),
]);

test("best is the best feasible", () => {
  expect(bestTrials(study).map((trial) => trial.number)).toEqual([3]);
  expect(bestTrials({ ...study, directions: ["maximize"] }).map((trial) => trial.number)).toEqual([0]);
  expect(bestTrials(studyOf([]))).toEqual([]);
});

test("best of several objectives is the feasible front", () => {
  const trials = [[1, 5], [2, 6], [3, 1], [0, 9]].map((values, i) => trialOf(i, { values, constraints: { c: i === 3 ? 1 : 0 } }));
  expect(bestTrials(studyOf(trials, ["minimize", "minimize"])).map((t) => t.number)).toEqual([0, 2]);
  expect(bestTrials(studyOf(trials, ["minimize", "maximize"])).map((t) => t.number)).toEqual([0, 1]);
});

test("history, regret and quantiles", () => {
  expect(historyTable(study).map((row) => [row.number, row.value, row.best, row.feasible])).toEqual([
    [0, 3, 3, true], [2, 0.5, 3, false], [3, 1, 1, true], [4, 2, 1, true],
  ]);
  expect([...regretCurve(study, 0.25)]).toEqual([2.75, 2.75, 0.75, 0.75]);
  expect([...bestSoFar([Number.NaN, 2, 3, 1], "maximize")]).toEqual([Number.NaN, 2, 3, 3]);
  expect(quantile([4, 1, 2, 3], 0.5)).toBe(2.5);
  expect(quantile([], 0.5)).toBeNaN();
  expect(quantileCurves([[4, 3], [2, 1, 0], []], [0, 0.5, 1]).map((curve) => [...curve])).toEqual([[2, 1, 0], [3, 2, 1.5], [4, 3, 3]]);
  expect(() => regretCurve(studyOf([], ["minimize", "minimize"]), 0)).toThrow(/Use hypervolume/);
});

test("empirical distribution", () => {
  const { values, fractions } = empiricalDistribution(study);
  expect([...values]).toEqual([0.5, 1, 2, 3]);
  expect([...fractions]).toEqual([0.25, 0.5, 0.75, 1]);
});

test("trials as CSV", () => {
  const csv = toCsv(trialsTable(studyOf([
    trialOf(0, { params: { "a,b": 'say "x"', list: [1, 2] }, values: [Number.POSITIVE_INFINITY], note: "two\nlines" }),
    trialOf(1, { params: { late: true }, state: "RUNNING", finished: null }),
  ])));
  const [header, ...rest] = csv.split("\r\n");
  expect(header).toBe('number,state,values.value,"params.a,b",params.list,started,finished,seconds,attempt,reports,note,reason,params.late');
  expect(rest).toEqual([
    '0,COMPLETE,Infinity,"say ""x""","[1,2]",1970-01-01T00:00:00.000Z,1970-01-01T00:00:00.500Z,0.5,1,0,"two\nlines",,',
    "1,RUNNING,,,,1970-01-01T00:00:01.000Z,,,1,0,,,true",
    "",
  ]);
  const failed = trialsTable(studyOf([trialOf(0, { state: "FAIL", values: null, systemAttributes: { fail_reason: "RangeError: too wide" } }), trialOf(1, { state: "FAIL", values: null })]));
  expect(failed.map((row) => row.reason)).toEqual(["RangeError: too wide", "without a reason"]);
});
