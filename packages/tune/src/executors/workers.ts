// The two kinds of workers on this machine: threads, which are light, and processes, which may crash alone. Each has its
// share of the cores, and what environment it is given.
import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import type { Executor } from "../trials/loop.ts";
import { RemoteExecutor } from "./remote.ts";
import { siblingFile, TrainerThread } from "./trainer-thread.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string>>;

/** How many workers, and what is around them. */
export interface WorkersOptions {
  /** Evaluations at a time. */
  readonly workers: number;
  /** Milliseconds of silence after which a process loses its trial; 10,000 by default. */
  readonly silence?: number;
  /**
   * Environment variables of the workers beside this process's own, the same for all or by the worker's number from 0.
   * NABLA_NUM_THREADS is the number of cores divided by the number of workers where nobody has set it.
   *
   * @example
   * import { processExecutor } from "@nabla/tune";
   *
   * // A GPU for each worker.
   * const executor = processExecutor(new URL("./study.ts", import.meta.url), {
   *   workers: 2,
   *   env: (worker) => ({ CUDA_VISIBLE_DEVICES: String(worker) }),
   * });
   * await executor.close();
   */
  readonly env?: Environment | ((worker: number) => Environment);
  /** Takes what workers print, as it comes; without it, it goes to this process's own stdout and stderr. */
  readonly output?: (text: string) => void;
}

/** Evaluates the study that the module at `module` (a file URL) exports as its default, in worker threads. */
export function threadExecutor(module: string | URL, options: WorkersOptions): Executor {
  const { workers, output } = options;
  return new RemoteExecutor((index, received, ended) => new TrainerThread(String(module), received, ended, { env: environmentOf(index, options), output }), workers, Infinity);
}

/** As threadExecutor, in child processes, each with a thread that beats and a thread that trains. */
export function processExecutor(module: string | URL, options: WorkersOptions): Executor {
  const { workers, silence = 10_000, output } = options;
  const stream = output === undefined ? "inherit" : "pipe";
  return new RemoteExecutor((index, received, ended) => {
    const child = fork(siblingFile("agent"), [String(module), String(Math.ceil(silence / 5))], {
      serialization: "advanced", stdio: ["ignore", stream, stream, "ipc"], env: environmentOf(index, options),
    });
    if (output !== undefined) for (const out of [child.stdout, child.stderr]) out?.setEncoding("utf8").on("data", output);
    child.on("message", received);
    child.on("error", () => undefined); // an exit follows, or the process never started and has exited already
    child.on("exit", (code, signal) => { ended(`the worker process ended ${signal === null ? `with code ${String(code)}` : `by ${signal}`}`); });
    return {
      post: (message) => { if (child.connected) child.send(message, () => undefined); },
      kill: () => { child.kill("SIGKILL"); },
    };
  }, workers, silence);
}

function environmentOf(worker: number, { workers, env = {} }: WorkersOptions): NodeJS.ProcessEnv {
  const threads = String(Math.max(1, Math.floor(availableParallelism() / workers)));
  return { NABLA_NUM_THREADS: threads, ...process.env, ...(typeof env === "function" ? env(worker) : env) };
}
