// Adam: Kingma & Ba, "Adam: a method for stochastic optimization" (ICLR 2015), algorithm 1, in PyTorch's convention.
import { zeros, zerosLike } from "../tensor/creation.ts";
import { flushSubnormal, fraction, hyperParameters, notNegative, type Optimizer, positive } from "./optimizer.ts";

/** Options of {@link adam}. */
export interface AdamOptions {
  /** Default 0.001. */
  readonly learningRate?: number;
  /** Decay of the mean of the gradient. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of its square. Default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the latter. Default 1e-8. */
  readonly epsilon?: number;
  /** L2 regularisation: adds weightDecay·θ to the gradient. Default 0. */
  readonly weightDecay?: number;
}

/**
 * θ ← θ − η m̂ / (√v̂ + ε), where m̂ and v̂ are running means of the gradient and of its square, freed of their start at 0.
 *
 * @example
 * const optimizer = adam({ learningRate: 1e-3 });
 */
export function adam(options: AdamOptions = {}): Optimizer<"mean" | "square" | "meanWeight" | "squareWeight", "learningRate" | "beta1" | "beta2" | "epsilon" | "weightDecay"> {
  const { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  return {
    name: "adam",
    hyper: hyperParameters("adam", {
      learningRate: [learningRate, notNegative],
      beta1: [beta1, fraction],
      beta2: [beta2, fraction],
      epsilon: [epsilon, positive],
      weightDecay: [weightDecay, notNegative],
    }),
    init: (parameter) => ({
      mean: zerosLike(parameter),
      square: zerosLike(parameter),
      meanWeight: zeros([], parameter.dtype),
      squareWeight: zeros([], parameter.dtype),
    }),
    update(gradient, parameter, state, hyper) {
      const g = gradient.add(parameter.mul(hyper.weightDecay));
      const newShare1 = hyper.beta1.neg().add(1);
      const newShare2 = hyper.beta2.neg().add(1);
      const mean = flushSubnormal(state.mean.mul(hyper.beta1).add(g.mul(newShare1)));
      const square = flushSubnormal(state.square.mul(hyper.beta2).add(g.square().mul(newShare2)));
      // The weights are the running means of 1: exactly 1 − βᵗ, without a power that loses its digits in float32.
      const meanWeight = state.meanWeight.mul(hyper.beta1).add(newShare1);
      const squareWeight = state.squareWeight.mul(hyper.beta2).add(newShare2);
      // m̂ / (√v̂ + ε) with √v̂ = √(square / squareWeight), multiplied through by √squareWeight: one division an element.
      const root = squareWeight.sqrt();
      const rate = hyper.learningRate.mul(root).div(meanWeight);
      const step = mean.mul(rate).div(square.sqrt().add(hyper.epsilon.mul(root)));
      return { parameter: parameter.sub(step), state: { mean, square, meanWeight, squareWeight } };
    },
  };
}
