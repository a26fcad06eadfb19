// Central differences: the check on every hypergradient, and second derivatives for who has only a gradient.
import type { InnerObjective } from "./bilevel.ts";
import type { Awaitable } from "./vector-space.ts";

/** Balances truncation against rounding in a central difference of float64 values. */
const RELATIVE_STEP = Math.cbrt(Number.EPSILON);

/** df/dλ by central differences; 2 H evaluations, relative error about 1e-10 on smooth functions. */
export async function differenceGradient(
  f: (hyper: Float64Array) => Awaitable<number>,
  hyper: Float64Array,
): Promise<Float64Array> {
  const gradient = new Float64Array(hyper.length);
  for (let i = 0; i < hyper.length; i++) {
    const step = RELATIVE_STEP * Math.max(1, Math.abs(hyper[i]!));
    const up = hyper.slice();
    const down = hyper.slice();
    up[i]! += step;
    down[i]! -= step;
    gradient[i] = ((await f(up)) - (await f(down))) / (up[i]! - down[i]!);
  }
  return gradient;
}

/** An inner objective from ∂L_T/∂w alone: Hessian and mixed products by central differences of the gradient. */
export function differencedObjective(
  gradient: (weights: Float64Array, hyper: Float64Array) => Awaitable<Float64Array>,
): InnerObjective<Float64Array, Float64Array> {
  return {
    gradient,
    hessianVector: (weights, hyper, vector) => directional((moved) => gradient(moved, hyper), weights, vector),
    mixedVjp: (weights, hyper, vector) =>
      differenceGradient(async (moved) => {
        const g = await gradient(weights, moved);
        return g.reduce((sum, value, i) => sum + value * vector[i]!, 0);
      }, hyper),
    mixedJvp: (weights, hyper, vector) => directional((moved) => gradient(weights, moved), hyper, vector),
  };
}

/** d/dε f(point + ε · vector) at ε = 0. */
async function directional(
  f: (point: Float64Array) => Awaitable<Float64Array>,
  point: Float64Array,
  vector: Float64Array,
): Promise<Float64Array> {
  const length = norm(vector);
  if (length === 0) return new Float64Array((await f(point)).length);
  const step = (RELATIVE_STEP * Math.max(1, norm(point))) / length;
  const up = await f(point.map((value, i) => value + step * vector[i]!));
  const down = await f(point.map((value, i) => value - step * vector[i]!));
  return up.map((value, i) => (value - down[i]!) / (2 * step));
}

function norm(vector: Float64Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}
