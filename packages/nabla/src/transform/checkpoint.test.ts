import { describe, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { compileProgram } from "../compile/index.ts";
import type { Program } from "../devices/device.ts";
import { dense, dropout, sequential } from "../nn/index.ts";
import { Module } from "../nn/module.ts";
import { sgd } from "../optim/index.ts";
import { ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { key } from "../random/index.ts";
import { arange, tensor } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { step } from "../train/step.ts";
import { checkpoint } from "./checkpoint.ts";
import { compile } from "./compile.ts";
import { grad, jvp, valueAndGrad, vjp } from "./derivatives.ts";
import { jvp as forwardNodes } from "./forward.ts";
import { vjp as reverseNodes } from "./reverse.ts";
import { hessian, vmap } from "./vmap.ts";
import * as ops from "../ops/build.ts";

type Wrap = typeof checkpoint;
const plain: Wrap = (f) => f;
const vector = (...values: number[]): Tensor => tensor(values, { dtype: "float64" });

/** A function with a block in a block, a closure, a value that leaves twice, and one that does not depend on x. */
function network(wrap: Wrap, w: Tensor): (x: Tensor) => Tensor {
  const inner = wrap((h: Tensor) => h.matmul(w).tanh().mul(h.exp()));
  const outer = wrap((h: Tensor, scale: Tensor) => {
    const a = inner(h.mul(scale)).relu();
    const b = inner(a.add(h)).softmax();
    return { a, b: b.mul(w.sum()), mask: arange(3).greater(0) };
  });
  return (x) => {
    const first = outer(x.sin(), x.mean());
    const second = outer(first.a.sub(first.b), w.slice(0).sum());
    return second.mask.where(second.a.mul(first.a), second.b).sum();
  };
}

const w = (): Tensor => arange(9, undefined, 1, "float64").sin().reshape([3, 3]);
const x = (): Tensor => vector(0.3, -0.7, 1.1);

/** The transforms under which a checkpointed function must be what the function is. */
const transforms: { readonly [name: string]: (wrap: Wrap) => Tensor } = {
  value: (wrap) => network(wrap, w())(x()),
  grad: (wrap) => grad(network(wrap, w()))(x()),
  "grad by what it closes over": (wrap) => grad((weight: Tensor) => network(wrap, weight)(x()))(w()),
  "grad of grad": (wrap) => grad((y: Tensor) => grad(network(wrap, w()))(y).square().sum())(x()),
  "grad of grad of grad": (wrap) => {
    const block = wrap((y: Tensor) => y.sin().mul(wrap((z: Tensor) => z.exp())(y)));
    return grad((z: Tensor) => grad((y: Tensor) => grad((v: Tensor) => block(block(v)).sum())(y).sum())(z).sum())(x());
  },
  vjp: (wrap) => vjp(network(wrap, w()), [x()])[1](tensor(2, { dtype: "float64" }))[0],
  jvp: (wrap) => jvp(network(wrap, w()), [x()], [vector(1, 2, 3)])[1],
  "grad of jvp": (wrap) => grad((y: Tensor) => jvp(network(wrap, w()), [y], [vector(1, 2, 3)])[1])(x()),
  "jvp of grad": (wrap) => jvp(grad(network(wrap, w())), [x()], [vector(1, 2, 3)])[1],
  hessian: (wrap) => hessian(network(wrap, w()))(x()),
  "vmap of grad": (wrap) => vmap(grad(network(wrap, w())))(arange(6, undefined, 1, "float64").reshape([2, 3])),
  "vmap of grad by a shared weight": (wrap) =>
    vmap(grad((weight: Tensor, y: Tensor) => network(wrap, weight)(y)), [null, 0])(w(), arange(6, undefined, 1, "float64").reshape([2, 3])),
  "grad of vmap": (wrap) => grad((y: Tensor) => vmap(network(wrap, w()))(y).square().sum())(arange(6, undefined, 1, "float64").reshape([2, 3])),
  "grad of vmap by a shared weight": (wrap) =>
    grad((weight: Tensor) => vmap(network(wrap, weight))(arange(6, undefined, 1, "float64").reshape([2, 3])).square().sum())(w()),
  "compiled grad": (wrap) => compile(grad(network(wrap, w())))(x()),
  "grad inside": (wrap) => grad((y: Tensor) => wrap((z: Tensor) => grad(network(wrap, w()))(z).square().sum())(y))(x()),
  "vmap inside": (wrap) => grad((y: Tensor) => wrap((z: Tensor) => vmap(network(wrap, w()))(z).sum())(y))(arange(6, undefined, 1, "float64").reshape([2, 3])),
  "a pullback used in another block": (wrap) =>
    grad((y: Tensor) => {
      const [value, pullback] = wrap((z: Tensor) => vjp(network(wrap, w()), [z]))(y);
      return wrap((cotangent: Tensor) => pullback(cotangent)[0].sum())(value);
    })(x()),
};

onEveryDevice("checkpoint", () => {
  test.each(Object.keys(transforms))("changes nothing: %s", (name) => {
    const expected = transforms[name]!(plain).dataSync();
    const actual = transforms[name]!(checkpoint).dataSync();
    expect(expected.every(Number.isFinite)).toBe(true);
    actual.forEach((value, index) => expect(value).toBeCloseTo(expected[index]!, 10));
  });

  test("random draws repeat themselves, and state moves on once", () => {
    class Counted extends Module {
      drop = dropout(0.5, { key: key(4) });
      calls = new Variable(tensor(0), { trainable: false });
      forward(input: Tensor): Tensor {
        this.calls.assign(this.calls.add(1));
        return this.drop.forward(input.sin()).square();
      }
    }
    const gradient = (wrap: Wrap): { values: number[]; calls: number } => {
      const module = new Counted();
      const values = grad((input: Tensor) => wrap((each: Tensor) => module.forward(each))(input).sum())(arange(32));
      return { values: [...values.dataSync()], calls: module.calls.item() };
    };
    const kept = gradient(plain);
    expect(kept.values.filter((value) => value === 0).length).toBeGreaterThan(5);
    expect(gradient(checkpoint)).toEqual(kept);
  });

  test("a training step learns the same", async () => {
    const train = async (wrap: Wrap): Promise<number[]> => {
      const model = sequential(dense(4, 8, { key: key(1) }), dense(8, 8, { key: key(2) }), dense(8, 1, { key: key(3) }));
      const run = step(model, sgd({ learningRate: 0.05 }), (_, batch: { input: Tensor }) =>
        model.layers.reduce((h, layer) => wrap((each: Tensor) => layer.forward(each).tanh())(h), batch.input).square().mean());
      const input = arange(12).reshape([3, 4]).sin();
      const losses = [];
      for (let count = 0; count < 3; count++) losses.push((await run({ input })).loss.item());
      return losses;
    };
    const kept = await train(plain);
    expect(kept[2]).toBeLessThan(kept[0]!);
    (await train(checkpoint)).forEach((loss, index) => expect(loss).toBeCloseTo(kept[index]!, 6));
  });

  test("values may be read inside, and a promise is refused", () => {
    const f = checkpoint((input: Tensor) => (input.item() > 0 ? input.square() : input.neg()));
    expect(grad(f)(tensor(3)).item()).toBe(6);
    expect(grad(f)(tensor(-3)).item()).toBe(-1);
    expect(() => checkpoint(async (input: Tensor) => input)(tensor(1))).toThrow(ValueError);
    // An error leaves no checkpoint behind.
    expect(tensor(1).add(1).node.segment).toBeUndefined();
  });

  test("value and gradient come in one program", () => {
    const [value, gradient] = valueAndGrad(checkpoint((input: Tensor) => input.exp().square().sum()))(tensor([0, 0]));
    expect([value.item(), ...gradient.dataSync()]).toEqual([2, 2, 2]);
  });
});

describe("memory", () => {
  const [depth, width, batch] = [24, 64, 256];
  const activation = batch * width * 4;

  /** The program for the value and the gradient by all weights of `depth` layers, run by `forward`. */
  function gradientProgram(forward: (layers: readonly ((x: GraphNode) => GraphNode)[], input: GraphNode) => GraphNode): Program {
    const weights = Array.from({ length: depth }, () => ops.source({ shape: [width, width], dtype: "float32" }));
    const input = ops.source({ shape: [batch, width], dtype: "float32" });
    const output = forward(weights.map((weight) => (x) => ops.tanh(ops.matmul(x, weight))), input);
    const loss = ops.sum(ops.mul(output, output), [0, 1]);
    const gradients = reverseNodes([loss], weights, [ops.constant(1, "float32")]);
    return compileProgram({ inputs: [input, ...weights], outputs: [loss, ...gradients.map((gradient) => gradient!)], donate: [] });
  }

  /** Layers in `count` blocks, and the blocks of the last level in none. */
  function inBlocks(wrap: Wrap, counts: readonly number[]): (layers: readonly ((x: GraphNode) => GraphNode)[], input: GraphNode) => GraphNode {
    const [count, ...rest] = counts;
    if (count === undefined) return (layers, input) => layers.reduce((x, layer) => layer(x), input);
    return (layers, input) => {
      const size = layers.length / count;
      const blocks = Array.from({ length: count }, (_, index) => layers.slice(index * size, (index + 1) * size));
      return blocks.reduce((x, block) => wrap((entering: GraphNode) => inBlocks(wrap, rest)(block, entering))(x), input);
    };
  }

  const products = (program: Program): number => program.kernels.filter(({ kind }) => kind === "gemm").length;

  test("holds what passes between blocks and the inside of one, and computes each forward product once more", () => {
    const kept = gradientProgram(inBlocks(plain, [4]));
    const saving = gradientProgram(inBlocks(checkpoint, [4]));
    // Without checkpoints every layer's activation is alive at the end of the forward pass.
    expect(kept.arenaBytes).toBeGreaterThanOrEqual(depth * activation);
    // Four blocks' inputs, six activations inside, and cotangents on their way.
    expect(saving.arenaBytes).toBeLessThanOrEqual((4 + 6 + 3) * activation);
    expect(products(saving)).toBe(products(kept) + depth);
  });

  test("blocks within blocks save more", () => {
    const arenas = [[], [2], [2, 2], [2, 2, 3]].map((counts) => gradientProgram(inBlocks(checkpoint, counts)).arenaBytes / activation);
    arenas.slice(1).forEach((arena, level) => expect(arena).toBeLessThan(arenas[level]!));
  });

  test("so do second derivatives, in either mode", () => {
    const arena = (wrap: Wrap, first: "forward" | "reverse"): number => {
      const weights = Array.from({ length: depth }, () => ops.source({ shape: [width, width], dtype: "float32" }));
      const [input, direction] = [0, 1].map(() => ops.source({ shape: [batch, width], dtype: "float32" })) as [GraphNode, GraphNode];
      const output = inBlocks(wrap, [4])(weights.map((weight) => (x) => ops.tanh(ops.matmul(x, weight))), input);
      const [derivative] = first === "forward" ? forwardNodes([output], [input], [direction]) : reverseNodes([output], [input], [ops.mul(direction, output)]);
      const gradients = reverseNodes([ops.sum(ops.mul(derivative!, derivative!), [0, 1])], weights, [ops.constant(1, "float32")]);
      return compileProgram({ inputs: [input, direction, ...weights], outputs: gradients.map((gradient) => gradient!), donate: [] }).arenaBytes;
    };
    expect(arena(checkpoint, "forward")).toBeLessThan(0.4 * arena(plain, "forward"));
    expect(arena(checkpoint, "reverse")).toBeLessThan(0.6 * arena(plain, "reverse"));
  });

  test("what leaves a block with a constant cotangent is not computed twice", () => {
    const input = ops.source({ shape: [batch, width], dtype: "float32" });
    const weight = ops.source({ shape: [width, width], dtype: "float32" });
    const total = checkpoint((x: GraphNode) => ops.sum(ops.tanh(ops.matmul(x, weight)), [0, 1]))(input);
    const [gradient] = reverseNodes([total], [weight], [ops.constant(1, "float32")]);
    expect(products(compileProgram({ inputs: [input, weight], outputs: [total, gradient!], donate: [] }))).toBe(2);
  });
});
