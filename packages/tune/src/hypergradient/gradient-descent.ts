// Gradient descent on a training loss, with the derivative products that unrolling needs.
// Learning rate and momentum may themselves be hyper-parameters, on a log or a plain scale.
import { HypergradientError } from "../errors/errors.ts";
import type { InnerObjective, OuterObjective, TrainingStep } from "./bilevel.ts";

/** A constant, or the hyper-parameter λ[index]; with `log` the coefficient is exp(λ[index]). */
export type Coefficient = number | { index: number; log?: boolean };

/** Rates and momentum, constant or tuned. */
export interface GradientDescentOptions {
  /** α of w − α ∂L/∂w. */
  learningRate: Coefficient;
  /** Heavy-ball momentum m' = μ m + ∇L_T, w' = w − α m'; default 0, which needs no second buffer. */
  momentum?: Coefficient;
}

/** Φ(w, λ) = w − α ∇L_T(w, λ). With momentum the state is [w, m], twice as long: see `withMomentum`. */
export function gradientDescent(
  inner: InnerObjective<Float64Array, Float64Array>,
  { learningRate, momentum = 0 }: GradientDescentOptions,
): TrainingStep<Float64Array, Float64Array> {
  if (momentum === 0) return plainDescent(inner, learningRate);
  return heavyBall(inner, learningRate, momentum);
}

/** The state [w, 0] with which momentum starts. */
export function withMomentum(weights: Float64Array): Float64Array {
  const state = new Float64Array(2 * weights.length);
  state.set(weights);
  return state;
}

/** An outer objective on w, read from the state [w, m]. */
export function onWeights(outer: OuterObjective<Float64Array, Float64Array>): OuterObjective<Float64Array, Float64Array> {
  const weightsOf = (state: Float64Array) => state.subarray(0, state.length / 2);
  return {
    value: (state, hyper) => outer.value(weightsOf(state), hyper),
    async gradient(state, hyper) {
      const gradient = await outer.gradient(weightsOf(state), hyper);
      return { weights: withMomentum(gradient.weights), hyper: gradient.hyper };
    },
  };
}

function plainDescent(
  inner: InnerObjective<Float64Array, Float64Array>,
  learningRate: Coefficient,
): TrainingStep<Float64Array, Float64Array> {
  return {
    async step(weights, hyper) {
      const rate = read(learningRate, hyper);
      const gradient = await inner.gradient(weights, hyper);
      return weights.map((w, i) => w - rate * gradient[i]!);
    },
    async vjp(weights, hyper, _time, cotangent) {
      const rate = read(learningRate, hyper);
      const curved = await inner.hessianVector(weights, hyper, cotangent);
      const mixed = await inner.mixedVjp(weights, hyper, cotangent);
      const back = mixed.map((value) => -rate * value);
      if (typeof learningRate !== "number")
        back[learningRate.index]! -= slope(learningRate, hyper) * dot(await inner.gradient(weights, hyper), cotangent);
      return { weights: cotangent.map((c, i) => c - rate * curved[i]!), hyper: back };
    },
    async jvp(weights, hyper, _time, tangent, hyperTangent) {
      const rate = read(learningRate, hyper);
      const curved = await inner.hessianVector(weights, hyper, tangent);
      const mixed = await inner.mixedJvp(weights, hyper, hyperTangent);
      const moved = tangent.map((v, i) => v - rate * (curved[i]! + mixed[i]!));
      const rateTangent = push(learningRate, hyper, hyperTangent);
      if (rateTangent === 0) return moved;
      const gradient = await inner.gradient(weights, hyper);
      return moved.map((v, i) => v - rateTangent * gradient[i]!);
    },
  };
}

function heavyBall(
  inner: InnerObjective<Float64Array, Float64Array>,
  learningRate: Coefficient,
  momentum: Coefficient,
): TrainingStep<Float64Array, Float64Array> {
  return {
    async step(state, hyper) {
      const [weights, velocity] = halves(state);
      const gradient = await inner.gradient(weights, hyper);
      const rate = read(learningRate, hyper);
      const mu = read(momentum, hyper);
      const next = new Float64Array(state.length);
      for (let i = 0; i < weights.length; i++) {
        const v = mu * velocity[i]! + gradient[i]!;
        next[weights.length + i] = v;
        next[i] = weights[i]! - rate * v;
      }
      return next;
    },
    async vjp(state, hyper, _time, cotangent) {
      const [weights, velocity] = halves(state);
      const [toWeights, toVelocity] = halves(cotangent);
      const rate = read(learningRate, hyper);
      const mu = read(momentum, hyper);
      const gradient = await inner.gradient(weights, hyper);
      const total = toVelocity.map((c, i) => c - rate * toWeights[i]!); // cotangent of m'
      const curved = await inner.hessianVector(weights, hyper, total);
      const back = Float64Array.from(await inner.mixedVjp(weights, hyper, total));
      if (typeof momentum !== "number") back[momentum.index]! += slope(momentum, hyper) * dot(velocity, total);
      if (typeof learningRate !== "number") {
        const moved = gradient.map((g, i) => mu * velocity[i]! + g);
        back[learningRate.index]! -= slope(learningRate, hyper) * dot(moved, toWeights);
      }
      const result = new Float64Array(state.length);
      for (let i = 0; i < weights.length; i++) {
        result[i] = toWeights[i]! + curved[i]!;
        result[weights.length + i] = mu * total[i]!;
      }
      return { weights: result, hyper: back };
    },
    async jvp(state, hyper, _time, tangent, hyperTangent) {
      const [weights, velocity] = halves(state);
      const [weightsTangent, velocityTangent] = halves(tangent);
      const rate = read(learningRate, hyper);
      const mu = read(momentum, hyper);
      const rateTangent = push(learningRate, hyper, hyperTangent);
      const muTangent = push(momentum, hyper, hyperTangent);
      const gradient = await inner.gradient(weights, hyper);
      const curved = await inner.hessianVector(weights, hyper, weightsTangent);
      const mixed = await inner.mixedJvp(weights, hyper, hyperTangent);
      const result = new Float64Array(state.length);
      for (let i = 0; i < weights.length; i++) {
        const v = mu * velocity[i]! + gradient[i]!;
        const dv = mu * velocityTangent[i]! + muTangent * velocity[i]! + curved[i]! + mixed[i]!;
        result[weights.length + i] = dv;
        result[i] = weightsTangent[i]! - rate * dv - rateTangent * v;
      }
      return result;
    },
  };
}

function halves(state: Float64Array): [Float64Array, Float64Array] {
  return [state.subarray(0, state.length / 2), state.subarray(state.length / 2)];
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function read(coefficient: Coefficient, hyper: Float64Array): number {
  if (typeof coefficient === "number") return coefficient;
  const value = hyper[coefficient.index];
  if (value === undefined)
    throw new HypergradientError(
      `A coefficient reads hyper-parameter ${coefficient.index}, but there are ${hyper.length}. Give an index below ${hyper.length}.`,
    );
  return coefficient.log === true ? Math.exp(value) : value;
}

/** d coefficient / d λ[index]. */
function slope(coefficient: { index: number; log?: boolean }, hyper: Float64Array): number {
  return coefficient.log === true ? Math.exp(hyper[coefficient.index]!) : 1;
}

/** The coefficient's tangent under λ̇. */
function push(coefficient: Coefficient, hyper: Float64Array, hyperTangent: Float64Array): number {
  return typeof coefficient === "number" ? 0 : slope(coefficient, hyper) * hyperTangent[coefficient.index]!;
}
