import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkKernel, type Contents, runWasm, stridesFor, target, values } from "./check-kernel.fixture.ts";
import type { Access, Instruction, ReduceKernel, ReduceOp, RegisterType } from "../kernels/kernel.ts";
import { lowerReduce } from "./reduce.ts";
import type { DType } from "../ops/dtype.ts";
import { sizeOf } from "../ops/shape.ts";

const registers: Readonly<Record<DType, RegisterType>> = { float32: "float32", float64: "float64", int32: "int32", uint8: "int32", bool: "bool" };

function at(buffer: number, strides: readonly number[], dtype: DType = "float32", offset = 0): Access {
  return { buffer, dtype, offset, strides };
}

const contents = (dtype: DType, count: number, seed = 1): Contents => ({ dtype, data: values(dtype, count, seed) });

interface Layout {
  readonly domain: readonly number[];
  readonly reduced: readonly number[];
  readonly strides: readonly number[];
  readonly out: readonly number[];
}

/** `op` over one load. */
function plain(op: ReduceOp, dtype: DType, { domain, reduced, strides, out }: Layout): ReduceKernel {
  const type = registers[dtype];
  const result = op === "argmax" ? "int32" : dtype;
  return {
    kind: "reduce",
    domain,
    reduced,
    body: [{ op: "load", type, access: at(0, strides, dtype) }],
    accumulators: [{ op, type, value: 0 }],
    epilogue: [{ op: "accumulator", type: registers[result], index: 0 }],
    stores: [{ access: at(1, out, result), value: 0 }],
  };
}

function check(op: ReduceOp, dtype: DType, layout: Layout, tolerance?: number): void {
  const kernel = plain(op, dtype, layout);
  const extents = [...layout.domain, ...layout.reduced];
  const size = extents.some((extent) => extent === 0) ? 0 : 1 + extents.reduce((last, extent, axis) => last + (extent - 1) * layout.strides[axis]!, 0);
  checkKernel(kernel, [contents(dtype, size), contents(op === "argmax" ? "int32" : dtype, sizeOf(layout.domain))], tolerance);
}

const sizes = [0, 1, 3, 7, 10, 15, 16, 17, 63, 997];

describe.each(["sum", "max", "argmax"] as const)("%s", (op) => {
  describe.each(["float32", "float64", "int32"] as const)("%s", (dtype) => {
    const lengths = op === "argmax" ? sizes.filter((size) => size > 0) : sizes;
    test.each(lengths)("rows of %d", (size) => check(op, dtype, { domain: [5], reduced: [size], strides: [size, 1], out: [1] }));
    test.each(lengths)("columns of %d", (size) => check(op, dtype, { domain: [21], reduced: [size], strides: [1, 21], out: [1] }));
    test.each(lengths)("everything, %d", (size) => check(op, dtype, { domain: [], reduced: [size], strides: [1], out: [] }));
  });

  const layouts: [string, Layout][] = [
    ["two reduced axes around a kept one", { domain: [13], reduced: [4, 6], strides: [6, 78, 1], out: [1] }],
    ["outer axes of three", { domain: [37], reduced: [5, 7], strides: [1, 259, 37], out: [1] }],
    ["inner axes that merge", { domain: [3, 4], reduced: [5, 6], strides: [120, 30, 6, 1], out: [4, 1] }],
    ["a transposed result", { domain: [6, 9], reduced: [8], strides: [72, 8, 1], out: [1, 6] }],
    ["every third of a column", { domain: [9], reduced: [20], strides: [3, 27], out: [1] }],
    ["an axis that repeats", { domain: [4, 5], reduced: [6], strides: [6, 0, 1], out: [5, 1] }],
    ["many rows", { domain: [700], reduced: [33], strides: [33, 1], out: [1] }],
    ["many columns", { domain: [700], reduced: [33], strides: [1, 700], out: [1] }],
  ];
  test.each(layouts)("%s", (_, layout) => check(op, "float32", layout));
});

test("the first of equal maxima wins, whichever lanes they fall in", () => {
  for (const first of [0, 3, 5, 17, 34]) {
    const data = Array.from({ length: 37 }, (_, index) => (index >= first && index % 3 === first % 3 ? 5 : -1));
    const layout = { domain: [], reduced: [37], strides: [1], out: [] };
    expect(runWasm(plain("argmax", "float32", layout), [{ dtype: "float32", data }, { dtype: "int32", data: [0] }])[1]).toEqual([first]);
  }
});

test("NaN is the maximum", () => {
  for (const place of [0, 4, 16, 20]) {
    const data = Array.from({ length: 21 }, (_, index) => (index === place ? NaN : index));
    const kernel = plain("max", "float32", { domain: [], reduced: [21], strides: [1], out: [] });
    expect(runWasm(kernel, [{ dtype: "float32", data }, { dtype: "float32", data: [0] }])[1]).toEqual([NaN]);
  }
});

test("long float32 sums stay as exact as pairwise ones", () => {
  const size = 300_000;
  const data = Array.from({ length: size }, (_, index) => Math.fround(0.1 + (index % 7) * 0.013));
  const exact = data.reduce((sum, value) => sum + value, 0);
  for (const [domain, strides] of [[[], [1]], [[4], [0, 1]]] as const) {
    const result = runWasm(plain("sum", "float32", { domain, reduced: [size], strides, out: domain.map(() => 1) }), [{ dtype: "float32", data }, contents("float32", 4)])[1]!;
    expect(Math.abs(result[0]! - exact) / exact).toBeLessThan(1e-6);
  }
  const columns = runWasm(plain("sum", "float32", { domain: [4], reduced: [size / 4], strides: [1, 4], out: [1] }), [{ dtype: "float32", data }, contents("float32", 4)])[1]!;
  expect(Math.abs(columns.reduce((sum, value) => sum + value, 0) - exact) / exact).toBeLessThan(1e-6);
});

describe.each([10, 64, 513])("softmax's sums over rows of %d", (width) => {
  test("with a prologue, two accumulators, and an epilogue that reads memory", () => {
    const rows = 11;
    const body: Instruction[] = [
      { op: "load", type: "float32", access: at(0, [width, 1]) },
      { op: "load", type: "float32", access: at(1, [1, 0]) },
      { op: "sub", type: "float32", a: 0, b: 1 },
      { op: "exp", type: "float32", a: 2 },
      { op: "mul", type: "float32", a: 3, b: 0 },
    ];
    const epilogue: Instruction[] = [
      { op: "accumulator", type: "float32", index: 0 },
      { op: "accumulator", type: "float32", index: 1 },
      { op: "div", type: "float32", a: 1, b: 0 },
      { op: "load", type: "float32", access: at(1, [1]) },
      { op: "log", type: "float32", a: 0 },
      { op: "add", type: "float32", a: 4, b: 3 },
    ];
    const kernel: ReduceKernel = {
      kind: "reduce",
      domain: [rows],
      reduced: [width],
      body,
      accumulators: [{ op: "sum", type: "float32", value: 3 }, { op: "sum", type: "float32", value: 4 }],
      epilogue,
      stores: [{ access: at(2, [1]), value: 2 }, { access: at(3, [1]), value: 5 }],
    };
    checkKernel(kernel, [contents("float32", rows * width), contents("float32", rows, 2), contents("float32", rows), contents("float32", rows)], 5e-6);
  });
});

test("counts of truth values, and any", () => {
  const body: Instruction[] = [{ op: "load", type: "bool", access: at(0, [50, 1], "bool") }, { op: "cast", type: "int32", a: 0 }];
  const kernel: ReduceKernel = {
    kind: "reduce",
    domain: [3],
    reduced: [50],
    body,
    accumulators: [{ op: "sum", type: "int32", value: 1 }, { op: "max", type: "bool", value: 0 }],
    epilogue: [{ op: "accumulator", type: "int32", index: 0 }, { op: "accumulator", type: "bool", index: 1 }],
    stores: [{ access: at(1, [1], "int32"), value: 0 }, { access: at(2, [1], "bool"), value: 1 }],
  };
  checkKernel(kernel, [contents("bool", 150), contents("int32", 3), contents("bool", 3)]);
});

test("random layouts", () => {
  const property = fc.property(
    fc.constantFrom<ReduceOp>("sum", "max", "argmax"),
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
    fc.nat(4),
    fc.infiniteStream(fc.nat()),
    fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    (op, extents, cut, random, repeated) => {
      const order = extents.map((_, axis) => ({ axis, key: random.next().value as number })).sort((a, b) => a.key - b.key).map(({ axis }) => axis);
      const { strides } = stridesFor(extents, order, repeated.map((value, axis) => value && axis % 2 === 0));
      const domain = extents.slice(0, cut);
      check(op, "float32", { domain, reduced: extents.slice(cut), strides, out: stridesFor(domain, domain.map((_, axis) => axis)).strides });
    },
  );
  fc.assert(property, { numRuns: 100 });
});

test("units: rows and blocks of columns", () => {
  const units = (layout: Layout): number => lowerReduce(plain("sum", "float32", layout), target).units;
  expect(units({ domain: [512], reduced: [128], strides: [1, 512], out: [1] })).toBe(16);
  expect(units({ domain: [4096], reduced: [64], strides: [64, 1], out: [1] })).toBe(16);
  expect(units({ domain: [0], reduced: [64], strides: [64, 1], out: [1] })).toBe(0);
});
