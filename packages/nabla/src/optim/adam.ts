// Adam: Kingma & Ba, "Adam: a method for stochastic optimization" (ICLR 2015), algorithm 1, in PyTorch's convention;
// and AdamW: Loshchilov & Hutter, "Decoupled weight decay regularization" (ICLR 2019), algorithm 2.
import { fraction, notNegative, positive, requireOptions } from "../errors/arguments.ts";
import { zeros, zerosLike } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type HyperParameter, hyperParameters, type Optimizer, runningMean, runningMeanSquare } from "./optimizer.ts";

/** Options of {@link adam} and {@link adamW}. */
export interface AdamOptions {
  /** Default 0.001. */
  readonly learningRate?: HyperParameter;
  /** Decay of the mean of the gradient. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of its square. Default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the latter. Default 1e-8. */
  readonly epsilon?: number;
  /** {@link adam} adds weightDecay·θ to the gradient (L2 regularisation), default 0; {@link adamW} shrinks θ by it, default 0.01. */
  readonly weightDecay?: HyperParameter;
}

type AdamState = "mean" | "square" | "meanWeight" | "squareWeight";
type AdamHyper = "learningRate" | "beta1" | "beta2" | "epsilon" | "weightDecay";

/**
 * θ ← θ − η m̂ / (√v̂ + ε), where m̂ and v̂ are running means of the gradient and of its square, freed of their start at 0.
 *
 * @example
 * const optimizer = adam({ learningRate: 1e-3 });
 */
export function adam(options: AdamOptions = {}): Optimizer<AdamState, AdamHyper> {
  return {
    ...memory("adam", options, 0),
    update(gradient, parameter, state, hyper) {
      const next = moments(gradient.add(parameter.mul(hyper.weightDecay)), state, hyper);
      return { parameter: parameter.sub(change(next, hyper)), state: next };
    },
  };
}

/**
 * {@link adam} with decoupled weight decay: θ ← θ − ηλθ − η m̂ / (√v̂ + ε), so that the decay is the same for every parameter.
 *
 * @example
 * const optimizer = adamW({ learningRate: 1e-3, weightDecay: 0.05 });
 */
export function adamW(options: AdamOptions = {}): Optimizer<AdamState, AdamHyper> {
  return {
    ...memory("adamW", options, 0.01),
    update(gradient, parameter, state, hyper) {
      const next = moments(gradient, state, hyper);
      const shrunk = parameter.mul(hyper.learningRate.mul(hyper.weightDecay).neg().add(1));
      return { parameter: shrunk.sub(change(next, hyper)), state: next };
    },
  };
}

/** Hyper-parameters and the state that both keep. */
function memory(name: string, options: AdamOptions, usualDecay: number): Pick<Optimizer<AdamState, AdamHyper>, "name" | "hyper" | "init"> {
  requireOptions(name, options, { learningRate: true, beta1: true, beta2: true, epsilon: true, weightDecay: true }, `${name}({ learningRate: 0.001 })`);
  const { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = usualDecay } = options;
  return {
    name,
    hyper: hyperParameters(name, {
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
  };
}

type Tensors<Name extends string> = Readonly<Record<Name, Tensor>>;

/** The running means with gradient `g`; their weights are the running means of 1: exactly 1 − βᵗ, without a power that loses its digits in float32. */
function moments(g: Tensor, state: Tensors<AdamState>, { beta1, beta2 }: Tensors<AdamHyper>): Record<AdamState, Tensor> {
  return {
    mean: runningMean(state.mean, beta1, g),
    square: runningMeanSquare(state.square, beta2, g),
    meanWeight: state.meanWeight.mul(beta1).add(beta1.neg().add(1)),
    squareWeight: state.squareWeight.mul(beta2).add(beta2.neg().add(1)),
  };
}

/** η m̂ / (√v̂ + ε) with √v̂ = √(square / squareWeight), multiplied through by √squareWeight: one division an element. */
function change({ mean, square, meanWeight, squareWeight }: Tensors<AdamState>, { learningRate, epsilon }: Tensors<AdamHyper>): Tensor {
  const root = squareWeight.sqrt();
  const rate = learningRate.mul(root).div(meanWeight);
  return mean.mul(rate).div(square.sqrt().add(epsilon.mul(root)));
}
