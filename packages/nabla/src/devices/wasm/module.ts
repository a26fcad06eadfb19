// A program as one WebAssembly module: run(table, thread, threads) executes all kernels, with barriers between phases.
// Threads share a kernel's units the same way in every run; what is too small to share runs on one thread, without a barrier.
import type { IrFunction, Lowered, LoweredKernel, LoweredLoop } from "../../loops/ir.ts";
import { Code, type MemoryImport, ModuleAssembler, type TablePlace } from "./assemble.ts";
import { controlLayout as control } from "./control.ts";
import { printFunctions, type WasmFeatures } from "./print.ts";

/** Kernels cheaper than this (nanoseconds) run on one thread. */
const splitKernel = 2_000;
/** Phases cheaper than this do not pay for their barrier and for moving cache lines between cores. */
const splitPhase = 5_000;
/** A thread's share of a kernel comes in at most so many pieces, which others take when they are done: a thread may have no core. */
const mostPieces = 4;
/** Part of a thread's work that setting up the calls for these may cost. */
const pieceOverhead = 0.05;
/** How many times as long as its work is thought to take a thread may be away. */
const patience = 20;
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
  kernels: readonly Lowered[],
  phases: readonly (readonly number[])[],
  bufferCount: number,
  { features, sharedMemory, threads }: ModuleOptions,
): ProgramModule {
  const module = new ModuleAssembler(memoryImport(sharedMemory));
  const plan = planPhases(kernels, phases);
  const sharedWork = sharedWorkOf(plan);
  const worth = sharedMemory ? Math.max(1, Math.min(threads, Math.floor(sharedWork / workPerThread))) : 1;
  const innermost = kernels.flatMap(kernelsOf);
  const kernelBytes = innermost.reduce((most, kernel) => Math.max(most, kernel.scratchBytes), 0);
  // The tables of loops follow the kernels' own scratch.
  const tablesFrom = Math.ceil(kernelBytes / 64) * 64;
  const scratchBytes = Math.max(kernelBytes, tablesFrom + tableBytesOf(kernels));

  const indices = printFunctions(module, innermost.map((kernel) => kernel.entry), features);
  const seconds = control.barrierSeconds + Math.ceil((patience * plan.reduce((total, { cost }) => total + cost, 0)) / 1e9);
  const barriers = worth === 1 ? undefined : { plain: addBarrier(module, 0, seconds), clearing: claimsAny(plan) ? addBarrier(module, worth, seconds) : undefined };
  const run = new RunWriter((entry) => module.indirect(indices.get(entry)!), scratchBytes > 0 ? bufferCount : undefined);
  writePhases(run, plan, { threads: worth, barriers, tablesFrom });
  module.exportFunction("run", module.addFunction({ parameters: ["i32", "i32", "i32"], results: [], locals: run.locals, code: run.code }));
  return { bytes: module.finish(), threads: worth, wakes: sharedWork >= workWorthWaking, scratchBytes };
}

interface RunOptions {
  readonly threads: number;
  /** Undefined where one thread runs all. "clearing" also clears what was claimed. */
  readonly barriers: { readonly plain: TablePlace; readonly clearing: TablePlace | undefined } | undefined;
  /** Byte of a thread's scratch at which the tables of loops begin. */
  readonly tablesFrom: number;
}

function writePhases(run: RunWriter, plan: readonly PlannedPhase[], options: RunOptions): void {
  const { threads, barriers } = options;
  plan.forEach((phase, index) => {
    if (barriers === undefined) for (const kernel of phase.kernels) run.whole(kernel);
    else if (phase.loop === undefined) {
      const claimed = claimedOf(phase);
      phase.kernels.forEach((kernel, position) => {
        if (!phase.shared) run.onThread(kernel, 0);
        else if (claimed.includes(kernel)) return;
        else if (isSplit(kernel)) run.share(kernel);
        else run.onThread(kernel, position);
      });
      if (claimed.length > 0) run.claim(claimed.map((kernel) => ({ kernel, pieces: piecesOf(kernel, threads) })));
      const next = plan[index + 1];
      // What one thread runs, and then runs on with, needs no barrier.
      if (next === undefined || next.shared || phase.shared) run.barrier(claimed.length > 0 ? barriers.clearing! : barriers.plain);
    }
    if (phase.loop !== undefined) writeLoop(run, phase.loop, phase.shared, options);
  });
}

/** A loop; where its work is not shared one thread runs all of it. */
function writeLoop(run: RunWriter, { loop, plan }: PlannedLoop, shared: boolean, options: RunOptions): void {
  const { barriers } = options;
  const write = (): void => {
    run.start(loop);
    if (barriers !== undefined && shared && loop.starts.length > 0) run.barrier(barriers.plain);
    run.repeat(loop, options.tablesFrom, () => {
      const inside: RunOptions = { ...options, tablesFrom: options.tablesFrom + tableBytes(loop), ...(shared ? {} : { barriers: undefined }) };
      writePhases(run, plan, inside);
    });
  };
  if (barriers === undefined) write();
  else {
    if (shared) write();
    else run.alone(write);
    run.barrier(barriers.plain);
  }
}

interface PlannedLoop {
  readonly loop: LoweredLoop;
  readonly plan: readonly PlannedPhase[];
}

const isLoop = (kernel: Lowered): kernel is LoweredLoop => "table" in kernel;

function kernelsOf(kernel: Lowered): LoweredKernel[] {
  return isLoop(kernel) ? kernel.kernels.flatMap(kernelsOf) : [kernel];
}

function tableBytes({ table }: LoweredLoop): number {
  return Math.ceil((4 * table.length) / 64) * 64;
}

/** Bytes of the tables that are in use at one time, at most. */
function tableBytesOf(kernels: readonly Lowered[]): number {
  return kernels.reduce((most, kernel) => (isLoop(kernel) ? Math.max(most, tableBytes(kernel) + tableBytesOf(kernel.kernels)) : most), 0);
}

interface PlannedPhase {
  /** The dearest last. */
  readonly kernels: readonly LoweredKernel[];
  /** A loop has a phase of its own. */
  readonly loop?: PlannedLoop;
  readonly cost: number;
  readonly shared: boolean;
}

function planPhases(kernels: readonly Lowered[], phases: readonly (readonly number[])[]): PlannedPhase[] {
  return phases.flatMap((phase) => {
    const all = phase.map((index) => kernels[index]!);
    const plain = all.filter((kernel): kernel is LoweredKernel => !isLoop(kernel));
    return [...(plain.length > 0 ? [planPhase(plain)] : []), ...all.filter(isLoop).map(planLoop)];
  });
}

function planPhase(kernels: readonly LoweredKernel[]): PlannedPhase {
  const busy = kernels.filter((kernel) => kernel.units > 0).sort((a, b) => a.cost - b.cost);
  const cost = busy.reduce((total, kernel) => total + kernel.cost, 0);
  return { kernels: busy, cost, shared: cost >= splitPhase && (busy.length > 1 || busy.some(isSplit)) };
}

function planLoop(loop: LoweredLoop): PlannedPhase {
  const plan = planPhases(loop.kernels, loop.phases);
  const cost = loop.length * plan.reduce((total, phase) => total + phase.cost, 0);
  return { kernels: [], loop: { loop, plan }, cost, shared: plan.some((phase) => phase.shared) };
}

/** Nanoseconds of the work that threads share. */
function sharedWorkOf(plan: readonly PlannedPhase[]): number {
  return plan.reduce((total, { loop, shared, cost }) => total + (loop !== undefined ? loop.loop.length * sharedWorkOf(loop.plan) : shared ? cost : 0), 0);
}

function claimsAny(plan: readonly PlannedPhase[]): boolean {
  return plan.some((phase) => claimedOf(phase).length > 0 || (phase.loop !== undefined && claimsAny(phase.loop.plan)));
}

function isSplit(kernel: LoweredKernel): boolean {
  return kernel.units > 1 && kernel.cost >= splitKernel;
}

/** The kernels whose shares are claimed piece by piece: the dearest that are split. */
function claimedOf({ kernels, shared }: PlannedPhase): LoweredKernel[] {
  return shared ? kernels.filter(isSplit).slice(-control.claimedSlots) : [];
}

/** Pieces of each thread's share. */
function piecesOf({ units, cost, setup }: LoweredKernel, threads: number): number {
  const affordable = setup === 0 ? mostPieces : 1 + Math.floor((pieceOverhead * cost) / threads / setup);
  return Math.max(1, Math.min(mostPieces, affordable, Math.floor(units / threads)));
}

// Locals of `run`: its parameters, then what `#shareOfOwner` computes, a thread's scratch, and for each loop around its table and count.
const outerTable = 0;
const thread = 1;
const threads = 2;
const owner = 3;
const begin = 4;
const end = 5;
const piece = 6;
const scratch = 7;
const loopLocals = 8;

/** Writes the body of `run`. */
class RunWriter {
  readonly code: Code = new Code();
  readonly #placeOf: (entry: IrFunction) => TablePlace;
  readonly #hasScratch: boolean;
  /** Loops that the code being written is in, and the most there were. */
  #depth = 0;
  #deepest = 0;

  constructor(placeOf: (entry: IrFunction) => TablePlace, scratchEntry: number | undefined) {
    this.#placeOf = placeOf;
    this.#hasScratch = scratchEntry !== undefined;
    if (scratchEntry !== undefined) {
      this.code.localGet(outerTable).localGet(thread).i32Const(2).op("i32.shl").op("i32.add").memory("i32.load", 4 * scratchEntry).localSet(scratch);
    }
  }

  get locals(): readonly "i32"[] {
    return new Array<"i32">(loopLocals - owner + 2 * this.#deepest).fill("i32");
  }

  /** The table that kernels are given: the program's, or that of the innermost loop. */
  get #table(): number {
    return this.#depth === 0 ? outerTable : loopLocals + 2 * (this.#depth - 1);
  }

  /** What `write` writes, on thread 0 alone. */
  alone(write: () => void): void {
    this.code.localGet(thread).op("i32.eqz").if();
    write();
    this.code.op("end");
  }

  /** Copies the first carries of a loop to where they change. */
  start({ starts }: LoweredLoop): void {
    if (starts.length === 0) return;
    this.alone(() => {
      for (const { from, to, bytes } of starts) {
        for (const { buffer, offset } of [to, from]) this.#address(this.#table, buffer, offset);
        this.code.i32Const(bytes).memoryCopy();
      }
    });
  }

  /** Writes a loop over its entries, with `body` inside; its table lies at byte `tableAt` of the thread's scratch. */
  repeat({ length, reverse, table }: LoweredLoop, tableAt: number, body: () => void): void {
    const { code } = this;
    const outer = this.#table;
    this.#depth++;
    this.#deepest = Math.max(this.#deepest, this.#depth);
    const own = this.#table;
    const left = own + 1;
    code.localGet(scratch).i32Const(tableAt).op("i32.add").localSet(own);
    const first = reverse ? length - 1 : 0;
    table.forEach(({ buffer, offset, stride }, entry) => {
      code.localGet(own);
      this.#address(outer, buffer, offset + first * stride);
      code.memory("i32.store", 4 * entry);
    });
    code.i32Const(length).localSet(left).loop();
    body();
    table.forEach(({ stride }, entry) => {
      if (stride === 0) return;
      code.localGet(own).localGet(own).memory("i32.load", 4 * entry).i32Const(reverse ? -stride : stride).op("i32.add").memory("i32.store", 4 * entry);
    });
    code.localGet(left).i32Const(1).op("i32.sub").localTee(left).branchIf(0).op("end");
    this.#depth--;
  }

  #address(table: number, buffer: number, offset: number): void {
    this.code.localGet(table).memory("i32.load", 4 * buffer).i32Const(offset).op("i32.add");
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
   * The pieces of this thread's shares of the kernels, then those of other threads' shares that no one has taken yet, of the dearest kernel first.
   * So a thread meets the same units in every step, what they read and write is in its core's cache, and nobody waits for a thread
   * without a core but for the piece that it has begun.
   */
  claim(kernels: readonly { readonly kernel: LoweredKernel; readonly pieces: number }[]): void {
    const { code } = this;
    code.localGet(threads).i32Const(1).op("i32.eq").if();
    for (const { kernel } of kernels) this.whole(kernel);
    code.op("else");
    code.localGet(thread).localSet(owner);
    kernels.forEach(({ kernel, pieces }, slot) => this.#piecesOfOwner(kernel, pieces, slot));
    for (let slot = kernels.length - 1; slot >= 0; slot--) {
      const { kernel, pieces } = kernels[slot]!;
      code.localGet(thread).localSet(owner).loop();
      code.localGet(owner).i32Const(1).op("i32.add").localGet(threads).op("i32.rem_u").localTee(owner);
      code.localGet(thread).op("i32.ne").if();
      this.#piecesOfOwner(kernel, pieces, slot);
      code.branch(1).op("end").op("end");
    }
    code.op("end");
  }

  /** The pieces of the owner's share that no one has taken yet, one after another. */
  #piecesOfOwner(kernel: LoweredKernel, pieces: number, slot: number): void {
    const { code } = this;
    this.#shareOfOwner(kernel);
    const from = (index: () => Code): void => {
      code.localGet(begin).localGet(end).localGet(begin).op("i32.sub");
      index().op("i32.mul").i32Const(pieces).op("i32.div_u").op("i32.add");
    };
    code.loop();
    code.localGet(owner).i32Const(4 * control.claimedWords).op("i32.mul").i32Const(1).memory("i32.atomic.rmw.add", 4 * (control.claimed + slot)).localTee(piece);
    code.i32Const(pieces).op("i32.lt_u").if();
    this.#call(kernel, () => {
      from(() => code.localGet(piece));
      from(() => code.localGet(piece).i32Const(1).op("i32.add"));
    });
    code.branch(1).op("end").op("end");
  }

  /** Sets `begin` and `end` to the bounds of the owner's share of the units. */
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
  }

  barrier(barrier: TablePlace): void {
    this.code.localGet(threads).i32Const(1).op("i32.gt_u").if().localGet(threads).callIndirect(barrier).op("end");
  }

  #call(kernel: LoweredKernel, pushRange: () => void): void {
    const { code } = this;
    code.localGet(this.#table);
    pushRange();
    if (this.#hasScratch) code.localGet(scratch);
    else code.i32Const(0);
    code.callIndirect(this.#placeOf(kernel.entry));
  }
}

/**
 * barrier(threads): the last to arrive clears what was claimed of the shares of `claimants` threads and opens the next generation, the others spin on it, then sleep.
 * Traps when the generation is −1 (another thread failed) and when a thread stays away for so many seconds, which it notes.
 */
function addBarrier(module: ModuleAssembler, claimants: number, seconds: number): TablePlace {
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
  for (let claimant = 0; claimant < claimants; claimant++) {
    code.i32Const(4 * (control.claimed + control.claimedWords * claimant)).v128Const(new Uint8Array(16)).memory("v128.store");
  }
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
  code.i32Const(seconds).localSet(left);
  code.block().loop();
  changed().branchIf(1);
  code.localGet(left).op("i32.eqz").if();
  code.i32Const(4 * control.absent).i32Const(1).memory("i32.atomic.store").op("unreachable").op("end");
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
