// Every figure is well-formed XML with finite coordinates, whatever the study holds; and shows what it should.
import { describe, expect, test } from "vitest";
import { categoricalDistribution, floatDistribution, intDistribution, permutationDistribution, simplexDistribution, subsetDistribution } from "../../space/distribution.ts";
import { randomStudy, studyOf, trialOf } from "../study.fixture.ts";
import type { StudyResults } from "../results.ts";
import { plotContour } from "./contour.ts";
import { plotEdf } from "./edf.ts";
import { plotHistory } from "./history.ts";
import { plotImportance } from "./importance.ts";
import { plotHypervolume } from "./hypervolume.ts";
import { plotIntermediateValues } from "./intermediate.ts";
import { plotParallelCoordinates } from "./parallel-coordinates.ts";
import { plotPareto } from "./pareto.ts";
import { withScalarParameters } from "./scalar-parameters.ts";
import { linearScale, linearTicks, logScale, parameterScale, shortNumber } from "./scale.ts";
import { plotRank } from "./rank.ts";
import { plotSlice } from "./slice.ts";
import { regionsAbove, smoothSurface } from "./surface.ts";
import { plotTimeline } from "./timeline.ts";
import { escapeXml } from "./svg.ts";

/** Throws unless tags nest, attributes are quoted, and text holds no raw markup or forbidden character. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  const token = /<\?xml [^?]*\?>|<(\/?)([a-z]+)((?: [a-zA-Z][a-zA-Z0-9:-]*="[^"<]*")*)(\/?)>|([^<]+)/gy;
  let end = 0;
  for (const match of svg.matchAll(token)) {
    end = match.index + match[0].length;
    const [, closing, name, , empty, text] = match;
    if (text !== undefined) expect(text).not.toMatch(/&(?!(amp|lt|gt|quot);)/);
    else if (closing === "/") expect(open.pop()).toBe(name);
    else if (name !== undefined && empty !== "/") open.push(name);
  }
  expect(end).toBe(svg.length);
  expect(open).toEqual([]);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
}

const count = (svg: string, pattern: RegExp): number => [...svg.matchAll(pattern)].length;

const distributions = {
  "lr <\"&'> \u0000": floatDistribution(1e-5, 1, { log: true }),
  width: intDistribution(16, 512, { step: 16 }),
  kind: categoricalDistribution(["sgd", "a very long optimizer name & more of it", "\ud800"]),
};
const study: StudyResults = {
  ...randomStudy<{ width: number; kind: string }>(distributions as never, ({ width, kind }) => (width - 300) ** 2 / 1e4 + (kind === "sgd" ? 1 : 0.1), 40),
  name: "<script>alert(\"&\")</script>",
};
const pair = randomStudy<{ x: number }>({ x: floatDistribution(0, 1) }, ({ x }) => [x, Math.sin(5 * x)], 30, { directions: ["minimize", "maximize"] });
const curves = studyOf([
  trialOf(0, { values: [1], reports: [1, 2, 3].map((step) => ({ step, metrics: { value: 1 / step, accuracy: step } })) }),
  trialOf(1, { state: "PRUNED", reports: [{ step: 1, metrics: { value: Number.NaN } }, { step: 2, metrics: { value: 4 } }] }),
  trialOf(2, { state: "RUNNING", finished: null }),
  trialOf(3, { state: "WAITING", started: null, finished: null }),
]);
const [lr] = Object.keys(distributions);

const figures: Record<string, (results: StudyResults) => string> = {
  history: (results) => plotHistory(results),
  "history, log": (results) => plotHistory(results, { log: true }),
  slice: (results) => plotSlice(results),
  "slice, log": (results) => plotSlice(results, { log: true }),
  parallel: (results) => plotParallelCoordinates(results),
  contour: (results) => plotContour(results, { x: lr!, y: "width" }),
  "contour, categories, log": (results) => plotContour(results, { x: "kind", y: lr!, log: true }),
  "contour of the most important": (results) => plotContour(results),
  rank: (results) => plotRank(results, { x: lr!, y: "width" }),
  "rank of the most important": (results) => plotRank(results),
  importance: (results) => plotImportance(results),
  fanova: (results) => plotImportance(results, { method: "fanova", trees: 8 }),
  edf: (results) => plotEdf(Array.from({ length: 9 }, () => results)),
  timeline: (results) => plotTimeline(results),
};

describe.each(Object.entries(figures))("%s", (_name, plot) => {
  test("hostile names", () => {
    const svg = plot(study);
    expectWellFormed(svg);
    expect(svg).not.toContain("<script");
  });

  test("equal values, infinities, infeasible trials, missing parameters", () => {
    const trials = study.trials.map((trial, i) => ({
      ...trial,
      values: [i === 7 ? Number.POSITIVE_INFINITY : i === 8 ? -3 : 2],
      constraints: { c: i % 2 },
      params: i % 5 === 4 ? {} : trial.params,
      distributions: i % 5 === 4 ? {} : trial.distributions,
    }));
    if (plot === figures["fanova"]) expect(() => plot({ ...study, trials })).toThrow(/use pedAnova/);
    else expectWellFormed(plot({ ...study, trials }));
  });
});

test("empty studies make empty figures or say what is missing", () => {
  const empty = studyOf([]);
  for (const svg of [plotHistory(empty), plotEdf([empty]), plotTimeline(empty)]) expectWellFormed(svg);
  expect(() => plotSlice(empty)).toThrow(/no trial with parameters/);
  expect(() => plotContour(study, { x: "width", y: "depth" })).toThrow(/no parameter "depth"; it has/);
  expect(() => plotEdf([])).toThrow(/at least one/);
  expect(() => plotPareto(study)).toThrow(/plotHistory/);
  expect(() => plotIntermediateValues(study)).toThrow(/call trial.report/);
  expect(() => plotIntermediateValues(curves, { metric: "loss" })).toThrow(/reported were value, accuracy/);
  expect(() => plotHistory(study, { objective: 2 })).toThrow(/no objective 2/);
});

test("history marks every completed trial", () => {
  const svg = plotHistory(study);
  expect(count(svg, /<circle [^>]*><title>trial/g)).toBe(40);
});

test("a rank plot colours by rank, ties share theirs", () => {
  const xy = { x: floatDistribution(0, 1), y: floatDistribution(0, 1) };
  const values = [5, 1, 1, 1e9];
  const svg = plotRank(studyOf(values.map((value, i) => trialOf(i, { params: { x: i / 4, y: i / 8 }, distributions: xy, values: [value] }))));
  expectWellFormed(svg);
  expect([...svg.matchAll(/<title>trial (\d): rank ([\d.]+)/g)].map(([, trial, rank]) => [Number(trial), Number(rank)])).toEqual([[3, 4], [0, 3], [1, 1.5], [2, 1.5]]);
  const one = studyOf([trialOf(0, { params: { x: 0 }, distributions: { x: xy.x }, values: [1] })]);
  for (const plot of [plotRank, plotContour]) expect(() => plot(one)).toThrow(/one parameter.*plotSlice/);
  expect(plotContour(study)).toContain(">width<");
});

test("a hypervolume grows with the front, from a reference of one's own or the worst seen", () => {
  for (const svg of [plotHypervolume(pair), plotHypervolume(pair, { reference: [2, -2] })]) {
    expectWellFormed(svg);
    const path = /<path d="(M[^"Z]*L[^"Z]*)" fill="none" stroke="#d55e00"/.exec(svg)![1]!;
    const heights = [...path.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((match) => Number(match[1]));
    expect(heights.every((y, i) => i === 0 || y <= heights[i - 1]!)).toBe(true);
    expect(heights.at(-1)).toBeLessThan(heights[0]!);
  }
  expect(() => plotHypervolume(study)).toThrow(/plotHistory/);
});

test("labels keep apart: 40 categories, and 12 parameters with long names", () => {
  const kind = categoricalDistribution(Array.from({ length: 40 }, (_, i) => `category number ${i}`));
  const many = studyOf(Array.from({ length: 60 }, (_, i) => trialOf(i, { params: { kind: `category number ${i % 40}`, x: i / 60 }, distributions: { kind, x: floatDistribution(0, 1) }, values: [i] })));
  const wide = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`optimizer.learning_rate.of_layer_number_${i}`, floatDistribution(0, 1)]));
  for (const svg of [plotSlice(many), plotContour(many, { x: "kind", y: "x" }), plotContour(many, { x: "x", y: "kind" }), plotParallelCoordinates(many), plotParallelCoordinates(randomStudy(wide, () => 1, 9)), plotImportance(randomStudy(wide, ({ [Object.keys(wide)[0]!]: x }) => Number(x), 30))]) {
    expectWellFormed(svg);
    const labels = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"([^>]*)>([^<]*)/g)].map(([, x, y, rest, text]) => ({ x: Number(x), y: Number(y), slanted: rest!.includes("rotate(-30"), upright: rest!.includes("rotate(-90"), anchor: /text-anchor="(\w+)"/.exec(rest!)?.[1] ?? "start", text: text! }));
    const flat = labels.filter((l) => !l.slanted && !l.upright).map((l) => ({ ...l, left: l.x - (l.anchor === "middle" ? 3 : l.anchor === "end" ? 6 : 0) * l.text.length }));
    for (const [i, a] of flat.entries()) for (const b of flat.slice(i + 1)) {
      const beside = a.left + 6 * a.text.length <= b.left || b.left + 6 * b.text.length <= a.left;
      expect(beside || Math.abs(a.y - b.y) >= 10, `"${a.text}" at ${a.left}, ${a.y} over "${b.text}" at ${b.left}, ${b.y}`).toBe(true);
    }
    const slanted = labels.filter((l) => l.slanted).sort((a, b) => a.y - b.y || a.x - b.x);
    for (const [i, a] of slanted.entries()) if (slanted[i + 1]?.y === a.y) expect(slanted[i + 1]!.x - a.x).toBeGreaterThanOrEqual(12);
  }
});

test("the Pareto plot separates the front from the dominated", () => {
  const svg = plotPareto(pair);
  expectWellFormed(svg);
  expect(svg).toContain("f1 (maximize)");
  expect(count(svg, /<circle [^>]*r="4.5" fill="#d55e00"/g)).toBeGreaterThan(2);
});

test("intermediate values: one curve per trial that reported, other metrics on request", () => {
  const svg = plotIntermediateValues(curves);
  expectWellFormed(svg);
  expect(count(svg, /<title>trial \d \(/g)).toBe(4); // curve and end mark of two trials
  expect(svg).toContain(">pruned<");
  expectWellFormed(plotIntermediateValues(curves, { metric: "accuracy", log: true }));
});

test("the timeline draws running trials until now and leaves waiting ones out", () => {
  const svg = plotTimeline(curves, { now: 10_000 });
  expectWellFormed(svg);
  expect(svg).toContain("trial 2, running: 8 s");
  expect(svg).not.toContain("trial 3");
});

describe("scales", () => {
  test("linear ticks are round and inside", () => {
    expect(linearTicks(0, 1, 5).map((tick) => tick.label)).toEqual(["0", "0.2", "0.4", "0.6", "0.8", "1"]);
    expect(linearTicks(-13, 118, 6).map((tick) => tick.value)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(linearTicks(1e-9, 5e-9, 4).map((tick) => tick.label)).toEqual(["1e-9", "2e-9", "3e-9", "4e-9", "5e-9"]);
  });

  test("log scales place decades evenly and tick them", () => {
    const scale = logScale([1e-5, 1e-1], { tight: true });
    expect(scale.place(1e-3)).toBeCloseTo(0.5, 12);
    expect(scale.ticks.map((tick) => tick.label)).toEqual(["1e-5", "0.0001", "0.001", "0.01", "0.1"]);
    expect(logScale([2, 7], { tight: true }).ticks.map((tick) => tick.value)).toEqual([2, 3, 4, 5, 6]);
    expect(logScale([-1]).kind).toBe("linear");
  });

  test("integers are ticked at integers", () => {
    expect(linearScale([1, 2, 3], { integer: true }).ticks.map((tick) => tick.label)).toEqual(["1", "2", "3"]);
  });

  test("one value stands in the middle", () => {
    expect(linearScale([5]).place(5)).toBeCloseTo(0.5, 12);
    expect(logScale([5]).place(5)).toBeCloseTo(0.5, 12);
  });

  test("numbers for people", () => {
    expect([0, 1234567, 0.00001234567, -0.5, 1e300, Number.POSITIVE_INFINITY].map(shortNumber)).toEqual(["0", "1.235e6", "1.235e-5", "-0.5", "1e300", "∞"]);
  });

  test("a parameter's scale follows its distribution", () => {
    const trials = study.trials;
    expect(parameterScale(trials, lr!).scale.kind).toBe("log");
    const kind = parameterScale(trials, "kind");
    expect(kind.scale.ticks).toHaveLength(3);
    expect(kind.value(trialOf(0, {}))).toBeNaN();
  });
});

test("a plane is reproduced by the smooth surface, and its regions have the right area", () => {
  const points = Array.from({ length: 80 }, (_, i) => ({ x: (i * 0.618) % 1, y: (i * 0.755) % 1 }));
  const surface = smoothSurface(points.map(({ x, y }) => ({ x, y, value: x + 0.5 * y })), 21, 21);
  const area = regionsAbove(surface, 0.75).reduce((sum, polygon) => {
    const shoelace = polygon.reduce((s, [x, y], i) => {
      const [nx, ny] = polygon[(i + 1) % polygon.length]!;
      return s + x * ny - nx * y;
    }, 0);
    return sum + Math.abs(shoelace) / 2;
  }, 0);
  expect(area).toBeCloseTo(0.5, 1);
});

test("characters that XML forbids are dropped, others escaped", () => {
  expect(escapeXml("a\u0000\u001b\ud800b<&>\"😀")).toBe("ab&lt;&amp;&gt;&quot;😀");
});

test("parameters of several values get an axis per part", () => {
  const wide = randomStudy({ s: subsetDistribution(["a", "b"]), p: permutationDistribution(["x", "y"]), m: simplexDistribution(2), f: floatDistribution(0, 1) }, () => 1, 5);
  const [trial] = withScalarParameters(wide).trials;
  expect(Object.keys(trial!.params)).toEqual(["s: a", "s: b", "p: x", "p: y", "m[0]", "m[1]", "f"]);
  const original = wide.trials[0]!.params;
  expect(trial!.params["s: a"]).toBe((original["s"] as string[]).includes("a") ? "yes" : "no");
  expect(trial!.params["p: y"]).toBe((original["p"] as string[]).indexOf("y") + 1);
  expect(trial!.params["m[1]"]).toBe((original["m"] as number[])[1]);
  expectWellFormed(plotSlice(wide));
  expectWellFormed(plotParallelCoordinates(wide));
});

test("a contour has a strip for each category, and none for one without trials", () => {
  const kind = categoricalDistribution(["a", "b", "c"]), x = floatDistribution(0, 1);
  const trials = Array.from({ length: 12 }, (_, i) => trialOf(i, { params: { x: i / 11, kind: i % 2 === 0 ? "a" : "c" }, distributions: { x, kind }, values: [i % 2] }));
  const svg = plotContour(studyOf(trials), { x: "x", y: "kind" });
  expectWellFormed(svg);
  // Strip "a" holds 0 everywhere and strip "c" 1: two grounds, and one strip covered to the highest level.
  const ground = /<rect [^>]*fill="(#[0-9a-f]+)"[^>]*\/>/g;
  const strips = [...svg.matchAll(ground)].filter(([rect]) => !rect.includes("#ffffff") && /height="1[0-9.]+"/.test(rect));
  expect(strips.length).toBe(2);
  expect(smoothSurface([{ x: 0.2, y: 0, value: 1 }, { x: 0.8, y: 0, value: 3 }], 5, 1).rows).toBe(2);
});
