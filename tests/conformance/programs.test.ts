// Programs built by hand, one or more of every kernel class in phases: devices against plain evaluation element by element,
// and the same bits whatever the number of threads.
import { afterAll, describe, expect, test } from "vitest";
import { execute } from "../../packages/nabla/src/kernels/execute.fixture.ts";
import type { Program, ProgramBuffer } from "../../packages/nabla/src/devices/device.ts";
import { WasmDevice } from "../../packages/nabla/src/devices/wasm/device.ts";
import type { Access, Instruction, Kernel, MatrixOperand } from "../../packages/nabla/src/kernels/kernel.ts";
import { lowerKernel } from "../../packages/nabla/src/loops/lower.ts";
import { bytesPerElement, type DType, hostArray, type TypedArray } from "../../packages/nabla/src/ops/dtype.ts";
import { rowMajorStrides, sizeOf } from "../../packages/nabla/src/ops/shape.ts";

const oneThread = new WasmDevice({ threads: 1 });
const threeThreads = new WasmDevice({ threads: 3 });
const started = threeThreads.startThreads();

afterAll(async () => {
  expect(oneThread.memory()).toEqual({ buffers: 0, bytes: 0 });
  expect(threeThreads.memory()).toEqual({ buffers: 0, bytes: 0 });
  await Promise.all([oneThread.dispose(), threeThreads.dispose()]);
});

/** Collects a program's buffers and phases. */
class ProgramBuilder {
  readonly buffers: ProgramBuffer[] = [];
  readonly kernels: Kernel[] = [];
  readonly phases: number[][] = [];
  #slots = 0;
  #arenaBytes = 0;

  bound(dtype: DType, size: number): number {
    return this.buffers.push({ dtype, size, place: { kind: "bound", slot: this.#slots++ } }) - 1;
  }

  temporary(dtype: DType, size: number): number {
    const offset = this.#arenaBytes;
    this.#arenaBytes += Math.ceil((size * bytesPerElement[dtype]) / 64) * 64;
    return this.buffers.push({ dtype, size, place: { kind: "arena", offset } }) - 1;
  }

  /** Kernels that may run side by side. */
  phase(...kernels: readonly Kernel[]): void {
    this.phases.push(kernels.map((kernel) => this.kernels.push(kernel) - 1));
  }

  /** Row-major access over `shape`, or over the axes that `strides` says. */
  access(buffer: number, shape: readonly number[], strides: readonly number[] = rowMajorStrides(shape), offset = 0): Access {
    return { buffer, dtype: this.buffers[buffer]!.dtype, offset, strides };
  }

  finish(): Program {
    return { buffers: this.buffers, kernels: this.kernels, phases: this.phases, arenaBytes: this.#arenaBytes, slots: this.#slots, graph: { inputs: [], outputs: [] } };
  }
}

const load = (access: Access, type: "float32" | "float64" | "int32" | "bool" = "float32"): Instruction => ({ op: "load", type, access });
const matrix = (access: Access): MatrixOperand => ({ body: [load(access)] });

/** Values without a pattern, in [−2, 2). */
function fill(dtype: DType, size: number, seed: number): TypedArray {
  const array = hostArray(dtype, size);
  let state = seed * 2654435761 + 1;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const value = (state >>> 8) / 2 ** 24;
    array[index] = dtype === "int32" ? Math.floor(value * 1000) - 500 : dtype === "bool" ? Number(value < 0.5) : dtype === "uint8" ? Math.floor(value * 256) : 4 * value - 2;
  }
  return array;
}

function runOn(device: WasmDevice, program: Program, bound: readonly TypedArray[]): TypedArray[] {
  // Every kernel claims to be dear, so that threads share even tiny ones.
  const lowered = program.kernels.map((kernel) => ({ ...lowerKernel(kernel, device.target), cost: 1e6 }));
  const executable = device.compileLowered(lowered, program);
  const buffers = bound.map((array) => device.allocate(array.byteLength));
  bound.forEach((array, slot) => device.write(buffers[slot]!, array));
  executable.run(buffers);
  return bound.map((array, slot) => {
    const result = array.slice();
    device.readSync(buffers[slot]!, result);
    device.free(buffers[slot]!);
    if (slot === bound.length - 1) executable.dispose();
    return result;
  });
}

/** Runs on all, compares with plain evaluation, and wants equal bits from the threads. */
async function conforms(program: Program, tolerance = 1e-5): Promise<void> {
  await started;
  const bound: TypedArray[] = [];
  program.buffers.forEach(({ dtype, size, place }, index) => {
    if (place.kind === "bound") bound[place.slot] = fill(dtype, size, index + 1);
  });
  const expected = bound.map((array) => array.slice());
  execute(program, expected);
  const one = runOn(oneThread, program, bound);
  const three = runOn(threeThreads, program, bound);
  one.forEach((array, slot) => {
    expect(three[slot]).toEqual(array);
    const scale = Math.max(1, ...expected[slot]!.map(Math.abs));
    array.forEach((value, index) => {
      const wanted = expected[slot]![index]!;
      if (Math.abs(value - wanted) > tolerance * scale) expect.fail(`slot ${slot}, element ${index}: ${value}, not ${wanted}`);
    });
  });
}

const sizes = [1, 3, 7, 64, 997];

describe("programs", () => {
  test.each(sizes)("map: relu(x·s + b) with a broadcast row, %i columns", async (columns) => {
    const p = new ProgramBuilder();
    const shape = [5, columns];
    const [x, b, y] = [p.bound("float32", sizeOf(shape)), p.bound("float32", columns), p.bound("float32", sizeOf(shape))];
    p.phase({
      kind: "map", domain: shape,
      body: [
        load(p.access(x, shape)),
        { op: "constant", type: "float32", value: 1.5 },
        { op: "mul", type: "float32", a: 0, b: 1 },
        load(p.access(b, shape, [0, 1])),
        { op: "add", type: "float32", a: 2, b: 3 },
        { op: "relu", type: "float32", a: 4 },
      ],
      stores: [{ access: p.access(y, shape), value: 5 }],
    });
    await conforms(p.finish());
  });

  test.each(sizes)("map: transposed, sliced and cast, %i rows", async (rows) => {
    const p = new ProgramBuilder();
    const [x, y, z] = [p.bound("int32", rows * 6), p.bound("float32", rows * 6), p.bound("bool", rows * 6)];
    p.phase({
      kind: "map", domain: [6, rows],
      body: [
        load(p.access(x, [6, rows], [1, 6]), "int32"),
        { op: "cast", type: "float32", a: 0 },
        { op: "constant", type: "int32", value: 0 },
        { op: "less", type: "bool", a: 2, b: 0 },
      ],
      stores: [{ access: p.access(y, [6, rows]), value: 1 }, { access: p.access(z, [6, rows]), value: 3 }],
    });
    await conforms(p.finish());
  });

  test.each(sizes)("reduce: sum, max and argmax of rows of %i in one pass", async (columns) => {
    const p = new ProgramBuilder();
    const rows = 13;
    const x = p.bound("float32", rows * columns);
    const [sum, max, argmax] = [p.bound("float32", rows), p.bound("float32", rows), p.bound("int32", rows)];
    p.phase({
      kind: "reduce", domain: [rows], reduced: [columns],
      body: [load(p.access(x, [rows, columns]))],
      accumulators: [
        { op: "sum", type: "float32", value: 0 },
        { op: "max", type: "float32", value: 0 },
        { op: "argmax", type: "int32", value: 0 },
      ],
      epilogue: [0, 1, 2].map((index): Instruction => ({ op: "accumulator", type: index === 2 ? "int32" : "float32", index })),
      stores: [sum, max, argmax].map((buffer, value) => ({ access: p.access(buffer, [rows]), value })),
    });
    await conforms(p.finish());
  });

  test.each(sizes)("reduce: over the outer axis of %i columns, and to one number", async (columns) => {
    const p = new ProgramBuilder();
    const rows = 37;
    const [x, byColumn, total] = [p.bound("float32", rows * columns), p.bound("float32", columns), p.bound("float32", 1)];
    const sum = (domain: number[], reduced: number[], strides: number[], to: number): Kernel => ({
      kind: "reduce", domain, reduced,
      body: [load(p.access(x, [], strides))],
      accumulators: [{ op: "sum", type: "float32", value: 0 }],
      epilogue: [{ op: "accumulator", type: "float32", index: 0 }],
      stores: [{ access: p.access(to, domain), value: 0 }],
    });
    p.phase(sum([columns], [rows], [1, columns], byColumn), sum([], [rows, columns], [columns, 1], total));
    await conforms(p.finish());
  });

  /** C = A·B with bias and relu, in one of the three storage orders. */
  function product(p: ProgramBuilder, m: number, n: number, k: number, order: "NN" | "NT" | "TN", a: number, b: number, bias: number, to: number): Kernel {
    return {
      kind: "gemm", type: "float32", batch: [], m, n, k,
      a: matrix(p.access(a, [], order === "TN" ? [1, m] : [k, 1])),
      b: matrix(p.access(b, [], order === "NT" ? [1, k] : [n, 1])),
      scratch: { buffer: to, offset: 0 }, kept: false,
      epilogue: [
        { op: "accumulator", type: "float32", index: 0 },
        load(p.access(bias, [], [0, 1])),
        { op: "add", type: "float32", a: 0, b: 1 },
        { op: "relu", type: "float32", a: 2 },
      ],
      stores: [{ access: p.access(to, [m, n]), value: 3 }],
    };
  }

  const shapes = [[1, 1, 1], [3, 7, 5], [13, 10, 64], [31, 33, 300], [65, 129, 31]] as const;
  test.each(shapes.flatMap((shape) => (["NN", "NT", "TN"] as const).map((order) => [...shape, order] as const)))(
    "gemm: %i×%i over %i, %s, with bias and relu",
    async (m, n, k, order) => {
      const p = new ProgramBuilder();
      const [a, b, bias, c] = [p.bound("float32", m * k), p.bound("float32", k * n), p.bound("float32", n), p.bound("float32", m * n)];
      p.phase(product(p, m, n, k, order, a, b, bias, c));
      await conforms(p.finish());
    },
  );

  test("scatterAdd: repeated and dropped indices", async () => {
    const p = new ProgramBuilder();
    const [rows, count, inner] = [11, 200, 9];
    const indices = p.bound("int32", count);
    const updates = p.bound("float32", count * inner);
    const out = p.bound("float32", rows * inner);
    const wrapped = p.temporary("int32", count);
    p.phase({
      // Indices in [−7, 8): some fall below zero and are dropped.
      kind: "map", domain: [count],
      body: [
        load(p.access(indices, [count]), "int32"),
        { op: "constant", type: "int32", value: 64 },
        { op: "div", type: "int32", a: 0, b: 1 },
      ],
      stores: [{ access: p.access(wrapped, [count]), value: 2 }],
    });
    p.phase({
      kind: "scatterAdd", dtype: "float32", rows, count, inner,
      indices: { buffer: wrapped, offset: 0 }, updates: { buffer: updates, offset: 0 }, out: { buffer: out, offset: 0 },
    });
    await conforms(p.finish());
  });

  test("a two-layer network with a normalising reduction: five phases through the arena", async () => {
    const p = new ProgramBuilder();
    const [batch, inputs, hidden, classes] = [33, 50, 65, 10];
    const [x, w1, b1, w2, b2, y] = [
      p.bound("float32", batch * inputs), p.bound("float32", inputs * hidden), p.bound("float32", hidden),
      p.bound("float32", hidden * classes), p.bound("float32", classes), p.bound("float32", batch * classes),
    ];
    const [h, z, e, s] = [
      p.temporary("float32", batch * hidden), p.temporary("float32", batch * classes), p.temporary("float32", batch * classes), p.temporary("float32", batch),
    ];
    p.phase(product(p, batch, hidden, inputs, "NN", x, w1, b1, h));
    p.phase(product(p, batch, classes, hidden, "NN", h, w2, b2, z));
    p.phase({
      kind: "map", domain: [batch, classes],
      body: [
        load(p.access(z, [batch, classes])),
        { op: "constant", type: "float32", value: -0.125 },
        { op: "mul", type: "float32", a: 0, b: 1 },
        { op: "exp", type: "float32", a: 2 },
      ],
      stores: [{ access: p.access(e, [batch, classes]), value: 3 }],
    });
    p.phase({
      kind: "reduce", domain: [batch], reduced: [classes],
      body: [load(p.access(e, [batch, classes]))],
      accumulators: [{ op: "sum", type: "float32", value: 0 }],
      epilogue: [{ op: "accumulator", type: "float32", index: 0 }],
      stores: [{ access: p.access(s, [batch]), value: 0 }],
    });
    p.phase({
      kind: "map", domain: [batch, classes],
      body: [
        load(p.access(e, [batch, classes])),
        load(p.access(s, [batch, classes], [1, 0])),
        { op: "div", type: "float32", a: 0, b: 1 },
      ],
      stores: [{ access: p.access(y, [batch, classes]), value: 2 }],
    });
    await conforms(p.finish());
  });
});
