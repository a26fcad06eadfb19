// Primitives without inputs: sources, constants, positions.
// A map over a batch leaves them as they are.
import { requireAxis, requireElementType, requireShape, requireValue } from "./check.ts";
import type { DType } from "./dtype.ts";
import type { Aval, GraphNode, OpParams } from "./graph.ts";
import { apply, correctlyRounded, type Rule } from "./rule.ts";
import { rowMajorStrides, type Shape, sizeOf } from "./shape.ts";

/** A placeholder, or the home of a stored value. */
export function source({ shape, dtype }: Aval): GraphNode<"source"> {
  return apply(sourceRule, [], { shape, dtype });
}

export const sourceRule: Rule<"source"> = {
  op: "source",
  kind: "leaf",
  cost: 0,
  shape: (_, { shape, dtype }) => {
    requireShape("source", shape);
    return { shape, dtype };
  },
  reference: () => {
    throw new Error("A source has no value of its own: bind one.");
  },
  roundingError: correctlyRounded,
  vjp: "none",
  jvp: "none",
  batch: "none",
  samples: () => [],
  errors: [
    { inputs: [], params: { shape: [2, -1], dtype: "float32" }, message: /source: shape \[2, -1\] has -1 at axis 1/ },
    { inputs: [], params: { shape: [1.5], dtype: "float32" }, message: /has 1.5 at axis 0/ },
  ],
};

/** A scalar known at trace time. */
export function constant(value: number, dtype: DType): GraphNode<"constant"> {
  return apply(constantRule, [], { value, dtype });
}

export const constantRule: Rule<"constant"> = {
  op: "constant",
  kind: "leaf",
  cost: 0,
  shape: (_, { value, dtype }) => {
    requireElementType("constant", dtype);
    requireValue("constant", value, dtype);
    return { shape: [], dtype };
  },
  reference: (_, { value }, out) => {
    out.data[0] = value;
  },
  roundingError: correctlyRounded,
  vjp: "none",
  jvp: "none",
  batch: "none",
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
    { inputs: [], params: { value: 0, dtype: "float16" as DType }, message: /"float16" is no dtype. Use float32, float64/ },
  ],
};

function positions({ shape, axis }: OpParams["iota"], data: { [index: number]: number }): void {
  const stride = rowMajorStrides(shape)[axis]!;
  const size = sizeOf(shape);
  for (let i = 0; i < size; i++) data[i] = Math.floor(i / stride) % shape[axis]!;
}

/** int32 positions along `axis`. */
export function iota(shape: Shape, axis: number): GraphNode<"iota"> {
  return apply(iotaRule, [], { shape, axis });
}

export const iotaRule: Rule<"iota"> = {
  op: "iota",
  kind: "leaf",
  cost: 0,
  shape: (_, { shape, axis }) => {
    requireShape("iota", shape);
    requireAxis("iota", axis, { shape, dtype: "int32" });
    return { shape, dtype: "int32" };
  },
  reference: (_, params, out) => positions(params, out.data),
  roundingError: correctlyRounded,
  vjp: "none",
  jvp: "none",
  batch: "none",
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
