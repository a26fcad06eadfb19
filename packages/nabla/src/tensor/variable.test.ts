import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { constant } from "../nn/initialisers.ts";
import { dense } from "../nn/dense.ts";
import { DTypeError, ShapeError } from "../errors/errors.ts";
import { sgd } from "../optim/sgd.ts";
import { step } from "../train/step.ts";
import { ones, tensor, zeros } from "./creation.ts";
import { defaultDevice, storageOf } from "./storage.ts";
import type { Tensor } from "./tensor.ts";
import { Variable } from "./variable.ts";

onEveryDevice("Variable", () => {
  test("owns its memory", () => {
    const initial = tensor([1, 2]);
    const variable = new Variable(initial);
    expect(storageOf(variable.node)).not.toBe(storageOf(initial.node));
    initial.dispose();
    expect(variable.toArray()).toEqual([1, 2]);
  });

  test("a value that is still to be computed is computed once, with the first result that needs it", () => {
    const model = dense(3, 4);
    expect(model.weight.node.storage).toBeUndefined();
    const first = model.forward(ones([2, 3])).toArray();
    const { storage } = model.weight.node;
    expect(storage).toBeDefined();
    expect(model.forward(ones([2, 3])).toArray()).toEqual(first);
    expect(model.weight.node.storage).toBe(storage);
    expect(ones([2, 3]).matmul(model.weight).toArray()).toEqual(first);
  });

  test("a clone keeps the value of before a step", async () => {
    const model = dense(1, 1, { init: constant(2), bias: false });
    const before = model.weight.clone();
    const doubled = model.weight.mul(2);
    await step(model, sgd({ learningRate: 1 }), (layer, x: Tensor) => layer.forward(x).sum())(ones([1, 1]));
    expect([before.item(), model.weight.item()]).toEqual([2, 1]);
    expect(() => doubled.item()).toThrow(/has since updated in place/);
  });

  test("assign replaces the value, and what was computed before keeps the old one", () => {
    const variable = new Variable(tensor([1, 2]));
    const doubled = variable.mul(2);
    variable.assign(variable.add(10));
    expect(variable.toArray()).toEqual([11, 12]);
    expect(doubled.toArray()).toEqual([2, 4]);
  });

  test("a loop of assignments keeps two buffers at most", () => {
    const variable = new Variable(ones([3]));
    for (let step = 0; step < 5; step++) variable.assign(variable.mul(2));
    expect(variable.toArray()).toEqual([32, 32, 32]);
    expect(variable.node.inputs).toEqual([]);
    expect(defaultDevice().memory().buffers).toBeLessThanOrEqual(7);
  });

  test("refuses other shapes and dtypes, by name, and keeps its value", () => {
    const variable = new Variable(ones([2]), { name: "weight" });
    expect(() => variable.assign(ones([3]))).toThrow(/assign of "weight": the variable has shape \[2\], the value \[3\]/);
    expect(() => variable.assign(ones([2], "float64"))).toThrow(DTypeError);
    expect(() => variable.assign(ones([1, 2]))).toThrow(ShapeError);
    expect(variable.toArray()).toEqual([1, 1]);
  });

  test("only floating variables are trainable", () => {
    expect(new Variable(ones([1])).trainable).toBe(true);
    expect(new Variable(zeros([1], "int32")).trainable).toBe(false);
    expect(() => new Variable(zeros([1], "int32"), { trainable: true })).toThrow(DTypeError);
  });
});
