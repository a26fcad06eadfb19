// The compiler alone: its kernels, run element by element in float64, against the primitives' references.
import { describe, expect, test } from "vitest";
import type { Program } from "../devices/device.ts";
import * as ops from "../ops/build.ts";
import { hostArray, type TypedArray } from "../ops/dtype.ts";
import { type AnyNode, type GraphNode, topologicalOrder } from "../ops/graph.ts";
import { rules } from "../ops/registry.ts";
import type { Evaluate, HostValue, Rule } from "../ops/rule.ts";
import { interpret } from "../devices/reference/interpret.ts";
import { sizeOf } from "../ops/shape.ts";
import { execute } from "../kernels/execute.fixture.ts";
import { compileProgram } from "./index.ts";

const interpretBody: Evaluate = (outputs, leaves, data) => interpret(outputs, leaves, data, "float64");

/** Reference values of `outputs` for the given inputs. */
function reference(outputs: readonly GraphNode[], feeds: ReadonlyMap<GraphNode, TypedArray>): TypedArray[] {
  const values = new Map<GraphNode, HostValue>();
  for (const node of topologicalOrder(outputs) as AnyNode[]) {
    const fed = feeds.get(node);
    const value: HostValue = { shape: node.shape, dtype: node.dtype, data: fed ?? hostArray(node.dtype, sizeOf(node.shape)) };
    if (fed === undefined) (rules[node.op] as Rule<typeof node.op>).reference(node.inputs.map((input) => values.get(input)!), node.params, value, interpretBody);
    values.set(node, value);
  }
  return outputs.map((output) => values.get(output)!.data);
}

function numbers(length: number, salt: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => Math.sin(i * 12.9898 + salt * 78.233) * 1.5);
}

interface Case {
  readonly inputs: readonly GraphNode[];
  readonly outputs: readonly GraphNode[];
  readonly donate?: readonly (number | undefined)[];
}

/** Compiles, executes and compares; returns the program for a look at its structure. */
function check({ inputs, outputs, donate = [] }: Case): Program {
  const data = inputs.map((input, salt) =>
    input.dtype === "float64" ? numbers(sizeOf(input.shape), salt) : Int32Array.from({ length: sizeOf(input.shape) }, (_, i) => (i * 7) % 5));
  const expected = reference(outputs, new Map(inputs.map((input, index) => [input, data[index]!.slice()])));
  const program = compileProgram({ inputs, outputs, donate });
  for (const order of ["forward", "backward"] as const) {
    const bound: TypedArray[] = data.map((values) => values.slice());
    const slots = outputs.map((output, index) => donate[index] ?? bound.push(hostArray(output.dtype, sizeOf(output.shape))) - 1);
    execute(program, bound, order);
    outputs.forEach((_, index) => {
      const got = bound[slots[index]!]!;
      expected[index]!.forEach((value, at) => expect(got[at], `${order}, output ${index}, element ${at}`).toBeCloseTo(value, 9));
    });
  }
  return program;
}

const x = (...shape: number[]): GraphNode => ops.source({ shape, dtype: "float64" });
const fill = (value: number, like: GraphNode): GraphNode => ops.scalarLike(value, like);

describe("one kernel", () => {
  test("an elementwise chain with a broadcast and a transpose", () => {
    const a = x(3, 5);
    const b = x(5, 3);
    const row = x(1, 5);
    const sum = ops.add(ops.mul(a, ops.transpose(b, [1, 0])), ops.broadcast(row, [3, 5]));
    const program = check({ inputs: [a, b, row], outputs: [ops.tanh(sum)] });
    expect(program.kernels.map((kernel) => kernel.kind)).toEqual(["map"]);
    expect(program.arenaBytes).toBe(0);
  });

  test("several outputs over the same elements", () => {
    const a = x(7);
    const b = x(7);
    const s = ops.mul(ops.exp(a), b);
    const program = check({ inputs: [a, b], outputs: [s, ops.add(s, a), ops.neg(s)] });
    expect(program.kernels).toHaveLength(1);
  });

  test("a product with bias and activation", () => {
    const a = x(4, 6);
    const w = x(6, 5);
    const bias = x(1, 5);
    const program = check({ inputs: [a, w, bias], outputs: [ops.relu(ops.add(ops.matmul(a, w), ops.broadcast(bias, [4, 5])))] });
    expect(program.kernels.map((kernel) => kernel.kind)).toEqual(["gemm"]);
  });

  test("a mean, with the division after the sum", () => {
    const a = x(4, 6);
    const total = ops.sum(ops.mul(a, a), [1]);
    const program = check({ inputs: [a], outputs: [ops.mul(total, fill(1 / 6, total))] });
    expect(program.kernels.map((kernel) => kernel.kind)).toEqual(["reduce"]);
  });

  test("what nothing reads is not computed, and what is written twice is computed once", () => {
    const a = x(3);
    ops.exp(a);
    const program = check({ inputs: [a], outputs: [ops.add(ops.log(ops.mul(a, a)), ops.log(ops.mul(a, a)))] });
    const [kernel] = program.kernels;
    expect(kernel?.kind === "map" && kernel.body.filter((instruction) => instruction.op === "log")).toHaveLength(1);
  });
});

describe("movement", () => {
  test("slices with steps, and reshapes that split", () => {
    const a = x(4, 6);
    check({ inputs: [a], outputs: [ops.reshape(ops.slice(a, [1, 0], [4, 6], [2, 3]), [2, 2, 1])] });
    check({ inputs: [a], outputs: [ops.neg(ops.reshape(ops.exp(a), [2, 2, 3, 2]))] });
  });

  test("a reshape that merges transposed axes", () => {
    const a = x(3, 4);
    check({ inputs: [a], outputs: [ops.neg(ops.reshape(ops.transpose(ops.exp(a), [1, 0]), [12]))] });
    check({ inputs: [a], outputs: [ops.reshape(ops.broadcast(ops.reshape(a, [3, 4, 1]), [3, 4, 2]), [24])] });
  });

  test("pad and concat write disjoint pieces", () => {
    const a = x(2, 3);
    const b = x(2, 2);
    check({ inputs: [a, b], outputs: [ops.pad(ops.exp(a), [1, 0], [2, 1], 7), ops.concat([ops.neg(a), b], 1)] });
    check({ inputs: [a], outputs: [ops.sum(ops.pad(a, [0, 2], [1, 0], -1), [0, 1])] });
  });

  test("gather and scatter-add", () => {
    const table = x(6, 3);
    const indices = ops.source({ shape: [4], dtype: "int32" });
    const rows = ops.gather(ops.exp(table), indices);
    check({ inputs: [table, indices], outputs: [ops.mul(rows, rows), ops.scatterAdd(indices, ops.neg(rows), 6)] });
  });

  test("an output that is an input, a view of one, or given twice", () => {
    const a = x(2, 3);
    const e = ops.exp(a);
    check({ inputs: [a], outputs: [a, ops.reshape(a, [6]), ops.transpose(a, [1, 0]), e, e, ops.reshape(e, [3, 2])] });
  });
});

describe("products", () => {
  test("transposed operands become flags, batches broadcast", () => {
    const a = x(2, 4, 3);
    const b = x(1, 4, 5);
    const product = ops.matmul(ops.transpose(a, [0, 2, 1]), ops.broadcast(b, [2, 4, 5]));
    expect(check({ inputs: [a, b], outputs: [product] }).kernels).toHaveLength(1);
  });

  test("operands computed on the way", () => {
    const a = x(3, 4);
    const b = x(5, 4);
    check({ inputs: [a, b], outputs: [ops.matmul(ops.tanh(a), ops.exp(b), false, true)] });
  });

  test("a product read as it is and after its epilogue", () => {
    const a = x(3, 4);
    const b = x(4, 2);
    const p = ops.matmul(a, b);
    const activated = ops.relu(p);
    check({ inputs: [a, b], outputs: [activated, ops.sum(p, [0]), ops.matmul(ops.transpose(p, [1, 0]), activated)] });
  });
});

describe("long reductions", () => {
  test("are cut in two and give the same sum", () => {
    const a = x(100_003);
    const program = check({ inputs: [a], outputs: [ops.sum(a, [0]), ops.max(a, [0])] });
    // The parts and the whole; both reductions share each pass.
    expect(program.kernels.length).toBeGreaterThan(2);
    const b = x(300, 200);
    check({ inputs: [b], outputs: [ops.sum(ops.mul(b, b), [0, 1])] });
  });
});

describe("several reductions of one pass", () => {
  const kinds = ({ kernels }: Program): string[] => kernels.map((kernel) => `${kernel.kind}${kernel.kind === "reduce" ? kernel.accumulators.length : ""}`);

  test("over the same axes of the same data share a kernel, with what follows them", () => {
    const [a, b] = [x(6, 5), x(6, 5)];
    const sums = [ops.exp(ops.sum(a, [0])), ops.sum(ops.mul(a, b), [0]), ops.max(a, [0])];
    expect(kinds(check({ inputs: [a, b], outputs: sums }))).toEqual(["reduce3"]);
  });

  test("over other axes, of other data, or one after the other do not", () => {
    const [a, b] = [x(6, 5), x(6, 5)];
    expect(kinds(check({ inputs: [a], outputs: [ops.sum(a, [0]), ops.sum(a, [1])] }))).toEqual(["reduce1", "reduce1"]);
    expect(kinds(check({ inputs: [a, b], outputs: [ops.sum(a, [0]), ops.sum(b, [0])] }))).toEqual(["reduce1", "reduce1"]);
    const top = ops.max(a, [1]);
    const shifted = ops.sub(a, ops.broadcast(ops.reshape(top, [6, 1]), [6, 5]));
    expect(kinds(check({ inputs: [a], outputs: [top, ops.sum(ops.exp(shifted), [1])] }))).toEqual(["reduce1", "reduce1"]);
  });

  test("a reduction stays apart from a kernel that overwrites what it reads elsewhere", () => {
    const state = x(4, 4);
    check({ inputs: [state], outputs: [ops.add(state, ops.broadcast(ops.reshape(ops.sum(state, [0]), [1, 4]), [4, 4])), ops.max(state, [0])], donate: [0] });
  });
});

describe("sharing", () => {
  test("a dear value that two kernels need is computed by one of them, and a cheap one by both", () => {
    const [a, b] = [x(4, 6), x(6, 5)];
    const dear = ops.tanh(ops.exp(x(4, 5)));
    const [, source] = [dear, dear.inputs[0]!.inputs[0]!];
    const first = ops.mul(ops.matmul(a, b), dear);
    const second = ops.mul(ops.matmul(first, ops.transpose(b, [1, 0])), ops.matmul(dear, ops.transpose(b, [1, 0])));
    const third = ops.add(ops.matmul(second, b), dear);
    const program = check({ inputs: [a, b, source], outputs: [third] });
    const bodies = program.kernels.flatMap((kernel) => [...("body" in kernel ? kernel.body : []), ...("epilogue" in kernel ? kernel.epilogue : [])]);
    expect(bodies.filter((instruction) => instruction.op === "tanh")).toHaveLength(1);
  });

  test("a reduction's epilogue reads it through a reshape, while others read it from memory", () => {
    const a = x(4, 3);
    const total = ops.reshape(ops.sum(ops.exp(a), [1]), [4, 1]);
    const log = ops.log(total);
    check({ inputs: [a], outputs: [ops.sub(a, ops.broadcast(log, [4, 3])), ops.div(a, ops.broadcast(total, [4, 3]))] });
  });

  test("a product accumulates where its epilogue's result goes", () => {
    const [a, b] = [x(4, 6), x(6, 5)];
    const program = check({ inputs: [a, b], outputs: [ops.exp(ops.matmul(a, b))] });
    expect(program.arenaBytes).toBe(0);
  });
});

describe("donation", () => {
  test("an update in place, readers of the old value first", () => {
    const w = x(4, 3);
    const input = x(2, 4);
    const y = ops.matmul(input, w);
    const gradient = ops.matmul(ops.transpose(input, [1, 0]), y);
    const updated = ops.sub(w, ops.mul(gradient, fill(0.1, w)));
    const program = check({ inputs: [w, input], outputs: [updated, ops.sum(ops.matmul(y, ops.transpose(w, [1, 0])), [0, 1])], donate: [0] });
    expect(program.buffers.filter((buffer) => buffer.place.kind === "bound" && buffer.place.slot === 0)).toHaveLength(1);
  });

  test("a value that cannot be written in place is copied at the end", () => {
    const w = x(3, 3);
    check({ inputs: [w], outputs: [ops.transpose(w, [1, 0])], donate: [0] });
    check({ inputs: [w], outputs: [ops.matmul(w, w)], donate: [0] });
    check({ inputs: [w], outputs: [ops.add(w, fill(1, w)), ops.matmul(ops.add(w, fill(1, w)), w)], donate: [0] });
    check({ inputs: [w], outputs: [ops.sum(w, [0]), w], donate: [undefined, 0] });
  });

  test("states whose updates read each other's old values are written by one kernel", () => {
    const [p, m, g] = [x(4, 3), x(4, 3), x(4, 3)];
    const decayed = ops.add(g, ops.mul(p, fill(0.1, p)));
    const moved = ops.sub(p, ops.add(m, decayed));
    const program = check({ inputs: [p, m, g], outputs: [moved, ops.mul(ops.add(m, p), decayed)], donate: [0, 1] });
    expect(program.kernels).toHaveLength(1);
    expect(program.arenaBytes).toBe(0);
  });

  test("and are copied where something has to run in between", () => {
    const [p, m] = [x(4, 3), x(4, 3)];
    const mean = ops.add(m, p);
    const total = ops.reshape(ops.sum(mean, [0, 1]), [1, 1]);
    check({ inputs: [p, m], outputs: [ops.sub(ops.add(p, m), ops.broadcast(total, [4, 3])), mean], donate: [0, 1] });
  });

  test("two states that swap", () => {
    const a = x(3);
    const b = x(3);
    check({ inputs: [a, b], outputs: [b, a], donate: [0, 1] });
    check({ inputs: [a, b], outputs: [ops.exp(b), ops.neg(a)], donate: [0, 1] });
  });
});

describe("the arena", () => {
  test("temporaries that are never alive together share their place", () => {
    let value: GraphNode = x(64, 64);
    const inputs = [value];
    for (let i = 0; i < 6; i++) value = ops.matmul(value, value);
    const program = check({ inputs, outputs: [value] });
    expect(program.arenaBytes).toBe(2 * 64 * 64 * 8);
  });
});

describe("values inside others", () => {
  const copies = (program: Program): number => program.kernels.filter((kernel) => kernel.kind === "map" && kernel.body.every(({ op }) => op === "load")).length;

  test("pieces of a concat are computed where they belong", () => {
    const [a, b] = [x(4, 3), x(4, 2)];
    const program = check({ inputs: [a, b], outputs: [ops.sum(ops.concat([ops.exp(ops.sum(ops.reshape(a, [4, 3, 1]), [2])), ops.tanh(b)], 1), [1])] });
    expect(copies(program)).toBe(0);
  });

  test("what is padded is computed inside the border, and read there by others", () => {
    const [a, w] = [x(4, 6), x(6, 5)];
    const inner = ops.relu(ops.matmul(a, w));
    const padded = ops.pad(inner, [1, 2], [1, 0], 3);
    const program = check({ inputs: [a, w], outputs: [ops.matmul(padded, ops.transpose(padded, [1, 0])), ops.matmul(inner, ops.transpose(w, [1, 0]))] });
    expect(copies(program)).toBe(0);
  });

  test("containers inside containers, through transposes and reshapes", () => {
    const [a, b] = [x(3, 4), x(5, 4)];
    const [p, q] = [ops.matmul(a, ops.transpose(b, [1, 0])), ops.matmul(b, ops.transpose(a, [1, 0]))];
    const joined = ops.concat([ops.exp(p), ops.transpose(ops.exp(q), [1, 0])], 0);
    const stacked = ops.concat([ops.reshape(ops.neg(p), [1, 3, 5]), ops.pad(ops.reshape(ops.tanh(p), [1, 3, 5]), [1, 0, 0], [0, 0, 0])], 0);
    check({ inputs: [a, b], outputs: [ops.sum(ops.pad(joined, [1, 1], [1, 1]), [0]), ops.sum(stacked, [1]), ops.sum(joined, [1])] });
  });

  test("a value that is a piece twice, or read by another piece, is copied there", () => {
    const a = x(4, 3);
    const total = ops.sum(ops.reshape(ops.exp(a), [4, 3, 1]), [2]);
    check({ inputs: [a], outputs: [ops.sum(ops.concat([total, ops.neg(total), total], 1), [1])] });
    const sums = ops.sum(ops.mul(a, a), [1]);
    check({ inputs: [a], outputs: [ops.max(ops.concat([sums, ops.mul(sums, sums)], 0), [0]), ops.concat([sums, sums], 0)] });
  });

  test("values whose elements must follow each other keep their own memory", () => {
    const [a, b] = [x(4, 6), x(6, 2)];
    const product = ops.matmul(a, b);
    const merged = ops.neg(ops.reshape(ops.transpose(product, [1, 0]), [8]));
    check({ inputs: [a, b], outputs: [ops.sum(ops.concat([product, ops.tanh(a)], 1), [0]), merged] });
    const root = ops.tanh(product);
    check({ inputs: [a, b], outputs: [ops.sum(ops.pad(root, [0, 1], [0, 1]), [0]), ops.exp(ops.reshape(ops.exp(root), [8])), ops.sum(ops.reshape(ops.transpose(root, [1, 0]), [8]), [0])] });
  });

  test("an output that overwrites an input takes pieces only as copies", () => {
    const w = x(4, 3);
    const half = ops.exp(ops.slice(w, [0, 0], [2, 3]));
    check({ inputs: [w], outputs: [ops.concat([ops.sum(ops.reshape(half, [2, 3, 1]), [2]), ops.slice(w, [0, 0], [2, 3])], 0)], donate: [0] });
  });

  test("sums of slices' derivatives are concatenated", () => {
    const gradients = Array.from({ length: 5 }, () => x(2, 3));
    const pads = gradients.map((gradient, index) => ops.pad(ops.exp(gradient), [0, 3 * index], [0, 3 * (4 - index)]));
    const program = check({ inputs: gradients, outputs: [ops.sum(ops.tanh(pads.reduce<GraphNode>((a, b) => ops.add(a, b), fill(0, x(2, 15)))), [0])] });
    expect(program.kernels.filter((kernel) => kernel.kind === "map").length).toBeLessThanOrEqual(6);
  });

  test("of equal, of overlapping and of distant ranges, along two axes, with other terms between", () => {
    const [a, b, c, d] = [x(2, 3), x(2, 3), x(2, 3), x(2, 9)];
    const at = (value: GraphNode, begin: number): GraphNode => ops.pad(value, [0, begin], [0, 6 - begin]);
    const row = ops.pad(ops.exp(ops.slice(d, [0, 0], [1, 9])), [1, 0], [0, 0]);
    const sum = [at(a, 0), d, at(b, 0), at(c, 2), row, at(ops.exp(b), 6), at(c, 1)].reduce((left, right) => ops.add(left, right));
    check({ inputs: [a, b, c, d], outputs: [sum, ops.add(at(a, 0), at(a, 6))] });
  });
});

describe("large programs", () => {
  /** Instructions of a kernel's longest body. */
  const longest = ({ kernels }: Program): number =>
    Math.max(...kernels.map((kernel) => Math.max("body" in kernel ? kernel.body.length : 0, "epilogue" in kernel ? kernel.epilogue.length : 0)));
  const bodyLimit = 1100;

  test("a chain of any length becomes kernels of bounded bodies", () => {
    const a = x(2);
    let sum: GraphNode = a;
    for (let i = 0; i < 5000; i++) sum = ops.add(ops.mul(sum, fill(0.999, a)), a);
    let product: GraphNode = a;
    for (let i = 0; i < 300; i++) product = ops.sin(product);
    expect(longest(check({ inputs: [a], outputs: [sum, product] }))).toBeLessThan(bodyLimit);
  });

  test("so do a sum of many scalars, and a value that is read in halves again and again", () => {
    const scalars = Array.from({ length: 1500 }, () => x());
    expect(longest(check({ inputs: scalars, outputs: [scalars.reduce((a, b) => ops.add(a, b))] }))).toBeLessThan(bodyLimit);
    let value: GraphNode = x(4096);
    const [first] = [value];
    while (value.shape[0]! > 1) {
      const half = value.shape[0]! / 2;
      value = ops.add(ops.slice(value, [0], [half]), ops.slice(value, [half], [2 * half]));
    }
    expect(longest(check({ inputs: [first], outputs: [value] }))).toBeLessThan(bodyLimit);
  });

  test("and values that share one array, each wanted", () => {
    const a = x(5);
    const others = Array.from({ length: 400 }, () => x(5));
    const program = check({ inputs: [a, ...others], outputs: others.map((other) => ops.tanh(ops.mul(a, other))) });
    expect(longest(program)).toBeLessThan(bodyLimit);
    expect(program.kernels.length).toBeLessThan(10);
  });

  test("a hundred states that each read all others' old values", () => {
    const states = Array.from({ length: 100 }, () => x(2));
    const total = states.map((state): GraphNode => ops.exp(state)).reduce((a, b) => ops.add(a, b));
    const mixed = ops.sum(ops.mul(total, total), [0]);
    const updates = states.map((state, index) => ops.add(ops.mul(state, fill(index, state)), ops.broadcast(ops.reshape(mixed, [1]), [2])));
    check({ inputs: states, outputs: updates, donate: states.map((_, index) => index) });
  });

  test("a hundred thousand nodes compile", () => {
    let value: GraphNode = x(2);
    const inputs = [value];
    for (let i = 0; i < 100_000; i++) value = ops.neg(ops.abs(value));
    expect(longest(compileProgram({ inputs, outputs: [value], donate: [] }))).toBeLessThan(bodyLimit);
  });
});
