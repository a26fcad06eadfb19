// Regularisers: terms of the loss that keep weights small. Biases and the scales of normalisation, which have one axis, are left alone.
// An optimizer's weightDecay is L2 too, of all parameters and without a term to look at.
import { ValueError } from "../errors/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Module, requireModel } from "./module.ts";

/**
 * Σ |w| over the model's trainable weights (parameters of two axes or more): λ times it drives weights to exactly 0.
 *
 * Tibshirani, "Regression shrinkage and selection via the lasso" (1996). Throws {@link ValueError} where there is no weight.
 *
 * @example
 * const model = dense(2, 2, { init: constant(-3) });
 * l1(model).item(); // 12
 *
 * @example
 * const loss = (outputs, targets) => nn.crossEntropy(outputs, targets).add(nn.l1(model).mul(1e-5));
 * await train.fit(model, trainSet, { loss, optimizer: optim.adam(), epochs: 1, progress: false });
 */
export function l1(model: Module): Tensor {
  return sumOverWeights("l1", model, (weight) => weight.abs().sum());
}

/**
 * ½ Σ w² over the model's trainable weights (parameters of two axes or more): the gradient of λ times it is λw.
 *
 * Krogh & Hertz, "A simple weight decay can improve generalization" (1991). Throws {@link ValueError} where there is no weight.
 *
 * @example
 * const model = dense(2, 2, { init: constant(-3) });
 * l2(model).item(); // 18
 */
export function l2(model: Module): Tensor {
  return sumOverWeights("l2", model, (weight) => weight.square().sum()).mul(0.5);
}

function sumOverWeights(name: string, model: Module, measure: (weight: Tensor) => Tensor): Tensor {
  requireModel(model);
  const [first, ...others] = Object.values(model.parameters()).filter(({ rank }) => rank >= 2);
  if (first === undefined) throw new ValueError(`${name}: ${model.constructor.name} has no trainable parameter of two axes or more.`, "Pass the model whose weights to keep small.");
  return others.reduce((sum, weight) => sum.add(measure(weight)), measure(first));
}
