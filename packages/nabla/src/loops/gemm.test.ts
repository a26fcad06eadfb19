import { describe, expect, test } from "vitest";
import { ModuleAssembler } from "../devices/wasm/assemble.ts";
import { printFunctions } from "../devices/wasm/print.ts";
import { rowMajorStrides, sizeOf } from "../ops/shape.ts";
import { type Blocking, defaultBlocking, lowerGemm } from "./gemm.ts";
import type { Target } from "./ir.ts";
import type { Access, GemmKernel, Instruction, Store } from "../kernels/kernel.ts";

const memory = new WebAssembly.Memory({ initial: 512, maximum: 512, shared: true });
const table = 1024;
const buffers = [4096, 6 << 20, 12 << 20, 18 << 20];
const scratch = 24 << 20;
new Int32Array(memory.buffer, table, buffers.length).set(buffers);

const wide: Target = { lanes: 4, tileColumns: 16, tileRows: 6 };
const narrow: Target = { lanes: 4, tileColumns: 8, tileRows: 6 };
const low: Target = { lanes: 4, tileColumns: 8, tileRows: 4 };

type Type = "float32" | "float64";

const view = (type: Type, buffer: number, length: number): Float32Array | Float64Array =>
  type === "float32" ? new Float32Array(memory.buffer, buffers[buffer], length) : new Float64Array(memory.buffer, buffers[buffer], length);

/** The run function, and the number of units. */
function build(kernel: GemmKernel, target: Target, blocking = defaultBlocking): { run: (start: number, end: number) => void; units: number } {
  const lowered = lowerGemm(kernel, target, blocking);
  const module = new ModuleAssembler({ module: "env", name: "memory", minimum: 1, maximum: 512, shared: true });
  module.exportFunction("run", printFunctions(module, [lowered.entry], { relaxedSimd: true }).get(lowered.entry)!);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { env: { memory } });
  const entry = instance.exports["run"] as (args: number, start: number, end: number, scratch: number) => void;
  expect(scratch + lowered.scratchBytes).toBeLessThan(memory.buffer.byteLength);
  return { run: (start, end) => entry(table, start, end, scratch), units: lowered.units };
}

const load = (type: Type, access: Omit<Access, "dtype">): Instruction => ({ op: "load", type, access: { ...access, dtype: type } });

interface Case {
  readonly type: Type;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Row and column strides of each operand. */
  readonly a: readonly [number, number];
  readonly b: readonly [number, number];
  /** Strides of the operands along each batch axis; 0 shares one matrix. */
  readonly batch?: { readonly extents: readonly number[]; readonly a: readonly number[]; readonly b: readonly number[] };
}

const noBatch = { extents: [], a: [], b: [] };

function kernelOf({ type, m, n, k, a, b, batch = noBatch }: Case): GemmKernel {
  return {
    kind: "gemm", type, batch: batch.extents, m, n, k, scratch: { buffer: 2, offset: 0 }, kept: true, epilogue: [], stores: [],
    a: { body: [load(type, { buffer: 0, offset: 3, strides: [...batch.a, ...a] })] },
    b: { body: [load(type, { buffer: 1, offset: 1, strides: [...batch.b, ...b] })] },
  };
}

const inputLength = 450_000;
const floatAt = buffers.map((address) => new Float32Array(memory.buffer, address, inputLength));
/** In [-1, 1), by a linear congruence. */
const inputs = [12_345, 777, 0, 4_321].map((seed) => {
  let state = seed;
  return Float32Array.from({ length: inputLength }, () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) / 2 ** 31);
});

/** Fresh values in the buffers 0, 1 and 3. */
function fill(type: Type = "float32"): void {
  for (const buffer of [0, 1, 3]) {
    if (type === "float32") floatAt[buffer]!.set(inputs[buffer]!);
    else view(type, buffer, 20_000).set(inputs[buffer]!.subarray(0, 20_000));
  }
}

/** The product by the definition, in double precision. */
function reference({ type, m, n, k, a, b, batch = noBatch }: Case): Float64Array {
  const count = sizeOf(batch.extents);
  const strides = rowMajorStrides(batch.extents);
  const [left, right] = [view(type, 0, inputLength), view(type, 1, inputLength)];
  const result = new Float64Array(count * m * n);
  for (let product = 0; product < count; product++) {
    let [originA, originB] = [3, 1];
    batch.extents.forEach((extent, axis) => {
      const coordinate = Math.floor(product / strides[axis]!) % extent;
      originA += coordinate * batch.a[axis]!;
      originB += coordinate * batch.b[axis]!;
    });
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let step = 0; step < k; step++) sum += left[originA + row * a[0] + step * a[1]]! * right[originB + step * b[0] + column * b[1]]!;
        result[(product * m + row) * n + column] = sum;
      }
    }
  }
  return result;
}

/** Runs a case whole and in pieces; checks values, bits and that nothing is written past the end. */
function check(example: Case, target: Target, blocking?: Blocking): void {
  const { type, m, n, k } = example;
  fill(type);
  const length = sizeOf(example.batch?.extents ?? []) * m * n;
  const expected = reference(example);
  const result = view(type, 2, length + 8).fill(777);
  const { run, units } = build(kernelOf(example), target, blocking);
  run(0, units);
  const tolerance = (type === "float32" ? 4e-6 : 4e-14) * Math.sqrt(k + 1);
  let worst = 0;
  for (let index = 0; index < length; index++) worst = Math.max(worst, Math.abs(result[index]! - expected[index]!));
  expect(worst, `${m}×${n}×${k}`).toBeLessThanOrEqual(tolerance);
  expect([...result.subarray(length)]).toEqual(Array.from({ length: 8 }, () => 777));
  const whole = result.slice(0, length);
  result.fill(0);
  for (let end = units; end > 0; end -= 3) run(Math.max(0, end - 3), end);
  expect(result.subarray(0, length), `${m}×${n}×${k} in pieces`).toEqual(whole);

  // A product that only its epilogue reads has the same bits.
  const strides = rowMajorStrides([...(example.batch?.extents ?? []), m, n]);
  const copy = { epilogue: [{ op: "accumulator", type, index: 0 }], stores: [{ access: { buffer: 3, dtype: type, offset: 0, strides }, value: 0 }] } as const;
  const copied = view(type, 3, length + 8).fill(777);
  const passing = build({ ...kernelOf(example), kept: false, ...copy }, target, blocking);
  for (let end = passing.units; end > 0; end -= 3) passing.run(Math.max(0, end - 3), end);
  expect(copied.subarray(0, length), `${m}×${n}×${k} for its epilogue`).toEqual(whole);
  expect([...copied.subarray(length)]).toEqual(Array.from({ length: 8 }, () => 777));
}

const layouts = {
  N: (_rows: number, columns: number): [number, number] => [columns, 1],
  T: (rows: number): [number, number] => [1, rows],
  strided: (_rows: number, columns: number): [number, number] => [2 * columns + 1, 2],
} as const;

const transposes = (["N", "T", "strided"] as const).flatMap((a) => (["N", "T", "strided"] as const).map((b) => [a, b] as const));

describe.each(transposes)("A %s, B %s", (layoutA, layoutB) => {
  const caseOf = (type: Type, m: number, n: number, k: number): Case => ({ type, m, n, k, a: layouts[layoutA](m, k), b: layouts[layoutB](k, n) });

  test("odd sizes in every position", () => {
    const sizes = [1, 3, 10, 17];
    for (const m of sizes) for (const n of sizes) for (const k of sizes) check(caseOf("float32", m, n, k), wide);
    for (const [m, n, k] of [[97, 5, 13], [5, 97, 13], [13, 5, 97], [997, 3, 5], [3, 997, 5], [5, 3, 997], [1, 7, 997], [2, 9, 13], [97, 70, 997]] as const) check(caseOf("float32", m, n, k), wide);
  });

  test("narrow tiles and float64", () => {
    for (const [m, n, k] of [[1, 1, 1], [7, 5, 3], [13, 17, 10], [3, 97, 7], [97, 13, 5], [6, 8, 401]] as const) {
      check(caseOf("float32", m, n, k), narrow);
      check(caseOf("float32", m, n, k), low);
      check(caseOf("float64", m, n, k), wide);
    }
  });
});

test("batches, shared along an axis", () => {
  for (const [m, n, k] of [[5, 7, 3], [1, 20, 9], [30, 1, 4]] as const) {
    const batch = { extents: [2, 3], a: [3 * m * k, m * k], b: [0, k * n] };
    check({ type: "float32", m, n, k, a: [k, 1], b: [n, 1], batch }, wide);
  }
});

test("nothing to sum is zero, and nothing to write has no units", () => {
  check({ type: "float32", m: 7, n: 19, k: 0, a: [0, 1], b: [19, 1] }, wide);
  for (const [m, n] of [[0, 5], [5, 0]] as const) {
    const lowered = lowerGemm(kernelOf({ type: "float32", m, n, k: 3, a: [3, 1], b: [n, 1] }), wide);
    expect(lowered).toMatchObject({ units: 0, cost: 0, setup: 0, scratchBytes: 0 });
  }
});

test("several blocks of every direction", () => {
  const small: Blocking = { kc: 16, nc: 32, mc: 12 };
  check({ type: "float32", m: 50, n: 110, k: 41, a: [41, 1], b: [110, 1] }, wide, small);
  check({ type: "float32", m: 50, n: 17, k: 41, a: [1, 50], b: [1, 41] }, wide, small);
  check({ type: "float32", m: 11, n: 100, k: 41, a: [41, 1], b: [100, 1] }, wide, small);
});

test("NaN and infinity stay in their rows and columns", () => {
  fill();
  const [m, n, k] = [13, 21, 9];
  floatAt[0]![3 + 4 * k + 2] = NaN;
  floatAt[1]![1 + 5 * n + 20] = Infinity;
  const { run, units } = build(kernelOf({ type: "float32", m, n, k, a: [k, 1], b: [n, 1] }), wide);
  run(0, units);
  const result = floatAt[2]!;
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) expect(Number.isFinite(result[row * n + column])).toBe(row !== 4 && column !== 20);
  }
});

describe("fused bodies", () => {
  const [m, n, k] = [23, 37, 500];
  const close = (actual: ArrayLike<number>, expected: (row: number, column: number) => number): void => {
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) expect(actual[row * n + column]).toBeCloseTo(expected(row, column), 3);
    }
  };
  const plain: Case = { type: "float32", m, n, k, a: [k, 1], b: [1, k] };

  test("an epilogue adds a bias and applies relu, in place and transposed elsewhere", () => {
    fill();
    const product = reference(plain);
    const bias = floatAt[3]!.slice(0, n);
    const stores: Store[] = [
      { access: { buffer: 2, dtype: "float32", offset: 0, strides: [n, 1] }, value: 3 },
      { access: { buffer: 3, dtype: "float32", offset: 100, strides: [1, m] }, value: 0 },
    ];
    const epilogue: Instruction[] = [
      { op: "accumulator", type: "float32", index: 0 }, load("float32", { buffer: 3, offset: 0, strides: [0, 1] }),
      { op: "add", type: "float32", a: 0, b: 1 }, { op: "relu", type: "float32", a: 2 },
    ];
    const { run, units } = build({ ...kernelOf(plain), epilogue, stores, kept: false }, wide);
    for (let unit = 0; unit < units; unit++) run(unit, unit + 1);
    close(floatAt[2]!, (row, column) => Math.max(0, product[row * n + column]! + bias[column]!));
    const transposed = floatAt[3]!.slice(100, 100 + m * n);
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) expect(transposed[column * m + row]).toBeCloseTo(product[row * n + column]!, 3);
    }
  });

  test.each(["N", "T"] as const)("computed operands (%s) are evaluated while packing", (layout) => {
    fill();
    const a = layouts[layout](m, k);
    const b = layouts[layout](k, n);
    const squared = (access: Omit<Access, "dtype">): { body: Instruction[] } => ({
      body: [load("float32", access), { op: "constant", type: "float32", value: 0.5 }, { op: "mul", type: "float32", a: 0, b: 0 }, { op: "sub", type: "float32", a: 2, b: 1 }],
    });
    const kernel: GemmKernel = { ...kernelOf(plain), a: squared({ buffer: 0, offset: 0, strides: a }), b: squared({ buffer: 1, offset: 0, strides: b }) };
    const { run, units } = build(kernel, wide);
    run(0, units);
    const f = (value: number): number => value * value - 0.5;
    close(floatAt[2]!, (row, column) => {
      let sum = 0;
      for (let step = 0; step < k; step++) sum += f(floatAt[0]![row * a[0] + step * a[1]]!) * f(floatAt[1]![step * b[0] + column * b[1]]!);
      return sum;
    });
  });
});
