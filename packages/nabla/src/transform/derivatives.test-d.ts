// Types of the public functions over trees; checked by the compiler, never run.
import { expectTypeOf } from "vitest";
import type { Dense } from "../nn/dense.ts";
import type { Sequential } from "../nn/sequential.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { checkpoint } from "./checkpoint.ts";
import { grad, jvp, valueAndGrad, vjp } from "./derivatives.ts";
import { vmap } from "./vmap.ts";

declare const x: Tensor;
declare const variable: Variable;
declare const model: Sequential;

interface Weights {
  readonly layers: readonly { readonly w: Tensor; readonly b: Tensor }[];
  readonly pair: readonly [Tensor, Tensor];
}
declare const weights: Weights;

// A tensor's gradient is a tensor, and so is a variable's.
expectTypeOf(grad((w: Tensor) => w.sum())(x)).toEqualTypeOf<Tensor>();
expectTypeOf(grad((w: Variable) => w.sum())(variable)).toEqualTypeOf<Tensor>();

// A tree's gradient has its structure.
const gradient = grad((w: Weights, input: Tensor) => input.matmul(w.pair[0]))(weights, x);
expectTypeOf(gradient.layers[0]!.w).toEqualTypeOf<Tensor>();
expectTypeOf(gradient.pair).toEqualTypeOf<[Tensor, Tensor]>();

// A module's gradient is a record by path.
expectTypeOf(valueAndGrad((m: Sequential, input: Tensor) => m.forward(input).sum())(model, x)).toEqualTypeOf<[value: Tensor, gradient: Record<string, Tensor>]>();
expectTypeOf(grad((m: Dense) => m.weight.sum())).parameter(0).toEqualTypeOf<Dense>();

// Products follow the arguments' and the result's structure.
const [value, pullback] = vjp((a: Tensor, b: Weights) => ({ sum: a.add(b.pair[0]) }), [x, weights]);
expectTypeOf(value).toEqualTypeOf<{ sum: Tensor }>();
expectTypeOf(pullback).parameter(0).toEqualTypeOf<{ sum: Tensor }>();
expectTypeOf(pullback({ sum: x })[1].pair[1]).toEqualTypeOf<Tensor>();
expectTypeOf(jvp((a: Tensor) => [a, a] as const, [x], [x])[1]).toEqualTypeOf<[Tensor, Tensor]>();
expectTypeOf(vmap((a: Tensor, b: Tensor) => a.mul(b), [0, null])).toEqualTypeOf<(a: Tensor, b: Tensor) => Tensor>();

// A checkpointed function is what it was.
expectTypeOf(checkpoint((a: Tensor, m: Sequential) => ({ sum: m.forward(a) }))).toEqualTypeOf<(a: Tensor, m: Sequential) => { sum: Tensor }>();

// @ts-expect-error: the further arguments are checked.
grad((w: Tensor, input: Tensor) => w.mul(input).sum())(x, 3);
// @ts-expect-error: the function must return a tensor.
grad((w: Tensor) => w.shape);
// @ts-expect-error: a tangent for each argument.
jvp((a: Tensor, b: Tensor) => a.add(b), [x, x], [x]);
