// Starts a training thread and carries messages to it; answers to suggestions go by a port of their own, because
// the thread reads them while its event loop stands still.
import { MessageChannel, Worker } from "node:worker_threads";
import type { FromWorker, ToWorker } from "./protocol.ts";
import type { TrainerData } from "./trainer.ts";

/** A file of this package, in source or built form. */
export function siblingFile(name: string): URL {
  return new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
}

/** What a thread finds around it: this process's environment and streams by default. */
export interface ThreadSurroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly output?: ((text: string) => void) | undefined;
}

export class TrainerThread {
  private readonly worker: Worker;
  private readonly answers: MessageChannel["port1"];
  private readonly signal: Int32Array;

  /** `module` is the URL of the study's module; `ended` is called once, when the thread is gone. */
  constructor(module: string, received: (message: FromWorker) => void, ended: (reason: string) => void, { env = process.env, output }: ThreadSurroundings = {}) {
    const { port1, port2 } = new MessageChannel();
    this.answers = port1;
    this.signal = new Int32Array(new SharedArrayBuffer(4));
    const data: TrainerData = { module, answers: port2, signal: this.signal };
    this.worker = new Worker(siblingFile("trainer"), { workerData: data, transferList: [port2], env, stdout: output !== undefined, stderr: output !== undefined });
    if (output !== undefined) for (const stream of [this.worker.stdout, this.worker.stderr]) stream.setEncoding("utf8").on("data", output);
    let reason = "";
    this.worker.on("message", received);
    this.worker.on("error", (error) => { reason = String(error); });
    this.worker.on("exit", (code) => {
      port1.close();
      ended(reason === "" ? `the training thread ended with code ${code}` : reason);
    });
  }

  post(message: ToWorker): void {
    if (message.type !== "suggested" && message.type !== "refused") {
      this.worker.postMessage(message);
      return;
    }
    this.answers.postMessage(message);
    Atomics.store(this.signal, 0, 1);
    Atomics.notify(this.signal, 0);
  }

  kill(): void {
    void this.worker.terminate();
  }
}
