// Ridge and logistic regression with L2 penalties exp(λ) as bilevel problems with exact derivatives.
// Convex and small: the problems on which every hypergradient must agree.
import { HypergradientError } from "../errors/errors.ts";
import type { InnerObjective, OuterObjective } from "./bilevel.ts";

/** Rows of inputs, one target each; for logistic regression targets are −1 or 1. */
export interface Samples {
  /** One row a sample. */
  inputs: readonly (readonly number[])[];
  /** One a sample. */
  targets: readonly number[];
}

/** The data and the kind of regression. */
export interface GeneralizedLinearOptions {
  /** What the weights are fitted to. */
  train: Samples;
  /** What the penalties are tuned on. */
  validation: Samples;
  /** "squared": ½ (z − t)²; "logistic": log(1 + exp(−t z)). */
  loss: "squared" | "logistic";
  /** The hyper-parameter that penalises each weight; default λ[0] for all. */
  penaltyOf?: readonly number[];
}

/** The training loss (with penalty ½ Σ exp(λ_j) w_j²), the validation loss (without), and zero weights. */
export interface GeneralizedLinearProblem {
  /** The penalised training loss. */
  inner: InnerObjective<Float64Array, Float64Array>;
  /** The validation loss. */
  outer: OuterObjective<Float64Array, Float64Array>;
  /** Weights to start from: zeros. */
  initial: Float64Array;
}

/** Mean loss of a linear model on `train` plus penalties, validated on `validation`. */
export function generalizedLinear(options: GeneralizedLinearOptions): GeneralizedLinearProblem {
  const width = options.train.inputs[0]?.length ?? 0;
  if (width === 0) throw new HypergradientError("The training samples are empty; give at least one row with one column.");
  const train = design(options.train, width, "train");
  const validation = design(options.validation, width, "validation");
  const loss = options.loss === "squared" ? squared : logistic;
  const penaltyOf = options.penaltyOf ?? Array.from({ length: width }, () => 0);
  if (penaltyOf.length !== width)
    throw new HypergradientError(`penaltyOf has ${penaltyOf.length} entries for ${width} weights; give one per weight.`);
  const penalty = (hyper: Float64Array, j: number): number => Math.exp(hyper[penaltyOf[j]!]!);

  return {
    initial: new Float64Array(width),
    inner: {
      gradient(weights, hyper) {
        const gradient = lossGradient(train, weights, loss);
        return gradient.map((g, j) => g + penalty(hyper, j) * weights[j]!);
      },
      hessianVector(weights, hyper, vector) {
        const product = lossHessianVector(train, weights, vector, loss);
        return product.map((p, j) => p + penalty(hyper, j) * vector[j]!);
      },
      mixedVjp(weights, hyper, vector) {
        const result = new Float64Array(hyper.length);
        for (let j = 0; j < width; j++) result[penaltyOf[j]!]! += penalty(hyper, j) * weights[j]! * vector[j]!;
        return result;
      },
      mixedJvp: (weights, hyper, vector) => weights.map((w, j) => penalty(hyper, j) * w * vector[penaltyOf[j]!]!),
    },
    outer: {
      value(weights) {
        let sum = 0;
        for (const [i, z] of predict(validation, weights).entries()) sum += loss.value(z, validation.targets[i]!);
        return sum / validation.targets.length;
      },
      gradient: (weights, hyper) => ({
        weights: lossGradient(validation, weights, loss),
        hyper: new Float64Array(hyper.length),
      }),
    },
  };
}

interface Design {
  rows: Float64Array[];
  targets: Float64Array;
}

interface PointLoss {
  value(z: number, target: number): number;
  slope(z: number, target: number): number;
  curvature(z: number, target: number): number;
}

const squared: PointLoss = {
  value: (z, t) => 0.5 * (z - t) ** 2,
  slope: (z, t) => z - t,
  curvature: () => 1,
};

const logistic: PointLoss = {
  // log(1 + exp(−m)) without overflow for large −m
  value: (z, t) => Math.max(0, -t * z) + Math.log1p(Math.exp(-Math.abs(t * z))),
  slope: (z, t) => -t / (1 + Math.exp(t * z)),
  curvature(z) {
    const p = 1 / (1 + Math.exp(-z));
    return p * (1 - p);
  },
};

function design(samples: Samples, width: number, name: string): Design {
  if (samples.inputs.length === 0 || samples.inputs.length !== samples.targets.length)
    throw new HypergradientError(
      `${name} has ${samples.inputs.length} rows and ${samples.targets.length} targets; give one target per row and at least one row.`,
    );
  const ragged = samples.inputs.findIndex((row) => row.length !== width);
  if (ragged >= 0)
    throw new HypergradientError(`${name} row ${ragged} has ${samples.inputs[ragged]!.length} columns, expected ${width}.`);
  return { rows: samples.inputs.map((row) => Float64Array.from(row)), targets: Float64Array.from(samples.targets) };
}

function predict({ rows }: Design, weights: Float64Array): Float64Array {
  return Float64Array.from(rows, (row) => {
    let z = 0;
    for (let j = 0; j < row.length; j++) z += row[j]! * weights[j]!;
    return z;
  });
}

/** Xᵀ r / n. */
function pullBack({ rows }: Design, residuals: Float64Array): Float64Array {
  const sum = new Float64Array(rows[0]!.length);
  for (const [i, row] of rows.entries())
    for (let j = 0; j < row.length; j++) sum[j]! += (residuals[i]! * row[j]!) / rows.length;
  return sum;
}

function lossGradient(samples: Design, weights: Float64Array, loss: PointLoss): Float64Array {
  return pullBack(samples, predict(samples, weights).map((z, i) => loss.slope(z, samples.targets[i]!)));
}

function lossHessianVector(samples: Design, weights: Float64Array, vector: Float64Array, loss: PointLoss): Float64Array {
  const along = predict(samples, vector);
  const curvatures = predict(samples, weights).map((z, i) => loss.curvature(z, samples.targets[i]!));
  return pullBack(samples, along.map((value, i) => value * curvatures[i]!));
}
