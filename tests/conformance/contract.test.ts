// What every primitive owes: samples, wrong inputs that are refused with a message, a batching rule that equals a loop.
import { describe, expect, test } from "vitest";
import { interpret } from "../../packages/nabla/src/devices/reference/interpret.ts";
import { node } from "../../packages/nabla/src/ops/build.ts";
import { hostArray, isFloating } from "../../packages/nabla/src/ops/dtype.ts";
import { NablaError } from "../../packages/nabla/src/errors/errors.ts";
import type { OpName } from "../../packages/nabla/src/ops/graph.ts";
import { rules } from "../../packages/nabla/src/ops/registry.ts";
import type { HostValue, Rule } from "../../packages/nabla/src/ops/rule.ts";
import { sizeOf } from "../../packages/nabla/src/ops/shape.ts";
import { vmap } from "../../packages/nabla/src/transform/batch.ts";
import { expectClose, placeholder, widened } from "./run.ts";

const names = Object.keys(rules) as OpName[];
const takesAnything: readonly OpName[] = ["cast", "stopGradient", "after"];

describe("contract", () => {
  // A source has no value of its own, so it has nothing to sample.
  test.each(names.filter((op) => op !== "source"))("%s has samples", (op) => {
    const { vjp } = rules[op] as Rule<OpName>;
    const samples = (rules[op] as Rule<OpName>).samples();
    expect(samples.length).toBeGreaterThanOrEqual(2);
    if (vjp !== "none") expect(samples.filter(({ differentiable }) => differentiable !== false).length).toBeGreaterThanOrEqual(2);
  });

  test.each(names.filter((op) => !takesAnything.includes(op)))("%s refuses wrong inputs", (op) => {
    const { errors } = rules[op] as Rule<OpName>;
    expect(errors.length).toBeGreaterThanOrEqual(1);
    for (const { inputs, params, message } of errors) {
      const build = (): unknown => node(op, inputs.map(placeholder), params);
      expect(build).toThrow(NablaError);
      expect(build).toThrow(message);
      expect(build).toThrow(new RegExp(`^${op}: `));
    }
  });
});

/** The elements of `value`, rotated by `shift`. */
function rotated(value: HostValue, shift: number): HostValue {
  const { data } = value;
  return { ...value, data: data.map((_, index) => data[(index + shift) % data.length]!) };
}

function stack(values: readonly HostValue[]): HostValue {
  const { shape, dtype, data } = values[0]!;
  const joined = values.flatMap((value) => [...value.data]);
  const whole = isFloating(dtype) ? new Float64Array(joined.length) : hostArray(dtype, data.length * values.length);
  whole.set(joined);
  return { shape: [values.length, ...shape], dtype, data: whole };
}

/** Every way to batch `count` inputs, but none of them. */
function choices(count: number): boolean[][] {
  return Array.from({ length: 2 ** count - 1 }, (_, index) => Array.from({ length: count }, (__, bit) => ((index + 1) >> bit) % 2 === 1));
}

describe("batch", () => {
  const SIZE = 3;
  test.each(names)("%s equals a loop", (op) => {
    for (const { inputs, params, name } of (rules[op] as Rule<OpName>).samples()) {
      const wide = inputs.map((input): HostValue => ({ ...input, data: widened(input) }));
      for (const batched of choices(inputs.length)) {
        const leaves = inputs.map(placeholder);
        const output = node(op, leaves, params);
        const examples = Array.from({ length: SIZE }, (_, index) => wide.map((input, at) => (batched[at] ? rotated(input, index) : input)));
        const loop = examples.map((example) => interpret([output], leaves, example.map(({ data }) => data), "float64")[0]!);

        const moved = leaves.filter((_, at) => batched[at]);
        const fixed = leaves.filter((_, at) => !batched[at]);
        const stacks = wide.flatMap((_, at) => (batched[at] ? [stack(examples.map((example) => example[at]!))] : []));
        const stacked = stacks.map(placeholder);
        const [result] = vmap([output], moved, stacked, SIZE);
        const data = [...wide.filter((_, at) => !batched[at]), ...stacks].map((value) => value.data);
        const [actual] = interpret([result!], [...fixed, ...stacked], data, "float64");
        expect(actual!.data.length, name).toBe(SIZE * sizeOf(output.shape));
        expectClose(actual!, stack(loop), { relative: 1e-12, absolute: 1e-12 });
      }
    }
  });

  test("what does not depend on the inputs is repeated", () => {
    const [x, y] = [placeholder({ shape: [2], dtype: "float32" }), placeholder({ shape: [4, 2], dtype: "float32" })];
    const other = placeholder({ shape: [3], dtype: "float32" });
    const [repeated] = vmap([other], [x], [y], 4);
    expect(repeated!.shape).toEqual([4, 3]);
  });

  test("nests", () => {
    const x = placeholder({ shape: [2], dtype: "float32" });
    const once = placeholder({ shape: [3, 2], dtype: "float32" });
    const twice = placeholder({ shape: [5, 3, 2], dtype: "float32" });
    const inner = vmap([node("sum", [x], { axes: [0] })], [x], [once], 3);
    expect(vmap(inner, [once], [twice], 5)[0]!.shape).toEqual([5, 3]);
  });
});
