// Node as the platform of the wasm device: worker threads, and V8 told to compile at once and to its best.
// Imported by Node's entry only.
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { PlatformError } from "../devices/errors.ts";
import type { Host, HostWorker, WorkerEvents } from "../devices/wasm/host.ts";
import { ValueError } from "../errors/errors.ts";

/** V8's flag that fuses pairs of 128-bit vectors into 256-bit ones. */
const fuseFlag = "experimental-wasm-revectorize";

/**
 * What is off while V8 compiles: it then optimises at construction, and no first step is slow. Flags are the whole process's, so what
 * is off must do no harm to WebAssembly that other threads run meanwhile: inlining stays on, for code made with it crashes where it first
 * runs without. V8 from 14 on then aborts on direct calls, of which modules have none (assemble.ts). Kernels are unrolled already.
 */
const flagsOff = ["liftoff", "wasm-lazy-compilation", "wasm-loop-unrolling"];

/** Gives a worker's source its port; the source and `)(port);` follow. */
const workerPrologue = `"use strict";
const { parentPort } = require("node:worker_threads");
const port = {
  post: (message, transfer) => parentPort.postMessage(message, transfer),
  listen: (handler) => parentPort.on("message", handler),
};
(`;

/** The platform; throws {@link PlatformError} on Node below 22.18. */
export function nodeHost(): Host {
  checkVersion(process.versions.node);
  return {
    name: `Node ${process.versions.node} (V8 ${process.versions.v8}, ${process.platform} ${process.arch})`,
    synchronous: true,
    threads: mayStartWorkers() ? threadCount(process.env["NABLA_NUM_THREADS"], availableParallelism()) : 1,
    sharedMemory: true,
    compileModule,
    uninitialised: (bytes) => Buffer.allocUnsafeSlow(bytes).buffer,
    spawn,
  };
}

/** Throws {@link PlatformError} for a Node that is too old. */
export function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return;
  throw new PlatformError(`nabla needs Node 22.18 or newer, and this is Node ${version}.`, "Install a current Node (https://nodejs.org), or add it to your project: npm install --save-dev node@24.");
}

/** NABLA_NUM_THREADS where it is set, else what the process may use. */
export function threadCount(setting: string | undefined, available: number): number {
  if (setting === undefined || setting === "") return available;
  const count = Number(setting);
  if (!Number.isInteger(count) || count < 1) {
    throw new ValueError(`NABLA_NUM_THREADS is "${setting}".`, "Set it to a whole number from 1, or leave it unset.");
  }
  return count;
}

/** False under `node --permission` without `--allow-worker`. */
function mayStartWorkers(): boolean {
  return process.permission === undefined || process.permission.has("worker");
}

function compileModule(bytes: Uint8Array<ArrayBuffer>, fuse = true): WebAssembly.Module {
  for (const flag of flagsOff) setFlag(flag, false);
  setFlag(fuseFlag, fuse);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const flag of flagsOff.toReversed()) setFlag(flag, true);
    setFlag(fuseFlag, false);
  }
}

function setFlag(flag: string, value: boolean): void {
  setFlagsFromString(value ? `--${flag}` : `--no-${flag}`);
}

function spawn(source: string, events: WorkerEvents): HostWorker {
  const worker = new Worker(`${workerPrologue}${source})(port);`, { eval: true, execArgv: [], stdin: false });
  let terminated = false;
  worker.on("message", events.message);
  worker.on("error", (error) => events.failed(String(error)));
  worker.on("exit", (code) => {
    if (!terminated) events.failed(`it exited with code ${code}`);
  });
  worker.unref();
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    terminate() {
      terminated = true;
      void worker.terminate();
    },
  };
}
