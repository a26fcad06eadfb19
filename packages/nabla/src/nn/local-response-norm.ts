// Local response normalisation across channels: Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep
// convolutional neural networks" (NIPS 2012), §3.3. Channels are the last axis.
import { type Domain, notNegative, positive, positiveInteger, requireNumber, requireOptions } from "../errors/arguments.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

/** Options of {@link localResponseNorm}; the defaults are the paper's. */
export interface LocalResponseNormOptions {
  /** Channels n of a neighbourhood, odd. Default 5. */
  readonly size?: number;
  /** Weight α of each square in the sum (PyTorch and Caffe divide theirs by n). Default 1e-4. */
  readonly alpha?: number;
  /** Exponent β. Default 0.75. */
  readonly beta?: number;
  /** Added to the sum. Default 2. */
  readonly k?: number;
}

const odd: Domain = { accepts: (value) => positiveInteger.accepts(value) && value % 2 === 1, description: "an odd positive integer" };

export class LocalResponseNorm extends Module {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;

  constructor(options: LocalResponseNormOptions = {}) {
    super();
    requireOptions("localResponseNorm", options, { size: true, alpha: true, beta: true, k: true }, "{ size: 5 }");
    const { size = 5, alpha = 1e-4, beta = 0.75, k = 2 } = options;
    requireNumber("localResponseNorm", "size", size, odd);
    requireNumber("localResponseNorm", "alpha", alpha, notNegative);
    requireNumber("localResponseNorm", "beta", beta, notNegative);
    requireNumber("localResponseNorm", "k", k, positive);
    this.size = size;
    this.alpha = alpha;
    this.beta = beta;
    this.k = k;
  }

  forward(x: Tensor): Tensor {
    return x.mul(neighbourhoodSums(x.square(), this.size).mul(this.alpha).add(this.k).pow(-this.beta));
  }
}

/**
 * x / (k + α Σ x²)^β with the sum over the n channels around each, so that strong responses damp their neighbours: [..., channels] → the same.
 *
 * @example
 * localResponseNorm({ size: 3, alpha: 1, beta: 1, k: 4 }).forward(tensor([0, 2, 0])).toArray(); // [0, 0.25, 0]
 */
export function localResponseNorm(options: LocalResponseNormOptions = {}): LocalResponseNorm {
  return new LocalResponseNorm(options);
}

/** Sums over `size` neighbours along the last axis, fewer at its ends. */
function neighbourhoodSums(x: Tensor, size: number): Tensor {
  const channels = x.shape.at(-1) ?? 0;
  const half = (size - 1) / 2;
  const padded = x.pad(x.shape.map((_, axis): [number, number] => (axis === x.rank - 1 ? [half, half] : [0, 0])));
  const all = x.shape.slice(0, -1).map(() => null);
  const shifted = Array.from({ length: size }, (_, offset) => padded.slice(...all, [offset, offset + channels]));
  return shifted.reduce((sum, next) => sum.add(next));
}
