// Distributions over the counter-based bits of a key: the same key gives the same numbers on every device.
// float32 draws follow JAX's construction (partitionable Threefry), so seeds carry over.
import { requireOptions } from "../errors/arguments.ts";
import * as ops from "../ops/build.ts";
import { ValueError } from "../errors/errors.ts";
import type { Shape } from "../ops/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { type Key, type KeyLike, keyTensor } from "./key.ts";
import { threefryInto } from "../ops/random.ts";

/** Options of {@link uniform}. */
export interface UniformOptions {
  /** Default 0. */
  readonly low?: number;
  /** Not reached. Default 1. */
  readonly high?: number;
  readonly dtype?: "float32" | "float64";
}

/** Options of {@link normal}. */
export interface NormalOptions {
  /** Default 0. */
  readonly mean?: number;
  /** Standard deviation. Default 1. */
  readonly deviation?: number;
  readonly dtype?: "float32" | "float64";
}

/**
 * int32 of 32 independent random bits each (jax.random.bits, reinterpreted as signed).
 *
 * @example
 * bits(key(0), [4]).dtype; // "int32"
 */
export function bits(key: KeyLike, shape: Shape): Tensor {
  return new Tensor(ops.randomBits(keyTensor("bits", key).node, shape));
}

/** Uniform on [0, 1): multiples of 2⁻²³ in float32, of 2⁻³² in float64. */
function unitUniform(key: KeyLike, shape: Shape, dtype: "float32" | "float64"): Tensor {
  const drawn = bits(key, shape);
  if (dtype === "float64") {
    const fraction = drawn.double().mul(2 ** -32);
    return fraction.add(fraction.less(0).cast("float64"));
  }
  // The upper 23 bits, signed: ⌊bits / 2⁹⌋. The conversion to float32 may round up to the next multiple; the remainder tells.
  const quotient = drawn.float().mul(2 ** -9).floor().int();
  const upper = quotient.sub(drawn.sub(quotient.mul(512)).less(0).int());
  const fraction = upper.float().mul(2 ** -23);
  return fraction.add(fraction.less(0).float());
}

/**
 * Uniform on [low, high).
 *
 * @example
 * uniform(key(0), [2, 3], { low: -1 }).shape; // [2, 3]
 */
export function uniform(key: KeyLike, shape: Shape, options: UniformOptions = {}): Tensor {
  requireOptions("random.uniform", options, { low: true, high: true, dtype: true }, "{ low: -1 }");
  const { low = 0, high = 1, dtype = "float32" } = options;
  if (!(low < high && high - low < Infinity)) throw new ValueError(`random.uniform: [${low}, ${high}) is empty or infinite.`, "Pass finite numbers, low < high.");
  const [least, most] = [dtype === "float64" ? low : Math.fround(low), below(high, dtype)];
  if (!(least <= most)) throw new ValueError(`random.uniform: no ${dtype} number lies in [${low}, ${high}).`, "Pass bounds further apart, or draw float64.");
  const unit = unitUniform(key, shape, dtype);
  // The sum may round up to the upper bound.
  return low === 0 && high === 1 ? unit : unit.mul(high - low).add(low).maximum(least).minimum(most);
}

/** The greatest finite number of `dtype` below `value` as rounded to it. */
function below(value: number, dtype: "float32" | "float64"): number {
  const number = dtype === "float64" ? Float64Array.of(value) : Float32Array.of(value);
  if (number[0] === 0) return dtype === "float64" ? -Number.MIN_VALUE : -(2 ** -149);
  // Numbers of one sign are ordered as their bits are.
  const towardsZero = number[0]! > 0 ? -1 : 1;
  if (number instanceof Float64Array) new BigInt64Array(number.buffer)[0]! += BigInt(towardsZero);
  else new Int32Array(number.buffer)[0]! += towardsZero;
  return number[0]!;
}

/**
 * Gaussian, by the inverse of the error function: √2 · erf⁻¹(u), u uniform on (−1, 1).
 *
 * erf⁻¹ is Giles, "Approximating the erfinv function" (GPU Computing Gems 2, 2010), single precision: float64 draws have
 * float64 range but 7 digits of the distribution's shape.
 *
 * @example
 * normal(key(0), [100], { deviation: 0.01 });
 */
export function normal(key: KeyLike, shape: Shape, options: NormalOptions = {}): Tensor {
  requireOptions("random.normal", options, { mean: true, deviation: true, dtype: true }, "{ deviation: 0.01 }");
  const { mean = 0, deviation = 1, dtype = "float32" } = options;
  if (!(deviation >= 0)) throw new ValueError(`random.normal: deviation ${deviation}.`, "Pass a number that is not negative.");
  const least = -(1 - 2 ** -24); // the float32 after −1, so that erf⁻¹ stays finite
  const u = unitUniform(key, shape, dtype).mul(2).add(least).maximum(least);
  const scaled = inverseErf(u).mul(Math.SQRT2 * deviation);
  return mean === 0 ? scaled : scaled.add(mean);
}

const CENTRE = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941];
const TAIL = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682];

function inverseErf(x: Tensor): Tensor {
  const w = x.neg().add(1).mul(x.add(1)).log().neg();
  const horner = (coefficients: readonly number[], t: Tensor): Tensor => {
    const [first, ...rest] = coefficients;
    return rest.reduce((sum, coefficient) => sum.mul(t).add(coefficient), t.mul(0).add(first!));
  };
  const polynomial = w.less(5).where(horner(CENTRE, w.sub(2.5)), horner(TAIL, w.sqrt().sub(3)));
  return polynomial.mul(x);
}

/**
 * true with `probability`, otherwise false.
 *
 * @example
 * bernoulli(key(0), 0.5, [3]).dtype; // "bool"
 */
export function bernoulli(key: KeyLike, probability: number, shape: Shape): Tensor {
  if (!(probability >= 0 && probability <= 1)) throw new ValueError(`random.bernoulli: ${probability} is no probability.`, "Pass a number from 0 to 1.");
  return unitUniform(key, shape, "float32").less(probability);
}

/**
 * 0 … length − 1 in random order, on the host (Fisher–Yates; Durstenfeld 1964).
 *
 * @example
 * permutation(key(0), 5); // an Int32Array of 0 … 4
 */
export function permutation(key: Key, length: number): Int32Array {
  if (!Number.isInteger(length) || length < 0) throw new ValueError(`random.permutation: length ${length}.`, "Pass a non-negative integer.");
  const order = new Int32Array(length);
  for (let index = 0; index < length; index++) order[index] = index;
  const [k0, k1] = key.words;
  const words = new Int32Array(2);
  for (let last = length - 1; last > 0; last--) {
    threefryInto(words, k0, k1, 0, last);
    // 53 random bits: the bias is below length·2⁻⁵³.
    const unit = ((words[0]! >>> 0) * 2 ** 21 + (words[1]! >>> 11)) * 2 ** -53;
    const other = Math.floor(unit * (last + 1));
    const moved = order[last]!;
    order[last] = order[other]!;
    order[other] = moved;
  }
  return order;
}

/**
 * Two fresh keys from a key tensor inside the graph: one to carry on, one to use. Unlike {@link split} it needs nothing from the
 * host, so a compiled step can advance a key it holds.
 *
 * @internal
 */
export function advance(key: Tensor): { readonly next: Tensor; readonly drawn: Tensor } {
  const words = bits(key, [4]);
  return { next: words.slice([0, 2]), drawn: words.slice([2, 4]) };
}
