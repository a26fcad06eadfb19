// Assigning what a file holds to variables: everything is checked before the first one changes.
// Models and checkpoints are loaded with it.
import { DTypeError, list, ShapeError, ValueError } from "../errors/errors.ts";
import { formatShape, sameShape } from "../ops/shape.ts";
import { tensor } from "../tensor/creation.ts";
import type { Variable } from "../tensor/variable.ts";
import type { HostTensor } from "./safetensors.ts";

/** Gives each variable the tensor of its name; `owner` is what messages call those who have the variables, e.g. "the model". */
export function assignAll(tensors: Readonly<Record<string, HostTensor>>, variables: Readonly<Record<string, Variable>>, file: string, owner: string): void {
  const missing = Object.keys(variables).filter((name) => !Object.hasOwn(tensors, name));
  const unknown = Object.keys(tensors).filter((name) => !Object.hasOwn(variables, name));
  if (missing.length > 0 || unknown.length > 0) {
    const said = [missing.length > 0 ? `it lacks ${list(missing)}` : "", unknown.length > 0 ? `${owner} has no ${list(unknown)}` : ""];
    throw new ValueError(`${file} does not fit ${owner}: ${said.filter((part) => part !== "").join("; ")}.`, `Build ${owner} as it was when it was saved.`);
  }
  for (const [name, variable] of Object.entries(variables)) {
    const { shape, dtype } = tensors[name]!;
    if (!sameShape(shape, variable.shape)) throw new ShapeError(`${file}: ${name} has shape ${formatShape(shape)}, and ${formatShape(variable.shape)} in ${owner}.`, `Build ${owner} with the same sizes.`);
    if (dtype !== variable.dtype) throw new DTypeError(`${file}: ${name} is ${dtype}, and ${variable.dtype} in ${owner}.`, `Build ${owner} with the same dtype.`);
  }
  for (const [name, variable] of Object.entries(variables)) {
    const { data, shape, dtype } = tensors[name]!;
    const value = tensor(data, { shape, dtype });
    variable.assign(value);
    value.dispose();
  }
}
