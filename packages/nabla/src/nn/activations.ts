// Activations and reshaping as layers, for sequential(); each is one function of its input.
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

/** A layer without variables: a function with a name. */
export class Activation extends Module {
  readonly name: string;
  readonly #f: (x: Tensor) => Tensor;

  constructor(name: string, f: (x: Tensor) => Tensor) {
    super();
    this.name = name;
    this.#f = f;
  }

  forward(x: Tensor): Tensor {
    return this.#f(x);
  }
}

/**
 * max(x, 0).
 *
 * @example
 * relu().forward(tensor([-1, 2])).toArray(); // [0, 2]
 */
export function relu(): Activation {
  return new Activation("relu", (x) => x.relu());
}

/**
 * 1 / (1 + e⁻ˣ).
 *
 * @example
 * sigmoid().forward(tensor([0])).toArray(); // [0.5]
 */
export function sigmoid(): Activation {
  return new Activation("sigmoid", (x) => x.sigmoid());
}

/**
 * Hyperbolic tangent.
 *
 * @example
 * tanh().forward(tensor([0])).toArray(); // [0]
 */
export function tanh(): Activation {
  return new Activation("tanh", (x) => x.tanh());
}

/**
 * log(1 + eˣ).
 *
 * @example
 * softplus().forward(tensor([0], { dtype: "float64" })).item(); // 0.6931…
 */
export function softplus(): Activation {
  return new Activation("softplus", (x) => x.softplus());
}

/**
 * eˣ / Σ eˣ along the last axis. Train on logits with crossEntropy instead of putting this last.
 *
 * @example
 * softmax().forward(tensor([[0, 0]])).toArray(); // [[0.5, 0.5]]
 */
export function softmax(): Activation {
  return new Activation("softmax", (x) => x.softmax());
}

/**
 * [batch, ...rest] → [batch, product of rest].
 *
 * @example
 * flatten().forward(zeros([2, 3, 4])).shape; // [2, 12]
 */
export function flatten(): Activation {
  return new Activation("flatten", (x) => x.flatten(1));
}
