// What the wasm device needs of the platform it runs on: threads, and how code is compiled.
// Node's is in node/host.ts and installed by Node's entry; a browser's is here.
import { PlatformError } from "../errors.ts";

/** The worker's end of a channel, as its source sees it. */
export interface Port {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  listen(handler: (message: unknown) => void): void;
}

/** The spawner's end. */
export interface HostWorker {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  terminate(): void;
}

export interface WorkerEvents {
  readonly message: (message: unknown) => void;
  /** The worker stopped on its own. */
  readonly failed: (reason: string) => void;
}

export interface Host {
  /** With its version, e.g. "Node 24.21.0". */
  readonly name: string;
  /** True where the calling thread may block; else the engine lives in a worker of its own. */
  readonly synchronous: boolean;
  /** Threads worth using, the caller's included. */
  readonly threads: number;
  /** Whether memory can be shared between threads here. */
  readonly sharedMemory: boolean;
  /** Compiles to the best code there is before it returns. Only called where `synchronous`. `fuse`: pairs of vectors too (default true). */
  compileModule(bytes: Uint8Array<ArrayBuffer>, fuse?: boolean): WebAssembly.Module;
  /** Memory whose content is not specified, where the platform has such. */
  uninitialised?(bytes: number): ArrayBuffer;
  /** Starts a worker on `source`: the text of one self-contained function that takes a {@link Port}. It never keeps the process alive. */
  spawn(source: string, events: WorkerEvents): HostWorker;
}

let installed: Host | undefined;

/** Sets the platform; Node's entry calls it. */
export function installHost(host: Host): void {
  installed = host;
}

/** The installed platform, or the browser. */
export function currentHost(): Host {
  return (installed ??= browserHost());
}

/** The page's platform; throws {@link PlatformError} where there is neither a page nor a worker around. */
export function browserHost(): Host {
  if (typeof Worker === "undefined" || typeof Blob === "undefined") {
    throw new PlatformError("No platform is installed, and this is not a browser.", 'In Node, import "nabla" (its Node entry installs the platform).');
  }
  return {
    name: navigator.userAgent,
    synchronous: false,
    threads: Math.max(1, navigator.hardwareConcurrency || 1),
    sharedMemory: globalThis.crossOriginIsolated === true && typeof SharedArrayBuffer !== "undefined",
    compileModule: (bytes) => new WebAssembly.Module(bytes),
    spawn(source, events) {
      const url = URL.createObjectURL(new Blob([browserPrologue, source, ")(port);"], { type: "text/javascript" }));
      const worker = new Worker(url);
      worker.onmessage = (event: MessageEvent<unknown>) => events.message(event.data);
      worker.onerror = (event) => events.failed(event.message || "its script did not load (a Content-Security-Policy must allow blob: as worker-src)");
      return {
        post: (message, transfer = []) => worker.postMessage(message, [...transfer]),
        terminate() {
          worker.terminate();
          URL.revokeObjectURL(url);
        },
      };
    },
  };
}

/** Gives a web worker's source its port; the source and `)(port);` follow. */
export const browserPrologue = `"use strict";
const port = {
  post: (message, transfer) => postMessage(message, transfer ?? []),
  listen: (handler) => { onmessage = (event) => handler(event.data); },
};
(`;
