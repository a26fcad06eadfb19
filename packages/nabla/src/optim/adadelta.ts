// AdaDelta: Zeiler, "ADADELTA: an adaptive learning rate method" (arXiv 1212.5701, 2012), algorithm 1; the factor η is PyTorch's.
import { fraction, notNegative, positive, requireOptions } from "../errors/arguments.ts";
import { zerosLike } from "../tensor/creation.ts";
import { type HyperParameter, hyperParameters, type Optimizer, runningMeanSquare } from "./optimizer.ts";

/** Options of {@link adadelta}. */
export interface AdadeltaOptions {
  /** Factor of the step. Default 1, as in the paper. */
  readonly learningRate?: HyperParameter;
  /** Decay ρ of both running means. Default 0.9. */
  readonly decay?: number;
  /** Added under both roots: the square of the first steps' size. Default 1e-6. */
  readonly epsilon?: number;
  /** L2 regularisation: adds weightDecay·θ to the gradient. Default 0. */
  readonly weightDecay?: HyperParameter;
}

/**
 * Δ = g √(E[Δ²] + ε) / √(E[g²] + ε), θ ← θ − ηΔ: a step has the size of those before it, whatever the scale of the gradient.
 *
 * @example
 * const optimizer = adadelta();
 */
export function adadelta(options: AdadeltaOptions = {}): Optimizer<"square" | "change", "learningRate" | "decay" | "epsilon" | "weightDecay"> {
  requireOptions("adadelta", options, { learningRate: true, decay: true, epsilon: true, weightDecay: true }, "adadelta({ decay: 0.9 })");
  const { learningRate = 1, decay = 0.9, epsilon = 1e-6, weightDecay = 0 } = options;
  return {
    name: "adadelta",
    hyper: hyperParameters("adadelta", {
      learningRate: [learningRate, notNegative],
      decay: [decay, fraction],
      epsilon: [epsilon, positive],
      weightDecay: [weightDecay, notNegative],
    }),
    init: (parameter) => ({ square: zerosLike(parameter), change: zerosLike(parameter) }),
    update(gradient, parameter, state, { learningRate: rate, decay: rho, epsilon: small, weightDecay: shrink }) {
      const g = gradient.add(parameter.mul(shrink));
      const square = runningMeanSquare(state.square, rho, g);
      const delta = g.mul(state.change.add(small).sqrt()).div(square.add(small).sqrt());
      const change = runningMeanSquare(state.change, rho, delta);
      return { parameter: parameter.sub(delta.mul(rate)), state: { square, change } };
    },
  };
}
