import { describe, expect, test } from "vitest";
import { type Contents, interpret, runWasm } from "./check-kernel.fixture.ts";
import type { UnaryOp } from "../ops/elementwise.ts";
import type { MapKernel } from "../kernels/kernel.ts";

type Float = "float32" | "float64";

function unary(op: UnaryOp, dtype: Float, inputs: readonly number[]): number[] {
  const access = (buffer: number): { buffer: number; dtype: Float; offset: number; strides: number[] } => ({ buffer, dtype, offset: 0, strides: [1] });
  const kernel: MapKernel = {
    kind: "map",
    domain: [inputs.length],
    body: [{ op: "load", type: dtype, access: access(0) }, { op, type: dtype, a: 0 }],
    stores: [{ access: access(1), value: 1 }],
  };
  const contents: Contents[] = [{ dtype, data: inputs }, { dtype, data: inputs.map(() => 0) }];
  const result = runWasm(kernel, contents)[1]!;
  if (inputs.length < 100) {
    interpret(kernel, contents)[1]!.forEach((value, index) => {
      if (!Object.is(value, result[index])) expect(value).toBeCloseTo(result[index]!, 5);
    });
  }
  return result;
}

function power(dtype: Float, pairs: readonly (readonly [number, number])[]): number[] {
  const access = (buffer: number): { buffer: number; dtype: Float; offset: number; strides: number[] } => ({ buffer, dtype, offset: 0, strides: [1] });
  const kernel: MapKernel = {
    kind: "map",
    domain: [pairs.length],
    body: [{ op: "load", type: dtype, access: access(0) }, { op: "load", type: dtype, access: access(1) }, { op: "pow", type: dtype, a: 0, b: 1 }],
    stores: [{ access: access(2), value: 2 }],
  };
  return runWasm(kernel, [{ dtype, data: pairs.map(([x]) => x) }, { dtype, data: pairs.map(([, y]) => y) }, { dtype, data: pairs.map(() => 0) }])[2]!;
}

/** Units in the last place of float32 at `value`, normal numbers. */
const ulp32 = (value: number): number => 2 ** (Math.floor(Math.log2(Math.max(Math.abs(value), 2 ** -126))) - 23);

/** log(1 + eˣ) with both tails. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function range(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.fround(from + ((to - from) * index) / (count - 1)));
}

const logarithmic = (from: number, to: number, count: number): number[] => range(Math.log(from), Math.log(to), count).map((x) => Math.fround(Math.exp(x)));

describe("float32", () => {
  const cases: [UnaryOp, (x: number) => number, number[], number][] = [
    ["exp", Math.exp, range(-104, 88.72, 40_001), 2],
    ["expm1", Math.expm1, range(-20, 88.72, 40_001), 2],
    ["expm1", Math.expm1, logarithmic(1e-44, 1, 4001).flatMap((x) => [x, -x]), 2],
    ["log1p", Math.log1p, logarithmic(1e-44, 3e38, 20_001), 2],
    ["log1p", Math.log1p, range(-0.999, 1, 20_001), 2],
    ["softplus", softplus, range(-104, 100, 40_001), 2],
    ["exp", Math.exp, logarithmic(1e-38, 1, 4001), 2],
    ["log", Math.log, logarithmic(1e-44, 3e38, 20_001), 2],
    ["log", Math.log, range(0.5, 2, 20_001), 2],
    ["tanh", Math.tanh, range(-10, 10, 40_001), 4],
    ["tanh", Math.tanh, logarithmic(1e-38, 1, 4001), 4],
    ["sigmoid", sigmoid, range(-80, 90, 40_001), 4],
    ["sin", Math.sin, range(-13_000, 13_000, 40_001), 3],
    ["cos", Math.cos, range(-7, 7, 20_001), 2],
    ["sin", Math.sin, logarithmic(1e-44, 3e38, 40_001).flatMap((x) => [x, -x]), 2],
    ["cos", Math.cos, logarithmic(1e-44, 3e38, 40_001).flatMap((x) => [x, -x]), 2],
  ];
  test.each(cases)("%s is within a few units in the last place", (op, exact, inputs, units) => {
    const results = unary(op, "float32", inputs);
    let worst = 0;
    inputs.forEach((x, index) => (worst = Math.max(worst, Math.abs(results[index]! - exact(x)) / ulp32(exact(x)))));
    expect(worst).toBeLessThanOrEqual(units);
  });

  test("special values", () => {
    const specials = [0, Infinity, -Infinity, NaN, 1e-45, -1e-45];
    expect(unary("exp", "float32", [...specials, 89, -104])).toEqual([1, Infinity, 0, NaN, 1, 1, Infinity, 0]);
    expect(unary("expm1", "float32", [-0, ...specials])).toEqual([-0, 0, Infinity, -1, NaN, Math.fround(1e-45), Math.fround(-1e-45)]);
    expect(unary("log1p", "float32", [-0, ...specials, -1, -2])).toEqual([-0, 0, Infinity, NaN, NaN, Math.fround(1e-45), Math.fround(-1e-45), -Infinity, NaN]);
    expect(unary("softplus", "float32", [Infinity, -Infinity, NaN, -1000, 1000])).toEqual([Infinity, 0, NaN, 0, 1000]);
    expect(unary("log", "float32", [...specials, -1, 1])).toEqual([-Infinity, Infinity, NaN, NaN, expect.closeTo(-103.28, 2), NaN, NaN, 0]);
    expect(unary("tanh", "float32", [-0, ...specials])).toEqual([-0, 0, 1, -1, NaN, Math.fround(1e-45), Math.fround(-1e-45)]);
    expect(unary("sigmoid", "float32", specials)).toEqual([0.5, 1, 0, NaN, 0.5, 0.5]);
    expect(unary("sin", "float32", [-0, ...specials])).toEqual([-0, 0, NaN, NaN, NaN, Math.fround(1e-45), Math.fround(-1e-45)]);
    expect(unary("relu", "float32", [-1, 2, NaN, Infinity, -Infinity])).toEqual([0, 2, NaN, Infinity, 0]);
  });

  test("powers are within one unit in the last place", () => {
    const bases = logarithmic(1e-44, 3e38, 301);
    const exponents = [...range(-40, 40, 81), ...range(-1.3, 1.3, 53), 0.1, 1 / 3, 1e-3, 127.5, -300];
    const pairs = bases.flatMap((x) => exponents.map((y) => [x, Math.fround(y)] as const));
    const near = range(0.99, 1.01, 201).flatMap((x) => [-5000, 777.7, 8000].map((y) => [x, Math.fround(y)] as const));
    const all = [...pairs, ...near];
    const results = power("float32", all);
    all.forEach(([x, y], index) => {
      const exact = x ** y;
      if (results[index] !== Math.fround(exact)) expect(Math.abs(results[index]! - exact) / ulp32(exact), `${x}^${y}`).toBeLessThanOrEqual(1);
    });
  });

  test("powers", () => {
    const pairs: [number, number][] = [[2, 10], [-2, 3], [-2, 2], [-2, 0.5], [0, 0], [0, 2], [0, -1], [1, NaN], [NaN, 0], [-1, Infinity], [0.5, Infinity], [Infinity, -1], [-Infinity, 3], [9, 0.5], [1.5, -7]];
    const results = power("float32", pairs);
    const expected = [1024, -8, 4, NaN, 1, 0, Infinity, 1, 1, 1, 0, 0, -Infinity, 3, 1.5 ** -7];
    results.forEach((value, index) => expect(value, pairs[index]!.join("^")).toBe(Math.fround(expected[index]!)));
  });
});

describe("float64", () => {
  const wide = Array.from({ length: 2001 }, (_, index) => -700 + 0.7 * index + 1e-3 * Math.sin(index));
  const positive = Array.from({ length: 2001 }, (_, index) => Math.exp(-740 + 0.72 * index));
  const cases: [UnaryOp, (x: number) => number, number[]][] = [
    ["exp", Math.exp, wide],
    ["expm1", Math.expm1, wide],
    ["expm1", Math.expm1, wide.map((x) => x / 700)],
    ["log", Math.log, positive],
    ["log1p", Math.log1p, positive],
    ["log1p", Math.log1p, wide.map((x) => x / 701)],
    ["softplus", softplus, wide],
    ["tanh", Math.tanh, wide.map((x) => x / 70)],
    ["sigmoid", sigmoid, wide.map((x) => x / 7)],
  ];
  test.each(cases)("%s to 1e-14", (op, exact, inputs) => {
    const results = unary(op, "float64", inputs);
    inputs.forEach((x, index) => {
      const wanted = exact(x);
      if (results[index] !== wanted) expect(Math.abs(results[index]! - wanted) / Math.max(Math.abs(wanted), 1e-300), `${op}(${x})`).toBeLessThan(1e-14);
    });
  });

  test.each([["sin", Math.sin], ["cos", Math.cos]] as [UnaryOp, (x: number) => number][])("%s to 1e-15 absolute", (op, exact) => {
    const large = Array.from({ length: 4001 }, (_, index) => Math.exp(index * 0.177) * (index % 2 === 0 ? 1 : -1));
    const inputs = [...wide.map((x) => x * 10), ...large, 6381956970095103 * 2 ** 797];
    unary(op, "float64", inputs).forEach((value, index) => expect(Math.abs(value - exact(inputs[index]!))).toBeLessThan(1e-15));
  });

  test("special values", () => {
    expect(unary("exp", "float64", [0, Infinity, -Infinity, NaN, 710, -745])).toEqual([1, Infinity, 0, NaN, Infinity, 5e-324]);
    expect(unary("log", "float64", [0, Infinity, -1, NaN, 1, 5e-324])).toEqual([-Infinity, Infinity, NaN, NaN, 0, expect.closeTo(-744.4400719213812, 10)]);
    expect(unary("tanh", "float64", [0, Infinity, -Infinity, NaN, 1e-300])).toEqual([0, 1, -1, NaN, 1e-300]);
  });
});

const special = [0, -0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 2.5, Infinity, -Infinity, NaN, 1e30, -1e30, 1e-40];

test.each(["float32", "float64"] as const)("powers of special values in %s are IEEE 754's", (dtype) => {
  const pairs = special.flatMap((x) => special.map((y) => [x, y] as const));
  const rounded = (x: number): number => (dtype === "float32" ? Math.fround(x) : x);
  power(dtype, pairs).forEach((value, index) => {
    const [x, y] = pairs[index]!;
    const wanted = x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : rounded(rounded(x) ** rounded(y));
    if (Math.abs(value - wanted) > 2 ** -52 * Math.abs(wanted) || !Number.isFinite(wanted) || wanted === 0) expect(value, `${x}^${y}`).toBe(wanted);
  });
});

test("float64 powers keep their digits where |y·log x| is large", () => {
  const pairs = Array.from({ length: 4000 }, (_, index) => {
    const x = Math.exp(((index * 37) % 1399) - 700 + 0.123);
    return [x, (((index * 61) % 1400) - 700) / Math.log(x)] as const;
  });
  const near = Array.from({ length: 1000 }, (_, index) => [1 + (index - 500) * 1e-7 + 1e-9, (index % 7) * 1e6 + 0.3] as const);
  const all = [...pairs, ...near];
  power("float64", all).forEach((value, index) => {
    const [x, y] = all[index]!;
    expect(Math.abs(value / x ** y - 1), `${x}^${y}`).toBeLessThan(5e-16);
  });
});

test("Threefry-2x32-20: the published vectors of Random123", () => {
  const bits = (k0: number, k1: number, counter: number): number => {
    const scalar = (value: number): { op: "constant"; type: "int32"; value: number } => ({ op: "constant", type: "int32", value });
    const kernel: MapKernel = {
      kind: "map",
      domain: [1],
      body: [scalar(k0), scalar(k1), scalar(counter), { op: "randomBits", type: "int32", k0: 0, k1: 1, counter: 2 }],
      stores: [{ access: { buffer: 0, dtype: "int32", offset: 0, strides: [0] }, value: 3 }],
    };
    const result = runWasm(kernel, [{ dtype: "int32", data: [0] }])[0]![0]!;
    expect(interpret(kernel, [{ dtype: "int32", data: [0] }])[0]![0]).toBe(result);
    return result >>> 0;
  };
  // Key 0, counter 0 → 6b200159 99ba4efe.
  expect(bits(0, 0, 0)).toBe((0x6b200159 ^ 0x99ba4efe) >>> 0);
});
