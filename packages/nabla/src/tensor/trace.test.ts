// Variables are followed wherever a function has them from, assignments happen or are refused, and an exception undoes them.
import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { batchNorm } from "../nn/batch-norm.ts";
import { dense } from "../nn/dense.ts";
import { dropout } from "../nn/dropout.ts";
import { constant } from "../nn/initialisers.ts";
import { Module } from "../nn/module.ts";
import { sgd } from "../optim/sgd.ts";
import { key } from "../random/index.ts";
import { step } from "../train/step.ts";
import { compile } from "../transform/compile.ts";
import { grad, jvp, vjp } from "../transform/derivatives.ts";
import { scan } from "../transform/scan.ts";
import { vmap } from "../transform/vmap.ts";
import { ones, tensor, zeros } from "./creation.ts";
import type { Tensor } from "./tensor.ts";
import { Variable } from "./variable.ts";

const scalar = (value: number): Variable => new Variable(tensor(value), { trainable: false });

/** The message of what is thrown: the error itself would keep the frames it came through alive, and their tensors. */
async function failureOf(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "nothing";
}

const line = (): ReturnType<typeof dense> => dense(1, 1, { bias: false, init: constant(0) });

onEveryDevice("a variable that a function closes over", () => {
  test("is followed by a compiled function, through assign and through steps", async () => {
    const model = line();
    const f = compile((x: Tensor) => model.forward(x));
    expect(f(ones([1, 1])).item()).toBe(0);
    model.weight.assign(tensor([[5]]));
    expect(f(ones([1, 1])).item()).toBe(5);
    await step(model, sgd({ learningRate: 1 }), (m, x: Tensor) => m.forward(x).sum())(ones([1, 1]));
    expect(f(ones([1, 1])).item()).toBe(4);
    model.weight.assign(tensor([[7]]));
    expect(f(ones([1, 1])).item()).toBe(7);
  });

  test("is followed by a step, and may be assigned by it", async () => {
    const [model, rate, total] = [line(), scalar(1), scalar(0)];
    const run = step(model, sgd({ learningRate: 1 }), (m, x: Tensor) => {
      const loss = m.forward(x).sum().mul(rate);
      total.assign(total.add(x.sum()));
      return loss;
    });
    await run(tensor([[1]]));
    rate.assign(tensor(10));
    await run(tensor([[2]]));
    expect([model.weight.item(), total.item()]).toEqual([-21, 3]);
    // A step whose loss is not finite changes nothing, wherever it is.
    await run(tensor([[NaN]]));
    expect([model.weight.item(), total.item()]).toEqual([-21, 3]);
  });

  test("is followed with the mode of its module", async () => {
    const drop = dropout(0.5, { key: key(1) });
    const f = compile((x: Tensor) => drop.forward(x));
    const zerosOf = (values: Tensor): number => values.dataSync().filter((value) => value === 0).length;
    for (let round = 0; round < 2; round++) {
      expect(zerosOf(f(ones([64])))).toBeGreaterThan(8);
      drop.eval();
      expect(zerosOf(f(ones([64])))).toBe(0);
      drop.train();
    }
    const run = step(line(), sgd({ learningRate: 1 }), (m, x: Tensor) => ({ loss: m.forward(x).sum(), dropped: drop.forward(ones([64])) }));
    expect(zerosOf((await run(ones([1, 1]))).dropped)).toBeGreaterThan(8);
    drop.eval();
    expect(zerosOf((await run(ones([1, 1]))).dropped)).toBe(0);
  });

  test("a mode that the function sets itself is traced once", () => {
    const drop = dropout(0.5, { key: key(1) });
    let traces = 0;
    const f = compile((x: Tensor) => {
      traces++;
      const result = drop.eval().forward(x);
      drop.train();
      return result;
    });
    expect([f(ones([2])).toArray(), f(ones([2])).toArray(), traces]).toEqual([[1, 1], [1, 1], 1]);
  });

  test("may be made in the function", () => {
    const f = compile((x: Tensor) => {
      const memory = new Variable(x.mul(2), { trainable: false });
      memory.assign(memory.add(1));
      return memory.add(new Variable(ones([])));
    });
    expect([f(tensor(1)).item(), f(tensor(10)).item()]).toEqual([4, 22]);
  });
});

onEveryDevice("the statistics of a layer that is no argument", () => {
  const example = (): Tensor => tensor([[1], [3]]);

  test("move on in compile, grad, vjp, jvp and a step, at every call", async () => {
    const norm = batchNorm(1, { momentum: 0.5 });
    const seen: number[] = [];
    const note = (): void => void seen.push(norm.runningMean.item());
    const f = compile((x: Tensor) => norm.forward(x));
    for (let call = 0; call < 2; call++) {
      f(example());
      note();
    }
    grad((x: Tensor) => norm.forward(x).square().sum())(example());
    note();
    vjp((x: Tensor) => norm.forward(x), [example()]);
    note();
    jvp((x: Tensor) => norm.forward(x), [example()], [example()]);
    note();
    const run = step(line(), sgd({ learningRate: 0.1 }), (m, x: Tensor) => m.forward(norm.forward(x)).sum());
    for (let call = 0; call < 2; call++) {
      await run(example());
      note();
    }
    expect(seen).toEqual([1, 1.5, 1.75, 1.875, 1.9375, 1.96875, 1.984375]);
  });

  test("are refused in vmap where each example would have its own, and happen once where not", () => {
    const norm = batchNorm(1);
    const batches = tensor([[[1], [3]], [[5], [9]]]);
    expect(() => vmap((x: Tensor) => norm.forward(x))(batches)).toThrow(/^In BatchNorm: vmap: a variable "runningMean" is assigned a value that depends on the example/);
    expect([norm.runningMean.toArray(), norm.runningVariance.toArray()]).toEqual([[0], [1]]);
    const count = scalar(0);
    expect(vmap((x: Tensor) => (count.assign(count.add(1)), x.sum().add(count)))(batches).toArray()).toEqual([5, 15]);
    expect(count.item()).toBe(1);
  });
});

onEveryDevice("scan", () => {
  test("refuses assignments in its step, and takes a compiled step", () => {
    const norm = batchNorm(1);
    const rows = tensor([[[1], [3]], [[5], [9]]]);
    expect(() => scan((total: Tensor, x: Tensor) => [total.add(norm.forward(x).sum()), []], zeros([]), rows)).toThrow(/^In BatchNorm: scan: the step assigns to a variable "runningMean"/);
    expect(norm.runningMean.toArray()).toEqual([0]);
    const add = compile((total: Tensor, x: Tensor) => total.add(x.sum()));
    expect(scan((total: Tensor, x: Tensor) => [add(total, x), []], zeros([]), rows)[0].item()).toBe(18);
  });
});

onEveryDevice("a function that throws", () => {
  class Half extends Module {
    norm = batchNorm(1);
    forward(x: Tensor): Tensor {
      this.norm.forward(x);
      throw new Error("half-way");
    }
  }

  test("leaves every variable as it was, in its arguments or not", async () => {
    const model = new Half();
    const attempts: readonly (() => unknown)[] = [
      () => compile((x: Tensor) => model.forward(x))(tensor([[1], [3]])),
      () => compile((m: Half, x: Tensor) => m.forward(x))(model, tensor([[1], [3]])),
      () => grad((x: Tensor) => model.forward(x))(tensor([[1], [3]])),
      () => grad((m: Half) => m.forward(tensor([[1], [3]])))(model),
      () => vjp((x: Tensor) => model.forward(x), [tensor([[1], [3]])]),
      () => vmap((x: Tensor) => x.add(model.forward(tensor([[1], [3]])).sum()))(ones([2])),
      () => step(line(), sgd({ learningRate: 1 }), (_, x: Tensor) => model.forward(x))(tensor([[1], [3]])),
    ];
    for (const attempt of attempts) {
      expect(await failureOf(attempt)).toBe("half-way");
      expect(model.norm.runningMean.toArray()).toEqual([0]);
      expect(model.norm.runningVariance.toArray()).toEqual([1]);
    }
  });

  test("and is caught inside another, leaves what that had assigned before", () => {
    const count = scalar(1);
    const f = compile((x: Tensor) => {
      count.assign(count.add(1));
      try {
        grad((y: Tensor) => {
          count.assign(count.add(100));
          throw new Error(String(y.shape));
        })(x);
      } catch {
        count.assign(count.mul(10));
      }
      return x.add(count);
    });
    expect([f(zeros([])).item(), count.item(), f(zeros([])).item(), count.item()]).toEqual([20, 20, 210, 210]);
  });
});

onEveryDevice("a step", () => {
  test("inside a transformed function is refused at once", () => {
    const run = step(line(), sgd({ learningRate: 1 }), (m, x: Tensor) => m.forward(x).sum());
    expect(() => grad((x: Tensor) => (void run(x), x.sum()))(ones([1, 1]))).toThrow("step: a training step inside a function that grad");
  });

  test("names a trainable variable that the model does not list, before anything changes", async () => {
    class Hidden extends Module {
      readonly layers = new Map([["first", dense(1, 1, { init: constant(1) })]]);
      last = dense(1, 1, { init: constant(1) });
      forward(x: Tensor): Tensor {
        return this.last.forward(this.layers.get("first")!.forward(x));
      }
    }
    const model = new Hidden();
    const run = step(model, sgd({ learningRate: 1 }), (m, x: Tensor) => m.forward(x).sum());
    expect(await failureOf(() => run(ones([1, 1])))).toMatch(/^In Hidden\.Dense: forward reads a trainable variable "weight" of shape \[1, 1\] that is not among the model's parameters/);
    expect(model.last.weight.item()).toBe(1);
  });

  test("takes a frozen model beside its own, and one that is not inside its forward", async () => {
    const [teacher, student] = [dense(1, 1, { bias: false, init: constant(3) }), line()];
    const run = step(student, sgd({ learningRate: 0.5 }), (m, x: Tensor) => m.forward(x).sub(teacher.forward(x)).square().sum());
    await run(ones([1, 1]));
    expect([student.weight.item(), teacher.weight.item()]).toEqual([3, 3]);
  });
});
