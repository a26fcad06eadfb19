// A staged computation: a traced graph compiled once and run on many inputs.
// compile() and train.step() are thin layers over it.
import { compileProgram } from "../compile/index.ts";
import type { Device, Executable } from "../devices/device.ts";
import { type GraphNode, topologicalOrder } from "../ops/graph.ts";
import { bytesOf, DeviceStorage, runInto, storageOf } from "./storage.ts";

/** What to stage. */
export interface StageRequest {
  readonly device: Device;
  /** Placeholders, bound at every run. */
  readonly inputs: readonly GraphNode[];
  readonly outputs: readonly GraphNode[];
  /** donate[i]: the input whose buffer output i takes over. */
  readonly donate: readonly (number | undefined)[];
}

/** Gives the code back of a stage that nobody holds any more. */
const backstop = new FinalizationRegistry((executable: Executable) => executable.dispose());

/** A compiled graph. Values the traced function closed over are bound to their storages. */
export class Stage {
  readonly #device: Device;
  readonly #executable: Executable;
  /** Values the function closed over. */
  readonly #captured: readonly GraphNode[];
  /** Bytes of each output that has a buffer of its own. */
  readonly #outputBytes: readonly number[];

  constructor({ device, inputs, outputs, donate }: StageRequest) {
    const bound = new Set(inputs);
    const captured = topologicalOrder(outputs, bound).filter((node) => !bound.has(node) && node.storage instanceof DeviceStorage);
    this.#device = device;
    this.#captured = captured;
    this.#outputBytes = outputs.filter((_, index) => donate[index] === undefined).map(bytesOf);
    this.#executable = device.compile(compileProgram({ inputs: [...inputs, ...captured], outputs, donate }));
    backstop.register(this, this.#executable, this);
  }

  /**
   * Queues one run; returns the storages of the outputs that are not donated, in order. Throws LifetimeError where a step has
   * since updated what the function closed over.
   */
  run(inputs: readonly DeviceStorage[]): DeviceStorage[] {
    return runInto(this.#device, this.#executable, [...inputs, ...this.#captured.map(storageOf)], this.#outputBytes);
  }

  dispose(): void {
    backstop.unregister(this);
    this.#executable.dispose();
  }
}
