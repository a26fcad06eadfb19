// AdaGrad: Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic optimization"
// (JMLR 12, 2011), the diagonal form, in PyTorch's convention.
import { notNegative, positive, requireOptions } from "../errors/arguments.ts";
import { zerosLike } from "../tensor/creation.ts";
import { type HyperParameter, hyperParameters, type Optimizer } from "./optimizer.ts";

/** Options of {@link adagrad}. */
export interface AdagradOptions {
  /** Default 0.01. */
  readonly learningRate?: HyperParameter;
  /** Added to the root. Default 1e-10. */
  readonly epsilon?: number;
  /** L2 regularisation: adds weightDecay·θ to the gradient. Default 0. */
  readonly weightDecay?: HyperParameter;
}

/**
 * G ← G + g², θ ← θ − η g / (√G + ε): what rarely has a gradient learns fast when it has one. The steps shrink as long as it trains.
 *
 * @example
 * const optimizer = adagrad({ learningRate: 0.1 });
 */
export function adagrad(options: AdagradOptions = {}): Optimizer<"squares", "learningRate" | "epsilon" | "weightDecay"> {
  requireOptions("adagrad", options, { learningRate: true, epsilon: true, weightDecay: true }, "adagrad({ learningRate: 0.01 })");
  const { learningRate = 0.01, epsilon = 1e-10, weightDecay = 0 } = options;
  return {
    name: "adagrad",
    hyper: hyperParameters("adagrad", { learningRate: [learningRate, notNegative], epsilon: [epsilon, positive], weightDecay: [weightDecay, notNegative] }),
    init: (parameter) => ({ squares: zerosLike(parameter) }),
    update(gradient, parameter, state, hyper) {
      const g = gradient.add(parameter.mul(hyper.weightDecay));
      const squares = state.squares.add(g.square());
      return { parameter: parameter.sub(g.mul(hyper.learningRate).div(squares.sqrt().add(hyper.epsilon))), state: { squares } };
    },
  };
}
