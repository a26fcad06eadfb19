// Hypergradients by the implicit function theorem at a trained w*:  dL_V/dλ = ∂L_V/∂λ − (∂²L_T/∂w∂λ)ᵀ H⁻¹ ∂L_V/∂w.
// H⁻¹ v by conjugate gradients (Pedregosa 2016) or by the truncated Neumann series (Lorraine 2020, algorithm 3).
import { HypergradientError } from "../errors/errors.ts";
import { requireFinite, type Hypergradient, type InnerObjective, type OuterObjective, type Spaces } from "./bilevel.ts";

/** An inner problem whose minimum is known, judged by `outer`. It cannot tune what leaves w* alone, such as a learning rate. */
export interface ImplicitProblem<W, H> {
  /** Where weights and hyper-parameters live. */
  spaces: Spaces<W, H>;
  /** The training loss. */
  inner: InnerObjective<W, H>;
  /** The validation loss. */
  outer: OuterObjective<W, H>;
}

/** A hypergradient and how well its linear system was solved. */
export interface ImplicitResult<W, H> extends Hypergradient<W, H> {
  /** Hessian-vector products used. */
  iterations: number;
  /** ‖H p − v‖ / ‖v‖ where it was computed (conjugate gradients), else NaN. */
  residual: number;
}

/** When to stop. */
export interface ConjugateGradientOptions {
  /** Stop at ‖H p − v‖ ≤ tolerance · ‖v‖; default 1e-10. */
  tolerance?: number;
  /** Default 1,000. Reaching it is no error: read `residual`. */
  maxIterations?: number;
  /** Solve (H + damping · I) p = v; default 0. */
  damping?: number;
}

/** dL_V/dλ at `weights` = w*(λ), with H⁻¹ v by conjugate gradients; H must be positive definite. */
export async function conjugateGradientHypergradient<W, H>(
  problem: ImplicitProblem<W, H>,
  weights: W,
  hyper: H,
  options: ConjugateGradientOptions = {},
): Promise<ImplicitResult<W, H>> {
  const { tolerance = 1e-10, maxIterations = 1000, damping = 0 } = options;
  const space = problem.spaces.weights;
  const outer = await problem.outer.gradient(weights, hyper);
  let solution = space.zeros(weights);
  let residual = outer.weights;
  let direction = residual;
  const target = requireFinite(await space.dot(residual, residual), "The squared norm of ∂L_V/∂w");
  let norm = target;
  let iterations = 0;
  while (norm > tolerance * tolerance * target && iterations < maxIterations) {
    const product = space.addScaled(
      await problem.inner.hessianVector(weights, hyper, direction),
      damping,
      direction,
    );
    iterations++;
    const curvature = requireFinite(await space.dot(direction, product), "The curvature dᵀHd");
    if (curvature <= 0)
      throw new HypergradientError(
        `The inner Hessian has curvature ${curvature} along a search direction, so the weights are not at a strict minimum. ` +
          "Train longer, add regularisation, or set `damping`.",
      );
    const length = norm / curvature;
    solution = space.addScaled(solution, length, direction);
    residual = space.addScaled(residual, -length, product);
    const next = requireFinite(await space.dot(residual, residual), "The squared residual");
    direction = space.addScaled(residual, next / norm, direction);
    norm = next;
  }
  return {
    ...(await implicitGradient(problem, weights, hyper, outer.hyper, solution)),
    iterations,
    residual: target === 0 ? 0 : Math.sqrt(norm / target),
  };
}

/** Terms and step of the series. */
export interface NeumannOptions {
  /** α of the series; needs 0 < α < 2 / λ_max(H). With the step size of gradient descent, K terms equal reverse mode truncated to K steps. */
  learningRate: number;
  /** K, the number of terms; Lorraine 2020 uses 20–50. */
  terms: number;
}

/** dL_V/dλ at `weights` = w*(λ), with H⁻¹ v ≈ α Σ_{k<K} (I − αH)^k v. */
export async function neumannHypergradient<W, H>(
  problem: ImplicitProblem<W, H>,
  weights: W,
  hyper: H,
  { learningRate, terms }: NeumannOptions,
): Promise<ImplicitResult<W, H>> {
  if (!(learningRate > 0)) throw new HypergradientError(`learningRate is ${learningRate}; give a number > 0.`);
  if (!Number.isInteger(terms) || terms < 1) throw new HypergradientError(`terms is ${terms}; give an integer ≥ 1.`);
  const space = problem.spaces.weights;
  const outer = await problem.outer.gradient(weights, hyper);
  let power = outer.weights; // (I − αH)^k v
  let sum = power;
  for (let k = 1; k < terms; k++) {
    power = space.addScaled(power, -learningRate, await problem.inner.hessianVector(weights, hyper, power));
    sum = space.addScaled(sum, 1, power);
  }
  const start = await space.dot(outer.weights, outer.weights);
  const end = await space.dot(power, power);
  if (!(end <= start))
    throw new HypergradientError(
      `The Neumann series grows (‖last term‖² ${end}, first ${start}). Lower learningRate below 2 / λ_max of the inner Hessian.`,
    );
  const solution = space.addScaled(space.zeros(weights), learningRate, sum);
  return {
    ...(await implicitGradient(problem, weights, hyper, outer.hyper, solution)),
    iterations: terms - 1,
    residual: Number.NaN,
  };
}

/** ∂L_V/∂λ − (∂²L_T/∂w∂λ)ᵀ p with p ≈ H⁻¹ ∂L_V/∂w. */
async function implicitGradient<W, H>(
  { spaces, inner, outer }: ImplicitProblem<W, H>,
  weights: W,
  hyper: H,
  direct: H,
  solution: W,
): Promise<Hypergradient<W, H>> {
  const value = requireFinite(await outer.value(weights, hyper), "The outer loss");
  const gradient = spaces.hyper.addScaled(direct, -1, await inner.mixedVjp(weights, hyper, solution));
  return { value, gradient, weights };
}
