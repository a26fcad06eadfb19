// Primitives without inputs: sources, constants, positions.
// A map over a batch leaves them as they are, so batch only repeats them.
import * as ops from "./build.ts";
import type { OpParams } from "./graph.ts";
import { infer } from "./infer.ts";
import type { Rule } from "./rule.ts";
import { rowMajorStrides, sizeOf } from "./shape.ts";

export const sourceRule: Rule<"source"> = {
  shape: infer.source,
  reference: () => {
    throw new Error("A source has no value of its own: bind one.");
  },
  vjp: "none",
  jvp: "none",
  batch: (_, __, params, size) => ops.repeat(ops.source(params), size),
  samples: () => [],
  errors: [
    { inputs: [], params: { shape: [2, -1], dtype: "float32" }, message: /source: shape \[2, -1\] has -1 at axis 1/ },
    { inputs: [], params: { shape: [1.5], dtype: "float32" }, message: /has 1.5 at axis 0/ },
  ],
};

export const constantRule: Rule<"constant"> = {
  shape: infer.constant,
  reference: (_, { value }, out) => {
    out.data[0] = value;
  },
  vjp: "none",
  jvp: "none",
  batch: (_, __, { value, dtype }, size) => ops.repeat(ops.constant(value, dtype), size),
  samples: () => [
    ...[0.1, -0, NaN, Infinity, -Infinity, 1e-45, 3.4e38].map((value) => ({ inputs: [], params: { value, dtype: "float32" as const } })),
    { inputs: [], params: { value: Math.PI, dtype: "float64" } },
    { inputs: [], params: { value: -2147483648, dtype: "int32" } },
    { inputs: [], params: { value: 255, dtype: "uint8" } },
    { inputs: [], params: { value: 1, dtype: "bool" } },
  ],
  errors: [
    { inputs: [], params: { value: 0.5, dtype: "int32" }, message: /0.5 is not a value of int32/ },
    { inputs: [], params: { value: 256, dtype: "uint8" }, message: /256 is not a value of uint8.*0 to 255/ },
    { inputs: [], params: { value: 2, dtype: "bool" }, message: /2 is not a value of bool/ },
  ],
};

function positions({ shape, axis }: OpParams["iota"], data: { [index: number]: number }): void {
  const stride = rowMajorStrides(shape)[axis]!;
  const size = sizeOf(shape);
  for (let i = 0; i < size; i++) data[i] = Math.floor(i / stride) % shape[axis]!;
}

export const iotaRule: Rule<"iota"> = {
  shape: infer.iota,
  reference: (_, params, out) => positions(params, out.data),
  vjp: "none",
  jvp: "none",
  batch: (_, __, { shape, axis }, size) => ops.repeat(ops.iota(shape, axis), size),
  samples: () => [
    { inputs: [], params: { shape: [5], axis: 0 } },
    { inputs: [], params: { shape: [3, 7], axis: 0 }, name: "outer axis" },
    { inputs: [], params: { shape: [3, 7], axis: 1 }, name: "inner axis" },
    { inputs: [], params: { shape: [3, 5, 17], axis: 1 }, name: "middle axis, odd sizes" },
    { inputs: [], params: { shape: [1], axis: 0 }, name: "one element" },
    { inputs: [], params: { shape: [0, 3], axis: 1 }, name: "empty" },
  ],
  errors: [
    { inputs: [], params: { shape: [3], axis: 1 }, message: /axis 1 is out of range for shape \[3\]/ },
    { inputs: [], params: { shape: [], axis: 0 }, message: /axis 0 is out of range/ },
  ],
};
