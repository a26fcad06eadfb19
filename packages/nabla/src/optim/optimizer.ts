// The contract of an optimizer, after MLX: what it keeps for one parameter, and one update of it, in tensor operations.
// Hyper-parameters arrive as scalar tensors: changing one recompiles nothing, and a derivative flows through an update.
// A scheduled one is computed inside the step from the number of steps taken.
import { type Domain, fraction, requireNumber } from "../errors/arguments.ts";
import { describe, ValueError } from "../errors/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A hyper-parameter as a function of the steps taken before, a float64 scalar: see `schedules.ts`, or write your own. */
export type Schedule = (step: Tensor) => Tensor;

/** A number, or a schedule of it. */
export type HyperParameter = number | Schedule;

/** An optimizer: `State` names what it keeps for each parameter, `Hyper` its hyper-parameters. */
export interface Optimizer<State extends string = string, Hyper extends string = string> {
  readonly name: string;
  /** Numbers are read at every step; assigning checks the value. */
  readonly hyper: Record<Hyper, HyperParameter>;
  /** The state of a parameter before its first update. */
  init(parameter: Tensor): Record<State, Tensor>;
  /** What becomes of all gradients of a step, taken together, before the updates. Default: nothing. */
  gradients?(gradients: readonly Tensor[], hyper: Record<Hyper, Tensor>): readonly Tensor[];
  /** One update. The new values keep shapes and dtypes. */
  update(gradient: Tensor, parameter: Tensor, state: Record<State, Tensor>, hyper: Record<Hyper, Tensor>): Update<State>;
}

/** A parameter and its state after an update. */
export interface Update<State extends string = string> {
  readonly parameter: Tensor;
  readonly state: Record<State, Tensor>;
}

/** Throws {@link ValueError} on what is no optimizer. */
export function requireOptimizer(optimizer: unknown): void {
  if (typeof (optimizer as Partial<Optimizer> | null | undefined)?.update !== "function") {
    throw new ValueError(`The optimizer is ${describe(optimizer)}.`, "Pass one, e.g. optim.adam().");
  }
}

const withoutMomentum: Domain = { accepts: (value) => value === 0, description: "0, or make the optimizer with a momentum" };

/** What a momentum may become: an optimizer that keeps no velocity cannot gain one later. */
export function momentumDomain(initial: HyperParameter): Domain {
  return initial === 0 ? withoutMomentum : fraction;
}

/** Mutable hyper-parameters that throw {@link ValueError} on a value outside their domain; a schedule stays what it is. */
export function hyperParameters<Name extends string>(optimizer: string, initial: Readonly<Record<Name, readonly [value: HyperParameter, domain: Domain]>>): Record<Name, HyperParameter> {
  const values = {} as Record<Name, HyperParameter>;
  for (const name of Object.keys(initial) as Name[]) {
    const [first, domain] = initial[name];
    let value = first;
    const set = (next: HyperParameter): void => {
      if (typeof next === "function" || typeof value === "function") {
        throw new ValueError(`${optimizer}: a schedule of ${name} is given once.`, "Make the optimizer with the schedule, or with a number that you change.");
      }
      requireNumber(optimizer, name, next, domain);
      value = next;
    };
    if (typeof first !== "function") set(first);
    Object.defineProperty(values, name, { enumerable: true, get: () => value, set });
  }
  return values;
}

/** What is far above it is unchanged by adding and taking away this number, the rest is rounded. */
type Grain = Readonly<Record<"float32" | "float64", number>>;

/** Multiples of 1e-31: a step of a small learning rate is computed of them. */
const steps: Grain = { float32: 1e-24, float64: 1e-280 };

/** Multiples of 2⁻¹²⁰: of a mean of squares only the root is taken, and squares are smaller. */
const squares: Grain = { float32: 2 ** -97, float64: 1e-280 };

/**
 * decay·previous + addend, rounded to a multiple of 1e-31. The running means of parameters that get no gradient would decay into
 * subnormal numbers, on which processors are up to 100 times slower, and so must not what is computed of them: a step of a small
 * learning rate. Adding and taking away a small number rounds; what is far above it is unchanged. (Added to the addend, it costs
 * one instruction less.) Rounded to nearest, a mean comes to rest at a few such multiples, not at zero.
 */
export function decayed(previous: Tensor, decay: Tensor, addend: Tensor, grain: Grain = steps): Tensor {
  const small = grain[previous.dtype === "float64" ? "float64" : "float32"];
  return previous.mul(decay).add(addend.add(small)).sub(small);
}

/** The running mean of `value`: decay·previous + (1 − decay)·value, {@link decayed}. */
export function runningMean(previous: Tensor, decay: Tensor, value: Tensor): Tensor {
  return decayed(previous, decay, value.mul(decay.neg().add(1)));
}

/** The running mean of value², to multiples of 2⁻¹²⁰: gradients down to 1e-17 count, whatever the optimizer's ε. */
export function runningMeanSquare(previous: Tensor, decay: Tensor, value: Tensor): Tensor {
  return decayed(previous, decay, value.square().mul(decay.neg().add(1)), squares);
}
