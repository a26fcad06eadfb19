// The contract of a device, and of the program it runs: buffers, kernels in phases, one static arena.
// Calls are queued in order; only reading waits. Every device passes tests/conformance.
import type { KernelProgram, ProgramBuffer } from "../kernels/kernel.ts";
import type { DType, TypedArray } from "../ops/dtype.ts";
import type { GraphNode } from "../ops/graph.ts";

/** Memory of a device. `bytes` is what was asked for. */
export interface DeviceBuffer {
  readonly bytes: number;
}

export type { ProgramBuffer };

/** A whole computation, e.g. a training step. */
export interface Program extends KernelProgram {
  /** The graph the kernels were made from, for devices that interpret it: sources by slot, and the slot each output is written to. */
  readonly graph: {
    readonly inputs: readonly { readonly node: GraphNode; readonly slot: number }[];
    readonly outputs: readonly { readonly node: GraphNode; readonly slot: number }[];
  };
}

/** A program compiled for one device. Structure only: it may be run on any buffers of the right sizes. */
export interface Executable {
  /** Queues one run; buffers[i] is bound to slot i. */
  run(buffers: readonly DeviceBuffer[]): void;
  /** Frees the code and the arena. */
  dispose(): void;
}

export interface Device {
  readonly name: string;
  /** True where read and run complete before they return (Node); false where the engine lives in its own worker (browser). */
  readonly synchronous: boolean;
  allocate(bytes: number): DeviceBuffer;
  free(buffer: DeviceBuffer): void;
  /** Copies `data` to the start of `buffer`, or to byte `offset`. */
  write(buffer: DeviceBuffer, data: TypedArray, offset?: number): void;
  /** An array to read into: what it holds is not specified. */
  hostArray(dtype: DType, length: number): TypedArray;
  /** Copies the first bytes of `buffer` into `into`, after everything queued before. */
  read(buffer: DeviceBuffer, into: TypedArray): Promise<void>;
  /** As `read`, at once; throws on a device that is not synchronous. */
  readSync(buffer: DeviceBuffer, into: TypedArray): void;
  compile(program: Program): Executable;
  /** Resolves when everything queued so far has run; rejects with the first failure. */
  finish(): Promise<void>;
  /** Live buffers and their bytes, arenas not counted: tests end with what they began with. */
  memory(): { readonly buffers: number; readonly bytes: number };
  /** Stops workers and frees everything. */
  dispose(): Promise<void>;
}
