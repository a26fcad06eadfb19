// Divergence: a loss that is not finite, and what made it so.
// The step has left the model as it was, so the culprit can still be looked at.
import type { Layer } from "../nn/module.ts";
import { isFloating } from "../ops/dtype.ts";
import { NablaError } from "../errors/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import { rehearse } from "../tensor/trace.ts";

/** A loss that is not a number, and where it came from. */
export class DivergenceError extends NablaError {
  override readonly name: string = "DivergenceError";
}

/** Says where a loss that is not finite comes from: a parameter, a layer, or the loss itself. */
export async function divergence(model: Layer, inputs: Tensor, where: string): Promise<DivergenceError> {
  for (const [path, variable] of Object.entries(model.parameters())) {
    if (await isNotFinite(variable)) {
      return new DivergenceError(`${where}: the gradient of a step before made ${path} infinite or NaN.`, "Lower the learning rate, or clip the gradients.");
    }
  }
  for (const { path, layer, output } of recordOutputs(model, inputs)) {
    if (await isNotFinite(output)) {
      const name = path === "" ? layer : `${path} (${layer})`;
      return new DivergenceError(`${where}: ${name} is the first layer whose output is infinite or NaN.`, "Lower the learning rate, scale the inputs, or keep its input inside its domain.");
    }
  }
  return new DivergenceError(`${where}, while the model's outputs are finite.`, "The loss itself overflows: lower the learning rate if the outputs have grown large, otherwise check the targets.");
}

async function isNotFinite(tensor: Tensor): Promise<boolean> {
  return isFloating(tensor.dtype) && (await tensor.data()).some((value) => !Number.isFinite(value));
}

interface LayerOutput {
  readonly path: string;
  readonly layer: string;
  readonly output: Tensor;
}

/** Every layer's output for `inputs`, innermost first; the model's state is left as it is. */
function recordOutputs(model: Layer, inputs: Tensor): LayerOutput[] {
  const outputs: LayerOutput[] = [];
  const modules = Object.entries(model.modules()).map(([path, module]) => ({ path, module, forward: module.forward }));
  for (const { path, module, forward } of modules) {
    module.forward = (...values: never[]): unknown => {
      const output = forward.apply(module, values);
      if (output instanceof Tensor) outputs.push({ path, layer: module.constructor.name, output });
      return output;
    };
  }
  try {
    rehearse({}, () => model.forward(inputs));
  } finally {
    for (const { module, forward } of modules) module.forward = forward;
  }
  return outputs;
}
