// Importance against variances and divergences worked out from the objective itself.
import { describe, expect, test } from "vitest";
import { categoricalDistribution, floatDistribution, intDistribution, subsetDistribution } from "../space/distribution.ts";
import { fanova } from "./fanova.ts";
import { importance } from "./importance.ts";
import { pedAnova } from "./ped-anova.ts";
import { randomStudy, studyOf, trialOf } from "./study.fixture.ts";

const unit = floatDistribution(0, 1);

describe("fANOVA", () => {
  test("an additive function: variances c²/12 of c·x, forest shares near them", () => {
    // variances 9/12, 1/12, 0 → shares 0.9, 0.1, 0
    const study = randomStudy<{ a: number; b: number; c: number }>({ a: unit, b: unit, c: unit }, ({ a, b }) => 3 * a + b, 400);
    const { main: shares } = fanova(study);
    expect(Math.abs(shares["a"]! - 0.9)).toBeLessThan(0.03);
    expect(Math.abs(shares["b"]! - 0.1)).toBeLessThan(0.03);
    expect(shares["c"]).toBeLessThan(0.01);
  });

  test("a full grid is exact: categories, integers and steps", () => {
    // f = g(kind) + n with g = 0, 0, 6 and n = 0 … 3: variances 8 and 1.25
    const distributions = { kind: categoricalDistribution(["x", "y", "z"]), n: intDistribution(0, 3) };
    const trials = ["x", "y", "z"].flatMap((kind, k) =>
      [0, 1, 2, 3].flatMap((n) => Array.from({ length: 12 }, (_, i) =>
        trialOf(k * 48 + n * 12 + i, { params: { kind, n }, distributions, values: [(kind === "z" ? 6 : 0) + n] }))));
    const { main: shares } = fanova(studyOf(trials), { trees: 16 });
    expect(shares["kind"]).toBeCloseTo(8 / 9.25, 10);
    expect(shares["n"]).toBeCloseTo(1.25 / 9.25, 10);
  });

  test("a pure interaction has no main effect", () => {
    const study = randomStudy<{ a: number; b: number }>({ a: unit, b: unit }, ({ a, b }) => Math.sign(a - 0.5) * Math.sign(b - 0.5), 600);
    const { main, interactions } = fanova(study);
    expect(main["a"]! + main["b"]!).toBeLessThan(0.1);
    expect(interactions[0]!.share).toBeGreaterThan(0.9);
  });

  test("Ishigami's function: shares .314, .442, 0 alone and .244 of the first with the third (Ishigami & Homma 1990)", () => {
    const angle = floatDistribution(-Math.PI, Math.PI);
    const study = randomStudy<{ x1: number; x2: number; x3: number }>({ x1: angle, x2: angle, x3: angle },
      ({ x1, x2, x3 }) => Math.sin(x1) + 7 * Math.sin(x2) ** 2 + 0.1 * x3 ** 4 * Math.sin(x1), 1000);
    const { main, interactions } = fanova(study, { trees: 16 });
    expect(Math.abs(main["x1"]! - 0.314)).toBeLessThan(0.05);
    expect(Math.abs(main["x2"]! - 0.442)).toBeLessThan(0.12); // greedy splits are slow to see its waves
    expect(main["x3"]).toBeLessThan(0.02);
    expect(interactions.map(({ parameters }) => parameters.join())).toHaveLength(3);
    expect(interactions[0]!.parameters).toEqual(["x1", "x3"]);
    expect(Math.abs(interactions[0]!.share - 0.244)).toBeLessThan(0.05);
    expect(interactions[1]!.share).toBeLessThan(0.06);
  });

  test("pairs are exact on a full grid too: a category with an integer", () => {
    // f = n where kind is z and else 0: Var = E[f²] − E[f]², kind alone 0.5, n alone 1.25 / 9
    const distributions = { kind: categoricalDistribution(["x", "y", "z"]), n: intDistribution(0, 3) };
    const trials = ["x", "y", "z"].flatMap((kind, k) =>
      [0, 1, 2, 3].flatMap((n) => Array.from({ length: 12 }, (_, i) =>
        trialOf(k * 48 + n * 12 + i, { params: { kind, n }, distributions, values: [kind === "z" ? n : 0] }))));
    const { main, interactions } = fanova(studyOf(trials), { trees: 16 });
    const variance = 14 / 12 - 0.5 ** 2;
    expect(main["kind"]).toBeCloseTo(0.5 / variance, 10);
    expect(main["n"]).toBeCloseTo(1.25 / 9 / variance, 10);
    expect(interactions[0]!.share).toBeCloseTo(1 - (0.5 + 1.25 / 9) / variance, 10);
  });

  test("everything is explained where there are two parameters, also on coarser cells than the forest's", () => {
    const study = randomStudy<{ a: number; b: number }>({ a: unit, b: unit }, ({ a, b }) => Math.sin(9 * a * b), 1000);
    const { main, interactions } = fanova(study, { trees: 8 });
    const sum = main["a"]! + main["b"]! + interactions[0]!.share;
    expect(sum).toBeLessThanOrEqual(1 + 1e-9);
    expect(sum).toBeGreaterThan(0.97);
  });

  test("the members of a subset act together as one parameter", () => {
    const study = randomStudy<{ features: string[]; x: number }>({ features: subsetDistribution(["a", "b"]), x: unit },
      ({ features }) => (features.length === 2 ? 1 : 0), 300); // one third each: a, b, a × b
    expect(fanova(study, { trees: 8 }).main["features"]).toBeGreaterThan(0.95);
  });

  test("log scales are uniform in the logarithm", () => {
    const distributions = { lr: floatDistribution(1e-6, 1, { log: true }), x: unit };
    const { main: shares } = fanova(randomStudy<{ lr: number; x: number }>(distributions, ({ lr, x }) => Math.log10(lr) / 6 + x, 500));
    expect(Math.abs(shares["lr"]! - 0.5)).toBeLessThan(0.06);
  });

  test("the seed decides", () => {
    const study = randomStudy<{ a: number; b: number }>({ a: unit, b: unit }, ({ a, b }) => a * b, 60);
    expect(fanova(study, { seed: 3 })).toEqual(fanova(study, { seed: 3 }));
    expect(fanova(study, { seed: 3 })).not.toEqual(fanova(study, { seed: 4 }));
  });

  test("a space without a common parameter", () => {
    const trials = ["a", "b", "a"].map((name, i) => trialOf(i, { params: { [name]: 0.5 }, distributions: { [name]: unit }, values: [i] }));
    expect(() => fanova(studyOf(trials))).toThrow(/use pedAnova/);
  });
});

describe("PED-ANOVA", () => {
  /** Pearson divergence of the best tenth's marginal from the uniform, counted in cells on a dense grid of x1² + w x2². */
  function exactDivergences(weight: number): [number, number] {
    const n = 400;
    const cells = 50;
    const all: { i: number; j: number; f: number }[] = [];
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const [x, y] = [(2 * (i + 0.5)) / n - 1, (2 * (j + 0.5)) / n - 1];
        all.push({ i, j, f: x * x + weight * y * y });
      }
    const top = all.toSorted((a, b) => a.f - b.f).slice(0, all.length / 10);
    const divergence = (of: (point: { i: number; j: number }) => number): number => {
      const counts = new Float64Array(cells);
      for (const point of top) counts[Math.floor((of(point) * cells) / n)]!++;
      return counts.reduce((sum, count) => sum + ((count / top.length) * cells - 1) ** 2 / cells, 0);
    };
    return [divergence((p) => p.i), divergence((p) => p.j)];
  }

  const range = floatDistribution(-1, 1);

  test("a quadratic: divergences of the exact marginals, up to the kernel's smoothing", () => {
    const study = randomStudy<{ x: number; y: number; idle: number }>({ x: range, y: range, idle: range }, ({ x, y }) => x * x + 0.1 * y * y, 4000);
    const [x, y] = exactDivergences(0.1);
    const raw = pedAnova(study);
    expect(raw["x"]! / x).toBeGreaterThan(0.85);
    expect(raw["x"]! / x).toBeLessThan(1.05);
    expect(Math.abs(raw["y"]! - y)).toBeLessThan(0.12);
    expect(raw["idle"]).toBeLessThan(0.05);
  });

  test("a category that decides: D = 1 / share − 1", () => {
    // The best quarter is exactly one of four choices: p_top = 1 there, so D = 3.
    const study = randomStudy<{ kind: string; x: number }>(
      { kind: categoricalDistribution(["a", "b", "c", "d"]), x: range }, ({ kind }) => (kind === "c" ? 0 : 1), 2000);
    expect(pedAnova(study, { target: 0.2 })["kind"]).toBeCloseTo(3, 0);
    expect(pedAnova(study, { target: 0.2 })["x"]).toBeLessThan(0.05);
  });

  test("maximise is minimise of the negative", () => {
    const up = randomStudy<{ x: number; y: number }>({ x: range, y: range }, ({ x, y }) => -x * x - 0.1 * y, 300, { directions: ["maximize"] });
    const down = randomStudy<{ x: number; y: number }>({ x: range, y: range }, ({ x, y }) => x * x + 0.1 * y, 300);
    expect(pedAnova(up)).toEqual(pedAnova(down));
  });

  test("conditional parameters count within their branch: Σ P(R) P(best|R)² D / P(best)²", () => {
    const kind = categoricalDistribution(["net", "tree"]);
    const trials = Array.from({ length: 4000 }, (_, number) => {
      const x = (number * 0.6180339887) % 1;
      const y = (number * 0.7548776662) % 1;
      return number % 2 === 0
        ? trialOf(number, { params: { kind: "net", lr: x }, distributions: { kind, lr: unit }, values: [Math.abs(x - 0.5)] })
        : trialOf(number, { params: { kind: "tree", depth: y }, distributions: { kind, depth: unit }, values: [10 + y] });
    });
    const raw = pedAnova(studyOf(trials));
    // All of the best tenth are nets with |lr − ½| small: D(kind) = 1, D(lr | net) = 1/0.2 − 1 = 4 and 0.5 · 0.2² · 4 / 0.1² = 8.
    expect(raw["kind"]).toBeCloseTo(1, 1);
    expect(raw["lr"]! / 8).toBeGreaterThan(0.85);
    expect(raw["lr"]! / 8).toBeLessThan(1.05);
    expect(raw["depth"]).toBe(0);
  });

  test("a parameter whose range changed counts in each range", () => {
    const narrow = floatDistribution(0, 0.5);
    const trials = Array.from({ length: 600 }, (_, number) => {
      const wide = number % 2 === 0;
      const x = ((number * 0.6180339887) % 1) * (wide ? 1 : 0.5);
      return trialOf(number, { params: { x }, distributions: { x: wide ? unit : narrow }, values: [(x - 0.25) ** 2] });
    });
    expect(pedAnova(studyOf(trials))["x"]).toBeGreaterThan(1);
  });

  test("subsets: the member that matters makes the parameter matter", () => {
    const study = randomStudy<{ features: string[]; x: number }>(
      { features: subsetDistribution(["a", "b", "c"]), x: range }, ({ features }) => (features.includes("b") ? 0 : 1), 800);
    expect(importance(study, { target: 0.3 })["features"]).toBeGreaterThan(0.9);
  });

  test("options and trials that cannot work", () => {
    const study = randomStudy<{ x: number }>({ x: range }, ({ x }) => x, 30);
    expect(() => pedAnova(study, { target: 0.5, region: 0.4 })).toThrow(/0 < target < region/);
    expect(() => pedAnova(study, { objective: 1 })).toThrow(/no objective 1/);
    expect(() => pedAnova(studyOf([]))).toThrow(/at least 3/);
  });
});

test.each(["ped-anova", "fanova"] as const)("%s shares sum to 1, most important first", (method) => {
  const study = randomStudy<{ b: number; a: number }>({ b: unit, a: unit }, ({ a, b }) => 5 * a + b, 200);
  const shares = importance(study, { method });
  expect(Object.keys(shares)).toEqual(["a", "b"]);
  expect(Object.values(shares).reduce((x, y) => x + y, 0)).toBeCloseTo(1, 12);
});

test("a constant objective has no importance", () => {
  const study = randomStudy<{ a: number }>({ a: unit }, () => 1, 20);
  expect(importance(study)).toEqual({ a: 0 });
  expect(importance(study, { method: "fanova" })).toEqual({ a: 0 });
});
