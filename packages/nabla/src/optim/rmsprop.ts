// RMSProp: Tieleman & Hinton, "Neural networks for machine learning", lecture 6.5 (2012); centred and with momentum after
// Graves, "Generating sequences with recurrent neural networks" (arXiv 1308.0850, 2013), eq. 38–45, in PyTorch's convention.
import { fraction, notNegative, positive, requireOptions } from "../errors/arguments.ts";
import { zerosLike } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { decayed, type HyperParameter, hyperParameters, momentumDomain, type Optimizer, runningMean, runningMeanSquare } from "./optimizer.ts";

/** Options of {@link rmsprop}. */
export interface RmspropOptions {
  /** Default 0.01. */
  readonly learningRate?: HyperParameter;
  /** Decay of the mean of the squared gradient: 1 / (1 − decay) steps are remembered. Default 0.99. */
  readonly decay?: number;
  /** Added to the root. Default 1e-8. */
  readonly epsilon?: number;
  /** Default 0, which keeps no velocity. */
  readonly momentum?: HyperParameter;
  /** Divides by the standard deviation of the gradient, not the root of its mean square. Default false. */
  readonly centered?: boolean;
  /** L2 regularisation: adds weightDecay·θ to the gradient. Default 0. */
  readonly weightDecay?: HyperParameter;
}

/**
 * E ← βE + (1 − β)g², θ ← θ − η g / (√E + ε); with momentum v ← μv + g / (√E + ε), θ ← θ − ηv.
 *
 * @example
 * const optimizer = rmsprop({ learningRate: 1e-3, decay: 0.9 });
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer<string, "learningRate" | "decay" | "epsilon" | "momentum" | "weightDecay"> {
  requireOptions("rmsprop", options, { learningRate: true, decay: true, epsilon: true, momentum: true, centered: true, weightDecay: true }, "rmsprop({ learningRate: 0.01 })");
  const { learningRate = 0.01, decay = 0.99, epsilon = 1e-8, momentum = 0, centered = false, weightDecay = 0 } = options;
  return {
    name: "rmsprop",
    hyper: hyperParameters("rmsprop", {
      learningRate: [learningRate, notNegative],
      decay: [decay, fraction],
      epsilon: [epsilon, positive],
      momentum: [momentum, momentumDomain(momentum)],
      weightDecay: [weightDecay, notNegative],
    }),
    init(parameter): Record<string, Tensor> {
      return {
        square: zerosLike(parameter),
        ...(centered && { mean: zerosLike(parameter) }),
        ...(momentum !== 0 && { velocity: zerosLike(parameter) }),
      };
    },
    update(gradient, parameter, state, hyper) {
      const g = gradient.add(parameter.mul(hyper.weightDecay));
      const square = runningMeanSquare(state["square"]!, hyper.decay, g);
      const mean = state["mean"] && runningMean(state["mean"], hyper.decay, g);
      // Rounding may leave less than nothing of a variance.
      const variance = mean === undefined ? square : square.sub(mean.square()).relu();
      const scaled = g.div(variance.sqrt().add(hyper.epsilon));
      const velocity = state["velocity"] && decayed(state["velocity"], hyper.momentum, scaled);
      return {
        parameter: parameter.sub((velocity ?? scaled).mul(hyper.learningRate)),
        state: { square, ...(mean && { mean }), ...(velocity && { velocity }) },
      };
    },
  };
}
