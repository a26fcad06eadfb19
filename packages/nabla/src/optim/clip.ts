// Gradient clipping: Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks" (ICML 2013).
// Each wraps an optimizer, so that they compose with every one and with each other; the outermost clips first.
import { positive } from "../errors/arguments.ts";
import { ValueError } from "../errors/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type HyperParameter, hyperParameters, type Optimizer, requireOptimizer } from "./optimizer.ts";

/**
 * `optimizer` with all gradients scaled down together where their joint Euclidean norm exceeds `maxNorm`, as PyTorch's
 * clip_grad_norm_ does: by min(1, maxNorm / (norm + 1e-6)).
 *
 * @example
 * const optimizer = clipByNorm(optim.adam({ learningRate: 1e-3 }), 1);
 */
export function clipByNorm<State extends string, Hyper extends string>(optimizer: Optimizer<State, Hyper>, maxNorm: HyperParameter): Optimizer<State, Hyper | "maxNorm"> {
  return before(optimizer, "maxNorm", maxNorm, (gradients, limit) => {
    const squares = gradients.map((gradient) => gradient.square().sum().cast(limit.dtype));
    const norm = squares.reduce((total, square) => total.add(square)).sqrt();
    const scale = limit.div(norm.add(1e-6)).minimum(1);
    return gradients.map((gradient) => gradient.mul(scale.cast(gradient.dtype)));
  });
}

/**
 * `optimizer` with every element of every gradient limited to [−maxValue, maxValue].
 *
 * @example
 * const optimizer = clipByValue(optim.sgd({ learningRate: 0.1 }), 0.5);
 */
export function clipByValue<State extends string, Hyper extends string>(optimizer: Optimizer<State, Hyper>, maxValue: HyperParameter): Optimizer<State, Hyper | "maxValue"> {
  return before(optimizer, "maxValue", maxValue, (gradients, limit) => gradients.map((gradient) => {
    const most = limit.cast(gradient.dtype);
    return gradient.minimum(most).maximum(most.neg());
  }));
}

/** `optimizer` that sees the gradients after `clip`, which has a hyper-parameter of its own. */
function before<State extends string, Hyper extends string, Own extends string>(
  optimizer: Optimizer<State, Hyper>, name: Own, value: HyperParameter, clip: (gradients: readonly Tensor[], limit: Tensor) => readonly Tensor[],
): Optimizer<State, Hyper | Own> {
  requireOptimizer(optimizer);
  if (Object.hasOwn(optimizer.hyper, name)) throw new ValueError(`${optimizer.name}: it clips by ${name} already.`, "Clip once.");
  const own = hyperParameters<string>(optimizer.name, { [name]: [value, positive] });
  const descriptors = { ...Object.getOwnPropertyDescriptors(optimizer.hyper), ...Object.getOwnPropertyDescriptors(own) };
  return {
    name: optimizer.name,
    hyper: Object.defineProperties({}, descriptors) as Record<Hyper | Own, HyperParameter>,
    init: (parameter) => optimizer.init(parameter),
    update: (gradient, parameter, state, hyper) => optimizer.update(gradient, parameter, state, hyper),
    gradients(gradients, hyper) {
      const clipped = clip(gradients, hyper[name]);
      return optimizer.gradients?.(clipped, hyper) ?? clipped;
    },
  };
}
