// Online hypergradient descent for learning rates: Baydin 2018, algorithms 4 (SGD-HD), 5 (SGDN-HD) and 6 (Adam-HD).
// After each gradient the learning rate moves along −∂f(θ_t)/∂α, one inner product with the previous direction.
import { HypergradientError } from "../errors/errors.ts";

/** The optimizer whose learning rate descends, and how fast. */
export interface HypergradientDescentOptions {
  /** SGD, Nesterov momentum, or Adam. */
  method: "sgd" | "nesterov" | "adam";
  /** α_0. */
  learningRate: number;
  /** β. The paper's MNIST values: 1e-3 for "sgd" and "nesterov", 1e-7 for "adam". */
  hyperLearningRate: number;
  /** "additive": α += β h; "multiplicative": α *= 1 + β cos h, free of the gradient's scale. Default "additive". */
  rule?: "additive" | "multiplicative";
  /** μ of "nesterov"; default 0.9. */
  momentum?: number;
  /** β1, β2 of "adam"; default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** ε of "adam"; default 1e-8. */
  epsilon?: number;
  /** L2 penalty added to the gradient; default 0. */
  weightDecay?: number;
}

type FloatArray = Float64Array | Float32Array;

/** An optimizer that tunes its own learning rate while it trains. */
export class HypergradientDescent {
  readonly #options: HypergradientDescentOptions;
  readonly #momentum: number;
  readonly #betas: readonly [number, number];
  readonly #epsilon: number;
  /** −∂θ_t/∂α of the last update: the direction that the learning rate scaled. */
  readonly #direction: Float64Array;
  readonly #velocity: Float64Array;
  readonly #square: Float64Array;
  #learningRate: number;
  #steps = 0;

  /** For `size` weights. */
  constructor(size: number, options: HypergradientDescentOptions) {
    if (!(options.learningRate >= 0) || !Number.isFinite(options.learningRate))
      throw new HypergradientError(`learningRate is ${options.learningRate}; give a finite number ≥ 0.`);
    if (!(options.hyperLearningRate >= 0) || !Number.isFinite(options.hyperLearningRate))
      throw new HypergradientError(`hyperLearningRate is ${options.hyperLearningRate}; give a finite number ≥ 0.`);
    this.#options = options;
    this.#momentum = options.momentum ?? 0.9;
    this.#betas = options.betas ?? [0.9, 0.999];
    this.#epsilon = options.epsilon ?? 1e-8;
    this.#direction = new Float64Array(size);
    this.#velocity = new Float64Array(options.method === "sgd" ? 0 : size);
    this.#square = new Float64Array(options.method === "adam" ? size : 0);
    this.#learningRate = options.learningRate;
  }

  /** α_t. */
  get learningRate(): number {
    return this.#learningRate;
  }

  /** Updates the learning rate, then `weights` in place, from the gradient at `weights`. */
  step(weights: FloatArray, gradient: ArrayLike<number>): void {
    const size = this.#direction.length;
    if (weights.length !== size || gradient.length !== size)
      throw new HypergradientError(
        `Made for ${size} weights, but step got ${weights.length} weights and ${gradient.length} gradients.`,
      );
    const decay = this.#options.weightDecay ?? 0;
    const alpha = this.#nextLearningRate(weights, gradient, decay);
    if (!Number.isFinite(alpha))
      throw new HypergradientError(
        `The learning rate became ${alpha} at step ${this.#steps + 1}; weights are unchanged. Lower hyperLearningRate (${this.#options.hyperLearningRate}).`,
      );
    this.#learningRate = alpha;
    this.#steps++;
    this.#updateDirection(weights, gradient, decay);
    const direction = this.#direction;
    for (let i = 0; i < size; i++) weights[i]! -= alpha * direction[i]!;
  }

  /** α_t = α_{t−1} − β ∂f(θ_{t−1})/∂α, with ∂f/∂α = −g_t · direction_{t−1}. */
  #nextLearningRate(weights: FloatArray, gradient: ArrayLike<number>, decay: number): number {
    if (this.#steps === 0) return this.#learningRate;
    const { hyperLearningRate, rule } = this.#options;
    const direction = this.#direction;
    let product = 0;
    let gradientNorm = 0;
    let directionNorm = 0;
    for (let i = 0; i < direction.length; i++) {
      const g = gradient[i]! + decay * weights[i]!;
      const d = direction[i]!;
      product += g * d;
      gradientNorm += g * g;
      directionNorm += d * d;
    }
    if (rule !== "multiplicative") return this.#learningRate + hyperLearningRate * product;
    const scale = Math.sqrt(gradientNorm * directionNorm);
    return scale === 0 ? this.#learningRate : this.#learningRate * (1 + (hyperLearningRate * product) / scale);
  }

  #updateDirection(weights: FloatArray, gradient: ArrayLike<number>, decay: number): void {
    const direction = this.#direction;
    const velocity = this.#velocity;
    const square = this.#square;
    const mu = this.#momentum;
    const [beta1, beta2] = this.#betas;
    const correction1 = 1 - beta1 ** this.#steps;
    const correction2 = 1 - beta2 ** this.#steps;
    for (let i = 0; i < direction.length; i++) {
      const g = gradient[i]! + decay * weights[i]!;
      switch (this.#options.method) {
        case "sgd":
          direction[i] = g;
          break;
        case "nesterov":
          velocity[i] = mu * velocity[i]! + g;
          direction[i] = g + mu * velocity[i]!;
          break;
        case "adam":
          velocity[i] = beta1 * velocity[i]! + (1 - beta1) * g;
          square[i] = beta2 * square[i]! + (1 - beta2) * g * g;
          direction[i] = velocity[i]! / correction1 / (Math.sqrt(square[i]! / correction2) + this.#epsilon);
          break;
      }
    }
  }
}
