import { describe, expect, test } from "vitest";
import { createRandom } from "../../random/random.ts";
import { floatDistribution, intDistribution } from "../../space/distribution.ts";
import { SearchSpace, type Assignment } from "../../space/space.ts";
import { askContext, bestOf, emptyStudy, optimized } from "../study.fixture.ts";
import { TPESampler } from "./sampler.ts";

const square = new SearchSpace(["x", "y"].map((name) => ({ name, distribution: floatDistribution(0, 1), condition: null })));
const grid = new SearchSpace(["x", "y"].map((name) => ({ name, distribution: intDistribution(0, 9), condition: null })));

/** What the sampler says of its proposal after so many random trials. */
function why(space: SearchSpace, trials: number): string {
  const study = emptyStudy({ space, seed: 1 });
  const random = createRandom(1, 0, "history");
  const integer = space === grid;
  for (let trial = 0; trial < trials; trial++) {
    const values = Object.fromEntries(space.parameters.map(({ name }) => [name, integer ? random.integer(10) : random.uniform()]));
    study.apply({ type: "ask", trial, time: 0, owner: "w", watermark: trial });
    study.apply({ type: "parameters", trial, values });
    study.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: [Number(values["x"])] });
  }
  const sampler = new TPESampler();
  return sampler.ask(askContext(study, sampler, 10)).why!;
}

describe("TPESampler", () => {
  test("starts at random, then compares many candidates where that pays and is cheap, else Optuna's 24", () => {
    expect(why(square, 9)).toBe("startup");
    expect(why(square, 10)).toBe("best l/g of 320; 1 good of 10");
    expect(why(square, 200)).toBe("best l/g of 120; 20 good of 200");
    expect(why(square, 2000)).toBe("best l/g of 24; 25 good of 2000");
    expect(why(grid, 29)).toBe("best l/g of 24; 3 good of 29");
  });

  test("finds an optimum to well below a twelfth of the range, the least bandwidth of ten kernels in Optuna", async () => {
    const distance = (a: Assignment): number => Math.hypot(Number(a.get("x")) - 0.3, Number(a.get("y")) - 0.7);
    const errors = await Promise.all([1, 2, 3, 4, 5].map(async (seed) => bestOf(await optimized(new TPESampler(), distance, { space: square, seed, trials: 100 }))));
    expect(errors.sort((a, b) => a - b)[2]).toBeLessThan(0.01);
  });

  test("polishes in coarse finite spaces: half of the later asks are one step from a good trial", () => {
    const space = new SearchSpace(["x", "y", "z"].map((name) => ({ name, distribution: intDistribution(0, 9), condition: null })));
    const sampler = new TPESampler();
    const study = emptyStudy({ space, seed: 3 });
    const reasons: string[] = [];
    for (let trial = 0; trial < 130; trial++) {
      const proposal = sampler.ask(askContext(study, sampler, 130 - trial));
      const values = Object.fromEntries([...proposal.assignment].map(([name, value]) => [name, Number(value)]));
      const point = space.parameters.map(({ name }) => values[name]!);
      if (proposal.why!.includes("next to the best")) {
        expect(trial).toBeGreaterThanOrEqual(30);
        const steps = Array.from({ length: trial }, (_, other) => space.parameters.reduce((sum, { name }, k) => sum + Math.abs(Number(study.internal(other, name)) - point[k]!), 0));
        expect(Math.min(...steps)).toBe(1);
      }
      reasons.push(proposal.why!);
      study.apply({ type: "ask", trial, time: 0, owner: "w", watermark: trial });
      study.apply({ type: "parameters", trial, values });
      study.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: [Math.hypot(point[0]! - 3, point[1]! - 6, point[2]! - 8) + Math.abs(point[0]! - point[1]! + 3)] });
    }
    const polished = reasons.slice(30).filter((why) => why.includes("next to the best")).length;
    expect(polished).toBeGreaterThan(15); // the good trials have few neighbours, and run out of new ones
    expect(polished).toBeLessThan(70);
    expect(Math.min(...study.values[0]!.subarray(0, study.length))).toBe(0);
  });

  test("does not polish where a step is too small to be worth a trial", async () => {
    const fine = new SearchSpace([{ name: "x", distribution: intDistribution(0, 99), condition: null }, { name: "y", distribution: intDistribution(0, 9), condition: null }]);
    const study = await optimized(new TPESampler(), (a) => Math.abs(Number(a.get("x")) - 70) + Number(a.get("y")), { space: fine, seed: 1, trials: 60 });
    const sampler = new TPESampler();
    for (let trial = 60; trial < 90; trial++) expect(sampler.ask({ ...askContext(study, sampler, 10), trial, random: (stream) => createRandom(1, trial, stream) }).why).not.toContain("next to the best");
  });

  test("evaluates every point of a finite space once, to the last", async () => {
    const study = await optimized(new TPESampler(), (a) => Number(a.get("x")) + Number(a.get("y")), { space: grid, seed: 1, trials: 100 });
    expect(new Set(Array.from({ length: study.length }, (_, trial) => `${String(study.internal(trial, "x"))},${String(study.internal(trial, "y"))}`)).size).toBe(100);
  });
});
