// The device's line to its engine: a direct one where the caller may block, a queue of messages to a worker elsewhere.
// Commands keep their order on both; failures of queued ones surface at the next answer.
import { DeviceError, OutOfMemoryError } from "../errors.ts";
import { controlLayout } from "./control.ts";
import { createEngine, type Failure } from "./engine.ts";
import type { Host, HostWorker } from "./host.ts";
import { type Answer, type Command, type EngineSetup, engineSource, poolSource } from "./worker.ts";

export interface EngineLink {
  reserve(bytes: number): void;
  load(id: number, bytes: Uint8Array<ArrayBuffer>): void;
  unload(id: number): void;
  run(id: number, address: number, table: Int32Array, threads: number, wakes: boolean): void;
  write(address: number, bytes: Uint8Array): void;
  read(address: number, length: number): Promise<Uint8Array>;
  /** Only where the host is synchronous. */
  readSync(address: number, into: Uint8Array): void;
  /** Rejects with the first failure since the last answer. */
  finish(): Promise<void>;
  startThreads(): void;
  threadsReady(): number;
  dispose(): Promise<void>;
}

/** Starts an engine where `host` wants it. `refused` is told when memory asked for earlier turns out not to be there beyond so many bytes. */
export function linkEngine(host: Host, threads: number, refused: (capacity: number) => void): EngineLink {
  return host.synchronous ? directLink(host, threads) : queuedLink(host, threads, refused);
}

function errorOf({ failure, message }: Failure): DeviceError {
  switch (failure) {
    case "memory":
      return new OutOfMemoryError(message);
    case "thread":
      return new DeviceError(message, "The device is usable; values the failed run wrote are not. Run with NABLA_NUM_THREADS=1 to tell whether threads matter.");
    case "program":
      return new DeviceError(message, "The device is usable; values the failed run wrote are not. Please report the program.");
  }
}

function isFailure(error: unknown): error is Failure {
  return typeof error === "object" && error !== null && "failure" in error && "message" in error;
}

function directLink(host: Host, threads: number): EngineLink {
  const engine = createEngine(
    {
      threads,
      sharedMemory: host.sharedMemory,
      compileModule: (bytes) => host.compileModule(bytes),
      spawn: (failed) => host.spawn(poolSource(), { message: () => {}, failed }),
    },
    controlLayout,
  );
  const guarded = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      throw isFailure(error) ? errorOf(error) : error;
    }
  };
  return {
    reserve: (bytes) => guarded(() => engine.reserve(bytes)),
    load: (id, bytes) => guarded(() => engine.load(id, bytes)),
    unload: (id) => engine.unload(id),
    run(id, address, table, count, wakes) {
      try {
        engine.run(id, address, table, count, wakes);
      } catch (error) {
        throw isFailure(error) ? errorOf(error) : error;
      }
    },
    write: (address, bytes) => engine.write(address, bytes),
    read(address, length) {
      const into = new Uint8Array(length);
      engine.read(address, into);
      return Promise.resolve(into);
    },
    readSync: (address, into) => engine.read(address, into),
    finish: () => Promise.resolve(),
    startThreads: () => engine.startThreads(),
    threadsReady: () => engine.threads(),
    dispose() {
      engine.dispose();
      return Promise.resolve();
    },
  };
}

function queuedLink(host: Host, threads: number, refused: (capacity: number) => void): EngineLink {
  let queue: Command[] = [];
  let transfers: ArrayBuffer[] = [];
  let nextTicket = 0;
  /** Bytes of memory asked for. */
  let reserved = 0;
  let threadsReady = 1;
  let stopped: DeviceError | undefined;
  const waiting = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>();

  const stop = (reason: string): void => {
    stopped = new DeviceError(`The engine's worker stopped: ${reason}.`, "Create a new device; its buffers are lost.");
    for (const { reject } of waiting.values()) reject(stopped);
    waiting.clear();
  };
  const worker: HostWorker = host.spawn(engineSource(), {
    message(message) {
      const { ticket, bytes, failure, threads: ready, capacity } = message as Answer;
      threadsReady = ready;
      if (failure?.failure === "memory" && reserved > capacity) {
        // It may be there another time.
        reserved = capacity;
        refused(capacity);
      }
      const asker = waiting.get(ticket);
      waiting.delete(ticket);
      if (failure === undefined) asker?.resolve(bytes ?? new Uint8Array(0));
      else asker?.reject(errorOf(failure));
    },
    failed: stop,
  });
  worker.post({ threads, sharedMemory: host.sharedMemory } satisfies EngineSetup);

  const flush = (): void => {
    if (queue.length === 0 || stopped !== undefined) return;
    worker.post(queue, transfers);
    queue = [];
    transfers = [];
  };
  const send = (command: Command): void => {
    if (stopped !== undefined) throw stopped;
    // One message a turn of the event loop: posting costs more than most commands.
    if (queue.length === 0) queueMicrotask(flush);
    queue.push(command);
  };
  const ask = (command: (ticket: number) => Command): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      const ticket = nextTicket++;
      send(command(ticket));
      waiting.set(ticket, { resolve, reject });
    });

  return {
    reserve(bytes) {
      if (bytes <= reserved) return;
      reserved = bytes;
      send({ kind: "reserve", bytes });
    },
    load: (id, bytes) => send({ kind: "load", id, bytes }),
    unload: (id) => send({ kind: "unload", id }),
    run: (id, address, table, count, wakes) => send({ kind: "run", id, address, table: table.slice(), threads: count, wakes }),
    write(address, data) {
      const bytes = data.slice();
      transfers.push(bytes.buffer);
      send({ kind: "write", address, bytes });
    },
    read: (address, length) => ask((ticket) => ({ kind: "read", ticket, address, length })),
    readSync() {
      throw new DeviceError("The engine's worker cannot be read synchronously.", "Await the value instead.");
    },
    async finish() {
      await ask((ticket) => ({ kind: "finish", ticket }));
    },
    startThreads: () => send({ kind: "startThreads" }),
    threadsReady: () => threadsReady,
    dispose() {
      worker.terminate();
      stop("the device was disposed");
      return Promise.resolve();
    },
  };
}
