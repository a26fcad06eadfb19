// Where computed values live: one device buffer a storage, freed by dispose() or when nothing points to the storage (reclaim.ts).
// Also the default device, which new tensors are placed on.
import type { Device, DeviceBuffer, Executable } from "../devices/device.ts";
import { bytesPerElement, type DType } from "../ops/dtype.ts";
import { LifetimeError, ValueError } from "../errors/errors.ts";
import { GraphNode, type Storage } from "../ops/graph.ts";
import { type Shape, sizeOf } from "../ops/shape.ts";
import { hold, type Holding, letGo, withRoom } from "./reclaim.ts";

/** A device buffer owned by the nodes that point to it. */
export class DeviceStorage implements Storage {
  version = 0;
  readonly device: Device;
  #holding: Holding | undefined;

  constructor(device: Device, bytes: number) {
    this.device = device;
    this.#holding = hold(this, device, bytes);
  }

  /** The buffer; throws {@link LifetimeError} after dispose. */
  get buffer(): DeviceBuffer {
    if (this.#holding === undefined) {
      throw new LifetimeError("This tensor was disposed.", "Keep it undisposed while anything computed from it is still to be read.");
    }
    return this.#holding.buffer;
  }

  get disposed(): boolean {
    return this.#holding === undefined;
  }

  dispose(): void {
    if (this.#holding === undefined) return;
    letGo(this.#holding, this);
    this.#holding = undefined;
  }
}

/** Queues a run on `inputs`, `scalars` and fresh storages of `bytes`, which it returns; when it fails there are none. */
export function runInto(device: Device, executable: Executable, inputs: readonly DeviceStorage[], bytes: readonly number[], scalars: readonly DeviceBuffer[] = []): DeviceStorage[] {
  const results: DeviceStorage[] = [];
  try {
    for (const size of bytes) results.push(new DeviceStorage(device, size));
    const buffers: DeviceBuffer[] = [];
    for (const storage of inputs) buffers.push(storage.buffer);
    buffers.push(...scalars);
    for (const storage of results) buffers.push(storage.buffer);
    withRoom(device, () => executable.run(buffers));
    return results;
  } catch (error) {
    for (const storage of results) storage.dispose();
    throw error;
  }
}

/** The storage of an evaluated node; throws {@link LifetimeError} when a step has since updated it in place. */
export function storageOf(node: GraphNode): DeviceStorage {
  const { storage } = node;
  if (!(storage instanceof DeviceStorage)) {
    throw new LifetimeError(
      "A value of a function being traced has no data yet.",
      "Read values outside compile, grad or train.step, or return them from the function.",
    );
  }
  if (storage.version !== node.storageVersion) {
    throw new LifetimeError(
      "This value was computed from a parameter that a training step has since updated in place.",
      "Read it before the step, or keep a copy with clone().",
    );
  }
  return storage;
}

/** A source node over a storage. */
export function sourceOf(storage: DeviceStorage, shape: Shape, dtype: DType): GraphNode<"source"> {
  const node = new GraphNode("source", [], { shape, dtype }, { shape, dtype });
  node.storage = storage;
  node.storageVersion = storage.version;
  return node;
}

export function bytesOf(node: { readonly shape: Shape; readonly dtype: DType }): number {
  return sizeOf(node.shape) * bytesPerElement[node.dtype];
}

let current: Device | undefined;
let create: (() => Device) | undefined;

/** Says how the default device is made when it is first needed; the platform's entry calls it. */
export function installDefaultDevice(factory: () => Device): void {
  create = factory;
}

/** The device that new tensors are placed on. */
export function defaultDevice(): Device {
  if (current === undefined) {
    if (create === undefined) {
      throw new ValueError("No device is installed.", 'Import "nabla", or call setDefaultDevice with a device.');
    }
    current = create();
  }
  return current;
}

/** Places new tensors on `device`, and returns the one used before, if any. */
export function setDefaultDevice(device: Device | undefined): Device | undefined {
  const previous = current;
  current = device;
  return previous;
}
