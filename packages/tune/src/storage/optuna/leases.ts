// The leases of a master: a thread of its own renews them, so that a busy main thread loses nothing.
import { Worker } from "node:worker_threads";
import type { HeartbeatData } from "./heartbeat.ts";

export class Leases {
  /** Seconds until an unrenewed lease ends. */
  readonly seconds: number;
  readonly #address: string;
  /** When the thread last renewed, by process.hrtime; 0 before the first lease. */
  readonly #renewed = new BigInt64Array(new SharedArrayBuffer(8));
  #thread: Worker | null = null;

  constructor(address: string, seconds: number) {
    this.#address = address;
    this.seconds = seconds;
  }

  /** Whether they can still be believed in: false when they could not be renewed within their time. */
  get valid(): boolean {
    const renewed = Atomics.load(this.#renewed, 0);
    return renewed === 0n || Number(process.hrtime.bigint() - renewed) < 1e9 * this.seconds;
  }

  /** Starts the thread, unless it runs. */
  renew(owner: string): void {
    if (this.#thread !== null) return;
    Atomics.store(this.#renewed, 0, process.hrtime.bigint());
    const data: HeartbeatData = { address: this.#address, owner, lease: this.seconds, renewed: this.#renewed };
    const file = new URL(`./heartbeat${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
    this.#thread = new Worker(file, { workerData: data });
    // Started anew with the next trial, should it ever fall over.
    this.#thread.on("error", () => { this.#thread = null; });
    this.#thread.unref();
  }

  /** Renews no more; the leases end by themselves. */
  async end(): Promise<void> {
    await this.#thread?.terminate();
  }
}
