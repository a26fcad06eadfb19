// io: saving and loading models and tensors.
// `import { io } from "nabla"`.
import { buildLayer, describeLayer } from "../nn/architecture.ts";
import { type Layer, Module } from "../nn/module.ts";
import { describe, FormatError, quote, ValueError } from "../errors/errors.ts";
import { tensor } from "../tensor/creation.ts";
import { Tensor } from "../tensor/tensor.ts";
import { assignAll } from "./assign.ts";
import { type Archive, decodeSafetensors, encodeSafetensors, type HostTensor, readMetadata, readSafetensors, safetensorsParts } from "./safetensors.ts";
import { files } from "./files.ts";
import { type Loadable, nameOf, withSource } from "./source.ts";

export { FileError } from "./files.ts";
export type { Loadable } from "./source.ts";
export type { Archive, HostTensor } from "./safetensors.ts";

/** What can be saved: a module (all its variables) or tensors by name. */
export type Saveable = Module | Readonly<Record<string, Tensor>>;

/** Where the metadata say what network a file holds. */
const NETWORK = "nabla.network";

/** The bytes of a safetensors file. */
export async function encode(value: Saveable, metadata: Readonly<Record<string, string>> = {}): Promise<Uint8Array<ArrayBuffer>> {
  return encodeSafetensors(await archiveOf(value, metadata));
}

/** What a file of `value` holds: the tensors, and what the network is where it is made of nabla's own layers. */
export async function archiveOf(value: Saveable, metadata: Readonly<Record<string, string>>): Promise<Archive> {
  if (typeof value !== "object" || value === null) throw new ValueError(`${describe(value)} cannot be saved.`, "Pass a module, or a record of tensors by name.");
  const tensors: [string, HostTensor][] = [];
  for (const [name, each] of Object.entries(value instanceof Module ? value.variables() : value)) {
    if (!(each instanceof Tensor)) throw new ValueError(`${quote(name)} is ${describe(each)}, not a tensor.`, "Pass a module, or a record of tensors by name.");
    tensors.push([name, { dtype: each.dtype, shape: each.shape, data: await each.data() }]);
  }
  // Another network's description would be wrong for this one.
  const { [NETWORK]: _, ...rest } = metadata;
  const network = value instanceof Module ? describeLayer(value as Layer) : undefined;
  return { tensors: Object.fromEntries(tensors), metadata: { ...rest, ...(network === undefined ? {} : { [NETWORK]: JSON.stringify(network) }) } };
}

/** The tensors of a safetensors file by name; throws {@link FormatError} when it is corrupt. Dtypes as for {@link load}. */
export function decode(bytes: Uint8Array): Record<string, Tensor> {
  return tensorsOf(decodeSafetensors(bytes));
}

function tensorsOf(archive: Archive): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(archive.tensors).map(([name, { data, dtype, shape }]) => [name, tensor(data, { dtype, shape })]));
}

/**
 * Saves a model or tensors as safetensors; the file is replaced whole or not at all.
 *
 * What a network of nabla's own layers is goes into the metadata, so that {@link loadModel} can make it again.
 *
 * @example
 * await io.save("model.safetensors", model);
 */
export async function save(path: string, value: Saveable, metadata: Readonly<Record<string, string>> = {}): Promise<void> {
  await files().writeAtomic(path, safetensorsParts(await archiveOf(value, metadata)));
}

/**
 * Throws {@link FileError} where {@link save} could not write: ask before a long training. Nothing is written.
 *
 * @example
 * await io.requireWritable("model.safetensors");
 */
export async function requireWritable(path: string): Promise<void> {
  await files().requireWritable(path);
}

/**
 * Loads the tensors of a safetensors file, or, given a model, assigns them to its variables (all or none) and returns it.
 *
 * From a path (in Node), a URL, a Blob or bytes. F16 and BF16 become float32; integers that nabla lacks become int32 where all
 * values are, otherwise float64 ({@link FormatError} beyond 2^53). Throws {@link FileError} where the file cannot be read,
 * {@link FormatError} where it is corrupt.
 *
 * @example
 * await io.load(await io.encode(model), model); // or a path: io.load("model.safetensors", model)
 */
export async function load(from: Loadable): Promise<Record<string, Tensor>>;
export async function load<M extends Module>(from: Loadable, model: M): Promise<M>;
export async function load(from: Loadable, model?: Module): Promise<Record<string, Tensor> | Module> {
  const archive = await withSource(from, readSafetensors);
  if (model === undefined) return tensorsOf(archive);
  assignAll(archive.tensors, model.variables(), nameOf(from), "the model");
  return model;
}

/**
 * Makes the network that a file of {@link save} holds, with its weights, in evaluation mode (`train()` switches back).
 *
 * Its layers are nabla's own: a file of a model with other classes has no description, and is a {@link FormatError}.
 *
 * @example
 * const network = await io.loadModel(await io.encode(model)); // or a path: io.loadModel("model.safetensors")
 * network.forward(zeros([1, 4])).shape; // [1, 3]
 */
export async function loadModel(from: Loadable): Promise<Layer> {
  const archive = await withSource(from, readSafetensors);
  const name = nameOf(from);
  const model = buildLayer(networkOf(archive.metadata, name), name);
  assignAll(archive.tensors, model.variables(), name, "the network that it describes");
  return model.eval();
}

function networkOf(metadata: Archive["metadata"], name: string): unknown {
  const text = metadata[NETWORK];
  if (text === undefined) throw new FormatError(`${name} does not say what network it holds.`, "Build the model yourself and pass it to io.load(file, model); io.save describes models of nabla's own layers.");
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The metadata of a safetensors file, as given to {@link save} and with what nabla adds; the tensors are not read. */
export async function metadata(from: Loadable): Promise<Readonly<Record<string, string>>> {
  return withSource(from, readMetadata);
}
