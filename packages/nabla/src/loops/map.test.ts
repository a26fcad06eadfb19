import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkKernel, type Contents, runWasm, stridesFor, target, values } from "./check-kernel.fixture.ts";
import { FunctionBuilder, i32 } from "./build.ts";
import { Interpreter } from "./interpret.fixture.ts";
import type { Access, Instruction, MapKernel, RegisterType } from "../kernels/kernel.ts";
import { epilogueEmitter, lowerMap } from "./map.ts";
import type { DType } from "../ops/dtype.ts";

const registers: Readonly<Record<DType, RegisterType>> = { float32: "float32", float64: "float64", int32: "int32", uint8: "int32", bool: "bool" };

function at(buffer: number, strides: readonly number[], dtype: DType = "float32", offset = 0): Access {
  return { buffer, dtype, offset, strides };
}

function read(access: Access): Instruction {
  return { op: "load", type: registers[access.dtype], access };
}

const contents = (dtype: DType, count: number, seed = 1): Contents => ({ dtype, data: values(dtype, count, seed) });

const sizes = [0, 1, 3, 7, 15, 16, 17, 63, 997];

describe.each(["float32", "float64", "int32", "uint8"] as const)("%s", (dtype) => {
  const type = registers[dtype];
  test.each(sizes)("x·y + y over %d elements", (size) => {
    const body: Instruction[] = [read(at(0, [1], dtype)), read(at(1, [1], dtype)), { op: "mul", type, a: 0, b: 1 }, { op: "add", type, a: 2, b: 1 }];
    checkKernel({ kind: "map", domain: [size], body, stores: [{ access: at(2, [1], dtype), value: 3 }] }, [contents(dtype, size), contents(dtype, size, 2), contents(dtype, size)]);
  });
});

test("integer division truncates, gives 0 by zero, and wraps the least by −1", () => {
  const a = [7, -7, 5, -(2 ** 31), 0, 9, -9];
  const b = [2, 2, 0, -1, 5, -1, -4];
  const body: Instruction[] = [read(at(0, [1], "int32")), read(at(1, [1], "int32")), { op: "div", type: "int32", a: 0, b: 1 }];
  const kernel: MapKernel = { kind: "map", domain: [7], body, stores: [{ access: at(2, [1], "int32"), value: 2 }] };
  expect(runWasm(kernel, [{ dtype: "int32", data: a }, { dtype: "int32", data: b }, contents("int32", 7)])[2]).toEqual([3, -3, 0, -(2 ** 31), 0, -9, 2]);
});

test("maximum and minimum propagate NaN from either side", () => {
  const x = [NaN, 1, NaN, 1, -Infinity];
  const y = [1, NaN, NaN, 2, 0];
  const body: Instruction[] = [read(at(0, [1])), read(at(1, [1])), { op: "maximum", type: "float32", a: 0, b: 1 }, { op: "minimum", type: "float32", a: 0, b: 1 }];
  const kernel: MapKernel = { kind: "map", domain: [5], body, stores: [{ access: at(2, [1]), value: 2 }, { access: at(3, [1]), value: 3 }] };
  const result = runWasm(kernel, [{ dtype: "float32", data: x }, { dtype: "float32", data: y }, contents("float32", 5), contents("float32", 5)]);
  expect(result[2]).toEqual([NaN, NaN, NaN, 2, 0]);
  expect(result[3]).toEqual([NaN, NaN, NaN, 1, -Infinity]);
});

describe("layouts", () => {
  const add: Instruction = { op: "add", type: "float32", a: 0, b: 1 };
  const cases: [string, number[], Access, Access, Access, number[]][] = [
    ["transposed load", [17, 63], at(0, [1, 17]), at(1, [63, 1]), at(2, [63, 1]), [1071, 1071, 1071]],
    ["transposed store", [17, 63], at(0, [63, 1]), at(1, [63, 1]), at(2, [1, 17]), [1071, 1071, 1071]],
    ["row repeated", [15, 33], at(0, [33, 1]), at(1, [0, 1]), at(2, [33, 1]), [495, 33, 495]],
    ["column repeated", [15, 33], at(0, [33, 1]), at(1, [1, 0]), at(2, [33, 1]), [495, 15, 495]],
    ["every second, from the third", [40], at(0, [2], "float32", 3), at(1, [1]), at(2, [1]), [83, 40, 40]],
    ["strided store", [9, 7], at(0, [7, 1]), at(1, [7, 1]), at(2, [21, 3], "float32", 2), [63, 63, 191]],
    ["three axes that do not merge", [5, 6, 19], at(0, [6, 1, 30]), at(1, [0, 19, 1]), at(2, [114, 19, 1]), [570, 114, 570]],
    ["many units", [130, 3, 70], at(0, [210, 70, 1]), at(1, [70, 0, 1]), at(2, [1, 9100, 130]), [27_300, 9100, 27_300]],
    ["one long axis", [70_001], at(0, [1]), at(1, [0]), at(2, [1]), [70_001, 1, 70_001]],
    ["long rows", [2, 40_003], at(0, [40_003, 1]), at(1, [0, 1]), at(2, [40_003, 1]), [80_006, 40_003, 80_006]],
  ];
  test.each(cases)("%s", (_, domain, a, b, out, lengths) => {
    const kernel: MapKernel = { kind: "map", domain, body: [read(a), read(b), add], stores: [{ access: out, value: 2 }] };
    checkKernel(kernel, lengths.map((length, index) => contents("float32", length, index)));
  });

  test("a scalar domain", () => {
    const kernel: MapKernel = { kind: "map", domain: [], body: [read(at(0, [])), read(at(1, [])), add], stores: [{ access: at(2, []), value: 2 }] };
    checkKernel(kernel, [contents("float32", 1), contents("float32", 1, 2), contents("float32", 1)]);
  });
});

describe("an operand across the rows", () => {
  test.each([[4, 4], [37, 19], [16, 300], [70, 5], [3, 18], [130, 131]])("%d × %d", (rows, columns) => {
    for (const dtype of ["float32", "float64", "int32", "uint8", "bool"] as const) {
      const access = (buffer: number, strides: readonly number[]) => ({ ...at(buffer, strides), dtype });
      const kernel: MapKernel = {
        kind: "map", domain: [rows, columns],
        body: [{ op: "load", type: dtype === "uint8" ? "int32" : dtype, access: { ...access(0, [1, rows]), offset: 3 } }],
        stores: [{ access: access(1, [columns, 1]), value: 0 }],
      };
      checkKernel(kernel, [contents(dtype, rows * columns + 3), contents(dtype, rows * columns)]);
    }
  });

  test("beside operands that lie otherwise, and positions, in a batch", () => {
    const [batch, rows, columns] = [3, 21, 26] as const;
    const body: Instruction[] = [
      read(at(0, [rows * columns, 1, rows])),
      read(at(1, [0, 1, 0])),
      { op: "add", type: "float32", a: 0, b: 1 },
      read({ ...at(2, [0, 0, -1]), offset: columns - 1 }),
      { op: "mul", type: "float32", a: 2, b: 3 },
      { op: "index", type: "int32", offset: 1, strides: [0, 2, 0] },
      { op: "cast", type: "float32", a: 5 },
      { op: "sub", type: "float32", a: 4, b: 6 },
    ];
    const stores = [{ access: at(3, [rows * columns, columns, 1]), value: 7 }, { access: at(4, [rows * columns, columns, 1]), value: 4 }];
    const kernel: MapKernel = { kind: "map", domain: [batch, rows, columns], body, stores };
    const size = batch * rows * columns;
    checkKernel(kernel, [contents("float32", size), contents("float32", rows, 2), contents("float32", columns, 3), contents("float32", size), contents("float32", size)]);
  });
});

test.each([1, 3, 4, 37, 300])("%d elements backwards", (size) => {
  const kernel: MapKernel = { kind: "map", domain: [size], body: [{ op: "load", type: "float32", access: { ...at(0, [-1]), offset: size - 1 } }], stores: [{ access: at(1, [1]), value: 0 }] };
  checkKernel(kernel, [contents("float32", size), contents("float32", size)]);
});

describe("rows by index", () => {
  test.each([[5, 37], [1, 3], [40, 1]])("%d rows of %d, clamped", (rows, width) => {
    const row: Instruction = read(at(1, [1, 0], "int32"));
    const kernel: MapKernel = {
      kind: "map",
      domain: [rows, width],
      body: [row, { op: "load", type: "float32", access: { ...at(0, [0, 1]), indirect: { row: 0, stride: width, rows: 6 } } }],
      stores: [{ access: at(2, [width, 1]), value: 1 }],
    };
    checkKernel(kernel, [contents("float32", 6 * width), contents("int32", rows), contents("float32", rows * width)]);
  });

  test("one element of each row: the index varies along the lanes", () => {
    const kernel: MapKernel = {
      kind: "map",
      domain: [23],
      body: [read(at(1, [1], "int32")), { op: "load", type: "float32", access: { ...at(0, [10]), indirect: { row: 0, stride: 1, rows: 10 } } }, { op: "neg", type: "float32", a: 1 }],
      stores: [{ access: at(2, [1]), value: 2 }],
    };
    checkKernel(kernel, [contents("float32", 230), contents("int32", 23), contents("float32", 23)]);
  });
});

test("indices, casts and truth values", () => {
  const domain = [7, 13];
  const body: Instruction[] = [
    { op: "index", type: "int32", offset: 2, strides: [100, 3] },
    read(at(0, [13, 1], "uint8")),
    { op: "cast", type: "float32", a: 0 },
    { op: "less", type: "bool", a: 1, b: 0 },
    read(at(1, [13, 1], "bool")),
    { op: "logicalAnd", type: "bool", a: 3, b: 4 },
    { op: "cast", type: "float32", a: 5 },
    { op: "sub", type: "float32", a: 2, b: 6 },
    { op: "cast", type: "int32", a: 7, wrap: "uint8" },
    { op: "equal", type: "bool", a: 4, b: 5 },
  ];
  const stores = [{ access: at(2, [13, 1]), value: 7 }, { access: at(3, [13, 1], "uint8"), value: 8 }, { access: at(4, [13, 1], "bool"), value: 9 }];
  checkKernel({ kind: "map", domain, body, stores }, [contents("uint8", 91), contents("bool", 91), contents("float32", 91), contents("uint8", 91), contents("bool", 91)]);
});

test("an update in place: parameters, moments, square root and quotient", () => {
  const size = 1003;
  const load4 = [0, 1, 2, 3].map((buffer) => read(at(buffer, [1])));
  const body: Instruction[] = [
    ...load4,
    { op: "constant", type: "float32", value: 0.9 },
    { op: "mul", type: "float32", a: 2, b: 4 },
    { op: "add", type: "float32", a: 5, b: 1 },
    { op: "mul", type: "float32", a: 1, b: 1 },
    { op: "add", type: "float32", a: 7, b: 7 },
    { op: "sqrt", type: "float32", a: 8 },
    { op: "constant", type: "float32", value: 1 },
    { op: "add", type: "float32", a: 9, b: 10 },
    { op: "div", type: "float32", a: 6, b: 11 },
    { op: "sub", type: "float32", a: 0, b: 12 },
  ];
  const stores = [{ access: at(0, [1]), value: 13 }, { access: at(2, [1]), value: 6 }, { access: at(3, [1]), value: 8 }];
  checkKernel({ kind: "map", domain: [size], body, stores }, [0, 1, 2, 3].map((seed) => contents("float32", size, seed)));
});

test("random bodies over random layouts", () => {
  const operations = ["add", "sub", "mul", "maximum", "minimum", "neg", "abs", "relu", "sign", "tanh", "sigmoid", "select"] as const;
  const layout = fc.record({
    order: fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
    repeated: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    offset: fc.nat(3),
  });
  const property = fc.property(
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 3, maxLength: 3 }),
    fc.array(layout, { minLength: 2, maxLength: 4 }),
    fc.array(fc.record({ op: fc.constantFrom(...operations), a: fc.nat(), b: fc.nat() }), { minLength: 1, maxLength: 8 }),
    fc.array(fc.shuffledSubarray([0, 1, 2], { minLength: 3 }), { minLength: 1, maxLength: 2 }),
    (domain, loads, steps, outputs) => {
      const buffers: Contents[] = [];
      const body: Instruction[] = loads.map(({ order, repeated, offset }, index) => {
        const { strides, size } = stridesFor(domain, order, repeated);
        buffers.push(contents("float32", size + offset, index));
        return read(at(index, strides, "float32", offset));
      });
      for (const { op, a, b } of steps) {
        const [left, right] = [a % body.length, b % body.length].map((index) => (body[index]!.type === "bool" ? 0 : index)) as [number, number];
        if (op === "select") {
          // Loaded values are exact, so the comparison cannot fall the other way in float64.
          body.push({ op: "less", type: "bool", a: a % loads.length, b: b % loads.length });
          body.push({ op, type: "float32", condition: body.length - 1, a: left, b: right });
        } else if (op === "add" || op === "sub" || op === "mul" || op === "maximum" || op === "minimum") body.push({ op, type: "float32", a: left, b: right });
        else body.push({ op: op === "sign" ? "abs" : op, type: "float32", a: left });
      }
      const stores = outputs.map((order, index) => {
        const { strides, size } = stridesFor(domain, order);
        buffers.push(contents("float32", size));
        return { access: at(loads.length + index, strides), value: body.length - 1 - index };
      });
      if (stores.some(({ value }) => body[value]!.type === "bool")) return;
      checkKernel({ kind: "map", domain, body, stores }, buffers, 1e-4);
    },
  );
  fc.assert(property, { numRuns: 60 });
});

test("an epilogue over a rectangle reads the product where it lies", () => {
  const [m, n] = [5, 11];
  const f = new FunctionBuilder("epilogue");
  const args = f.parameter("args");
  const product = f.parameter("product");
  const epilogue: Instruction[] = [
    { op: "accumulator", type: "float32", index: 0 },
    { op: "load", type: "float32", access: at(0, [0, 1]) },
    { op: "add", type: "float32", a: 0, b: 1 },
  ];
  const emitter = epilogueEmitter(f, args, { type: "float32", epilogue, stores: [{ access: at(1, [n, 1]), value: 2 }], rank: 0 }, target);
  emitter.start();
  emitter.emit({ batch: [], rows: [i32(1), i32(4)], columns: [i32(2), i32(9)], accumulator: { address: product, rowBytes: 64 } });
  const memory = new ArrayBuffer(2048);
  new Int32Array(memory, 0, 2).set([512, 1024]);
  const bias = new Float32Array(memory, 512, n).map((_, column) => column);
  new Float32Array(memory, 512, n).set(bias);
  const tile = new Float32Array(memory, 64, 3 * 16).map((_, index) => 100 * index);
  new Float32Array(memory, 64, 48).set(tile);
  new Interpreter(memory).run(f.finish(), [0, 64]);
  const out = new Float32Array(memory, 1024, m * n);
  out.forEach((value, index) => {
    const [row, column] = [Math.floor(index / n), index % n];
    const inside = row >= 1 && row < 4 && column >= 2 && column < 9;
    expect(value).toBe(inside ? tile[(row - 1) * 16 + column - 2]! + column : 0);
  });
});

test("units are coarse, and enough for every thread", () => {
  const kernel = (domain: number[], strides: number[]): MapKernel => ({ kind: "map", domain, body: [read(at(0, strides))], stores: [{ access: at(1, strides), value: 0 }] });
  expect(lowerMap(kernel([100], [1]), target).units).toBe(1);
  expect(lowerMap(kernel([131_072], [1]), target).units).toBe(16);
  expect(lowerMap(kernel([1 << 20], [1]), target).units).toBe(64);
});
