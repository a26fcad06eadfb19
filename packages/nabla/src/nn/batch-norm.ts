// Batch normalisation: Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal
// covariate shift" (ICML 2015), algorithms 1 and 2, in PyTorch's convention. Features are the last axis.
import { type Domain, positive, positiveInteger, requireNumber, requireOptions } from "../errors/arguments.ts";
import { ShapeError, ValueError } from "../errors/errors.ts";
import { formatShape, sizeOf } from "../ops/shape.ts";
import { ones, zeros } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { Module } from "./module.ts";

/** Options of {@link batchNorm}. */
export interface BatchNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly epsilon?: number;
  /** Weight of a batch in the running statistics. Default 0.1. */
  readonly momentum?: number;
}

const share: Domain = { accepts: (value) => value >= 0 && value <= 1, description: "a number from 0 to 1" };

export class BatchNorm extends Module {
  /** γ, [features]. */
  readonly weight: Variable;
  /** β, [features]. */
  readonly bias: Variable;
  /** What evaluation normalises by: running means of the batches' means and unbiased variances, [features]. */
  readonly runningMean: Variable;
  readonly runningVariance: Variable;
  readonly epsilon: number;
  readonly momentum: number;

  constructor(features: number, options: BatchNormOptions = {}) {
    super();
    requireOptions("batchNorm", options, { epsilon: true, momentum: true }, "{ momentum: 0.1 }");
    const { epsilon = 1e-5, momentum = 0.1 } = options;
    requireNumber("batchNorm", "features", features, positiveInteger);
    requireNumber("batchNorm", "epsilon", epsilon, positive);
    requireNumber("batchNorm", "momentum", momentum, share);
    this.weight = new Variable(ones([features]), { name: "weight" });
    this.bias = new Variable(zeros([features]), { name: "bias" });
    this.runningMean = new Variable(zeros([features]), { trainable: false, name: "runningMean" });
    this.runningVariance = new Variable(ones([features]), { trainable: false, name: "runningVariance" });
    this.epsilon = epsilon;
    this.momentum = momentum;
  }

  forward(x: Tensor): Tensor {
    const [features] = this.weight.shape;
    if (x.shape.at(-1) !== features) {
      throw new ShapeError(`batchNorm(${features}): the input has shape ${formatShape(x.shape)}, its last axis is not ${features}.`, "Make its features the size of the data's last axis.");
    }
    const { mean, variance } = this.training ? this.#batchStatistics(x) : { mean: this.runningMean, variance: this.runningVariance };
    return x.sub(mean).mul(variance.add(this.epsilon).sqrt().reciprocal().mul(this.weight)).add(this.bias);
  }

  /** Mean and variance of each feature in the batch, which also enter the running ones. */
  #batchStatistics(x: Tensor): { readonly mean: Tensor; readonly variance: Tensor } {
    const axes = x.shape.slice(0, -1).map((_, axis) => axis);
    const count = sizeOf(x.shape.slice(0, -1));
    if (count < 2) throw new ValueError(`batchNorm: a batch of shape ${formatShape(x.shape)} has ${count} value a feature.`, "Train on two at least, or switch to evaluation with eval().");
    const mean = x.mean(axes);
    const variance = x.variance(axes);
    const follow = (running: Variable, value: Tensor): void =>
      running.assign(running.mul(1 - this.momentum).add(value.mul(this.momentum)).cast(running.dtype));
    follow(this.runningMean, mean);
    follow(this.runningVariance, variance.mul(count / (count - 1)));
    return { mean, variance };
  }
}

/**
 * γ (x − μ) / √(σ² + ε) + β for each feature, the last axis of x: μ and σ² are the batch's in training, running means of them in evaluation.
 *
 * @example
 * batchNorm(2).forward(tensor([[1, 10], [3, 30]])).round().toArray(); // [[-1, -1], [1, 1]]
 */
export function batchNorm(features: number, options: BatchNormOptions = {}): BatchNorm {
  return new BatchNorm(features, options);
}
