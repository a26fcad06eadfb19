import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { dense, dropout, sequential } from "../nn/index.ts";
import { Module } from "../nn/module.ts";
import { LifetimeError, ValueError } from "../errors/errors.ts";
import { key } from "../random/index.ts";
import { ones, tensor, zeros } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { compile } from "./compile.ts";
import { grad } from "./derivatives.ts";

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
