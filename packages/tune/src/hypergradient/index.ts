// "@nabla/tune/hypergradient", the public interface of hypergradients: problems, the algorithms that differentiate them, and tuners that descend.
export { float64Space, type Awaitable, type CoordinateSpace, type VectorSpace } from "./vector-space.ts";
export type {
  Cotangents, Hypergradient, InnerObjective, OuterObjective, Spaces, TrainingStep,
} from "./bilevel.ts";
export { forwardHypergradient, reverseHypergradient, type ReverseOptions, type ReverseResult, type UnrolledProblem } from "./unrolled.ts";
export {
  conjugateGradientHypergradient, neumannHypergradient, type ConjugateGradientOptions, type ImplicitProblem, type ImplicitResult, type NeumannOptions,
} from "./implicit.ts";
export { gradientDescent, onWeights, withMomentum, type Coefficient, type GradientDescentOptions } from "./gradient-descent.ts";
export { differencedObjective, differenceGradient } from "./differences.ts";
export { differentiableInner, differentiableOuter, differentiableStep, type Autodiff } from "./autodiff.ts";
export { generalizedLinear, type GeneralizedLinearOptions, type GeneralizedLinearProblem, type Samples } from "./generalized-linear.ts";
export { HypergradientDescent, type HypergradientDescentOptions } from "./descent.ts";
export { ProjectedGradient, type Range } from "./projected-gradient.ts";
export { hypergradientObjective, tuneByHypergradient, type HypergradientTuning, type TunedHyperparameters, type ValueAndGradient } from "./tuner.ts";
export { HypergradientError } from "../errors/errors.ts";
