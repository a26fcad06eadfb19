// The seam to an automatic differentiation engine: its `vjp` and `jvp` of functions give every product asked for here.
// Nothing below knows what a tensor is; `T` may be a tensor, a tree of tensors or an array.
import type { InnerObjective, OuterObjective, TrainingStep } from "./bilevel.ts";
import type { Awaitable } from "./vector-space.ts";

/**
 * Forward and reverse derivatives of functions of `T`.
 *
 * @example
 * // nabla: the weights are a tensor, and so are the hyper-parameters
 * const engine: Autodiff<Tensor> = { vjp, jvp, zeros: zerosLike, one: tensor(1), item: (scalar) => Number(scalar.item()) };
 */
export interface Autodiff<T> {
  /** f(primals), and the map from an output cotangent to the cotangents of the primals. */
  readonly vjp: (f: (...inputs: T[]) => T, primals: T[]) => Awaitable<readonly [output: T, pullback: (cotangent: T) => Awaitable<readonly T[]>]>;
  /** f(primals), and its tangent along `tangents`. */
  readonly jvp: (f: (...inputs: T[]) => T, primals: T[], tangents: T[]) => Awaitable<readonly [output: T, tangent: T]>;
  /** The zero shaped as `like`. */
  readonly zeros: (like: T) => T;
  /** The scalar 1, the cotangent of a loss. */
  one: T;
  /** Reads a scalar. */
  readonly item: (scalar: T) => Awaitable<number>;
}

/** A training step with its derivative products from the step function alone. */
export function differentiableStep<T>(
  engine: Autodiff<T>,
  step: (weights: T, hyper: T, time: number) => T,
): TrainingStep<T, T> {
  return {
    step,
    async vjp(weights, hyper, time, cotangent) {
      const [, pullback] = await engine.vjp((w, h) => step(w!, h!, time), [weights, hyper]);
      const [toWeights, toHyper] = await pullback(cotangent);
      return { weights: toWeights!, hyper: toHyper! };
    },
    async jvp(weights, hyper, time, tangent, hyperTangent) {
      const [, moved] = await engine.jvp((w, h) => step(w!, h!, time), [weights, hyper], [tangent, hyperTangent]);
      return moved;
    },
  };
}

/** Second-derivative products from ∂L_T/∂w, written in the engine's own operations (forward over reverse). */
export function differentiableInner<T>(
  engine: Autodiff<T>,
  gradient: (weights: T, hyper: T) => T,
): InnerObjective<T, T> {
  const f = (...[w, h]: T[]): T => gradient(w!, h!);
  return {
    gradient,
    hessianVector: async (weights, hyper, vector) => (await engine.jvp(f, [weights, hyper], [vector, engine.zeros(hyper)]))[1],
    mixedJvp: async (weights, hyper, vector) => (await engine.jvp(f, [weights, hyper], [engine.zeros(weights), vector]))[1],
    async mixedVjp(weights, hyper, vector) {
      const [, pullback] = await engine.vjp(f, [weights, hyper]);
      return (await pullback(vector))[1]!;
    },
  };
}

/** A validation loss with its gradients from the loss function alone. */
export function differentiableOuter<T>(
  engine: Autodiff<T>,
  loss: (weights: T, hyper: T) => T,
): OuterObjective<T, T> {
  return {
    value: async (weights, hyper) => engine.item(loss(weights, hyper)),
    async gradient(weights, hyper) {
      const [, pullback] = await engine.vjp((w, h) => loss(w!, h!), [weights, hyper]);
      const [toWeights, toHyper] = await pullback(engine.one);
      return { weights: toWeights!, hyper: toHyper! };
    },
  };
}
