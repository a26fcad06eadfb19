// Schedules: hyper-parameters as functions of the number of steps taken, computed inside the compiled step, in float64.
// A schedule takes and gives a scalar tensor, so any function of tensors is one. An epoch has `loader.length` steps.
import { requireOptions } from "../errors/arguments.ts";
import { ValueError } from "../errors/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { HyperParameter, Schedule } from "./optimizer.ts";

/**
 * `initial` times `factor` (default 0.1) after every `every` steps (PyTorch's StepLR).
 *
 * @example
 * const rate = stepDecay(0.1, { every: 1000, factor: 0.5 });
 * rate(tensor(2500)).item(); // 0.025…
 */
export function stepDecay(initial: number, options: { readonly every: number; readonly factor?: number }): Schedule {
  requireOptions("stepDecay", options, { every: true, factor: true }, "{ every: 1000 }");
  const { every, factor = 0.1 } = options;
  requireSteps("stepDecay", "every", every);
  requireFactor("stepDecay", factor);
  return (step) => powerOf(factor, step.div(every).floor()).mul(initial);
}

/**
 * `initial` times `factor` (default 0.1) from each of the steps `at` on (PyTorch's MultiStepLR).
 *
 * @example
 * const rate = milestones(0.8, { at: [32_000, 48_000], factor: 0.5 });
 * rate(tensor(32_000)).item(); // 0.4…
 */
export function milestones(initial: number, options: { readonly at: readonly number[]; readonly factor?: number }): Schedule {
  requireOptions("milestones", options, { at: true, factor: true }, "{ at: [1000] }");
  const { at, factor = 0.1 } = options;
  for (const step of at) requireSteps("milestones", "at", step);
  requireFactor("milestones", factor);
  return (step) => powerOf(factor, at.reduce((passed, each) => passed.add(step.greaterEqual(each).cast(step.dtype)), step.mul(0))).mul(initial);
}

/**
 * `initial` · factor^(step / every), without jumps; `every` is 1 by default (PyTorch's ExponentialLR).
 *
 * @example
 * const rate = exponential(0.1, { factor: 0.5, every: 100 });
 * rate(tensor(200)).item(); // 0.025…
 */
export function exponential(initial: number, options: { readonly factor: number; readonly every?: number }): Schedule {
  requireOptions("exponential", options, { factor: true, every: true }, "{ factor: 0.99 }");
  const { factor, every = 1 } = options;
  requireSteps("exponential", "every", every);
  requireFactor("exponential", factor);
  return (step) => powerOf(factor, step.div(every)).mul(initial);
}

/**
 * Half a cosine from `initial` down to `final` (default 0) in `steps` steps, then `final`: Loshchilov & Hutter, "SGDR" (ICLR 2017), eq. 5.
 *
 * @example
 * const rate = cosine(0.1, { steps: 1000 });
 * rate(tensor(1000)).item(); // 0
 */
export function cosine(initial: number, options: { readonly steps: number; readonly final?: number }): Schedule {
  requireOptions("cosine", options, { steps: true, final: true }, "{ steps: 1000 }");
  const { steps, final = 0 } = options;
  requireSteps("cosine", "steps", steps);
  return (step) => step.minimum(steps).mul(Math.PI / steps).cos().add(1).mul((initial - final) / 2).add(final);
}

/**
 * A straight line from `from` (default 0) to where `then` begins, in `steps` steps; then `then`, whose steps count from there.
 *
 * @example
 * const rate = warmUp(cosine(0.1, { steps: 1000 }), { steps: 100 });
 * rate(tensor(50)).item(); // 0.05…
 */
export function warmUp(then: HyperParameter, options: { readonly steps: number; readonly from?: number }): Schedule {
  requireOptions("warmUp", options, { steps: true, from: true }, "{ steps: 100 }");
  const { steps, from = 0 } = options;
  requireSteps("warmUp", "steps", steps);
  return (step) => {
    const after = step.sub(steps).maximum(0);
    const value = typeof then === "number" ? after.mul(0).add(then) : then(after);
    const line = value.sub(from).mul(step.div(steps)).add(from);
    return step.less(steps).where(line, value);
  };
}

function powerOf(factor: number, exponent: Tensor): Tensor {
  return exponent.mul(Math.log(factor)).exp();
}

function requireSteps(schedule: string, name: string, steps: number): void {
  if (!(steps > 0 && steps < Infinity)) throw new ValueError(`${schedule}: ${name} is ${steps}.`, "Pass a positive number of steps.");
}

function requireFactor(schedule: string, factor: number): void {
  if (!(factor > 0 && factor < Infinity)) throw new ValueError(`${schedule}: factor is ${factor}.`, "Pass a positive factor, e.g. 0.1.");
}
