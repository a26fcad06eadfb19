// io: saving and loading models and tensors.
// `import { io } from "nabla"`.
import { DTypeError, ShapeError, ValueError } from "../ops/errors.ts";
import { formatShape, sameShape } from "../ops/shape.ts";
import type { Module } from "../nn/module.ts";
import { tensor } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Archive, decodeSafetensors, encodeSafetensors, type HostTensor } from "./safetensors.ts";
import { files } from "./files.ts";

export { FileError } from "./files.ts";
export type { Archive, HostTensor } from "./safetensors.ts";

/** What can be saved: a module (all its variables) or tensors by name. */
export type Saveable = Module | Readonly<Record<string, Tensor>>;

function isModule(value: Saveable): value is Module {
  return typeof value["variables"] === "function";
}

/** The bytes of a safetensors file. */
export async function encode(value: Saveable, metadata: Readonly<Record<string, string>> = {}): Promise<Uint8Array<ArrayBuffer>> {
  const tensors: [string, HostTensor][] = [];
  for (const [name, each] of Object.entries(isModule(value) ? value.variables() : value)) {
    tensors.push([name, { dtype: each.dtype, shape: each.shape, data: await each.data() }]);
  }
  return encodeSafetensors({ tensors: Object.fromEntries(tensors), metadata });
}

/** The tensors of a safetensors file by name; throws {@link FormatError} when it is corrupt. */
export function decode(bytes: Uint8Array): Record<string, Tensor> {
  return tensorsOf(decodeSafetensors(bytes));
}

function tensorsOf(archive: Archive): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(archive.tensors).map(([name, { data, dtype, shape }]) => [name, tensor(data, { dtype, shape })]));
}

/**
 * Saves a model or tensors as safetensors; the file is replaced whole or not at all.
 *
 * @example
 * await io.save("model.safetensors", model);
 */
export async function save(path: string, value: Saveable, metadata: Readonly<Record<string, string>> = {}): Promise<void> {
  await files().writeAtomic(path, await encode(value, metadata));
}

/** Loads the tensors of a safetensors file, or, given a model, assigns them to its variables (all or none) and returns it. */
export async function load(path: string): Promise<Record<string, Tensor>>;
export async function load<M extends Module>(path: string, model: M): Promise<M>;
export async function load(path: string, model?: Module): Promise<Record<string, Tensor> | Module> {
  const archive = decodeSafetensors(await files().read(path), `"${path}"`);
  if (model === undefined) return tensorsOf(archive);
  assign(archive, model, path);
  return model;
}

/** The metadata of a safetensors file. */
export async function metadata(path: string): Promise<Readonly<Record<string, string>>> {
  return decodeSafetensors(await files().read(path), `"${path}"`).metadata;
}

/** Checks every variable before the first is changed. */
function assign({ tensors }: Archive, model: Module, path: string): void {
  const variables = model.variables();
  const missing = Object.keys(variables).filter((name) => !Object.hasOwn(tensors, name));
  const unknown = Object.keys(tensors).filter((name) => !Object.hasOwn(variables, name));
  if (missing.length > 0 || unknown.length > 0) {
    const said = [missing.length > 0 ? `it lacks ${missing.join(", ")}` : "", unknown.length > 0 ? `the model has no ${unknown.join(", ")}` : ""];
    throw new ValueError(`"${path}" does not fit the model: ${said.filter((part) => part !== "").join("; ")}.`, "Build the model as it was when it was saved.");
  }
  for (const [name, variable] of Object.entries(variables)) {
    const { shape, dtype } = tensors[name]!;
    if (!sameShape(shape, variable.shape)) throw new ShapeError(`"${path}": ${name} has shape ${formatShape(shape)}, the model's ${formatShape(variable.shape)}.`, "Build the model with the same sizes.");
    if (dtype !== variable.dtype) throw new DTypeError(`"${path}": ${name} is ${dtype}, the model's ${variable.dtype}.`, "Build the model with the same dtype.");
  }
  for (const [name, variable] of Object.entries(variables)) {
    const { data, shape, dtype } = tensors[name]!;
    const value = tensor(data, { shape, dtype });
    variable.assign(value);
    value.dispose();
  }
}
