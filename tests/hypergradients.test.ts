// @nabla/tune's hypergradients through the engine's own vjp and jvp: the binding is one object.
import { afterAll, beforeAll, expect, test } from "vitest";
import { ReferenceDevice } from "../packages/nabla/src/devices/reference/device.ts";
import type { Device } from "../packages/nabla/src/devices/device.ts";
import { tensor, zerosLike } from "../packages/nabla/src/tensor/creation.ts";
import { setDefaultDevice } from "../packages/nabla/src/tensor/storage.ts";
import type { Tensor } from "../packages/nabla/src/tensor/tensor.ts";
import { grad, jvp, vjp } from "../packages/nabla/src/transform/derivatives.ts";
import { differentiableInner, differentiableOuter, differentiableStep, type Autodiff } from "../packages/tune/src/hypergradient/autodiff.ts";
import { differenceGradient } from "../packages/tune/src/hypergradient/differences.ts";
import { conjugateGradientHypergradient, neumannHypergradient } from "../packages/tune/src/hypergradient/implicit.ts";
import { forwardHypergradient, reverseHypergradient } from "../packages/tune/src/hypergradient/unrolled.ts";
import type { CoordinateSpace } from "../packages/tune/src/hypergradient/vector-space.ts";

let previous: Device | undefined;
beforeAll(() => {
  previous = setDefaultDevice(new ReferenceDevice({ precision: "float64" }));
});
afterAll(() => {
  setDefaultDevice(previous);
});

const inputs = [[1, 2], [0.5, -1], [0.25, 0.75]];
const targets = [1, 0, 2];
const held = [0.875, 0.25, 1.5];
const learningRate = 0.25;
const steps = 20;
const logPenalties = Float64Array.of(-1, -2);

/** ∂L_T/∂w of the ridge below, in plain numbers. */
function plainGradient(w: Float64Array, h: Float64Array): Float64Array {
  const residuals = inputs.map((row, i) => row[0]! * w[0]! + row[1]! * w[1]! - targets[i]!);
  return w.map((value, j) => 2 * value * Math.exp(h[j]!) + (2 / 3) * residuals.reduce((sum, r, i) => sum + r * inputs[i]![j]!, 0));
}

/** L_V after gradient descent in plain numbers. */
function plainTraining(h: Float64Array, count: number): { value: number; weights: Float64Array } {
  let weights = new Float64Array(2);
  for (let t = 0; t < count; t++) {
    const g = plainGradient(weights, h);
    weights = Float64Array.of(weights[0]! - learningRate * g[0]!, weights[1]! - learningRate * g[1]!);
  }
  return { value: inputs.reduce((sum, row, i) => sum + (row[0]! * weights[0]! + row[1]! * weights[1]! - held[i]!) ** 2, 0), weights };
}

test("ridge with a penalty per weight: the engine's hypergradients are those of plain float64 arithmetic", async () => {
  const engine: Autodiff<Tensor> = { vjp, jvp, zeros: zerosLike, one: tensor(1), item: (scalar) => Number(scalar.item()) };
  const space: CoordinateSpace<Tensor> = {
    zeros: zerosLike,
    addScaled: (a, scale, b) => a.add(b.mul(scale)),
    dot: (a, b) => Number(a.mul(b).sum().item()),
    basis: ({ shape: [n = 0] }) => Array.from({ length: n }, (_, axis) => tensor(Array.from({ length: n }, (_unused, i) => (i === axis ? 1 : 0)))),
  };
  const [x, y, z] = [tensor(inputs), tensor(targets), tensor(held)];
  const inner = (w: Tensor, h: Tensor): Tensor => x.matmul(w).sub(y).square().mean().add(w.square().mul(h.exp()).sum());
  const gradient = (w: Tensor, h: Tensor): Tensor => grad((v: Tensor) => inner(v, h))(w);
  const outer = differentiableOuter(engine, (w) => x.matmul(w).sub(z).square().sum());
  const spaces = { weights: space, hyper: space };
  const hyper = tensor([...logPenalties]);

  const unrolled = { spaces, outer, initial: tensor([0, 0]), steps, training: differentiableStep(engine, (w, h) => w.sub(gradient(w, h).mul(learningRate))) };
  const throughTraining = await differenceGradient((h) => plainTraining(h, steps).value, logPenalties);
  expectClose((await reverseHypergradient(unrolled, hyper)).gradient, throughTraining);
  expectClose((await forwardHypergradient(unrolled, hyper)).gradient, throughTraining);

  const implicit = { spaces, outer, inner: differentiableInner(engine, gradient) };
  const atMinimum = await differenceGradient((h) => plainTraining(h, 300).value, logPenalties);
  const minimum = tensor([...plainTraining(logPenalties, 300).weights]);
  expectClose((await conjugateGradientHypergradient(implicit, minimum, hyper, { tolerance: 1e-6 })).gradient, atMinimum);
  expectClose((await neumannHypergradient(implicit, minimum, hyper, { learningRate, terms: 60 })).gradient, atMinimum);
});

/** Up to the float32 of tensors that are read. */
function expectClose(actual: Tensor, expected: Float64Array): void {
  for (const [i, value] of (actual.toArray() as number[]).entries()) expect(Math.abs(value / expected[i]! - 1)).toBeLessThan(3e-6);
}
