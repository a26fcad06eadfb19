// Every elementwise primitive in every dtype it takes, on every device, over a dense sweep of its operands against float64:
// extremes, subnormal numbers, halves, zeros of both signs, infinities and NaN. Each runs alone and beside a copy of its operand.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../packages/nabla/src/devices/device.ts";
import { interpret } from "../../packages/nabla/src/devices/reference/interpret.ts";
import { neg, node } from "../../packages/nabla/src/ops/build.ts";
import { type DType, isFloating } from "../../packages/nabla/src/ops/dtype.ts";
import { binaryRules, type BinaryOp, unaryRules, type UnaryOp } from "../../packages/nabla/src/ops/elementwise.ts";
import type { GraphNode } from "../../packages/nabla/src/ops/graph.ts";
import { rules } from "../../packages/nabla/src/ops/registry.ts";
import type { HostValue } from "../../packages/nabla/src/ops/rule.ts";
import { host } from "../../packages/nabla/src/ops/sample.ts";
import { devices } from "../devices.ts";
import { placeholder, runOn, widened } from "./run.ts";

const dtypes: readonly DType[] = ["float32", "float64", "int32", "uint8", "bool"];
const limits = { float32: { largest: 3.4028234663852886e38, normal: 2 ** -126, tiny: 2 ** -149 }, float64: { largest: Number.MAX_VALUE, normal: 2 ** -1022, tiny: 5e-324 } };

function notable(dtype: DType): number[] {
  switch (dtype) {
    case "bool":
      return [0, 1];
    case "uint8":
      return [0, 1, 2, 3, 7, 127, 128, 129, 200, 254, 255];
    case "int32":
      return [0, 1, -1, 2, -2, 3, -7, 100, -100, 65535, 65536, -65537, 16777217, 2 ** 31 - 1, -(2 ** 31), -(2 ** 31) + 1];
    default: {
      const { largest, normal, tiny } = limits[dtype];
      const sizes = [0, tiny, 3 * tiny, normal / 2, normal, 1e-20, 1e-4, 0.2, 0.5, 1 - 2 ** -20, 1, 1.5, 2, 2.5, 3, 10, 88, 100, 1e4, 2 ** 23 + 1, 1e10, 1e20, largest, Infinity];
      return [...sizes.flatMap((size) => [size, -size]), NaN];
    }
  }
}

/** Sizes from the smallest to the largest number, both signs. */
function dense(dtype: DType): number[] {
  if (!isFloating(dtype)) return notable(dtype).flatMap((value) => [value, value]);
  const [from, to] = dtype === "float32" ? [-149, 127.99] : [-1074, 1023.99];
  return Array.from({ length: 1501 }, (_, index) => 2 ** (from + ((to - from) * index) / 1500) * (index % 2 === 0 ? 1 : -1));
}

/** Numbers near which most functions bend. */
const middle = Array.from({ length: 1001 }, (_, index) => (index - 500) / 8 + ((index * 7) % 5) / 100);

function unaryOperands(dtype: DType): HostValue[] {
  const values = [...notable(dtype), ...dense(dtype), ...(isFloating(dtype) ? middle : [])];
  return [host(dtype, [values.length], values)];
}

function binaryOperands(dtype: DType): HostValue[] {
  const values = notable(dtype);
  const pairs = values.flatMap((a) => values.map((b) => [a, b] as const));
  return [host(dtype, [pairs.length], pairs.map(([a]) => a)), host(dtype, [pairs.length], pairs.map(([, b]) => b))];
}

/** The zero of two zeros of different sign is not said. */
const eitherZero: readonly string[] = ["maximum", "minimum"];

function check(op: UnaryOp | BinaryOp, inputs: readonly HostValue[], actual: HostValue, expected: HostValue): void {
  const { relative, absolute } = rules[op].roundingError;
  const { dtype } = expected;
  const single = dtype === "float32";
  const unit = single ? 2 ** -24 : 2 ** -53;
  // float64's functions may be a little looser, as in the samples. The sigmoid flushes what is below the normal numbers.
  const allowed = relative * unit * (single ? 1 : 4);
  const floor = op === "sigmoid" ? limits[single ? "float32" : "float64"].normal : (single ? 2 ** -149 : 5e-324) * (relative > 1 ? relative : 0);
  expected.data.forEach((wide, index) => {
    const value = actual.data[index]!;
    const wanted = single ? Math.fround(wide) : wide;
    if (Object.is(value, wanted) || (wanted === 0 && value === 0 && eitherZero.includes(op))) return;
    const near = Math.abs(value - wide) <= allowed * Math.abs(wide) + floor + absolute(inputs, expected) * unit && !(wanted === 0 && value === 0);
    if (!near) expect.fail(`${op}(${inputs.map(({ data }) => data[index]).join(", ")}) in ${inputs[0]!.dtype} is ${value}, not ${wanted}`);
  });
}

function takes(op: UnaryOp | BinaryOp, inputs: readonly HostValue[]): GraphNode | undefined {
  try {
    return node(op, inputs.map(placeholder), {});
  } catch {
    return undefined;
  }
}

describe.each(devices)("sweep ($name)", ({ make }) => {
  let device: Device;
  beforeAll(() => {
    device = make();
  });
  afterAll(() => device.dispose());

  const cases = [
    ...(Object.keys(unaryRules) as UnaryOp[]).flatMap((op) => dtypes.map((dtype) => ({ op, dtype, operands: unaryOperands }))),
    ...(Object.keys(binaryRules) as BinaryOp[]).flatMap((op) => dtypes.map((dtype) => ({ op, dtype, operands: binaryOperands }))),
  ].filter(({ op, dtype, operands }) => takes(op, operands(dtype)) !== undefined);

  test.each(cases)("$op of $dtype", async ({ op, dtype, operands }) => {
    const values = operands(dtype);
    const output = takes(op, values)!;
    const leaves = output.inputs;
    const [expected] = interpret([output], leaves, values.map(widened), "float64");
    const [alone] = await runOn(device, { outputs: [output], leaves, values });
    check(op, values, alone!, expected!);
    const copy = dtype === "float32" || dtype === "float64" || dtype === "int32" ? neg(leaves[0]!) : leaves[0]!;
    const [beside] = await runOn(device, { outputs: [output, copy], leaves, values });
    expect(beside!.data).toEqual(alone!.data);
  });
});
