import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { type Dense, dense } from "../nn/dense.ts";
import { constant } from "../nn/initialisers.ts";
import { Module } from "../nn/module.ts";
import { sequential } from "../nn/sequential.ts";
import { DTypeError, GradientError, LifetimeError, ShapeError, ValueError } from "../errors/errors.ts";
import { arange, ones, tensor, zeros } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { compile } from "./compile.ts";
import { grad, jvp, valueAndGrad, vjp } from "./derivatives.ts";
import { hessian, vmap } from "./vmap.ts";

const double = (values: number[] | number): Tensor => tensor(values, { dtype: "float64" });

onEveryDevice("grad", () => {
  test("of a tensor", () => {
    const [value, gradient] = valueAndGrad((w: Tensor) => w.mul(w).sum())(tensor([1, 2]));
    expect(value.item()).toBe(5);
    expect(gradient.toArray()).toEqual([2, 4]);
  });

  test("of a tree keeps its structure, with further arguments constant", () => {
    const loss = ({ w, b }: { w: Tensor; b: Tensor[] }, x: Tensor): Tensor => x.matmul(w).add(b[0]!).sum();
    const gradient = grad(loss)({ w: ones([2, 1]), b: [zeros([1])] }, tensor([[1, 2], [3, 4]]));
    expect(gradient.w.toArray()).toEqual([[4], [6]]);
    expect(gradient.b[0]!.toArray()).toEqual([2]);
  });

  test("what the function does not depend on has a gradient of zero", () => {
    const gradient = grad(({ a }: { a: Tensor; b: Tensor }) => a.sum())({ a: ones([2]), b: ones([3]) });
    expect(gradient.b.toArray()).toEqual([0, 0, 0]);
  });

  test("of any order", () => {
    const f = (x: Tensor): Tensor => x.sin().mul(x.exp());
    // d³/dx³ eˣ sin x = 2eˣ(cos x − sin x)
    expect(grad(grad(grad(f)))(double(0.7)).item()).toBeCloseTo(2 * Math.exp(0.7) * (Math.cos(0.7) - Math.sin(0.7)), 10);
  });

  test("closures are constant, and outer derivatives see through inner ones", () => {
    // d/dx [x · d/dy(x·y)] = d/dx x² = 2x
    const f = (x: Tensor): Tensor => x.mul(grad((y: Tensor) => x.mul(y))(double(5)));
    expect(grad(f)(double(3)).item()).toBe(6);
  });

  test("values may be read inside the function", () => {
    const f = (x: Tensor): Tensor => (x.item() > 0 ? x.square() : x.neg());
    expect(grad(f)(tensor(3)).item()).toBe(6);
    expect(grad(f)(tensor(-3)).item()).toBe(-1);
  });

  test("stopGradient stops it", () => {
    expect(grad((x: Tensor) => x.mul(x.stopGradient()))(tensor(3)).item()).toBe(3);
  });

  test("a loop of updates keeps no history", () => {
    let w = double(1);
    for (let step = 0; step < 3; step++) w = w.sub(grad((x: Tensor) => x.square())(w).mul(0.25));
    expect(w.item()).toBe(1 / 8);
    expect(w.node.tracked).toBe(false);
    expect(w.node.inputs).toEqual([]);
  });

  test("of a module is a record by path; its state moves on, its parameters stay", () => {
    class Scale extends Module {
      factor = new Variable(tensor([2, 3]));
      calls = new Variable(tensor(0), { trainable: false });
      forward(x: Tensor): Tensor {
        this.calls.assign(this.calls.add(1));
        return x.mul(this.factor);
      }
    }
    const model = new Scale();
    const gradient = grad((module: Scale, x: Tensor) => module.forward(x).square().sum())(model, tensor([1, 1]));
    expect(Object.keys(gradient)).toEqual(["factor"]);
    expect(gradient["factor"]!.toArray()).toEqual([4, 6]);
    expect(model.calls.item()).toBe(1);
    expect(model.factor.toArray()).toEqual([2, 3]);
  });

  test("compiles", () => {
    const slope = compile((x: Tensor) => grad((y: Tensor) => y.pow(3).sum())(x));
    expect(slope(tensor([1, 2])).toArray()).toEqual([3, 12]);
    expect(slope(tensor([3, 4])).toArray()).toEqual([27, 48]);
  });

  test("of a tree with a module in it, and not of one variable under two names", () => {
    const layer = dense(2, 1, { init: constant(3) });
    const loss = ({ layer: each, scale }: { layer: Dense; scale: Tensor }): Tensor => each.forward(ones([1, 2])).mul(scale).sum();
    const gradient = grad(loss)({ layer, scale: tensor(10) });
    expect([gradient.layer["weight"]!.toArray(), gradient.scale.item()]).toEqual([[[10], [10]], 6]);
    expect(layer.weight.toArray()).toEqual([[3], [3]]);
    expect(() => grad(({ a, b }: { a: Dense; b: Dense }) => a.weight.add(b.weight).sum())({ a: layer, b: layer })).toThrow('grad: "b.weight" and "a.weight" are one variable.');
  });

  test("a way that ends in numbers, in a variable or outside is an error, not a zero", () => {
    const x = tensor([2, 3]);
    const read = grad((a: Tensor) => tensor(a.toArray()).square().sum());
    expect(() => read(x)).toThrow(GradientError);
    expect(() => read(x)).toThrow(/^grad: the result has no derivative by the argument, but the function read a value that depends on it/);
    expect(() => grad((a: Tensor) => tensor(a.sum().mul(2).item()))(x)).toThrow(GradientError);
    expect(() => grad(({ a, b }: { a: Tensor; b: Tensor }) => a.sum().mul(b.item()))({ a: x, b: tensor(1) })).toThrow(/no derivative by "b"/);
    expect(() => grad((a: Tensor) => x.mul(2).sum().add(a.size))(x)).toThrow("grad: the function uses the argument by a tensor from outside");
    const memory = new Variable(zeros([2]));
    expect(() => grad((a: Tensor) => (memory.assign(a.mul(2)), memory.sum()))(x)).toThrow(/from a variable it had assigned/);
    expect(memory.toArray()).toEqual([0, 0]);
    const layer = dense(2, 1);
    expect(() => grad((parameters: Record<string, Tensor>) => layer.forward(parameters["bias"]!.broadcastTo([1, 2])).sum())(layer.parameters())).toThrow('"weight"');
    expect(() => vjp((a: Tensor) => tensor(a.toArray()), [x])[1](x)).toThrow(GradientError);
    expect(() => jvp((a: Tensor) => tensor(a.toArray()), [x], [x])).toThrow(GradientError);
    // What is meant as a constant says so, and reading beside a way that goes on is no loss.
    expect(grad(({ a, b }: { a: Tensor; b: Tensor }) => a.sum().mul(b.stopGradient().item()))({ a: x, b: tensor(7) }).b.item()).toBe(0);
    expect(grad((a: Tensor) => a.sum().mul(a.sum().item()))(x).toArray()).toEqual([5, 5]);
    expect(grad((a: Tensor) => (String(a), ones([])))(x).toArray()).toEqual([0, 0]);
  });

  test("a trainable variable that forward reads and the module does not list is named", () => {
    class Hidden extends Module {
      #weight = new Variable(ones([2]), { name: "weight" });
      shown = new Variable(ones([2]));
      forward(x: Tensor): Tensor {
        return x.mul(this.#weight).mul(this.shown);
      }
    }
    const model = sequential(dense(2, 2), new Hidden());
    const loss = (m: typeof model, x: Tensor): Tensor => m.forward(x).sum();
    expect(() => grad(loss)(model, ones([1, 2]))).toThrow(/^In Sequential\.layers\.1: forward reads a trainable variable "weight" of shape \[2\] that is not among the model's parameters/);
    // Nobody asked for the model's gradients.
    expect(grad((x: Tensor) => model.forward(x).sum())(ones([1, 2])).shape).toEqual([1, 2]);
  });

  test("says what is wrong with the function or its argument", () => {
    expect(() => grad((x: Tensor) => x)(ones([2]))).toThrow(ShapeError);
    expect(() => grad((x: Tensor) => x.sum())(tensor([1], { dtype: "int32" }))).toThrow(DTypeError);
    expect(() => grad((x: Tensor) => x.greater(0).sum())(tensor([1]))).toThrow(DTypeError);
    expect(() => grad(({ a }: { a: { b: Tensor } }) => a.b.sum())({ a: { b: tensor([true]) } })).toThrow(/"a.b" is bool/);
    const promised: unknown = async () => ones([]);
    expect(() => grad(promised as (x: Tensor) => Tensor)(ones([]))).toThrow(/returned a promise/);
    // An error leaves no transform behind: the next result is computed.
    expect(grad((x: Tensor) => x.square())(tensor(1)).node.storage).toBeDefined();
  });
});

onEveryDevice("vjp and jvp", () => {
  test("vjp pulls cotangents back, as often as asked", () => {
    const [value, pullback] = vjp((x: Tensor, y: Tensor) => ({ product: x.mul(y), sum: x.add(y) }), [double([1, 2]), double([3, 4])]);
    expect(value.product.toArray()).toEqual([3, 8]);
    const [dx, dy] = pullback({ product: double([1, 0]), sum: double([0, 1]) });
    expect([dx.toArray(), dy.toArray()]).toEqual([[3, 1], [1, 1]]);
    expect(pullback({ product: double([0, 1]), sum: double([0, 0]) })[0].toArray()).toEqual([0, 4]);
    expect(() => pullback({ product: double([1]), sum: double([0, 0]) })).toThrow(ShapeError);
  });

  test("jvp pushes tangents forward", () => {
    const [value, tangent] = jvp((x: Tensor) => x.exp(), [double([0, 1])], [double([1, 2])]);
    expect(value.toArray()).toEqual([1, expect.closeTo(Math.E, 12)]);
    expect(tangent.toArray()).toEqual([1, expect.closeTo(2 * Math.E, 12)]);
    expect(() => jvp((x: Tensor) => x, [double([0, 1])], [double([1])])).toThrow(ShapeError);
  });

  test("take modules, alone and among others", () => {
    const layer = dense(2, 1, { init: constant(3) });
    const f = (m: Dense, x: Tensor): Tensor => m.forward(x).square();
    const x = tensor([[1, 2]]);
    const [value, pullback] = vjp(f, [layer, x]);
    expect(value.toArray()).toEqual([[81]]);
    const [byLayer, byX] = pullback(tensor([[1]]));
    expect([byLayer["weight"]!.toArray(), byLayer["bias"]!.toArray(), byX.toArray()]).toEqual([[[18], [36]], [18], [[54, 54]]]);
    const [, tangent] = jvp(f, [layer, x], [{ weight: tensor([[1], [0]]), bias: tensor([2]) }, tensor([[0, 1]])]);
    expect(tangent.toArray()).toEqual([[18 * 1 + 18 * 2 + 54]]);
    expect(layer.weight.toArray()).toEqual([[3], [3]]);
  });

  test("forward and reverse agree: ⟨v, J u⟩ = ⟨Jᵀ v, u⟩", () => {
    const f = (x: Tensor): Tensor => x.softmax().mul(x.tanh()).sum(0);
    const x = arange(6, undefined, 1, "float64").reshape([2, 3]);
    const u = x.cos();
    const v = double([1, -2, 3]);
    const pushed = jvp(f, [x], [u])[1].mul(v).sum().item();
    const pulled = vjp(f, [x])[1](v)[0].mul(u).sum().item();
    expect(pushed).toBeCloseTo(pulled, 12);
  });
});

onEveryDevice("vmap", () => {
  test("maps, shares and batches any axis", () => {
    const f = (x: Tensor, y: Tensor): Tensor => x.mul(y).sum();
    const x = arange(6).reshape([2, 3]);
    expect(vmap(f)(x, x).toArray()).toEqual([5, 50]);
    expect(vmap(f, [0, null])(x, ones([3])).toArray()).toEqual([3, 12]);
    expect(vmap(f, [1, null])(x, ones([2])).toArray()).toEqual([3, 5, 7]);
    expect(() => vmap(f)(x, ones([3, 3]))).toThrow(/vmap: the mapped axes have 2 and 3 entries/);
    expect(() => vmap(f, [null, null])(x, x)).toThrow(ValueError);
    expect(() => vmap((t: Tensor) => t.mul(t.item()))(ones([2]))).toThrow(LifetimeError);
  });

  test("of a gradient is the gradient of each example", () => {
    const perExample = vmap(grad((w: Tensor, x: Tensor) => w.mul(x).sum().square()), [null, 0]);
    expect(perExample(ones([2]), tensor([[1, 2], [3, 4]])).toArray()).toEqual([[6, 12], [42, 56]]);
  });

  test("of a module: an ensemble, whose parameters have an axis more", () => {
    const layer = dense(2, 1, { init: constant(1) });
    layer.weight.bind(tensor([[[1], [0]], [[0], [1]], [[1], [1]]]).node);
    layer.bias!.bind(tensor([[0], [0], [10]]).node);
    expect(vmap((m: Dense, x: Tensor) => m.forward(x), [0, null])(layer, tensor([[3, 5]])).toArray()).toEqual([[[3]], [[5]], [[18]]]);
    expect(layer.weight.shape).toEqual([3, 2, 1]);
  });

  test("of a matrix product with a shared and with a mapped matrix", () => {
    const x = arange(12, undefined, 1, "float64").reshape([2, 2, 3]);
    const w = arange(6, undefined, 1, "float64").reshape([3, 2]);
    expect(vmap((a: Tensor) => a.matmul(w))(x).toArray()).toEqual(x.matmul(w).toArray());
  });
});

onEveryDevice("hessian", () => {
  test("of Rosenbrock's function", () => {
    // f = (1 − x)² + 100 (y − x²)²
    const f = (p: Tensor): Tensor => {
      const [x, y] = [p.slice(0), p.slice(1)];
      return x.neg().add(1).square().add(y.sub(x.square()).square().mul(100));
    };
    const [x, y] = [-1.2, 1];
    expect(hessian(f)(double([x, y])).toArray()).toEqual([
      [expect.closeTo(2 - 400 * (y - 3 * x * x), 9), expect.closeTo(-400 * x, 9)],
      [expect.closeTo(-400 * x, 9), 200],
    ]);
  });
});
