import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { DTypeError, LifetimeError, ShapeError, ValueError } from "../errors/errors.ts";
import { dense } from "../nn/index.ts";
import { Module } from "../nn/module.ts";
import { sgd } from "../optim/index.ts";
import { key } from "../random/index.ts";
import { arange, ones, tensor, zeros } from "../tensor/creation.ts";
import { stack, type Tensor } from "../tensor/tensor.ts";
import { step as trainStep } from "../train/step.ts";
import { checkpoint } from "./checkpoint.ts";
import { compile } from "./compile.ts";
import { grad, jvp, valueAndGrad } from "./derivatives.ts";
import { scan } from "./scan.ts";
import { vmap } from "./vmap.ts";

type Step = (carry: { h: Tensor; count: Tensor }, x: Tensor) => readonly [{ h: Tensor; count: Tensor }, { y: Tensor; gate: Tensor }];
type Loop = (step: Step, initial: Parameters<Step>[0], xs: Tensor, reverse?: boolean) => readonly [Parameters<Step>[0], { y: Tensor; gate: Tensor }];

const looped: Loop = (step, initial, xs, reverse = false) => scan(step, initial, xs, { reverse });

/** The same in JavaScript: as many copies of the step as there are entries. */
const unrolled: Loop = (step, initial, xs, reverse = false) => {
  let carry = initial;
  const outputs: { y: Tensor; gate: Tensor }[] = [];
  const length = xs.shape[0]!;
  for (let i = 0; i < length; i++) {
    const [next, output] = step(carry, xs.slice(reverse ? length - 1 - i : i));
    carry = next;
    outputs.push(output);
  }
  if (reverse) outputs.reverse();
  return [carry, { y: stack(outputs.map(({ y }) => y)), gate: stack(outputs.map(({ gate }) => gate)) }];
};

const numbers = (count: number, seed: number): Tensor => arange(count, undefined, 1, "float64").add(seed).mul(0.7).sin();
const w = (): Tensor => numbers(9, 1).reshape([3, 3]);
const u = (): Tensor => numbers(12, 2).reshape([4, 3]);
const xs = (): Tensor => numbers(5 * 2 * 4, 3).reshape([5, 2, 4]);
const h0 = (): Tensor => numbers(6, 4).reshape([2, 3]);

/** A gated step with a product of the carry, one of the entry, a bias, and a counter of integers. */
const gated = (weights: { w: Tensor; u: Tensor; b: Tensor }): Step => ({ h, count }, x) => {
  const gate = h.matmul(weights.w).add(weights.b).sigmoid();
  const next = gate.mul(x.matmul(weights.u).tanh()).add(h.mul(gate.neg().add(1)));
  return [{ h: next, count: count.add(1) }, { y: next.square().sum(1), gate: gate.mul(count.cast("float64").add(1)) }];
};

function loss(loop: Loop, weights: { w: Tensor; u: Tensor; b: Tensor }, h: Tensor, x: Tensor, reverse = false): Tensor {
  const [{ h: last }, { y, gate }] = loop(gated(weights), { h, count: zeros([], "int32") }, x, reverse);
  return last.sin().sum().add(y.mul(y).mean()).add(gate.max());
}

const weights = (): { w: Tensor; u: Tensor; b: Tensor } => ({ w: w(), u: u(), b: numbers(3, 5) });

function close(actual: Tensor, expected: Tensor, digits = 9): void {
  expect(actual.shape).toEqual(expected.shape);
  const want = [...expected.dataSync()];
  [...actual.dataSync()].forEach((value, index) => expect(value, `element ${index}`).toBeCloseTo(want[index]!, digits));
}

onEveryDevice("scan", () => {
  test.each([false, true])("is the loop it stands for (reverse: %s)", (reverse) => {
    const [carry, outputs] = looped(gated(weights()), { h: h0(), count: zeros([], "int32") }, xs(), reverse);
    const [wanted, wantedOutputs] = unrolled(gated(weights()), { h: h0(), count: zeros([], "int32") }, xs(), reverse);
    expect(carry.count.item()).toBe(5);
    close(carry.h, wanted.h);
    close(outputs.y, wantedOutputs.y);
    close(outputs.gate, wantedOutputs.gate);
  });

  test.each([false, true])("has the loop's gradients for weights, first carry and sequence (reverse: %s)", (reverse) => {
    for (const wrap of [(f: Step): Step => f, (f: Step): Step => checkpoint(f)]) {
      const of = (loop: Loop) => valueAndGrad((all: { weights: { w: Tensor; u: Tensor; b: Tensor }; h: Tensor; x: Tensor }) =>
        loss((step, ...rest) => loop(wrap(step), ...rest), all.weights, all.h, all.x, reverse))({ weights: weights(), h: h0(), x: xs() });
      const [value, gradient] = of(looped);
      const [wanted, wantedGradient] = of(unrolled);
      close(value, wanted);
      close(gradient.weights.w, wantedGradient.weights.w);
      close(gradient.weights.u, wantedGradient.weights.u);
      close(gradient.weights.b, wantedGradient.weights.b);
      close(gradient.h, wantedGradient.h);
      close(gradient.x, wantedGradient.x);
    }
  });

  test("second derivatives, forward mode and batches", () => {
    const f = (loop: Loop) => (h: Tensor): Tensor => loss(loop, weights(), h, xs());
    const direction = numbers(6, 8).reshape([2, 3]);
    close(jvp(f(looped), [h0()], [direction])[1], jvp(f(unrolled), [h0()], [direction])[1]);
    const second = (loop: Loop) => grad((h: Tensor) => grad(f(loop))(h).mul(direction).sum())(h0());
    close(second(looped), second(unrolled), 8);
    const forwardOverReverse = (loop: Loop) => jvp(grad(f(loop)), [h0()], [direction])[1];
    close(forwardOverReverse(looped), forwardOverReverse(unrolled), 8);
    const batch = stack([h0(), h0().mul(0.5), direction]);
    close(vmap(f(looped))(batch), vmap(f(unrolled))(batch));
    close(vmap(grad(f(looped)))(batch), vmap(grad(f(unrolled)))(batch));
    const sequences = stack([xs(), xs().neg()]);
    const perSequence = (loop: Loop) => vmap((x: Tensor) => loop(gated(weights()), { h: h0(), count: zeros([], "int32") }, x)[1].y)(sequences);
    close(perSequence(looped), perSequence(unrolled));
  });

  test("loops in loops, compiled", () => {
    const powers = (x: Tensor): Tensor => scan((p: Tensor) => [p.mul(x), p], ones([2], "float64"), [], { length: 4 })[1].sum(0);
    const outer = compile((x: Tensor) => scan((total: Tensor, entry: Tensor) => [total.add(powers(entry)), powers(total).sum()], zeros([2], "float64"), x));
    const x = tensor([[1, 2], [0.5, -1]], { dtype: "float64" });
    const [total, each] = outer(x);
    close(total, tensor([1 + 1 + 1 + 1 + 1 + 0.5 + 0.25 + 0.125, 15 + 0], { dtype: "float64" }));
    close(each, tensor([2, 1 + 4 + 16 + 64 + 1 + 15 + 225 + 3375], { dtype: "float64" }));
    const gradient = grad((y: Tensor) => scan((t: Tensor, entry: Tensor) => [t.add(powers(entry)), t], zeros([2], "float64"), y)[0].sum())(x);
    const slope = (v: number): number => 1 + 2 * v + 3 * v * v;
    close(gradient, tensor([[slope(1), slope(2)], [slope(0.5), slope(-1)]], { dtype: "float64" }));
  });

  test("carries that swap, that stay, that are captured, and outputs that are the entry", () => {
    const captured = tensor([7, 8]);
    const [[a, b, c], out] = scan(([p, q, r]: readonly [Tensor, Tensor, Tensor], x: Tensor) => [[q, p, r] as const, { x, p, captured, one: ones([]) }], [tensor(1), tensor(2), captured] as const, tensor([[5, 6], [3, 4], [1, 2]]));
    expect([a.item(), b.item(), c.toArray()]).toEqual([2, 1, [7, 8]]);
    expect(out.x.toArray()).toEqual([[5, 6], [3, 4], [1, 2]]);
    expect(out.p.toArray()).toEqual([1, 2, 1]);
    expect(out.captured.toArray()).toEqual([[7, 8], [7, 8], [7, 8]]);
    expect(out.one.toArray()).toEqual([1, 1, 1]);
  });

  test("no steps, and sequences of one", () => {
    const [carry, out] = scan((t: Tensor, x: Tensor) => [t.add(x), x], tensor(3), zeros([0]));
    expect(carry.item()).toBe(3);
    expect(out.shape).toEqual([0]);
    expect(scan((t: Tensor, x: Tensor) => [t.add(x), x], tensor(3), ones([1]))[0].item()).toBe(4);
  });

  test("trains inside a step, and learns as the unrolled network does", async () => {
    class Recurrent extends Module {
      inner = dense(3, 3, { key: key(1) });
      outer = dense(4, 3, { key: key(2) });
      readonly #loop: Loop;
      constructor(loop: Loop) {
        super();
        this.#loop = loop;
      }
      forward(x: Tensor): Tensor {
        const step: Step = ({ h, count }, entry) => {
          const next = this.inner.forward(h).add(this.outer.forward(entry)).tanh();
          return [{ h: next, count }, { y: next.sum(1), gate: next }];
        };
        return this.#loop(step, { h: zeros([2, 3]), count: zeros([], "int32") }, x)[1].y;
      }
    }
    const train = async (loop: Loop): Promise<number[]> => {
      const model = new Recurrent(loop);
      const update = trainStep(model, sgd({ learningRate: 0.1 }), (m: Recurrent, x: Tensor) => m.forward(x).sub(1).square().mean());
      const losses: number[] = [];
      for (let i = 0; i < 5; i++) losses.push((await update(xs().cast("float32"))).loss.item());
      return losses;
    };
    const wanted = await train(unrolled);
    (await train(looped)).forEach((value, index) => expect(value).toBeCloseTo(wanted[index]!, 5));
    expect(wanted[4]).toBeLessThan(wanted[0]!);
  });
});

onEveryDevice("scan's step", () => {
  test("refuses steps that are none", () => {
    const add = (t: Tensor, x: Tensor) => [t.add(x), t] as const;
    expect(() => scan((t: Tensor, x: Tensor) => [t.add(x).reshape([1]), t], tensor(0), ones([2]))).toThrow(/The carry has|the carry has shape \[\] before a step and \[1\] after it/);
    expect(() => scan((t: Tensor) => [t.cast("int32"), t], tensor(0), ones([2]))).toThrow(DTypeError);
    expect(() => scan((t: { a: Tensor }) => [{ b: t.a } as unknown as { a: Tensor }, []], { a: tensor(0) }, ones([2]))).toThrow(/"a" is followed by "b"/);
    expect(() => scan(add, tensor(0), tensor(1))).toThrow(/Its first axis is time/);
    expect(() => scan((t: Tensor, [x]: readonly [Tensor, Tensor]) => [t.add(x), t], tensor(0), [ones([2]), ones([3])] as const)).toThrow(ShapeError);
    expect(() => scan((t: Tensor) => [t, t], tensor(0), [])).toThrow(/neither a sequence nor a length/);
    expect(() => scan((t: Tensor) => [t, t], tensor(0), [], { length: 1.5 })).toThrow(ValueError);
    expect(() => scan(((t: Tensor) => t) as unknown as typeof add, tensor(0), ones([2]))).toThrow(/the step returned a Tensor/);
    expect(() => scan((t: Tensor, x: Tensor) => [t.mul(x.item()), t], tensor(0), ones([2]))).toThrow(LifetimeError);
  });
});
