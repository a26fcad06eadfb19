// Metrics: what to report of outputs and targets. They are tensor functions, so they run inside a compiled step.
import { isFloating } from "../ops/dtype.ts";
import { DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import { formatShape, sameShape } from "../ops/shape.ts";
import { zeros } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A metric: outputs and targets, of a batch or of a whole set → a scalar. */
export type Metric = (outputs: Tensor, targets: Tensor) => Tensor;

/** The class indices that targets (indices, or one-hot and probabilities) stand for, for outputs [..., classes]. */
function classesOf(operation: string, outputs: Tensor, targets: Tensor): Tensor {
  const indices = outputs.shape.slice(0, -1);
  if (outputs.shape.at(-1) === 1) {
    throw new ShapeError(`${operation}: outputs of shape ${formatShape(outputs.shape)} have one class, which is every row's.`, "For yes or no by one output use metrics.binaryAccuracy and nn.binaryCrossEntropy.");
  }
  if (outputs.rank > 0) {
    if (sameShape(targets.shape, outputs.shape) && (isFloating(targets.dtype) || outputs.rank === 1)) return targets.argmax(-1);
    if (sameShape(targets.shape, indices) && !isFloating(targets.dtype)) return targets.int();
  }
  throw new ShapeError(
    `${operation}: targets of shape ${formatShape(targets.shape)} (${targets.dtype}) for outputs of shape ${formatShape(outputs.shape)}.`,
    `Pass int32 class indices of shape ${formatShape(indices)}, or float32 one-hot labels of the outputs' shape.`,
  );
}

/**
 * The share of rows whose largest output (logit or probability) is the target's class.
 *
 * @example
 * accuracy(tensor([[0, 1], [1, 0]]), tensor([1, 1], { dtype: "int32" })).item(); // 0.5
 */
export function accuracy(outputs: Tensor, targets: Tensor): Tensor {
  return outputs.argmax(-1).equal(classesOf("accuracy", outputs, targets)).mean();
}

/**
 * The share of answers that are right: yes where the output is above `threshold` (default 0, for logits; ½ for probabilities), and
 * where the target is above ½. Throws {@link ShapeError} unless both have one shape.
 *
 * @example
 * binaryAccuracy(tensor([[4], [-3], [2]]), tensor([[1], [0], [0]])).item(); // 0.6666…
 */
export function binaryAccuracy(outputs: Tensor, targets: Tensor, threshold = 0): Tensor {
  if (!sameShape(outputs.shape, targets.shape)) {
    throw new ShapeError(`binaryAccuracy: outputs ${formatShape(outputs.shape)} and targets ${formatShape(targets.shape)} differ.`, "Reshape the targets to the outputs' shape.");
  }
  return outputs.greater(threshold).equal(targets.greater(0.5)).mean();
}

/**
 * int32 [classes, classes]: entry (i, j) counts rows of class i that were predicted as j.
 *
 * @example
 * confusionMatrix(tensor([[0, 1], [1, 0]]), tensor([1, 1], { dtype: "int32" })).toArray(); // [[0, 0], [1, 1]]
 */
export function confusionMatrix(outputs: Tensor, targets: Tensor): Tensor {
  const classes = outputs.shape.at(-1);
  if (classes === undefined) throw new ShapeError("confusionMatrix: the outputs are a scalar.", "Pass outputs [..., classes].");
  const actual = classesOf("confusionMatrix", outputs, targets);
  const cell = actual.mul(classes).add(outputs.argmax(-1)).flatten();
  // A label outside the classes must not count as another row's cell.
  const valid = actual.greaterEqual(0).logicalAnd(actual.less(classes)).flatten();
  return zeros([classes * classes], "int32").scatterAdd(cell, valid.int()).reshape([classes, classes]);
}

/** A mean over batches of different sizes, as tensors: add inside a step, read when the epoch is over. */
export interface RunningMean {
  readonly total: Tensor;
  readonly weight: Tensor;
}

/**
 * The mean of nothing yet.
 *
 * @example
 * emptyMean().weight.item(); // 0
 */
export function emptyMean(): RunningMean {
  return { total: zeros([]), weight: zeros([]) };
}

/**
 * `mean` with one more value of `weight` (e.g. the batch's rows) in it.
 *
 * @example
 * const mean = updateMean(updateMean(emptyMean(), tensor(1), 3), tensor(5), 1);
 * mean.total.div(mean.weight).item(); // 2
 */
export function updateMean(mean: RunningMean, value: Tensor, weight: number): RunningMean {
  if (value.rank !== 0) throw new ShapeError(`updateMean: a value of shape ${formatShape(value.shape)}.`, "Reduce it to a scalar.");
  if (!(weight > 0)) throw new ValueError(`updateMean: weight ${weight}.`, "Pass a positive number, e.g. the rows of the batch.");
  if (value.dtype === "bool") throw new DTypeError("updateMean: the value is bool.", "Cast it with float().");
  return { total: mean.total.add(value.float().mul(weight)), weight: mean.weight.add(weight) };
}
