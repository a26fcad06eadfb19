// The engine: the one place that touches device memory. It holds the memory, the compiled programs and the pool of threads.
// It runs on the calling thread in Node and, sent as text, in a worker of its own in a browser.
import type { ControlLayout } from "./control.ts";
import type { HostWorker } from "./host.ts";

/** What the engine throws: plain data, so that it crosses threads. */
export interface Failure {
  readonly failure: "memory" | "program" | "thread";
  readonly message: string;
}

/** What the engine tells a pool thread: memory first, then each program before its first run. */
export interface PoolMessage {
  readonly memory?: WebAssembly.Memory;
  readonly load?: { readonly id: number; readonly module: WebAssembly.Module };
  readonly unload?: number;
}

export interface EnginePlatform {
  readonly threads: number;
  readonly sharedMemory: boolean;
  compileModule(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module;
  /** Starts a pool thread; `failed` is called when it stops on its own. */
  spawn(failed: (reason: string) => void): HostWorker;
}

export interface Engine {
  /** Grows memory to at least `bytes`. */
  reserve(bytes: number): void;
  load(id: number, bytes: Uint8Array<ArrayBuffer>): void;
  unload(id: number): void;
  /** Puts `table` at `address` and runs program `id` on at most `threads` threads; unless `wakes`, on one while the others sleep. */
  run(id: number, address: number, table: Int32Array, threads: number, wakes: boolean): void;
  write(address: number, bytes: Uint8Array): void;
  read(address: number, into: Uint8Array): void;
  /** Threads ready now, the caller's included. */
  threads(): number;
  /** Starts the pool, which the first program worth it does by itself when it runs again. */
  startThreads(): void;
  /** Bytes of memory held. */
  capacity(): number;
  dispose(): void;
}

/** Sent as text to a browser's worker: it must not name anything outside itself but its arguments. */
export function createEngine(platform: EnginePlatform, layout: ControlLayout): Engine {
  type Run = (table: number, thread: number, threads: number) => void;
  interface Loaded {
    readonly module: WebAssembly.Module;
    readonly run: Run;
    sent: boolean;
    repeated: boolean;
  }
  const page = 65_536;
  const fail = (failure: Failure["failure"], message: string): never => {
    // oxlint-disable-next-line typescript/only-throw-error -- plain data crosses threads; the device makes the error
    throw { failure, message } satisfies Failure;
  };

  const createMemory = (): WebAssembly.Memory => {
    for (let maximum = 65_536; ; maximum /= 2) {
      try {
        return new WebAssembly.Memory({ initial: 16, maximum, shared: platform.sharedMemory });
      } catch (error) {
        if (maximum <= 1024) return fail("memory", `WebAssembly memory of ${maximum / 16} MiB was refused (${String(error)}).`);
      }
    }
  };

  const memory = createMemory();
  let bytes = new Uint8Array(memory.buffer);
  let words = new Int32Array(memory.buffer);
  const programs = new Map<number, Loaded>();
  let workers: HostWorker[] = [];
  let ready = 1;
  let epoch = 0;
  /** A pool that lost a thread is not started again: what it left behind in the control words is unknown. */
  let lost = false;

  const refreshViews = (): void => {
    bytes = new Uint8Array(memory.buffer);
    words = new Int32Array(memory.buffer);
  };

  const postToAll = (message: PoolMessage): void => {
    for (const worker of workers) worker.post(message);
  };

  const startThreads = (): void => {
    if (workers.length > 0 || lost || !platform.sharedMemory) return;
    try {
      for (let index = 1; index < platform.threads; index++) workers.push(platform.spawn(() => stopThreads()));
      postToAll({ memory });
    } catch {
      // A platform that refuses workers has one thread.
      stopThreads();
    }
  };

  const stopThreads = (): void => {
    for (const worker of workers) worker.terminate();
    workers = [];
    ready = 1;
    lost = true;
  };

  const readyThreads = (): number => {
    if (ready <= workers.length) ready = 1 + Atomics.load(words, layout.ready);
    return ready;
  };

  const programFailure = (error: unknown): Failure => ({ failure: "program", message: `The program failed: ${String(error)}.` });

  const failureOfThread = (): Failure => {
    const first = layout.failureLength + 1;
    const text = String.fromCharCode(...words.subarray(first, first + words[layout.failureLength]!));
    return { failure: "thread", message: `Thread ${words[layout.failure]! - 1} failed: ${text}.` };
  };

  /** Waits until threads 1 … threads − 1 are done with `command`; false when one is lost. */
  const settle = (command: number, threads: number): boolean => {
    const until = performance.now() + 1000 * (Atomics.load(words, layout.absent) === 0 ? layout.settleSeconds : layout.absentSeconds);
    for (let thread = 1; thread < threads; thread++) {
      while (Atomics.load(words, layout.completed + thread) !== command) {
        if (performance.now() > until) return false;
        Atomics.wait(words, layout.completed + thread, Atomics.load(words, layout.completed + thread), 1);
      }
    }
    return true;
  };

  /** Leaves the pool as if the failed run had not been, or without threads when one is lost. */
  const recover = (error: unknown, command: number, threads: number): Failure => {
    const failedFirst = Atomics.compareExchange(words, layout.failure, 0, 1) === 0;
    Atomics.store(words, layout.generation, -1);
    Atomics.notify(words, layout.generation);
    if (!settle(command, threads)) {
      stopThreads();
      return { failure: "thread", message: "A thread did not answer; the device goes on with one thread." };
    }
    const failure = failedFirst ? programFailure(error) : failureOfThread();
    for (const word of [layout.generation, layout.arrived, layout.barrierSleepers, layout.absent, layout.failure]) Atomics.store(words, word, 0);
    words.fill(0, layout.claimed, layout.claimed + layout.claimedWords * platform.threads);
    return failure;
  };

  /** Publishes a command for `threads` threads and returns its epoch. */
  const call = (threads: number): number => {
    epoch = ((epoch & ~0xff) + 0x100 + threads) | 0;
    Atomics.store(words, layout.epoch, epoch);
    if (Atomics.load(words, layout.idleSleepers) > 0) Atomics.notify(words, layout.epoch);
    return epoch;
  };

  const runOnAll = (id: number, program: Loaded, address: number, threads: number): void => {
    if (!program.sent) {
      program.sent = true;
      postToAll({ load: { id, module: program.module } });
    }
    words[layout.program] = id;
    words[layout.table] = address;
    const command = call(threads);
    try {
      program.run(address, 0, threads);
    } catch (error) {
      const failure = recover(error, command, threads);
      fail(failure.failure, failure.message);
    }
  };

  /** A page goes on for a while after memory was refused it. */
  const requireMemory = (end: number): void => {
    if (end > bytes.length) fail("memory", `The value lies beyond the ${Math.round(bytes.length / 2 ** 20)} MiB of memory that there are.`);
  };

  return {
    reserve(end) {
      const missing = end - bytes.length;
      if (missing <= 0) return;
      const wanted = Math.ceil(missing / page);
      // Growing costs the same for any size: grow by an eighth at least, as far as the limit lets it.
      for (const pages of [Math.max(wanted, Math.ceil(bytes.length / 8 / page)), wanted]) {
        try {
          memory.grow(pages);
          refreshViews();
          return;
        } catch {
          // The smaller step is tried next.
        }
      }
      fail("memory", `Memory of ${Math.round(bytes.length / 2 ** 20)} MiB cannot grow by ${Math.ceil(missing / 2 ** 20)} MiB.`);
    },

    load(id, code) {
      const module = platform.compileModule(code);
      const run = new WebAssembly.Instance(module, { nabla: { memory } }).exports["run"] as Run;
      programs.set(id, { module, run, sent: false, repeated: false });
    },

    unload(id) {
      if (programs.get(id)?.sent === true) postToAll({ unload: id });
      programs.delete(id);
    },

    run(id, address, table, threads, wakes) {
      const program = programs.get(id);
      if (program === undefined) return fail("program", `Program ${id} is not loaded.`);
      words.set(table, address >>> 2);
      // A program that runs once is over before threads have started.
      if (threads > 1 && program.repeated) startThreads();
      program.repeated = true;
      const parties = threads > 1 ? Math.min(threads, readyThreads()) : 1;
      if (parties > 1) {
        if (wakes || Atomics.load(words, layout.idleSleepers) === 0) {
          runOnAll(id, program, address, parties);
          return;
        }
        call(0);
      }
      try {
        program.run(address, 0, 1);
      } catch (error) {
        const { failure, message } = programFailure(error);
        fail(failure, message);
      }
    },

    write(address, data) {
      requireMemory(address + data.length);
      bytes.set(data, address);
    },

    read(address, into) {
      requireMemory(address + into.length);
      into.set(bytes.subarray(address, address + into.length));
    },

    threads: readyThreads,
    startThreads,
    capacity: () => bytes.length,

    dispose() {
      stopThreads();
      programs.clear();
    },
  };
}
