// Activations and reshaping as layers, for sequential(); each is one function of its input.
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

/** A layer without variables: a function with a name. */
export class Activation extends Module {
  readonly name: string;
  readonly function: (x: Tensor) => Tensor;

  constructor(name: string, f: (x: Tensor) => Tensor) {
    super();
    this.name = name;
    this.function = f;
  }

  forward(x: Tensor): Tensor {
    return this.function(x);
  }
}

/** Names of the activations made here. */
export type ActivationName = "flatten" | "relu" | "sigmoid" | "softmax" | "softplus" | "tanh";

const functions: Readonly<Record<ActivationName, (x: Tensor) => Tensor>> = {
  flatten: (x) => x.flatten(1),
  relu: (x) => x.relu(),
  sigmoid: (x) => x.sigmoid(),
  softmax: (x) => x.softmax(),
  softplus: (x) => x.softplus(),
  tanh: (x) => x.tanh(),
};

export const activationNames: readonly ActivationName[] = Object.keys(functions) as ActivationName[];

export function activation(name: ActivationName): Activation {
  return new Activation(name, functions[name]);
}

/** Whether it was made here, and is not somebody's own of the same name. */
export function isNamed({ name, function: f }: Activation): boolean {
  return activationNames.some((each) => each === name && functions[each] === f);
}

/**
 * max(x, 0).
 *
 * @example
 * relu().forward(tensor([-1, 2])).toArray(); // [0, 2]
 */
export function relu(): Activation {
  return activation("relu");
}

/**
 * 1 / (1 + e⁻ˣ).
 *
 * @example
 * sigmoid().forward(tensor([0])).toArray(); // [0.5]
 */
export function sigmoid(): Activation {
  return activation("sigmoid");
}

/**
 * Hyperbolic tangent.
 *
 * @example
 * tanh().forward(tensor([0])).toArray(); // [0]
 */
export function tanh(): Activation {
  return activation("tanh");
}

/**
 * log(1 + eˣ).
 *
 * @example
 * softplus().forward(tensor([0], { dtype: "float64" })).item(); // 0.6931…
 */
export function softplus(): Activation {
  return activation("softplus");
}

/**
 * eˣ / Σ eˣ along the last axis. Train on logits with crossEntropy instead of putting this last.
 *
 * @example
 * softmax().forward(tensor([[0, 0]])).toArray(); // [[0.5, 0.5]]
 */
export function softmax(): Activation {
  return activation("softmax");
}

/**
 * [batch, ...rest] → [batch, product of rest].
 *
 * @example
 * flatten().forward(zeros([2, 3, 4])).shape; // [2, 12]
 */
export function flatten(): Activation {
  return activation("flatten");
}
