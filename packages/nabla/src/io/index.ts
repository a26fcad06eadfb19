// io: saving and loading models and tensors.
// `import { io } from "nabla"`.
import type { Module } from "../nn/module.ts";
import { describe, ValueError } from "../errors/errors.ts";
import { tensor } from "../tensor/creation.ts";
import { Tensor } from "../tensor/tensor.ts";
import { assignAll } from "./assign.ts";
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
  if (typeof value !== "object" || value === null) throw new ValueError(`${describe(value)} cannot be saved.`, "Pass a module, or a record of tensors by name.");
  const tensors: [string, HostTensor][] = [];
  for (const [name, each] of Object.entries(isModule(value) ? value.variables() : value)) {
    if (!(each instanceof Tensor)) throw new ValueError(`"${name}" is ${describe(each)}, not a tensor.`, "Pass a module, or a record of tensors by name.");
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
  assignAll(archive.tensors, model.variables(), path, "the model");
  return model;
}

/** The metadata of a safetensors file. */
export async function metadata(path: string): Promise<Readonly<Record<string, string>>> {
  return decodeSafetensors(await files().read(path), `"${path}"`).metadata;
}
