// The two kinds of workers on this machine: threads, which are light, and processes, which may crash alone.
import { fork } from "node:child_process";
import type { Executor } from "../trials/loop.ts";
import { RemoteExecutor } from "./remote.ts";
import { siblingFile, TrainerThread } from "./trainer-thread.ts";

export interface WorkersOptions {
  /** Evaluations at a time. */
  readonly workers: number;
  /** Milliseconds of silence after which a process loses its trial; 10,000 by default. */
  readonly silence?: number;
}

/** Evaluates the study that the module at `module` (a file URL) exports as its default, in worker threads. */
export function threadExecutor(module: string | URL, { workers }: WorkersOptions): Executor {
  return new RemoteExecutor((received, ended) => new TrainerThread(String(module), received, ended), workers, Infinity);
}

/** As threadExecutor, in child processes, each with a thread that beats and a thread that trains. */
export function processExecutor(module: string | URL, { workers, silence = 10_000 }: WorkersOptions): Executor {
  return new RemoteExecutor((received, ended) => {
    const child = fork(siblingFile("agent"), [String(module), String(Math.ceil(silence / 5))], { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
    child.on("message", received);
    child.on("error", () => undefined); // an exit follows, or the process never started and has exited already
    child.on("exit", (code, signal) => { ended(`the worker process ended ${signal === null ? `with code ${String(code)}` : `by ${signal}`}`); });
    return {
      post: (message) => { if (child.connected) child.send(message, () => undefined); },
      kill: () => { child.kill("SIGKILL"); },
    };
  }, workers, silence);
}
