import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { constant, dense, dropout, sequential } from "../nn/index.ts";
import { Module } from "../nn/module.ts";
import { LifetimeError, ValueError } from "../errors/errors.ts";
import { key } from "../random/index.ts";
import { ones, tensor, zeros } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { sgd } from "../optim/sgd.ts";
import { step } from "../train/step.ts";
import { checkpoint } from "./checkpoint.ts";
import { compile } from "./compile.ts";
import { grad, jvp, vjp } from "./derivatives.ts";
import { hessian, vmap } from "./vmap.ts";

/** A function, and how often it was traced. */
function counted<A extends readonly Tensor[]>(f: (...inputs: A) => Tensor): { readonly run: (...inputs: A) => Tensor; readonly traces: () => number } {
  let traces = 0;
  const run = compile((...inputs: A) => {
    traces++;
    return f(...inputs);
  });
  return { run: run as (...inputs: A) => Tensor, traces: () => traces };
}

/** Counts its forward passes: state that changes by assignment. */
class Counter extends Module {
  count = new Variable(tensor(0), { trainable: false });
  factor: number;
  constructor(factor = 1) {
    super();
    this.factor = factor;
  }
  forward(x: Tensor): Tensor {
    if (this.training) this.count.assign(this.count.add(1));
    return x.mul(this.factor).add(this.count);
  }
}

onEveryDevice("compile", () => {
  test("traces once a shape and dtype", () => {
    const { run, traces } = counted((x: Tensor) => x.mul(2).sum());
    expect(run(ones([3])).item()).toBe(6);
    expect(run(tensor([1, 2, 3])).item()).toBe(12);
    expect(traces()).toBe(1);
    expect(run(ones([1, 3])).item()).toBe(6);
    expect(run(ones([3], "float64")).dtype).toBe("float64");
    expect(traces()).toBe(3);
    expect(run(ones([3])).item()).toBe(6);
    expect(traces()).toBe(3);
  });

  test("trees go in and come out, and their structure counts", () => {
    const f = compile(({ a, b }: { a: Tensor; b: Tensor[] }) => ({ sum: b.reduce((sum, each) => sum.add(each), a), parts: [a, a] }));
    const { sum, parts } = f({ a: tensor([1]), b: [tensor([2]), tensor([3])] });
    expect([sum.toArray(), parts[0]!.toArray(), parts[1]!.toArray()]).toEqual([[6], [1], [1]]);
    expect(f({ a: tensor([1]), b: [tensor([2])] }).sum.toArray()).toEqual([3]);
    parts[0]!.dispose();
    expect(parts[1]!.toArray()).toEqual([1]);
  });

  test("keeps the programs used last", () => {
    const { run, traces } = counted((x: Tensor) => x.add(1));
    for (let size = 1; size <= 33; size++) {
      run(zeros([size]));
      run(zeros([1]));
    }
    expect(traces()).toBe(33);
    run(zeros([1]));
    expect(traces()).toBe(33);
    // [2] was used least recently of 33 programs.
    expect(run(zeros([2])).toArray()).toEqual([1, 1]);
    expect(traces()).toBe(34);
  });

  test("takes what it closes over as it was at the first call", () => {
    let captured = tensor([1, 2]);
    const f = compile((x: Tensor) => x.add(captured));
    expect(f(zeros([2])).toArray()).toEqual([1, 2]);
    captured = tensor([10, 20]);
    expect(f(zeros([2])).toArray()).toEqual([1, 2]);
  });

  test("a tensor it closes over that a step has since updated in place is refused", async () => {
    const model = dense(1, 1, { bias: false });
    model.weight.assign(tensor([[2]]));
    const doubled = model.weight.mul(2);
    const f = compile((x: Tensor) => x.mul(doubled));
    expect(f(ones([1, 1])).toArray()).toEqual([[4]]);
    await step(model, sgd({ learningRate: 1 }), (m, x: Tensor) => m.forward(x).sum())(ones([1, 1]));
    expect(() => f(ones([1, 1]))).toThrow(LifetimeError);
  });

  test("a module that is an argument is followed as it changes", () => {
    const model = dense(2, 1);
    const f = compile((m: typeof model, x: Tensor) => m.forward(x));
    model.weight.assign(tensor([[1], [2]]));
    expect(f(model, ones([1, 2])).toArray()).toEqual([[3]]);
    model.weight.assign(tensor([[5], [7]]));
    expect(f(model, ones([1, 2])).toArray()).toEqual([[12]]);
    expect(model.weight.toArray()).toEqual([[5], [7]]);
  });

  test("another module with variables of the same shapes has its own program", () => {
    const f = compile((m: Counter, x: Tensor) => m.forward(x));
    const [single, tenfold] = [new Counter(1).eval(), new Counter(10).eval()];
    expect([f(single, ones([])).item(), f(tenfold, ones([])).item(), f(single, ones([])).item()]).toEqual([1, 10, 1]);
  });

  test("the mode of every module counts", () => {
    const model = sequential(dense(4, 4), dropout(0.9, { key: key(1) }));
    const f = compile((m: typeof model, x: Tensor) => m.forward(x));
    const zerosIn = (values: Tensor): number => values.flatten().dataSync().filter((value) => value === 0).length;
    expect(zerosIn(f(model, ones([8, 4])))).toBeGreaterThan(16);
    Object.values(model.modules()).at(-1)!.training = false;
    expect(zerosIn(f(model, ones([8, 4])))).toBe(0);
    expect(model.training).toBe(true);
  });

  test("assignments to a module's variables happen at every call", () => {
    const model = new Counter();
    const f = compile((m: Counter, x: Tensor) => m.forward(x));
    const before = model.count.add(100);
    expect([1, 2, 3].map(() => f(model, zeros([])).item())).toEqual([1, 2, 3]);
    expect(model.count.item()).toBe(3);
    // They take no memory from values that are still to be read.
    expect(before.item()).toBe(100);
    expect(f(model.eval(), zeros([])).item()).toBe(3);
    expect(model.count.item()).toBe(3);
  });

  test("dropout draws a new mask at every call", () => {
    const model = dropout(0.5, { key: key(3) });
    const f = compile((m: typeof model, x: Tensor) => m.forward(x));
    expect(f(model, ones([64])).toArray()).not.toEqual(f(model, ones([64])).toArray());
  });

  test("a module passed twice is one", () => {
    const model = new Counter();
    const f = compile((a: Counter, b: Counter, x: Tensor) => a.forward(x).add(b.forward(x)));
    expect(f(model, model, zeros([])).item()).toBe(3);
    expect(model.count.item()).toBe(2);
  });

  test("a variable passed by itself is a value", () => {
    const weight = new Variable(tensor([1, 2]));
    const f = compile((w: Tensor) => w.mul(3));
    expect(f(weight).toArray()).toEqual([3, 6]);
    expect(weight.toArray()).toEqual([1, 2]);
  });

  test("derivatives compile", () => {
    const f = compile(grad((x: Tensor) => x.mul(x).mul(x).sum()));
    expect(f(tensor([1, 2])).toArray()).toEqual([3, 12]);
  });

  test("modules are followed inside trees too, and where one takes another's place", () => {
    const net = { head: dense(1, 1, { init: constant(2) }), scale: tensor(10) };
    const f = compile(({ head, scale }: typeof net, x: Tensor) => head.forward(x).mul(scale));
    expect(f(net, ones([1, 1])).toArray()).toEqual([[20]]);
    net.head.weight.assign(tensor([[3]]));
    expect(f(net, ones([1, 1])).toArray()).toEqual([[30]]);
    net.head = dense(1, 1, { init: constant(5) });
    expect(f(net, ones([1, 1])).toArray()).toEqual([[50]]);
    const model = sequential(dense(1, 1, { init: constant(2) }));
    const forward = compile((m: typeof model, x: Tensor) => m.forward(x));
    expect(forward(model, ones([1, 1])).toArray()).toEqual([[2]]);
    Object.assign(model, { layers: [dense(1, 1, { init: constant(7) })] });
    expect(forward(model, ones([1, 1])).toArray()).toEqual([[7]]);
  });

  test("reading a value inside, and returning nothing, are errors that leave the module as it was", () => {
    const model = new Counter();
    const reads = compile((m: Counter, x: Tensor) => {
      m.forward(x);
      return x.mul(x.item());
    });
    expect(() => reads(model, ones([]))).toThrow(LifetimeError);
    expect(model.count.item()).toBe(0);
    const nothing = compile<[Tensor], Tensor>(() => undefined as never);
    expect(() => nothing(ones([]))).toThrow(ValueError);
    expect(() => nothing(ones([]))).toThrow("The compiled function returned nothing.");
  });
});

onEveryDevice("a compiled function in a transform is the function itself", () => {
  const energy = compile((x: Tensor) => x.square().sum());
  const x = tensor.bind(undefined, [2, 3]);

  test("grad, vjp, jvp, hessian, and higher orders", () => {
    expect(grad((a: Tensor) => energy(a))(x()).toArray()).toEqual([4, 6]);
    expect(grad(energy)(x()).toArray()).toEqual([4, 6]);
    expect(vjp((a: Tensor) => energy(a), [x()])[1](tensor(10))[0].toArray()).toEqual([40, 60]);
    expect(jvp((a: Tensor) => energy(a), [x()], [tensor([1, 0])])[1].item()).toBe(4);
    expect(hessian(energy)(x()).toArray()).toEqual([[2, 0], [0, 2]]);
    expect(grad((a: Tensor) => grad(compile((b: Tensor) => b.pow(3).sum()))(a).sum())(x()).toArray()).toEqual([12, 18]);
  });

  test("by what it closes over, not only by its arguments", () => {
    const gradient = grad((w: Tensor) => {
      const scaled = compile((a: Tensor) => a.mul(w).sum());
      return scaled(ones([2]));
    })(x());
    expect(gradient.toArray()).toEqual([1, 1]);
  });

  test("a model's gradients, through its argument or the closure", () => {
    const model = dense(2, 1, { init: constant(1) });
    const forward = compile((m: typeof model, a: Tensor) => m.forward(a));
    const closed = compile((a: Tensor) => model.forward(a));
    for (const loss of [(m: typeof model) => forward(m, tensor([[2, 3]])).sum(), () => closed(tensor([[2, 3]])).sum()]) {
      const gradient = grad(loss)(model);
      expect([gradient["weight"]!.toArray(), gradient["bias"]!.toArray()]).toEqual([[[2], [3]], [1]]);
    }
  });

  test("compile, vmap, checkpoint and train.step", async () => {
    expect(compile((a: Tensor) => energy(a).add(energy(a.mul(2))))(x()).item()).toBe(65);
    expect(vmap((a: Tensor) => energy(a))(tensor([[1, 1], [2, 3]])).toArray()).toEqual([2, 13]);
    expect(vmap(energy)(tensor([[1, 1], [2, 3]])).toArray()).toEqual([2, 13]);
    expect(grad((a: Tensor) => checkpoint(energy)(a))(x()).toArray()).toEqual([4, 6]);
    const model = dense(1, 1, { bias: false, init: constant(3) });
    const forward = compile((m: typeof model, a: Tensor) => m.forward(a));
    await step(model, sgd({ learningRate: 0.5 }), (m, a: Tensor) => energy(forward(m, a)))(ones([1, 1]));
    expect(model.weight.item()).toBe(0);
  });

  test("a function that gives nothing is named there too", () => {
    const nothing = compile<[Tensor], Tensor>(() => undefined as never);
    expect(() => grad((a: Tensor) => nothing(a))(x())).toThrow("The compiled function returned nothing.");
  });
});
