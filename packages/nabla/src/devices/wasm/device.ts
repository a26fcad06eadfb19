// The wasm device: plans memory, turns programs into modules, and hands addresses to the engine, here or in its worker.
// All bookkeeping is on this side, so that a page never waits for its engine but to read.
import type { Lowered, Target } from "../../loops/ir.ts";
import { lowerKernel } from "../../loops/lower.ts";
import { bytesPerElement, type DType, hostArray, type TypedArray } from "../../ops/dtype.ts";
import { LifetimeError, ValueError } from "../../errors/errors.ts";
import { ProgramCache } from "../cache.ts";
import type { Device, DeviceBuffer, Executable, Program, ProgramBuffer } from "../device.ts";
import { DeviceError, OutOfMemoryError } from "../errors.ts";
import { controlLayout, maximumThreads } from "./control.ts";
import { type EngineLink, linkEngine } from "./link.ts";
import { currentHost, type Host } from "./host.ts";
import { type Allocation, Allocator, alignment } from "./memory.ts";
import { buildModule, type ProgramModule } from "./module.ts";
import { type Capabilities, probeCapabilities } from "./probe.ts";

export interface WasmDeviceOptions {
  /** Threads to use, the caller's included. Default: what the platform offers. */
  readonly threads?: number;
  readonly host?: Host;
}

/** What `nabla doctor` prints of the engine. */
export interface DeviceReport extends Capabilities {
  readonly platform: string;
  readonly synchronous: boolean;
  readonly sharedMemory: boolean;
  /** Threads the device may use, and those that are started. */
  readonly threads: number;
  readonly threadsReady: number;
  readonly buffers: number;
  readonly bytes: number;
  /** Bytes of the arena and scratch that all programs share. */
  readonly workspaceBytes: number;
  readonly programs: number;
}

/** Bytes of an array from which zeroing it costs more than asking for another kind of memory. */
const worthUninitialised = 16_384;

/** Modules kept although no executable uses them. */
const idleModules = 64;

class WasmBuffer implements DeviceBuffer {
  readonly bytes: number;
  readonly owner: WasmDevice;
  readonly allocation: Allocation;
  live = true;
  /** Its memory was refused after it had been handed out. */
  lost = false;

  constructor(owner: WasmDevice, bytes: number, allocation: Allocation) {
    this.owner = owner;
    this.bytes = bytes;
    this.allocation = allocation;
  }
}

/** A module in the engine and who uses it. */
interface LoadedModule extends Omit<ProgramModule, "bytes"> {
  readonly id: number;
  readonly key: string;
  users: number;
}

/** What all programs share, since they run one after another: the address table, the arena and each thread's scratch. */
interface Workspace {
  allocation: Allocation;
  tableBytes: number;
  arenaBytes: number;
  scratchBytes: number;
}

/** Runs programs as WebAssembly, with SIMD and threads. */
export class WasmDevice implements Device {
  readonly name = "wasm";
  readonly synchronous: boolean;
  /** What the generators are told. */
  readonly target: Target;
  readonly #host: Host;
  readonly #threads: number;
  readonly #capabilities: Capabilities;
  readonly #link: EngineLink;
  readonly #allocator: Allocator = new Allocator(controlLayout.end, 2 ** 32);
  /** Modules that executables use, and those that are kept for the next one. */
  readonly #used: Map<string, LoadedModule> = new Map();
  readonly #idle: ProgramCache<string, LoadedModule> = new ProgramCache(idleModules, ({ id }) => this.#link.unload(id));
  #workspace: Workspace | undefined;
  #nextModule = 1;
  /** Live buffers, where memory can be refused after it was handed out. */
  readonly #mayBeLost: Set<WasmBuffer> = new Set();
  #buffers = 0;
  #bytes = 0;
  #disposed = false;

  constructor({ threads, host = currentHost() }: WasmDeviceOptions = {}) {
    const count = threads ?? host.threads;
    if (!Number.isInteger(count) || count < 1) {
      throw new ValueError(`A device cannot have ${count} threads.`, "Use a whole number from 1.");
    }
    this.#host = host;
    this.#threads = host.sharedMemory ? Math.min(count, maximumThreads) : 1;
    this.synchronous = host.synchronous;
    this.#capabilities = probeCapabilities(host);
    const { tileColumns, tileRows } = this.#capabilities;
    this.target = { lanes: 4, tileColumns, tileRows };
    this.#link = linkEngine(host, this.#threads, (capacity) => this.#lose(capacity));
  }

  allocate(bytes: number): DeviceBuffer {
    this.#checkOpen();
    const allocation = this.#reserve(bytes);
    this.#buffers++;
    this.#bytes += bytes;
    const buffer = new WasmBuffer(this, bytes, allocation);
    if (!this.synchronous) this.#mayBeLost.add(buffer);
    return buffer;
  }

  free(buffer: DeviceBuffer): void {
    if (this.#disposed) return;
    const own = this.#ownLive(buffer, "free");
    own.live = false;
    if (!own.lost) this.#allocator.free(own.allocation);
    this.#mayBeLost.delete(own);
    this.#buffers--;
    this.#bytes -= own.bytes;
  }

  write(buffer: DeviceBuffer, data: TypedArray, offset = 0): void {
    this.#checkOpen();
    const own = this.#own(buffer, "write to");
    if (!(offset >= 0) || offset + data.byteLength > own.bytes) {
      throw new ValueError(
        `Cannot write ${data.byteLength} bytes at byte ${offset} of a buffer of ${own.bytes}.`,
        "Write within the buffer, or allocate a longer one.",
      );
    }
    this.#link.write(own.allocation.address + offset, bytesOf(data));
  }

  hostArray(dtype: DType, length: number): TypedArray {
    const bytes = length * bytesPerElement[dtype];
    return hostArray(dtype, length, bytes < worthUninitialised ? undefined : this.#host.uninitialised?.(bytes));
  }

  async read(buffer: DeviceBuffer, into: TypedArray): Promise<void> {
    if (this.synchronous) {
      this.readSync(buffer, into);
      return;
    }
    const address = this.#readable(buffer, into);
    bytesOf(into).set(await this.#link.read(address, into.byteLength));
  }

  readSync(buffer: DeviceBuffer, into: TypedArray): void {
    if (!this.synchronous) {
      throw new DeviceError("This device lives in its own worker and cannot be read synchronously.", "Await the value instead (data(), not dataSync()).");
    }
    this.#link.readSync(this.#readable(buffer, into), bytesOf(into));
  }

  compile(program: Program): Executable {
    this.#checkOpen();
    const lowered = program.kernels.map((kernel) => lowerKernel(kernel, this.target));
    return this.compileLowered(lowered, program);
  }

  /** As `compile`, of kernels lowered already. */
  compileLowered(kernels: readonly Lowered[], program: Pick<Program, "buffers" | "phases" | "arenaBytes" | "slots">): Executable {
    const built = buildModule(kernels, program.phases, program.buffers.length, {
      features: this.#capabilities,
      sharedMemory: this.#host.sharedMemory,
      threads: this.#threads,
    });
    return new WasmExecutable(this, this.#load(built), program.buffers, program.slots, program.arenaBytes);
  }

  finish(): Promise<void> {
    return this.#link.finish();
  }

  memory(): { readonly buffers: number; readonly bytes: number } {
    return { buffers: this.#buffers, bytes: this.#bytes };
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#used.clear();
    this.#idle.clear();
    await this.#link.dispose();
  }

  report(): DeviceReport {
    const { synchronous } = this;
    const { buffers, bytes } = this.memory();
    return {
      ...this.#capabilities,
      platform: this.#host.name,
      synchronous,
      sharedMemory: this.#host.sharedMemory,
      threads: this.#threads,
      threadsReady: this.#link.threadsReady(),
      buffers,
      bytes,
      workspaceBytes: this.#workspace === undefined ? 0 : workspaceSize(this.#workspace, this.#threads),
      programs: this.#used.size + this.#idle.size,
    };
  }

  /** Starts the threads now and resolves when all are ready; otherwise the first program worth it starts them. */
  async startThreads(): Promise<void> {
    this.#link.startThreads();
    const until = performance.now() + 10_000;
    while (this.#link.threadsReady() < this.#threads) {
      if (performance.now() > until) throw new DeviceError("The device's threads did not start within 10 s.", "Set NABLA_NUM_THREADS=1 to do without.");
      await new Promise((resolve) => setTimeout(resolve, 1));
      await this.finish();
    }
  }

  /** The queued run of one executable: not part of the contract. */
  runModule(module: LoadedModule, table: Int32Array): void {
    this.#checkOpen();
    this.#link.run(module.id, this.#workspace!.allocation.address, table, module.threads, module.wakes);
  }

  /** Address of a buffer that holds at least `bytes`. */
  addressOf(buffer: DeviceBuffer | undefined, bytes: number, slot: number): number {
    const own = this.#own(buffer, "run on");
    if (own.bytes < bytes) {
      throw new ValueError(`Slot ${slot} of the program needs ${bytes} bytes, but its buffer has ${own.bytes}.`, "Pass buffers in slot order.");
    }
    return own.allocation.address;
  }

  /** The workspace, with room for a program's table, arena and scratch; a new one when it had to grow. */
  ensureWorkspace(tableBytes: number, arenaBytes: number, scratchBytes: number): Workspace {
    const now = this.#workspace;
    if (now !== undefined && now.tableBytes >= tableBytes && now.arenaBytes >= arenaBytes && now.scratchBytes >= scratchBytes) return now;
    const wanted = {
      tableBytes: roundUp(Math.max(tableBytes, now?.tableBytes ?? 4096)),
      arenaBytes: roundUp(Math.max(arenaBytes, now?.arenaBytes ?? 0)),
      scratchBytes: roundUp(Math.max(scratchBytes, now?.scratchBytes ?? 0)),
    };
    if (now !== undefined) this.#allocator.free(now.allocation);
    this.#workspace = undefined;
    this.#workspace = { ...wanted, allocation: this.#reserve(workspaceSize(wanted, this.#threads)) };
    return this.#workspace;
  }

  get threads(): number {
    return this.#threads;
  }

  release(module: LoadedModule): void {
    module.users--;
    if (this.#disposed || module.users > 0) return;
    this.#used.delete(module.key);
    this.#idle.set(module.key, module);
  }

  #load({ bytes, ...program }: ProgramModule): LoadedModule {
    const key = textOf(bytes);
    let module = this.#used.get(key) ?? this.#idle.take(key);
    if (module === undefined) {
      module = { ...program, id: this.#nextModule++, key, users: 0 };
      this.#link.load(module.id, bytes);
    }
    this.#used.set(key, module);
    module.users++;
    return module;
  }

  #reserve(bytes: number): Allocation {
    const allocation = this.#allocator.allocate(bytes);
    try {
      this.#link.reserve(allocation.address + roundUp(bytes));
    } catch (error) {
      this.#allocator.free(allocation);
      throw error;
    }
    return allocation;
  }

  #readable(buffer: DeviceBuffer, into: TypedArray): number {
    this.#checkOpen();
    const own = this.#own(buffer, "read");
    if (into.byteLength > own.bytes) {
      throw new ValueError(`Cannot read ${into.byteLength} bytes of a buffer of ${own.bytes}.`, "Read into a shorter array.");
    }
    return own.allocation.address;
  }

  /** Gives up what lies beyond the memory there is, so that there is room again for what fits. */
  #lose(capacity: number): void {
    for (const buffer of this.#mayBeLost) {
      if (buffer.lost || buffer.allocation.address + buffer.bytes <= capacity) continue;
      buffer.lost = true;
      this.#allocator.free(buffer.allocation);
    }
    const workspace = this.#workspace;
    if (workspace === undefined || workspace.allocation.address + workspaceSize(workspace, this.#threads) <= capacity) return;
    this.#allocator.free(workspace.allocation);
    this.#workspace = undefined;
  }

  #own(buffer: DeviceBuffer | undefined, verb: string): WasmBuffer {
    const own = this.#ownLive(buffer, verb);
    if (own.lost) throw new OutOfMemoryError(`Cannot ${verb} a buffer of ${own.bytes} bytes: the memory for it was refused.`);
    return own;
  }

  #ownLive(buffer: DeviceBuffer | undefined, verb: string): WasmBuffer {
    if (!(buffer instanceof WasmBuffer) || buffer.owner !== this) {
      throw new ValueError(`Cannot ${verb} a buffer of another device.`, "Copy the value to this device first.");
    }
    if (!buffer.live) {
      throw new LifetimeError(`Cannot ${verb} a buffer that was freed.`, "Free a buffer once, after its last use.");
    }
    return buffer;
  }

  #checkOpen(): void {
    if (this.#disposed) throw new LifetimeError("This device was disposed.", "Create a new one.");
  }
}

class WasmExecutable implements Executable {
  readonly #device: WasmDevice;
  readonly #module: LoadedModule;
  readonly #slots: number;
  readonly #arenaBytes: number;
  /** Addresses in the order the module expects them: buffers, then scratch areas. */
  readonly #table: Int32Array;
  readonly #bound: readonly { readonly entry: number; readonly slot: number; readonly bytes: number }[];
  readonly #temporaries: readonly { readonly entry: number; readonly offset: number }[];
  #workspace: Workspace | undefined;
  #disposed = false;

  constructor(device: WasmDevice, module: LoadedModule, buffers: readonly ProgramBuffer[], slots: number, arenaBytes: number) {
    this.#device = device;
    this.#module = module;
    this.#slots = slots;
    this.#arenaBytes = arenaBytes;
    this.#table = new Int32Array(buffers.length + device.threads);
    this.#bound = buffers.flatMap(({ place, size, dtype }, entry) =>
      place.kind === "bound" ? [{ entry, slot: place.slot, bytes: size * bytesPerElement[dtype] }] : [],
    );
    this.#temporaries = buffers.flatMap(({ place }, entry) => (place.kind === "arena" ? [{ entry, offset: place.offset }] : []));
  }

  run(buffers: readonly DeviceBuffer[]): void {
    if (this.#disposed) throw new LifetimeError("This executable was disposed.", "Compile the program again.");
    if (buffers.length !== this.#slots) {
      throw new ValueError(`The program has ${this.#slots} slots but was given ${buffers.length} buffers.`, "Pass one buffer a slot.");
    }
    for (const { entry, slot, bytes } of this.#bound) this.#table[entry] = this.#device.addressOf(buffers[slot], bytes, slot);
    const workspace = this.#device.ensureWorkspace(this.#table.byteLength, this.#arenaBytes, this.#module.scratchBytes);
    if (workspace !== this.#workspace) this.#place(workspace);
    this.#device.runModule(this.#module, this.#table);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#device.release(this.#module);
  }

  #place(workspace: Workspace): void {
    const arena = workspace.allocation.address + workspace.tableBytes;
    for (const { entry, offset } of this.#temporaries) this.#table[entry] = arena + offset;
    const { threads } = this.#device;
    const first = this.#table.length - threads;
    for (let thread = 0; thread < threads; thread++) {
      this.#table[first + thread] = arena + workspace.arenaBytes + thread * workspace.scratchBytes;
    }
    this.#workspace = workspace;
  }
}

function workspaceSize({ tableBytes, arenaBytes, scratchBytes }: Omit<Workspace, "allocation">, threads: number): number {
  return tableBytes + arenaBytes + threads * scratchBytes;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

function bytesOf(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Bytes as a text, two a character: a key. Node decodes latin1 in JavaScript, which takes ten times as long. */
function textOf(bytes: Uint8Array<ArrayBuffer>): string {
  const pairs = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
  let text = bytes.length % 2 === 0 ? "" : String.fromCharCode(bytes.at(-1)!);
  // A call takes so many arguments.
  for (let start = 0; start < pairs.length; start += 8192) text += Reflect.apply(String.fromCharCode, null, pairs.subarray(start, start + 8192));
  return text;
}
