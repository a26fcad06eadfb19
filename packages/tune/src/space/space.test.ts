// Distributions and spaces: round trips between internal, external and unit forms, counting, conditions, inference.
import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { DistributionError, SpaceError } from "../errors/errors.ts";
import { space, type Infer } from "./builder.ts";
import {
  cardinality, categoricalDistribution, contains, floatDistribution, fromUnit, intDistribution, ordinalDistribution, permutationDistribution, simplexDistribution,
  subsetDistribution, toExternal, toInternal, toUnit, unitWidth, valueAt, type Distribution,
} from "./distribution.ts";
import { pointKey, SearchSpace } from "./space.ts";

const distributions: readonly Distribution[] = [
  floatDistribution(-1, 3), floatDistribution(1e-5, 0.1, { log: true }), floatDistribution(0, 1, { step: 0.1 }), floatDistribution(2, 2),
  intDistribution(-3, 8), intDistribution(1, 1024, { log: true }), intDistribution(0, 100, { step: 7 }),
  categoricalDistribution(["a", null, true, 3, Number.NaN]), ordinalDistribution([1, 10, 100]),
  subsetDistribution(["a", "b", "c", "d"], { min: 1, max: 3 }), permutationDistribution(["x", "y", "z", "w"]), simplexDistribution(4),
];

describe("distributions", () => {
  test("every unit point is a value, and its centre maps back to it", () => {
    for (const distribution of distributions) {
      const width = unitWidth(distribution);
      fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: width, maxLength: width }), (unit) => {
        const value = fromUnit(distribution, unit);
        expect(contains(distribution, value)).toBe(true);
        const back = new Float64Array(width);
        toUnit(distribution, value, back);
        const again = fromUnit(distribution, back);
        const a = [value].flatMap((v) => (typeof v === "number" ? [v] : [...v]));
        const b = [again].flatMap((v) => (typeof v === "number" ? [v] : [...v]));
        a.forEach((x, i) => { expect(b[i]).toBeCloseTo(x, 9); });
        const outer = toInternal(distribution, toExternal(distribution, value));
        expect(pointKey(new Map([["p", outer]]))).toBe(pointKey(new Map([["p", value]])));
      }), { numRuns: 60 });
    }
  });

  test("finite distributions list cardinality different values", () => {
    for (const distribution of distributions) {
      const n = cardinality(distribution);
      if (n === Infinity) continue;
      const keys = Array.from({ length: n }, (_, i) => pointKey(new Map([["p", valueAt(distribution, i)]])));
      expect(new Set(keys).size).toBe(n);
      for (let i = 0; i < n; i++) expect(contains(distribution, valueAt(distribution, i))).toBe(true);
    }
    expect(cardinality(subsetDistribution(["a", "b", "c", "d"], { min: 1, max: 3 }))).toBe(14);
    expect(cardinality(permutationDistribution(["x", "y", "z", "w"]))).toBe(24);
  });

  test("steps fall on decimal numbers and bounds go down to the grid", () => {
    const tenths = floatDistribution(0, 1.05, { step: 0.1 });
    expect(tenths.high).toBe(1);
    expect(Array.from({ length: 11 }, (_, i) => valueAt(tenths, i))).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]);
    expect(intDistribution(0, 10, { step: 4 }).high).toBe(8);
  });

  test("unit maps are uniform: logarithmic halves, integer cells, the simplex", () => {
    expect(fromUnit(floatDistribution(1e-4, 1, { log: true }), [0.5])).toBeCloseTo(1e-2, 12);
    const counts = new Array<number>(3).fill(0);
    for (let i = 0; i < 300; i++) counts[Number(fromUnit(intDistribution(0, 2), [(i + 0.5) / 300]))]!++;
    expect(counts).toEqual([100, 100, 100]);
  });

  test.each([
    () => floatDistribution(1, 0), () => floatDistribution(0, 1, { log: true }), () => floatDistribution(0, Number.NaN), () => floatDistribution(1, 2, { log: true, step: 0.1 }),
    () => floatDistribution(0, 1, { step: 0 }), () => intDistribution(0.5, 2), () => intDistribution(1, 9, { log: true, step: 2 }), () => categoricalDistribution([]),
    () => categoricalDistribution(["a", "a"]), () => subsetDistribution(["a"], { min: 2 }), () => simplexDistribution(1),
    () => toInternal(floatDistribution(0, 1), 2), () => toInternal(categoricalDistribution(["a"]), "b"), () => toInternal(permutationDistribution([1, 2]), [1, 1]),
    () => toInternal(simplexDistribution(2), [0.5, 0.6]), () => toInternal(intDistribution(0, 8, { step: 2 }), 3),
  ])("bad declaration %#", (make) => {
    expect(make).toThrow(DistributionError);
  });
});

const network = space.object({
  optimizer: space.choice({ sgd: { momentum: space.float(0, 1) }, adam: { beta: space.float(0.8, 1), amsgrad: space.choice([true, false]) } }),
  rate: space.float(1e-5, 1e-1, { log: true }),
  layer: space.object({ width: space.int(16, 64, { step: 16 }), activation: space.choice(["relu", "tanh"]) }),
});

describe("typed spaces", () => {
  test("the value's type is inferred", () => {
    expectTypeOf<Infer<typeof network>>().toEqualTypeOf<{
      readonly optimizer: { readonly kind: "sgd" } & { readonly momentum: number } | { readonly kind: "adam" } & { readonly beta: number; readonly amsgrad: boolean };
      readonly rate: number;
      readonly layer: { readonly width: number; readonly activation: "relu" | "tanh" };
    }>();
  });

  test("flattens, assembles and keeps branches apart", () => {
    expect(network.search.parameters.map((p) => p.name)).toEqual([
      "optimizer", "optimizer.sgd.momentum", "optimizer.adam.beta", "optimizer.adam.amsgrad", "rate", "layer.width", "layer.activation",
    ]);
    const assignment = network.search.fromUnit([0.9, 0.1, 0.5, 0.1, 0.5, 0.99, 0.1]);
    const value = network.assemble(assignment);
    expect(value).toEqual({ optimizer: { kind: "adam", beta: 0.9, amsgrad: true }, rate: expect.closeTo(1e-3, 9) as number, layer: { width: 64, activation: "relu" } });
    expect(assignment.has("optimizer.sgd.momentum")).toBe(false);
    expect(network.flatten({ optimizer: { kind: "sgd", momentum: 0.5 }, layer: { width: 32 } })).toEqual({ optimizer: "sgd", "optimizer.sgd.momentum": 0.5, "layer.width": 32 });
  });

  test("counts and lists conditional spaces", () => {
    const finite = space.object({ a: space.choice({ x: { p: space.int(1, 3) }, y: {}, z: { q: space.choice([true, false]), r: space.int(0, 1) } }), b: space.ordinal([1, 2]) });
    expect(finite.search.cardinality()).toBe((3 + 1 + 4) * 2);
    const all = [...finite.search.configurations()];
    expect(new Set(all.map(pointKey)).size).toBe(16);
  });

  test("input constraints", () => {
    const triangle = space.object({ x: space.int(0, 3), y: space.int(0, 3) }).atMost({ x: 1, y: 1 }, 2).where(({ x, y }) => x !== y);
    const all = [...triangle.search.configurations()].map((a) => `${String(a.get("x"))}${String(a.get("y"))}`);
    expect(all).toEqual(["01", "02", "10", "20"]);
  });

  test("contradictory spaces are refused with what to do", () => {
    expect(() => space.object({}).search).toThrow(SpaceError);
    expect(() => space.object({ "a.b": space.int(0, 1) })).toThrow(/dot/);
    expect(() => new SearchSpace([{ name: "a", distribution: intDistribution(0, 1), condition: { parameter: "b", choice: 0 } }])).toThrow(SpaceError);
    expect(() => space.object({ a: space.choice(["u", "v"]) }).atMost({ a: 1 }, 1).search).toThrow(/linear/);
    expect(() => network.flatten({ optimizer: { kind: "lion" } })).toThrow(/sgd, adam/);
    expect(() => network.flatten({ rates: 1 })).toThrow(/no parameter "rates"/);
  });
});
