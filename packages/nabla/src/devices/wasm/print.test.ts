import { describe, expect, test } from "vitest";
import {
  FunctionBuilder, add, binary, constant, extract, f32, fastMax, get, i32, laneIndex, load, loadSplat, madd, mul, nmadd, select, shuffle, splat, unary,
} from "../../loops/build.ts";
import type { BinaryIr, Expr, IrFunction } from "../../loops/ir.ts";
import { Code, ModuleAssembler } from "./assemble.ts";
import { printFunctions } from "./print.ts";

/** Runs `fn(...args)` on a fresh page whose start is `bytes`, and returns the page. */
function run(fn: IrFunction, args: readonly number[], fill: (page: DataView) => void, relaxedSimd = true): DataView {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const module = new ModuleAssembler({ module: "env", name: "memory", minimum: 1, maximum: 1, shared: true });
  const index = printFunctions(module, [fn], { relaxedSimd }).get(fn)!;
  module.exportFunction("run", index);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { env: { memory } });
  const page = new DataView(memory.buffer);
  fill(page);
  (instance.exports["run"] as (...values: number[]) => void)(...args);
  return page;
}

const floats = (page: DataView, offset: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => page.getFloat32(offset + 4 * index, true));

const ints = (page: DataView, offset: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => page.getInt32(offset + 4 * index, true));

const writeFloats = (offset: number, values: readonly number[]) => (page: DataView): void =>
  values.forEach((value, index) => page.setFloat32(offset + 4 * index, value, true));

describe.each([true, false])("relaxed SIMD %s", (relaxedSimd) => {
  test("a vector loop with a scalar tail", () => {
    const f = new FunctionBuilder("axpy");
    const count = f.parameter("count");
    const alpha = f.parameter("alpha", "f32");
    const full = f.let("full", binary("and", count, ~3));
    f.loop("i", 0, full, 4, (i) => {
      const address = f.let("address", mul(i, 4));
      f.store("f32", address, madd(splat(alpha, 4), load("f32", address, 0, 4), f32(1, 4)), 1024);
    });
    f.loop("i", full, count, 1, (i) => {
      f.store("f32", mul(i, 4), madd(alpha, load("f32", mul(i, 4)), f32(1)), 1024);
    });
    const fn = f.finish();
    for (const n of [0, 1, 3, 4, 7, 16, 17]) {
      const x = Array.from({ length: 20 }, (_, index) => index - 3);
      const page = run(fn, [n, 2], writeFloats(0, x), relaxedSimd);
      expect(floats(page, 1024, 20)).toEqual(x.map((value, index) => (index < n ? 2 * value + 1 : 0)));
    }
  });

  test("tails have the bits of full vectors", () => {
    const f = new FunctionBuilder("bits");
    const operand = (index: number, lanes: number): Expr => load("f32", i32(16 * index), 0, lanes);
    f.store("f32", i32(256), madd(operand(0, 4), operand(1, 4), operand(2, 4)));
    f.store("f32", i32(272), madd(operand(0, 1), operand(1, 1), operand(2, 1)));
    f.store("f32", i32(288), fastMax(operand(0, 4), operand(3, 4)));
    f.store("f32", i32(304), fastMax(operand(0, 1), operand(3, 1)));
    f.store("f32", i32(320), nmadd(operand(0, 1), operand(1, 1), operand(4, 1)));
    const page = run(f.finish(), [], (view) => {
      const values: [number, number][] = [[0, 1 + 2 ** -12], [16, 1 + 2 ** -12], [32, -1 - 2 ** -11], [48, NaN], [64, 1 + 2 ** -11]];
      for (const [at, value] of values) view.setFloat32(at, value, true);
    }, relaxedSimd);
    const exact = relaxedSimd ? 2 ** -24 : 0;
    expect(page.getFloat32(256, true)).toBe(exact);
    expect(page.getFloat32(272, true)).toBe(exact);
    expect(page.getFloat32(320, true)).toBe(0 - exact);
    expect(page.getInt32(304, true)).toBe(page.getInt32(288, true));
  });
});

test("integers wrap, compare signed and shift", () => {
  const cases: [BinaryIr, number, number, number][] = [
    ["add", 2147483647, 1, -2147483648], ["mul", 65537, 65537, Math.imul(65537, 65537)], ["sub", -5, 7, -12],
    ["min", -5, 7, -5], ["max", -5, 7, 7], ["shl", 3, 4, 48], ["shrU", -1, 28, 15], ["shrS", -16, 2, -4], ["xor", 12, 10, 6], ["div", -7, 2, -3],
    ["remU", 17, 5, 2],
  ];
  for (const [name, a, b, expected] of cases) {
    const f = new FunctionBuilder(name);
    const x = f.parameter("x");
    const y = f.parameter("y");
    f.store("i32", i32(0), binary(name, x, y));
    const vector = name !== "div" && name !== "remU";
    if (vector) f.store("i32", i32(16), binary(name, splat(x, 4), splat(y, 4)));
    const page = run(f.finish(), [a, b], () => {});
    expect(page.getInt32(0, true), name).toBe(expected);
    if (vector) expect(ints(page, 16, 4), name).toEqual([expected, expected, expected, expected]);
  }
});

test("masks, conversions, lane indices and bytes", () => {
  const f = new FunctionBuilder("mixed");
  const x = f.let("x", load("f32", i32(0), 0, 4));
  const positive = f.let("positive", binary("gt", x, 0));
  f.store("f32", i32(64), unary("convert", positive, "f32"));
  f.store("u8", i32(80), unary("convert", positive, "i32"));
  f.store("f32", i32(96), select(unary("not", positive), splat(f32(-9), 4), x));
  f.store("i32", i32(112), add(unary("toInt", x), laneIndex(4)));
  f.store("f32", i32(128), unary("convert", load("u8", i32(80), 0, 4), "f32"));
  f.store("i32", i32(144), unary("convert", extract(positive, 1), "i32"));
  f.store("i32", i32(148), unary("convert", unary("test", load("u8", i32(80), 1)), "i32"));
  f.store("f32", i32(152), unary("bitcast", i32(0x3f800000), "f32"));
  f.store("i32", i32(160), unary("bitcast", loadSplat("f32", i32(4), 0, 4), "i32"));
  f.store("i32", i32(176), unary("abs", i32(-4)));
  f.store("i32", i32(180), unary("neg", i32(4)));
  const page = run(f.finish(), [], writeFloats(0, [-1.5, 2.75, NaN, 1e10]));
  expect(floats(page, 64, 4)).toEqual([0, 1, 0, 1]);
  expect([80, 81, 82, 83, 84].map((at) => page.getUint8(at))).toEqual([0, 1, 0, 1, 0]);
  expect(floats(page, 96, 4)).toEqual([-9, 2.75, -9, Math.fround(1e10)]);
  expect(ints(page, 112, 4)).toEqual([-1, 3, 2, 2147483647 + 3 - 2 ** 32]);
  expect(floats(page, 128, 4)).toEqual([0, 1, 0, 1]);
  expect(ints(page, 144, 2)).toEqual([1, 1]);
  expect(page.getFloat32(152, true)).toBe(1);
  expect(ints(page, 160, 4)).toEqual(Array.from({ length: 4 }, () => new Int32Array(Float32Array.of(2.75).buffer)[0]));
  expect(ints(page, 176, 2)).toEqual([4, -4]);
});

test("float64 vectors, calls, branches and negative offsets", () => {
  const callee = new FunctionBuilder("square");
  const at = callee.parameter("at");
  const value = callee.let("value", load("f64", at, 0, 2));
  callee.store("f64", at, binary("mul", value, value));
  const square = callee.finish();
  const f = new FunctionBuilder("caller");
  const flag = f.parameter("flag");
  const sum = f.variable("sum", constant("f64", 0));
  f.loop("i", 0, 3, 1, (i) => {
    f.if(binary("eq", flag, 1), () => f.call(square, add(mul(i, 16), 16)), () => f.store("f64", mul(i, 16), constant("f64", 7), 16));
    f.set(sum, binary("add", get(sum), load("f64", add(mul(i, 16), 32), -16)));
  });
  f.store("f64", i32(0), get(sum));
  const fn = f.finish();
  const fill = (page: DataView): void => [1, 2, 3, 4, 5, 6].forEach((x, index) => page.setFloat64(16 + 8 * index, x, true));
  expect(run(fn, [1], fill).getFloat64(0, true)).toBe(1 + 9 + 25);
  expect(run(fn, [0], fill).getFloat64(0, true)).toBe(21);
});

test("the assembler says atomics and locals", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  const module = new ModuleAssembler({ module: "env", name: "memory", minimum: 1, maximum: 2, shared: true });
  const code = new Code()
    .i32Const(0).i32Const(5).memory("i32.atomic.rmw.add", 64).op("drop")
    .i32Const(0).i32Const(1).memory("memory.atomic.notify", 64).op("drop")
    .i32Const(0).memory("i32.atomic.load", 64).localTee(0).i32Const(-1).op("i32.add");
  module.exportFunction("main", module.addFunction({ parameters: [], results: ["i32"], locals: ["i32"], code }));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { env: { memory } });
  expect((instance.exports["main"] as () => number)()).toBe(4);
});

test("shuffles pick lanes of two vectors", () => {
  const f = new FunctionBuilder("transpose");
  const a = f.let("a", load("f32", i32(0), 0, 4));
  const b = f.let("b", load("f32", i32(16), 0, 4));
  f.store("f32", i32(32), shuffle(a, b, [0, 4, 1, 5]));
  f.store("f64", i32(48), shuffle(load("f64", i32(0), 0, 2), load("f64", i32(16), 0, 2), [3, 0]));
  const page = run(f.finish(), [], writeFloats(0, [0, 1, 2, 3, 4, 5, 6, 7]));
  expect(floats(page, 32, 8)).toEqual([0, 4, 1, 5, 6, 7, 0, 1]);
});

test("a builder refuses what does not fit", () => {
  expect(() => binary("add", f32(1), i32(1))).toThrow(/add of f32×1 and i32×1/);
  expect(() => madd(f32(1, 4), f32(1), f32(1, 4))).toThrow(/madd/);
  expect(() => load("f32", f32(0))).toThrow(/address/);
  const f = new FunctionBuilder("bad");
  expect(() => f.set({ id: 0, kind: "f32", lanes: 4, name: "x" }, f32(1))).toThrow(/set of x/);
});
