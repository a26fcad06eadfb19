// Losses: functions of outputs and targets, averaged over the batch to a scalar.
// They take logits where that is the stable form: log-softmax and softplus never take the log of a rounded 0.
import { isFloating } from "../ops/dtype.ts";
import { describe, DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import { formatShape, sameShape } from "../ops/shape.ts";
import { Tensor } from "../tensor/tensor.ts";

/** A loss, as `train.fit` takes one. */
export type Loss = (outputs: Tensor, targets: Tensor) => Tensor;

/**
 * Mean cross-entropy −Σ y log softmax(logits) of the last axis.
 *
 * `labels` are class indices (int32 or uint8, shape of the logits without the last axis) or probabilities, e.g. one-hot
 * (floating, shape of the logits). An index outside the classes makes the loss NaN, so that it does not pass unnoticed;
 * {@link requireLabels} names it. A logit of −∞ rules its class out; it costs nothing where it is not the label.
 *
 * @example
 * crossEntropy(tensor([[2, 0]]), tensor([0], { dtype: "int32" })).item(); // 0.1269…
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  requireTensors("crossEntropy", { logits, labels });
  const classes = logits.shape.at(-1);
  if (classes === undefined) throw new ShapeError("crossEntropy: the logits are a scalar.", "Pass logits [..., classes].");
  if (classes === 1) throw new ShapeError(`crossEntropy: logits of shape ${formatShape(logits.shape)} have one class, so that nothing is to be learned.`, "For yes or no by one output use binaryCrossEntropy.");
  const expected = isFloating(labels.dtype) ? logits.shape : logits.shape.slice(0, -1);
  if (!sameShape(labels.shape, expected)) {
    throw new ShapeError(
      `crossEntropy: labels of shape ${formatShape(labels.shape)} (${labels.dtype}) for logits of shape ${formatShape(logits.shape)}.`,
      isFloating(labels.dtype) ? "One-hot labels have the logits' shape; class indices must be int32." : `Class indices must have shape ${formatShape(expected)}; one-hot labels must be float32.`,
    );
  }
  const logProbabilities = logits.logSoftmax();
  if (isFloating(labels.dtype)) return weighted(labels, logProbabilities.neg()).sum(-1).mean();
  const known = labels.greaterEqual(0).logicalAnd(labels.less(classes));
  const chosen = labels.oneHot(classes, "bool").where(logProbabilities, 0).sum(-1);
  return known.where(chosen, NaN).mean().neg();
}

/**
 * Throws {@link ValueError} unless every class index is in [0, classes), naming the first that is not.
 *
 * @example
 * requireLabels(new Uint8Array([0, 9]), 10);
 */
export function requireLabels(labels: ArrayLike<number>, classes: number): void {
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row]!;
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new ValueError(`Label ${label} of row ${row} is outside the ${classes} classes.`, `Labels must be integers from 0 to ${classes - 1}; check the data or the size of the last layer.`);
    }
  }
}

/**
 * Mean of (outputs − targets)².
 *
 * @example
 * meanSquaredError(tensor([1, 2]), tensor([1, 4])).item(); // 2
 */
export function meanSquaredError(outputs: Tensor, targets: Tensor): Tensor {
  requireFloatingPair("meanSquaredError", outputs, targets);
  return outputs.sub(targets).square().mean();
}

/**
 * Mean of −y log σ(z) − (1 − y) log(1 − σ(z)) for logits z and targets y in [0, 1], as y·softplus(−z) + (1 − y)·softplus(z):
 * neither term cancels the other, so small losses keep their digits.
 *
 * @example
 * binaryCrossEntropy(tensor([0]), tensor([1])).item(); // 0.6931…
 */
export function binaryCrossEntropy(logits: Tensor, targets: Tensor): Tensor {
  requireFloatingPair("binaryCrossEntropy", logits, targets);
  return weighted(targets, logits.neg().softplus()).add(weighted(targets.neg().add(1), logits.softplus())).mean();
}

/** weight·cost, where 0·∞ is 0: an answer that was ruled out and is wrong costs nothing. */
function weighted(weight: Tensor, cost: Tensor): Tensor {
  const nothing = weight.equal(0).logicalAnd(cost.equal(Infinity));
  return nothing.logicalNot().where(cost, 0).mul(weight);
}

/** Throws {@link ValueError} on what is missing in a batch. */
function requireTensors(operation: string, operands: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(operands)) {
    if (!(value instanceof Tensor)) throw new ValueError(`${operation}: the ${name} are ${describe(value)}, not a tensor.`, "Does the batch have a field of this name?");
  }
}

/** Targets that only broadcast ([batch] against [batch, 1]) are the classic silent mistake. */
function requireFloatingPair(operation: string, outputs: Tensor, targets: Tensor): void {
  requireTensors(operation, { outputs, targets });
  if (!sameShape(outputs.shape, targets.shape)) {
    throw new ShapeError(`${operation}: outputs ${formatShape(outputs.shape)} and targets ${formatShape(targets.shape)} differ.`, "Reshape the targets to the outputs' shape.");
  }
  if (!isFloating(outputs.dtype)) throw new DTypeError(`${operation}: the outputs are ${outputs.dtype}.`, "Cast them with float().");
}
