// The code of the workers. Each function here is sent as text: it must not name anything outside itself but its arguments.
import { type ControlLayout, controlLayout } from "./control.ts";
import { createEngine, type Engine, type EnginePlatform, type Failure, type PoolMessage } from "./engine.ts";
import { browserPrologue, type HostWorker, type Port } from "./host.ts";

/** A pool thread: waits for commands in shared memory, runs its share, and returns to its message queue only for a program it does not know. */
export function poolThread(port: Port, layout: ControlLayout): void {
  type Run = (table: number, thread: number, threads: number) => void;
  const programs = new Map<number, Run>();
  let memory: WebAssembly.Memory;
  let words: Int32Array;
  let thread = 0;
  let seen = 0;

  const awaitCommand = (): number => {
    for (;;) {
      const until = performance.now() + layout.idleSpinMilliseconds;
      do {
        for (let round = 0; round < 256; round++) {
          const command = Atomics.load(words, layout.epoch);
          if (command !== seen) return command;
        }
      } while (performance.now() < until);
      Atomics.add(words, layout.idleSleepers, 1);
      Atomics.wait(words, layout.epoch, seen);
      Atomics.sub(words, layout.idleSleepers, 1);
    }
  };

  const reportFailure = (error: unknown): void => {
    if (Atomics.compareExchange(words, layout.failure, 0, thread + 1) === 0) {
      const text = String(error).slice(0, 200);
      for (let index = 0; index < text.length; index++) words[layout.failureLength + 1 + index] = text.charCodeAt(index);
      words[layout.failureLength] = text.length;
    }
    Atomics.store(words, layout.generation, -1);
    Atomics.notify(words, layout.generation);
  };

  const serve = (): void => {
    for (;;) {
      const command = awaitCommand();
      const threads = command & 0xff;
      if (thread < threads) {
        const run = programs.get(words[layout.program]!);
        if (run === undefined) return;
        try {
          run(words[layout.table]!, thread, threads);
        } catch (error) {
          reportFailure(error);
        }
        Atomics.store(words, layout.completed + thread, command);
      }
      seen = command;
    }
  };

  port.listen((message) => {
    const { memory: given, load, unload } = message as PoolMessage;
    if (given !== undefined) {
      memory = given;
      words = new Int32Array(memory.buffer, 0, layout.end / 4);
      seen = Atomics.load(words, layout.epoch);
      thread = Atomics.add(words, layout.ready, 1) + 1;
    }
    if (load !== undefined) {
      programs.set(load.id, new WebAssembly.Instance(load.module, { nabla: { memory } }).exports["run"] as Run);
    }
    if (unload !== undefined) programs.delete(unload);
    serve();
  });
}

/** One entry of the queue that a page sends its engine. */
export type Command =
  | { readonly kind: "reserve"; readonly bytes: number }
  | { readonly kind: "load"; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "unload"; readonly id: number }
  | { readonly kind: "run"; readonly id: number; readonly address: number; readonly table: Int32Array; readonly threads: number; readonly wakes: boolean }
  | { readonly kind: "startThreads" }
  | { readonly kind: "write"; readonly address: number; readonly bytes: Uint8Array }
  | { readonly kind: "read"; readonly ticket: number; readonly address: number; readonly length: number }
  | { readonly kind: "finish"; readonly ticket: number };

/** What the engine answers to "read" and "finish". After a failure, programs are not run until one answer has told it. */
export interface Answer {
  readonly ticket: number;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  readonly failure?: Failure;
  readonly threads: number;
  /** Bytes of memory held. */
  readonly capacity: number;
}

/** What the engine's worker is started with. */
export interface EngineSetup {
  readonly threads: number;
  readonly sharedMemory: boolean;
}

/** The engine's own worker in a browser: executes a page's commands in order. */
export function engineThread(port: Port, layout: ControlLayout, makeEngine: typeof createEngine, poolSource: string): void {
  let engine: Engine;
  let failure: Failure | undefined;

  const spawn: EnginePlatform["spawn"] = (failed): HostWorker => {
    const worker = new Worker(URL.createObjectURL(new Blob([poolSource], { type: "text/javascript" })));
    worker.onerror = (event) => failed(event.message);
    return { post: (message) => worker.postMessage(message), terminate: () => worker.terminate() };
  };

  /** A command without an answer. */
  const perform = (command: Exclude<Command, { readonly ticket: number }>): void => {
    switch (command.kind) {
      case "reserve":
        return engine.reserve(command.bytes);
      case "load":
        return engine.load(command.id, command.bytes);
      case "unload":
        return engine.unload(command.id);
      case "run":
        return engine.run(command.id, command.address, command.table, command.threads, command.wakes);
      case "startThreads":
        return engine.startThreads();
      case "write":
        return engine.write(command.address, command.bytes);
    }
  };

  const attempt = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      const known = error as Partial<Failure>;
      failure ??= { failure: known.failure ?? "program", message: known.message ?? String(error) };
    }
  };

  const answer = (ticket: number, read?: { readonly address: number; readonly length: number }): void => {
    let bytes: Uint8Array<ArrayBuffer> | undefined;
    if (read !== undefined && failure === undefined) {
      attempt(() => {
        bytes = new Uint8Array(read.length);
        engine.read(read.address, bytes);
      });
    }
    const state = { ticket, threads: engine.threads(), capacity: engine.capacity() };
    if (failure !== undefined) port.post({ ...state, failure } satisfies Answer);
    else if (bytes === undefined) port.post(state satisfies Answer);
    else port.post({ ...state, bytes } satisfies Answer, [bytes.buffer]);
    failure = undefined;
  };

  port.listen((message) => {
    if (!Array.isArray(message)) {
      const { threads, sharedMemory } = message as EngineSetup;
      engine = makeEngine({ threads, sharedMemory, compileModule: (bytes) => new WebAssembly.Module(bytes), spawn }, layout);
      return;
    }
    for (const command of message as readonly Command[]) {
      if (command.kind === "read") answer(command.ticket, command);
      else if (command.kind === "finish") answer(command.ticket);
      else if (failure === undefined || command.kind !== "run") attempt(() => perform(command));
    }
  });
}

const layoutText = JSON.stringify(controlLayout);

/** A pool thread as a function of its port. */
export function poolSource(): string {
  return `(port) => (${poolThread})(port, ${layoutText})`;
}

/** The engine's worker as a function of its port. */
export function engineSource(): string {
  const pool = JSON.stringify(`${browserPrologue}${poolSource()})(port);`);
  return `(port) => (${engineThread})(port, ${layoutText}, ${createEngine}, ${pool})`;
}
