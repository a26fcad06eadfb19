// The reference device: every program interpreted at once, in plain JavaScript. Simple and right, never fast.
import { bytesPerElement, type DType, hostArray, type TypedArray } from "../../ops/dtype.ts";
import { LifetimeError, ValueError } from "../../errors/errors.ts";
import type { Aval } from "../../ops/graph.ts";
import { sizeOf } from "../../ops/shape.ts";
import type { Device, DeviceBuffer, Executable, Program } from "../device.ts";
import { type Precision, record, replay } from "./interpret.ts";

/** Options of the reference device. */
export interface ReferenceOptions {
  /** "float64" holds float32 values in doubles between write and read. Default "native". */
  readonly precision?: Precision;
}

class ReferenceBuffer implements DeviceBuffer {
  readonly bytes: number;
  /** Wide buffers give float32 elements eight bytes each. */
  readonly memory: ArrayBuffer;
  live = true;

  constructor(bytes: number, wide: boolean) {
    this.bytes = bytes;
    this.memory = new ArrayBuffer(Math.ceil(bytes / 8) * (wide ? 16 : 8));
  }
}

/** Interprets programs through the primitives' references: the oracle of the conformance suite. */
export class ReferenceDevice implements Device {
  readonly name = "reference";
  readonly synchronous = true;
  readonly #precision: Precision;
  readonly #live: Set<ReferenceBuffer> = new Set();
  #bytes = 0;
  #disposed = false;

  constructor({ precision = "native" }: ReferenceOptions = {}) {
    this.#precision = precision;
  }

  allocate(bytes: number): DeviceBuffer {
    const buffer = new ReferenceBuffer(bytes, this.#precision === "float64");
    this.#live.add(buffer);
    this.#bytes += bytes;
    return buffer;
  }

  free(buffer: DeviceBuffer): void {
    if (this.#disposed) return;
    const own = this.#own(buffer);
    own.live = false;
    this.#live.delete(own);
    this.#bytes -= own.bytes;
  }

  write(buffer: DeviceBuffer, data: TypedArray, offset = 0): void {
    const into = this.#own(buffer);
    requireRoom("write", into, offset, data.byteLength);
    const dtype = dtypeOf(data);
    this.#view(into, { dtype, shape: [data.length] }, offset / bytesPerElement[dtype]).set(data);
  }

  hostArray(dtype: DType, length: number): TypedArray {
    return hostArray(dtype, length);
  }

  readSync(buffer: DeviceBuffer, into: TypedArray): void {
    const from = this.#own(buffer);
    requireRoom("read", from, 0, into.byteLength);
    into.set(this.#view(from, { dtype: dtypeOf(into), shape: [into.length] }, 0));
  }

  async read(buffer: DeviceBuffer, into: TypedArray): Promise<void> {
    this.readSync(buffer, into);
  }

  compile({ graph, slots }: Program): Executable {
    const recording = record(graph.inputs.map(({ node }) => node), graph.outputs.map(({ node }) => node));
    const inputSlots = graph.inputs.map(({ slot }) => slot);
    const outputSlots = graph.outputs.map(({ slot }) => slot);
    return {
      run: (buffers) => {
        if (buffers.length !== slots) throw new ValueError(`run: ${buffers.length} buffers for ${slots} slots.`, "Bind one buffer a slot.");
        const bound = buffers.map((buffer) => this.#own(buffer));
        const data = recording.leaves.map((leaf, index) => this.#view(bound[inputSlots[index]!]!, leaf, 0));
        const results = replay(recording, data, this.#precision);
        // An output may overwrite an input, or be one: copy all before the first write.
        const copies = results.map(({ data: values }) => values.slice());
        results.forEach((result, index) => this.#view(bound[outputSlots[index]!]!, result, 0).set(copies[index]!));
      },
      dispose: () => {},
    };
  }

  async finish(): Promise<void> {}

  memory(): { readonly buffers: number; readonly bytes: number } {
    return { buffers: this.#live.size, bytes: this.#bytes };
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const buffer of this.#live) buffer.live = false;
    this.#live.clear();
    this.#bytes = 0;
  }

  #own(buffer: DeviceBuffer): ReferenceBuffer {
    if (!(buffer instanceof ReferenceBuffer)) throw new ValueError("The buffer belongs to another device.", "Move the tensor first.");
    if (!buffer.live) throw new LifetimeError("The buffer was freed.", "Keep the tensor that owns it alive.");
    return buffer;
  }

  /** The elements of `aval` in `buffer`, from element `start`. */
  #view({ memory }: ReferenceBuffer, { dtype, shape }: Aval, start: number): TypedArray {
    const length = sizeOf(shape);
    switch (dtype) {
      case "float32":
        return this.#precision === "float64" ? new Float64Array(memory, start * 8, length) : new Float32Array(memory, start * 4, length);
      case "float64":
        return new Float64Array(memory, start * 8, length);
      case "int32":
        return new Int32Array(memory, start * 4, length);
      case "uint8":
      case "bool":
        return new Uint8Array(memory, start, length);
    }
  }
}

function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  return data instanceof Int32Array ? "int32" : "uint8";
}

function requireRoom(operation: string, { bytes }: ReferenceBuffer, offset: number, length: number): void {
  if (offset < 0 || offset + length > bytes) {
    throw new ValueError(`${operation}: bytes ${offset} to ${offset + length} of a buffer of ${bytes}.`, "Stay within the buffer.");
  }
}
