// Every primitive's vjp and jvp against central differences in float64, and the same of its derivative.
import { describe, expect, test } from "vitest";
import { record, replay } from "../../packages/nabla/src/devices/reference/interpret.ts";
import { node, sumOf } from "../../packages/nabla/src/ops/build.ts";
import { isFloating, type TypedArray } from "../../packages/nabla/src/ops/dtype.ts";
import type { GraphNode, OpName } from "../../packages/nabla/src/ops/graph.ts";
import { rules } from "../../packages/nabla/src/ops/registry.ts";
import type { HostValue, Rule } from "../../packages/nabla/src/ops/rule.ts";
import { spread } from "../../packages/nabla/src/ops/sample.ts";
import { vjp } from "../../packages/nabla/src/transform/reverse.ts";
import { jvp } from "../../packages/nabla/src/transform/forward.ts";
import { placeholder, widened } from "./run.ts";

/** Central differences err by STEP² and by the rounding of what they subtract over STEP. */
const STEP = 1e-5;
const TOLERANCE = 1e-6;
/** Elements of an input that are moved, evenly chosen. */
const PROBES = 24;

interface Case {
  readonly outputs: readonly GraphNode[];
  readonly leaves: readonly GraphNode[];
  readonly data: readonly TypedArray[];
}

const direction = (like: GraphNode, seed: number): Float64Array => Float64Array.from(spread("float64", like.shape, -1, 1, seed).data);
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((total, value, index) => total + value * b[index]!, 0);

function close(actual: number, expected: number, where: string): void {
  if (!(Math.abs(actual - expected) <= TOLERANCE * Math.max(1, Math.abs(expected)))) expect.fail(`${where} is ${actual}; central differences give ${expected}`);
}

/** Σ weights·outputs on either side of `data`, moved by ±STEP along `move` of leaf `at`. */
function slopes({ outputs, leaves, data }: Case, at: number, move: (values: Float64Array, step: number) => void): Float64Array[] {
  const recording = record(leaves, outputs);
  const run = (step: number): HostValue[] => {
    const moved = Float64Array.from(data[at]!);
    move(moved, step);
    return replay(recording, data.map((values, index) => (index === at ? moved : values)), "float64");
  };
  const [up, down] = [run(STEP), run(-STEP)];
  return up.map((value, index) => Float64Array.from(value.data, (x, i) => (x - down[index]!.data[i]!) / (2 * STEP)));
}

/** Checks vjp and jvp of a case and returns its gradient as a new one. */
function check(operands: Case, name: string): Case {
  const { outputs, leaves, data } = operands;
  const floating = leaves.filter(({ dtype }) => isFloating(dtype));
  const cotangents = outputs.map((output) => placeholder(output));
  const weights = outputs.map((output, index) => direction(output, index + 3));
  const gradients = vjp(outputs, floating, cotangents);
  const results = replay(record([...leaves, ...cotangents], gradients.filter((gradient) => gradient !== null)), [...data, ...weights], "float64");
  let next = 0;
  floating.forEach((leaf, index) => {
    const gradient = gradients[index] === null ? null : results[next++]!;
    expect(gradient?.shape ?? leaf.shape).toEqual(leaf.shape);
    const at = leaves.indexOf(leaf);
    const size = data[at]!.length;
    for (let element = 0; element < size; element += Math.max(1, Math.ceil(size / PROBES))) {
      const measured = slopes(operands, at, (values, step) => (values[element]! += step));
      const expected = measured.reduce((total, slope, output) => total + dot(slope, weights[output]!), 0);
      close(gradient?.data[element] ?? 0, expected, `${name}: vjp of input ${at}, element ${element},`);
    }
  });
  floating.forEach((leaf) => {
    const at = leaves.indexOf(leaf);
    const along = direction(leaf, 7);
    const tangent = placeholder(leaf);
    const measured = slopes(operands, at, (values, step) => values.forEach((_, index) => (values[index]! += step * along[index]!)));
    jvp(outputs, [leaf], [tangent]).forEach((moved, output) => {
      const values = moved === null ? null : replay(record([...leaves, tangent], [moved]), [...data, along], "float64")[0]!;
      expect(values?.shape ?? outputs[output]!.shape).toEqual(outputs[output]!.shape);
      measured[output]!.forEach((expected, element) => close(values?.data[element] ?? 0, expected, `${name}: jvp along input ${at}, element ${element},`));
    });
  });
  return { outputs: gradients.filter((gradient) => gradient !== null), leaves: [...leaves, ...cotangents], data: [...data, ...weights] };
}

const names = (Object.keys(rules) as OpName[]).filter((op) => rules[op].vjp !== "none");

describe("derivatives", () => {
  test("a rule has both modes or none", () => {
    for (const op of Object.keys(rules) as OpName[]) expect(rules[op].jvp === "none", op).toBe(rules[op].vjp === "none");
  });

  test.each(names)("%s against central differences, and its derivative too", (op) => {
    const samples = (rules[op] as Rule<OpName>).samples();
    for (const { inputs, params, name = "plain", differentiable } of samples) {
      if (differentiable === false || !inputs.some(({ dtype }) => isFloating(dtype))) continue;
      const leaves = inputs.map(placeholder);
      const output = node(op, leaves, params);
      if (!isFloating(output.dtype)) {
        expect(vjp([output], leaves, [output]).every((gradient) => gradient === null)).toBe(true);
        continue;
      }
      const first = check({ outputs: [output], leaves, data: inputs.map(widened) }, name);
      if (first.outputs.length > 0) check(first, `${name}, second order`);
    }
  });
});

describe("conventions at kinks", () => {
  const at = (op: OpName, ...values: number[]): number[] => {
    const leaves = values.map(() => placeholder({ shape: [], dtype: "float64" }));
    const output = node(op, leaves, {});
    const gradients = vjp([output], leaves, [node("constant", [], { value: 1, dtype: "float64" })]);
    const results = replay(record(leaves, gradients.filter((gradient) => gradient !== null)), values.map((value) => Float64Array.of(value)), "float64");
    return results.map(({ data }) => data[0]!);
  };

  test("relu and abs are flat at 0", () => {
    expect(at("relu", 0)).toEqual([0]);
    expect(at("abs", 0)).toEqual([0]);
  });
  test("maximum and minimum share a tie", () => {
    expect(at("maximum", 2, 2)).toEqual([0.5, 0.5]);
    expect(at("minimum", 2, 2)).toEqual([0.5, 0.5]);
  });
  test("pow is safe at zero bases and exponents", () => {
    expect(at("pow", 0, 2)).toEqual([0, 0]);
    expect(at("pow", 3, 0)).toEqual([0, Math.log(3)]);
    expect(at("pow", 0, 0)).toEqual([0, 0]);
    expect(at("pow", 0, 1)).toEqual([1, 0]);
  });
  test("sqrt is infinitely steep at 0", () => {
    expect(at("sqrt", 0)).toEqual([Infinity]);
  });
  test("max shares a tie evenly", () => {
    const x = placeholder({ shape: [4], dtype: "float64" });
    const [gradient] = vjp([node("max", [x], { axes: [0] })], [x], [node("constant", [], { value: 1, dtype: "float64" })]);
    expect([...replay(record([x], [gradient!]), [Float64Array.of(1, 3, 0, 3)], "float64")[0]!.data]).toEqual([0, 0.5, 0, 0.5]);
  });
  test("pow keeps its second derivative at 0", () => {
    const x = placeholder({ shape: [], dtype: "float64" });
    const one = node("constant", [], { value: 1, dtype: "float64" });
    const square = node("pow", [x, node("constant", [], { value: 2, dtype: "float64" })], {});
    const [first] = vjp([square], [x], [one]);
    const [second] = vjp([first!], [x], [one]);
    expect(replay(record([x], [second!]), [Float64Array.of(0)], "float64")[0]!.data[0]).toBe(2);
  });
});

describe("the walk", () => {
  const x = placeholder({ shape: [3], dtype: "float64" });
  test("adds up what several users give back", () => {
    const y = sumOf([node("mul", [x, x], {}), x])!;
    check({ outputs: [y, node("exp", [y], {})], leaves: [x], data: [Float64Array.of(0.5, -1, 2)] }, "two users, two outputs");
  });
  test("gives null where nothing depends", () => {
    const other = placeholder(x);
    const stopped = node("mul", [node("stopGradient", [x], {}), other], {});
    expect(vjp([stopped], [x], [x])).toEqual([null]);
    expect(jvp([stopped], [x], [x])).toEqual([null]);
    expect(vjp([stopped], [other], [x])[0]).not.toBeNull();
  });
  test("differentiates with respect to a value inside the graph", () => {
    const inner = node("exp", [x], {});
    const [outerGradient, innerGradient] = vjp([node("mul", [inner, inner], {})], [x, inner], [inner]);
    const results = replay(record([x], [outerGradient!, innerGradient!]), [Float64Array.of(0, 0, 0)], "float64");
    expect(results.map(({ data }) => data[0])).toEqual([2, 2]);
  });
  test("is linear in a deep chain, without recursion", () => {
    let y: GraphNode = x;
    for (let depth = 0; depth < 20_000; depth++) y = node("neg", [y], {});
    const [gradient] = vjp([y], [x], [x]);
    expect(replay(record([x], [gradient!]), [Float64Array.of(1, 2, 3)], "float64")[0]!.data[2]).toBe(3);
  });
});
