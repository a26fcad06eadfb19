// A program as one WebAssembly module: run(table, thread, threads) executes all kernels, with barriers between phases.
// Threads share a kernel's units the same way in every run; what is too small to share runs on one thread, without a barrier.
import type { IrFunction, LoweredKernel } from "../../loops/ir.ts";
import { Code, type MemoryImport, ModuleAssembler, type TablePlace } from "./assemble.ts";
import { controlLayout as control } from "./control.ts";
import { printFunctions, type WasmFeatures } from "./print.ts";

/** Kernels cheaper than this (nanoseconds) run on one thread. */
const splitKernel = 2_000;
/** Phases cheaper than this do not pay for their barrier and for moving cache lines between cores. */
const splitPhase = 5_000;
/** Of so many units of its share a thread leaves the last to whoever comes for it first, for cores are not equally fast. */
const unitsPerClaimed = 4;
/** Part of a thread's work that the set-up of the call for these may cost. */
const claimOverhead = 0.05;
/** Nanoseconds of shared work that pay for one more thread. */
const workPerThread = 20_000;
/** Nanoseconds of shared work from which sleeping threads are waited for: a virtual machine takes 100 to 300 µs to wake one. */
const workWorthWaking = 400_000;

/** A compiled program before the engine sees it. */
export interface ProgramModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Threads worth using. */
  readonly threads: number;
  /** False: threads that sleep are called, but the run does not wait for them. */
  readonly wakes: boolean;
  /** Bytes of scratch a thread needs. */
  readonly scratchBytes: number;
}

export interface ModuleOptions {
  readonly features: WasmFeatures;
  readonly sharedMemory: boolean;
  /** Threads the device could use. */
  readonly threads: number;
}

/** The memory every module imports. */
export function memoryImport(shared: boolean): MemoryImport {
  return { module: "nabla", name: "memory", minimum: 1, maximum: 65_536, shared };
}

/** Kernels that threads share, in phases. The address table holds one entry a buffer, then one scratch area a thread. */
export function buildModule(
  kernels: readonly LoweredKernel[],
  phases: readonly (readonly number[])[],
  bufferCount: number,
  { features, sharedMemory, threads }: ModuleOptions,
): ProgramModule {
  const module = new ModuleAssembler(memoryImport(sharedMemory));
  const plan = phases.map((phase) => planPhase(phase.map((index) => kernels[index]!)));
  const sharedWork = plan.reduce((total, phase) => total + (phase.shared ? phase.cost : 0), 0);
  const worth = sharedMemory ? Math.max(1, Math.min(threads, Math.floor(sharedWork / workPerThread))) : 1;
  const scratchBytes = kernels.reduce((most, kernel) => Math.max(most, kernel.scratchBytes), 0);

  const indices = printFunctions(module, kernels.map((kernel) => kernel.entry), features);
  const run = new RunWriter((entry) => module.indirect(indices.get(entry)!), scratchBytes > 0 ? bufferCount : undefined);
  if (worth === 1) {
    for (const phase of plan) for (const kernel of phase.kernels) run.whole(kernel);
  } else {
    const barrier = addBarrier(module, 0);
    const clearing = plan.some((phase) => claims(phase, worth)) ? addBarrier(module, worth) : barrier;
    plan.forEach((phase, index) => {
      const claiming = claims(phase, worth);
      if (phase.shared) {
        phase.kernels.forEach((kernel, position) => {
          if (claiming && position === phase.kernels.length - 1) run.claim(kernel);
          else if (isSplit(kernel)) run.share(kernel);
          else run.onThread(kernel, position);
        });
      } else for (const kernel of phase.kernels) run.onThread(kernel, 0);
      const next = plan[index + 1];
      if (next === undefined || next.shared || phase.shared) run.barrier(claiming ? clearing : barrier);
    });
  }
  module.exportFunction("run", module.addFunction({ parameters: ["i32", "i32", "i32"], results: [], locals: RunWriter.locals, code: run.code }));
  return { bytes: module.finish(), threads: worth, wakes: sharedWork >= workWorthWaking, scratchBytes };
}

interface PlannedPhase {
  /** The dearest last: its last units make up for what threads lag behind in all of the phase. */
  readonly kernels: readonly LoweredKernel[];
  readonly cost: number;
  readonly shared: boolean;
}

function planPhase(kernels: readonly LoweredKernel[]): PlannedPhase {
  const busy = kernels.filter((kernel) => kernel.units > 0).sort((a, b) => a.cost - b.cost);
  const cost = busy.reduce((total, kernel) => total + kernel.cost, 0);
  return { kernels: busy, cost, shared: cost >= splitPhase && (busy.length > 1 || busy.some(isSplit)) };
}

function isSplit(kernel: LoweredKernel): boolean {
  return kernel.units > 1 && kernel.cost >= splitKernel;
}

/** Whether threads claim the last units of the phase's last kernel. */
function claims({ kernels, shared }: PlannedPhase, threads: number): boolean {
  const last = kernels.at(-1);
  return shared && last !== undefined && isSplit(last) && last.units >= unitsPerClaimed * threads && last.setup <= claimOverhead * (last.cost / threads);
}

// Locals of `run`: its parameters, then what `#shareOfOwner` computes.
const table = 0;
const thread = 1;
const threads = 2;
const owner = 3;
const begin = 4;
const middle = 5;
const end = 6;

/** Writes the body of `run`. */
class RunWriter {
  static readonly locals = ["i32", "i32", "i32", "i32"] as const;
  readonly code: Code = new Code();
  readonly #placeOf: (entry: IrFunction) => TablePlace;
  readonly #scratchEntry: number | undefined;

  constructor(placeOf: (entry: IrFunction) => TablePlace, scratchEntry: number | undefined) {
    this.#placeOf = placeOf;
    this.#scratchEntry = scratchEntry;
  }

  /** All units, on whoever runs this. */
  whole(kernel: LoweredKernel): void {
    this.#call(kernel, () => this.code.i32Const(0).i32Const(kernel.units));
  }

  /** All units, on thread `position` modulo the number of threads. */
  onThread(kernel: LoweredKernel, position: number): void {
    this.code.i32Const(position).localGet(threads).op("i32.rem_u").localGet(thread).op("i32.eq").if();
    this.whole(kernel);
    this.code.op("end");
  }

  /** The units of this thread's share. */
  share(kernel: LoweredKernel): void {
    const { code } = this;
    code.localGet(thread).localSet(owner);
    this.#shareOfOwner(kernel);
    this.#call(kernel, () => code.localGet(begin).localGet(end));
  }

  /**
   * The first units of this thread's share, then the last ones of every share that no one has taken yet, its own first.
   * So a thread meets the same units in every step, and what they read and write is in its core's cache.
   */
  claim(kernel: LoweredKernel): void {
    const { code } = this;
    code.localGet(threads).i32Const(1).op("i32.eq").if();
    this.whole(kernel);
    code.op("else");
    code.localGet(thread).localSet(owner);
    this.#shareOfOwner(kernel);
    this.#call(kernel, () => code.localGet(begin).localGet(middle));
    code.loop();
    code.localGet(owner).i32Const(2).op("i32.shl").i32Const(1).memory("i32.atomic.rmw.add", 4 * control.claimed).op("i32.eqz").if();
    this.#shareOfOwner(kernel);
    this.#call(kernel, () => code.localGet(middle).localGet(end));
    code.op("end");
    code.localGet(owner).i32Const(1).op("i32.add").localGet(threads).op("i32.rem_u").localTee(owner);
    code.localGet(thread).op("i32.ne").branchIf(0);
    code.op("end").op("end");
  }

  /** Sets `begin` and `end` to the bounds of the owner's share of the units, and `middle` to the first of those that are claimed. */
  #shareOfOwner({ units }: LoweredKernel): void {
    const { code } = this;
    // units·index / threads, without overflow.
    const bound = (index: () => Code): Code => {
      index().i32Const(units).localGet(threads).op("i32.div_u").op("i32.mul");
      index().i32Const(units).localGet(threads).op("i32.rem_u").op("i32.mul").localGet(threads).op("i32.div_u");
      return code.op("i32.add");
    };
    bound(() => code.localGet(owner)).localSet(begin);
    bound(() => code.localGet(owner).i32Const(1).op("i32.add")).localSet(end);
    code.localGet(end).localGet(end).localGet(begin).op("i32.sub").i32Const(unitsPerClaimed).op("i32.div_u").op("i32.sub").localSet(middle);
  }

  barrier(barrier: TablePlace): void {
    this.code.localGet(threads).i32Const(1).op("i32.gt_u").if().localGet(threads).callIndirect(barrier).op("end");
  }

  #call(kernel: LoweredKernel, pushRange: () => void): void {
    const { code } = this;
    code.localGet(table);
    pushRange();
    if (this.#scratchEntry === undefined) code.i32Const(0);
    else code.localGet(table).localGet(thread).i32Const(2).op("i32.shl").op("i32.add").memory("i32.load", 4 * this.#scratchEntry);
    code.callIndirect(this.#placeOf(kernel.entry));
  }
}

/**
 * barrier(threads): the last to arrive clears the words of `claimants` threads (and up to three more) and opens the next generation, the others spin on it, then sleep.
 * Traps when the generation is −1 (another thread failed) and when a thread stays away for control.barrierSeconds.
 */
function addBarrier(module: ModuleAssembler, claimants: number): TablePlace {
  const parties = 0;
  const generation = 1;
  const left = 2;
  const code = new Code();
  const loadGeneration = (): Code => code.i32Const(4 * control.generation).memory("i32.atomic.load");
  const trapIfBroken = (): void => {
    loadGeneration().i32Const(0).op("i32.lt_s").if().op("unreachable").op("end");
  };
  const changed = (): Code => loadGeneration().localGet(generation).op("i32.ne");

  loadGeneration().localSet(generation);
  trapIfBroken();
  code.i32Const(4 * control.arrived).i32Const(1).memory("i32.atomic.rmw.add").i32Const(1).op("i32.add").localGet(parties).op("i32.eq").if();
  code.i32Const(4 * control.arrived).i32Const(0).memory("i32.atomic.store");
  for (let owner = 0; owner < claimants; owner += 4) code.i32Const(4 * (control.claimed + owner)).v128Const(new Uint8Array(16)).memory("v128.store");
  code.i32Const(4 * control.generation).localGet(generation).i32Const(1).op("i32.add").i32Const(0x7fffffff).op("i32.and").memory("i32.atomic.store");
  code.i32Const(4 * control.barrierSleepers).memory("i32.atomic.load").if();
  code.i32Const(4 * control.generation).i32Const(-1).memory("memory.atomic.notify").op("drop");
  code.op("end");
  code.op("return");
  code.op("end");

  code.i32Const(control.barrierSpins).localSet(left);
  code.block().loop();
  changed().branchIf(1);
  code.localGet(left).i32Const(1).op("i32.sub").localTee(left).branchIf(0);
  code.op("end");

  code.i32Const(4 * control.barrierSleepers).i32Const(1).memory("i32.atomic.rmw.add").op("drop");
  code.i32Const(control.barrierSeconds).localSet(left);
  code.block().loop();
  changed().branchIf(1);
  code.localGet(left).op("i32.eqz").if().op("unreachable").op("end");
  code.i32Const(4 * control.generation).localGet(generation);
  code.byte(0x42).signed(1e9); // i64.const: one second in nanoseconds
  // wait32 gives 2 when the second has passed.
  code.memory("memory.atomic.wait32").i32Const(2).op("i32.eq").if();
  code.localGet(left).i32Const(1).op("i32.sub").localSet(left);
  code.op("end").branch(0).op("end").op("end");
  code.i32Const(4 * control.barrierSleepers).i32Const(1).memory("i32.atomic.rmw.sub").op("drop");
  code.op("end");
  trapIfBroken();
  return module.indirect(module.addFunction({ parameters: ["i32"], results: [], locals: ["i32", "i32"], code }));
}
