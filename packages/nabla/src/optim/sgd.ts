// Stochastic gradient descent, with the momentum of Polyak (1964) or Nesterov (1983) in PyTorch's convention.
import { notNegative, requireOptions } from "../errors/arguments.ts";
import { ValueError } from "../errors/errors.ts";
import { zerosLike } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { decayed, type HyperParameter, hyperParameters, momentumDomain, type Optimizer } from "./optimizer.ts";

/** Options of {@link sgd}. */
export interface SgdOptions {
  readonly learningRate: HyperParameter;
  /** Default 0, which keeps no velocity. */
  readonly momentum?: HyperParameter;
  /** Looks ahead along the velocity. Default false. */
  readonly nesterov?: boolean;
  /** L2 regularisation: adds weightDecay·θ to the gradient. Default 0. */
  readonly weightDecay?: HyperParameter;
}

/**
 * v ← μv + g, θ ← θ − ηv (Nesterov: θ − η(g + μv)); without momentum θ ← θ − ηg.
 *
 * Sutskever et al., "On the importance of initialization and momentum in deep learning" (ICML 2013).
 *
 * @example
 * const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });
 * optimizer.hyper.learningRate = 0.01; // takes effect at the next step
 */
export function sgd(options: SgdOptions): Optimizer<string, "learningRate" | "momentum" | "weightDecay"> {
  requireOptions("sgd", options, { learningRate: true, momentum: true, nesterov: true, weightDecay: true }, "sgd({ learningRate: 0.01 })");
  const { learningRate, momentum = 0, nesterov = false, weightDecay = 0 } = options;
  if (nesterov && momentum === 0) throw new ValueError("sgd: Nesterov's method without momentum.", "Pass a momentum, e.g. 0.9.");
  return {
    name: "sgd",
    hyper: hyperParameters("sgd", {
      learningRate: [learningRate, notNegative],
      momentum: [momentum, momentumDomain(momentum)],
      weightDecay: [weightDecay, notNegative],
    }),
    init(parameter): Record<string, Tensor> {
      return momentum === 0 ? {} : { velocity: zerosLike(parameter) };
    },
    update(gradient, parameter, state, hyper) {
      const g = gradient.add(parameter.mul(hyper.weightDecay));
      const previous = state["velocity"];
      if (previous === undefined) return { parameter: parameter.sub(g.mul(hyper.learningRate)), state };
      const velocity = decayed(previous, hyper.momentum, g);
      const direction = nesterov ? velocity.mul(hyper.momentum).add(g) : velocity;
      return { parameter: parameter.sub(direction.mul(hyper.learningRate)), state: { velocity } };
    },
  };
}
