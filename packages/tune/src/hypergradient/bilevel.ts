// The bilevel problem  λ* = argmin L_V(w*(λ), λ)  with  w*(λ) = argmin L_T(w, λ),  as plain functions.
// `step` describes how training moves, `inner` where it ends; each algorithm asks for the one it uses.
import { HypergradientError } from "../errors/errors.ts";
import type { Awaitable, CoordinateSpace, VectorSpace } from "./vector-space.ts";

/** One training step w' = Φ_t(w, λ) and its two derivative products; A = ∂Φ/∂w, B = ∂Φ/∂λ. */
export interface TrainingStep<W, H> {
  /** Φ_t(w, λ); must be pure, because checkpointing runs it again. */
  readonly step: (weights: W, hyper: H, time: number) => Awaitable<W>;
  /** Aᵀ c and Bᵀ c. */
  readonly vjp: (weights: W, hyper: H, time: number, cotangent: W) => Awaitable<Cotangents<W, H>>;
  /** A ẇ + B λ̇. */
  readonly jvp: (weights: W, hyper: H, time: number, tangent: W, hyperTangent: H) => Awaitable<W>;
}

/** Products with the second derivatives of the training loss L_T(w, λ). */
export interface InnerObjective<W, H> {
  /** ∂L_T/∂w. */
  readonly gradient: (weights: W, hyper: H) => Awaitable<W>;
  /** (∂²L_T/∂w²) v. */
  readonly hessianVector: (weights: W, hyper: H, vector: W) => Awaitable<W>;
  /** (∂²L_T/∂w∂λ)ᵀ v = ∂/∂λ ⟨∂L_T/∂w, v⟩. */
  readonly mixedVjp: (weights: W, hyper: H, vector: W) => Awaitable<H>;
  /** (∂²L_T/∂w∂λ) u. */
  readonly mixedJvp: (weights: W, hyper: H, vector: H) => Awaitable<W>;
}

/** The validation loss L_V(w, λ). */
export interface OuterObjective<W, H> {
  /** L_V(w, λ). */
  readonly value: (weights: W, hyper: H) => Awaitable<number>;
  /** ∂L_V/∂w and the direct ∂L_V/∂λ (zero when L_V does not read λ). */
  readonly gradient: (weights: W, hyper: H) => Awaitable<Cotangents<W, H>>;
}

/** A pair of gradients, one towards the weights and one towards the hyper-parameters. */
export interface Cotangents<W, H> {
  /** Towards the weights. */
  weights: W;
  /** Towards the hyper-parameters. */
  hyper: H;
}

/** The spaces in which the weights and the hyper-parameters live. */
export interface Spaces<W, H> {
  /** Of w. */
  weights: VectorSpace<W>;
  /** Of λ. */
  hyper: CoordinateSpace<H>;
}

/** What every hypergradient computation returns. */
export interface Hypergradient<W, H> {
  /** L_V at the weights used. */
  value: number;
  /** dL_V/dλ. */
  gradient: H;
  /** The weights used: the end of training, or the given w*. */
  weights: W;
}

/** Throws when a number is not finite, naming where it appeared. */
export function requireFinite(value: number, what: string): number {
  if (!Number.isFinite(value))
    throw new HypergradientError(
      `${what} is ${value}. Lower the learning rate, bound the hyper-parameters, or shorten the training.`,
    );
  return value;
}
