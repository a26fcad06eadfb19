import { describe, expect, test } from "vitest";
import { categoricalDistribution, floatDistribution, intDistribution } from "../space/distribution.ts";
import { pointKey, SearchSpace } from "../space/space.ts";
import { SpaceError } from "../errors/errors.ts";
import { ExhaustiveSampler, GridSampler } from "./grid.ts";
import { askContext, emptyStudy, optimized } from "./study.fixture.ts";

const space = new SearchSpace([
  { name: "rate", distribution: floatDistribution(1e-4, 1, { log: true }), condition: null },
  { name: "depth", distribution: intDistribution(1, 3), condition: null },
  { name: "kind", distribution: categoricalDistribution(["a", "b"]), condition: null },
  { name: "slope", distribution: floatDistribution(0, 1), condition: { parameter: "kind", choice: 1 } },
]);

function points(study: ReturnType<typeof emptyStudy>): string[] {
  return Array.from({ length: study.length }, (_, t) => pointKey(study.assignment(t)));
}

describe("grid", () => {
  test.each([1, 3, 8])("visits every point once with %i workers, then stops", async (parallel) => {
    // 3 rates × 3 depths × (a, or b with 2 slopes).
    const study = await optimized(new GridSampler({ points: { rate: 3, slope: [0.25, 0.75] } }), () => 0, { space, seed: 1, trials: 1000, workers: parallel });
    expect(study.length).toBe(27);
    expect(new Set(points(study)).size).toBe(27);
    const rates = new Set(Array.from({ length: 27 }, (_, t) => Number(study.internal(t, "rate")).toPrecision(6)));
    expect([...rates].map(Number).sort((a, b) => a - b)).toEqual([1e-4, 1e-2, 1]);
  });

  test("goes on where an earlier process stopped", async () => {
    const options = { points: { rate: 2, slope: 2 } };
    const study = await optimized(new GridSampler(options), () => 0, { space, seed: 1, trials: 7 });
    const other = new GridSampler(options);
    const seen = new Set(points(study));
    for (let proposal; (proposal = other.ask(askContext(study, other, 100))) !== null;) {
      const trial = study.length;
      seen.add(pointKey(proposal.assignment));
      study.apply({ type: "ask", trial, time: 0, owner: "b", watermark: study.watermark });
      study.apply({ type: "parameters", trial, values: Object.fromEntries([...proposal.assignment].map(([n, v]) => [n, Number(v)])) });
      for (const [key, value] of Object.entries(proposal.attributes!)) study.apply({ type: "attribute", trial, scope: "system", key, value });
      study.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: [0] });
    }
    expect(study.length).toBe(18);
    expect(seen.size).toBe(18);
  });

  test("a failed point is tried once more, not for ever", () => {
    const small = new SearchSpace([{ name: "n", distribution: intDistribution(0, 2), condition: null }]);
    const study = emptyStudy({ space: small, seed: 1 });
    const sampler = new GridSampler();
    let asked = 0;
    for (let proposal; (proposal = sampler.ask(askContext(study, sampler, 100))) !== null; asked++) {
      const trial = study.length, n = Number(proposal.assignment.get("n"));
      study.apply({ type: "ask", trial, time: 0, owner: "b", watermark: study.watermark });
      study.apply({ type: "parameters", trial, values: { n } });
      for (const [key, value] of Object.entries(proposal.attributes!)) study.apply({ type: "attribute", trial, scope: "system", key, value });
      study.apply({ type: "finish", trial, time: 0, state: n === 1 ? "FAIL" : "COMPLETE", values: n === 1 ? null : [0] });
    }
    expect(asked).toBe(4);
  });

  test("says what is wrong with its points", () => {
    const study = emptyStudy({ space, seed: 1 });
    const ask = (sampler: GridSampler): unknown => sampler.ask(askContext(study, sampler, 1));
    expect(() => ask(new GridSampler({ points: { speed: 3 } }))).toThrow(/no parameter "speed"/);
    expect(() => ask(new GridSampler({ points: { rate: [] } }))).toThrow(/lists no value for "rate"/);
    expect(() => ask(new GridSampler({ points: { rate: 0 } }))).toThrow(SpaceError);
  });
});

describe("exhaustive", () => {
  test("every configuration of a conditional space, once", async () => {
    const finite = new SearchSpace([
      { name: "kind", distribution: categoricalDistribution(["a", "b", "c"]), condition: null },
      { name: "n", distribution: intDistribution(0, 4), condition: { parameter: "kind", choice: 1 } },
      { name: "f", distribution: floatDistribution(0, 1, { step: 0.25 }), condition: null },
    ], [{ kind: "predicate", test: (a) => a.get("n") !== 3 }]);
    const study = await optimized(new ExhaustiveSampler(), () => 0, { space: finite, seed: 1, trials: 1000, workers: 4 });
    // (a, c, or b with 5 values of n less the forbidden one) × 5.
    expect(study.length).toBe(30);
    expect(new Set(points(study)).size).toBe(30);
  });

  test("refuses a continuous space and names the parameter", () => {
    const sampler = new ExhaustiveSampler();
    expect(() => sampler.ask(askContext(emptyStudy({ space, seed: 1 }), sampler, 1))).toThrow(/"rate" is continuous/);
  });
});
