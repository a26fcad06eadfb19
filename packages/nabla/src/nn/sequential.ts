// Sequential: layers one after another.
import { describe, ValueError } from "../errors/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Layer, Module } from "./module.ts";

export class Sequential extends Module {
  readonly layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    super();
    const wrong = layers.findIndex((layer) => typeof layer?.forward !== "function");
    if (wrong >= 0) {
      throw new ValueError(`sequential: layer ${wrong} is ${describe(layers[wrong])}.`, typeof layers[wrong] === "function" ? "Call it, e.g. relu()." : "Pass modules with a forward method.");
    }
    this.layers = layers;
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), x);
  }
}

/**
 * Passes a tensor through `layers` in order; their paths are layers.0, layers.1, ….
 *
 * @example
 * sequential(flatten(), dense(784, 10)).forward(zeros([32, 28, 28])).shape; // [32, 10]
 */
export function sequential(...layers: readonly Layer[]): Sequential {
  return new Sequential(layers);
}
