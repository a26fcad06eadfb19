// Programs of eager evaluation: one a structure, kept for the next graph that has it.
// A constant is compiled in until it is seen with a second value; from then on it is an argument.
import { compileProgram } from "../compile/index.ts";
import { ProgramCache } from "../devices/cache.ts";
import type { Device, DeviceBuffer, Executable } from "../devices/device.ts";
import { hostArray } from "../ops/dtype.ts";
import type { GraphNode } from "../ops/graph.ts";
import { withRoom } from "./reclaim.ts";
import { bytesOf, defaultDevice, type DeviceStorage, runInto, storageOf } from "./storage.ts";
import { equalWords, keep, type Structure, structureOf } from "./structure.ts";

/** Programs kept a device. */
const CACHE_LIMIT = 512;
const caches = new WeakMap<Device, ProgramCache<number, EagerProgram>>();

/** Computes `wanted`, of which none has a value yet, and the values of variables on the way, in one program. */
export function runEagerly(wanted: readonly GraphNode[]): { readonly outputs: readonly GraphNode[]; readonly storages: readonly DeviceStorage[] } {
  const structure = structureOf(wanted);
  const { outputs } = structure;
  const storages = structure.leaves.map(storageOf);
  const device = storages[0]?.device ?? defaultDevice();
  return { outputs, storages: programOf(device, structure).run(structure, storages) };
}

function programOf(device: Device, structure: Structure): EagerProgram {
  let cache = caches.get(device);
  if (cache === undefined) caches.set(device, (cache = new ProgramCache(CACHE_LIMIT, (victim) => victim.dispose())));
  // Another structure of the same hash moves on to the next number.
  for (let key = structure.hash; ; key++) {
    const known = cache.get(key);
    if (known === undefined) {
      const program = new EagerProgram(device, structure);
      cache.set(key, program);
      return program;
    }
    if (equalWords(known.words, structure.words)) return known;
  }
}

class EagerProgram {
  readonly words: Int32Array;
  readonly #device: Device;
  readonly #outputBytes: readonly number[];
  /** The values that constants are compiled in with; undefined: an argument. */
  #values: readonly (number | undefined)[];
  #executable: Executable;

  constructor(device: Device, structure: Structure) {
    this.words = keep(structure);
    this.#device = device;
    this.#outputBytes = structure.outputs.map(bytesOf);
    this.#values = structure.constants.map(({ params }) => params.value);
    this.#executable = this.#compile(structure, this.#values);
  }

  run(structure: Structure, storages: readonly DeviceStorage[]): DeviceStorage[] {
    const { constants } = structure;
    const isNew = constants.some(({ params }, index) => this.#values[index] !== undefined && this.#values[index] !== params.value);
    if (isNew) {
      const values = this.#values.map((value, index) => (value === constants[index]!.params.value ? value : undefined));
      const executable = this.#compile(structure, values);
      this.#executable.dispose();
      this.#executable = executable;
      this.#values = values;
    }
    const scalars: DeviceBuffer[] = [];
    try {
      constants.forEach((constant, index) => {
        if (this.#values[index] === undefined) scalars.push(this.#scalar(constant));
      });
      return runInto(this.#device, this.#executable, storages, this.#outputBytes, scalars);
    } finally {
      // What comes after the run may use their memory.
      for (const scalar of scalars) this.#device.free(scalar);
    }
  }

  dispose(): void {
    this.#executable.dispose();
  }

  #compile({ leaves, constants, outputs }: Structure, values: readonly (number | undefined)[]): Executable {
    const scalars = constants.filter((_, index) => values[index] === undefined);
    return this.#device.compile(compileProgram({ inputs: [...leaves, ...scalars], outputs, donate: [] }));
  }

  #scalar({ params: { value, dtype } }: GraphNode<"constant">): DeviceBuffer {
    const data = hostArray(dtype, 1);
    data[0] = value;
    const buffer = withRoom(this.#device, () => this.#device.allocate(data.byteLength));
    this.#device.write(buffer, data);
    return buffer;
  }
}
