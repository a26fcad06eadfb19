// Initialisers: how weights begin. Each is a function of a key and a shape.
// Fans follow the layouts: dense [in, out]; a convolution's [...kernel, in, out] counts its kernel in both.
import { ValueError } from "../errors/errors.ts";
import { type Shape, sizeOf } from "../ops/shape.ts";
import { normal, uniform as drawUniform } from "../random/distributions.ts";
import type { KeyLike } from "../random/key.ts";
import { full } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Makes the initial value of a parameter. */
export type Initialiser = (key: KeyLike, shape: Shape) => Tensor;

/** Inputs and outputs that a unit of `shape` connects. */
function fans(shape: Shape): { readonly fanIn: number; readonly fanOut: number } {
  const receptive = sizeOf(shape.slice(0, -2));
  const fanOut = (shape.at(-1) ?? 1) * receptive;
  return { fanIn: shape.length < 2 ? fanOut : shape.at(-2)! * receptive, fanOut };
}

/**
 * Normal with mean 0 and the given standard deviation (default 0.01).
 *
 * @example
 * dense(784, 10, { init: gaussian(0.1) });
 */
export function gaussian(deviation = 0.01): Initialiser {
  if (!(deviation >= 0)) throw new ValueError(`gaussian: deviation ${deviation}.`, "Pass a number that is not negative.");
  return (key, shape) => normal(key, shape, { deviation });
}

/**
 * Uniform on [−limit, limit) (default 0.05).
 *
 * @example
 * dense(784, 10, { init: uniform(0.1) });
 */
export function uniform(limit = 0.05): Initialiser {
  if (!(limit > 0)) throw new ValueError(`uniform: limit ${limit}.`, "Pass a positive number.");
  return (key, shape) => drawUniform(key, shape, { low: -limit, high: limit });
}

/**
 * Uniform with variance 2 / (fanIn + fanOut): Glorot & Bengio 2010, eq. 16.
 *
 * @example
 * dense(784, 10, { init: glorotUniform });
 */
export const glorotUniform: Initialiser = (key, shape) => {
  const { fanIn, fanOut } = fans(shape);
  return uniform(Math.sqrt(6 / (fanIn + fanOut)))(key, shape);
};

/**
 * Normal with variance 2 / (fanIn + fanOut): Glorot & Bengio 2010.
 *
 * @example
 * dense(784, 10, { init: glorotNormal });
 */
export const glorotNormal: Initialiser = (key, shape) => {
  const { fanIn, fanOut } = fans(shape);
  return gaussian(Math.sqrt(2 / (fanIn + fanOut)))(key, shape);
};

/**
 * Uniform with variance 2 / fanIn, for ReLU: He et al. 2015, eq. 10.
 *
 * @example
 * dense(784, 10, { init: heUniform });
 */
export const heUniform: Initialiser = (key, shape) => uniform(Math.sqrt(6 / fans(shape).fanIn))(key, shape);

/**
 * Normal with variance 2 / fanIn, for ReLU: He et al. 2015, eq. 10.
 *
 * @example
 * dense(784, 10, { init: heNormal });
 */
export const heNormal: Initialiser = (key, shape) => gaussian(Math.sqrt(2 / fans(shape).fanIn))(key, shape);

/**
 * Every element is `value`.
 *
 * @example
 * dense(1, 1, { init: constant(2) }).forward(ones([1, 1])).item(); // 2
 */
export function constant(value: number): Initialiser {
  return (_key, shape) => full(shape, value);
}

/**
 * All zeros.
 *
 * @example
 * dense(1, 1, { init: zeros }).forward(ones([1, 1])).item(); // 0
 */
export const zeros: Initialiser = constant(0);
