// The loop that keeps every worker of an executor busy until the budget, the time or the space is spent.
// How an evaluation is carried out is the executor's matter; what becomes of it is the master's.
import type { Master, Outcome } from "./master.ts";
import type { TrialInit } from "./trial.ts";

/** Carries out evaluations: here, in threads, or in processes. */
export interface Executor {
  /** Evaluations at a time. */
  readonly slots: number;
  /** Evaluates one trial against the master; never rejects. `signal` asks for an early end. */
  run(init: TrialInit, master: Master, signal: AbortSignal): Promise<Outcome>;
  /** Ends its workers; evaluations under way are lost. */
  close(): Promise<void>;
}

export interface LoopOptions {
  /** Milliseconds after which no trial is started; Infinity by default. */
  readonly timeout: number;
  /** Milliseconds a single evaluation may take; Infinity by default. */
  readonly trialTimeout: number;
  /** What an exception of the objective does, retries spent: end the loop, or only the trial. */
  readonly failures: "stop" | "continue";
  readonly signal: AbortSignal;
  /** Called after every trial that ended. */
  readonly afterTrial: (trial: number) => void | Promise<void>;
}

/** Why the signal of an evaluation that took too long is aborted: it is to be ended by force where that is possible. */
export class TrialTimeout extends Error {
  override readonly name: string = "TrialTimeout";
}

/** How often a shared study looks for lost workers, in milliseconds. */
const REAP_INTERVAL = 1000;

/** Evaluates until nothing is left to start; rejects with the first failure when failures stop. */
export async function runLoop(master: Master, executor: Executor, options: LoopOptions): Promise<void> {
  const deadline = performance.now() + options.timeout;
  const inFlight = new Set<Promise<void>>();
  let failure: Error | null = null;
  const halted = (): boolean => failure !== null || options.signal.aborted || performance.now() >= deadline;
  await master.reap();
  let reaped = performance.now();

  const evaluate = async (init: TrialInit): Promise<void> => {
    const outcome = master.check(init.number, await timed(init, master, executor, options));
    const filed = await master.finish(init.number, init.fence, outcome);
    if (filed !== "finished") return;
    if (outcome.kind === "failed" && outcome.cause !== undefined && options.failures === "stop") failure ??= outcome.cause;
    master.afterTrial(init.number);
    await options.afterTrial(init.number);
  };

  while (!halted()) {
    if (inFlight.size >= executor.slots) { await Promise.race(inFlight); continue; }
    if (master.store.shared && performance.now() - reaped > REAP_INTERVAL) { await master.reap(); reaped = performance.now(); }
    const init = await master.next();
    if (init === null) {
      // A running trial may yet fail and be retried, be forked, or promote a paused one; one of another master may be lost.
      if (inFlight.size > 0) await Promise.race(inFlight);
      else if (master.othersAtWork()) await master.store.wait(REAP_INTERVAL);
      else break;
      continue;
    }
    const work: Promise<void> = evaluate(init).catch((error: unknown) => { failure ??= asError(error); }).finally(() => inFlight.delete(work));
    inFlight.add(work);
  }
  await Promise.all(inFlight);
  await master.store.flush();
  if (failure !== null) throw failure as Error;
}

async function timed(init: TrialInit, master: Master, executor: Executor, options: LoopOptions): Promise<Outcome> {
  if (options.trialTimeout === Infinity) return executor.run(init, master, options.signal);
  const control = new AbortController();
  const signal = AbortSignal.any([control.signal, options.signal]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => {
      const error = `the evaluation took longer than ${options.trialTimeout} ms`;
      control.abort(new TrialTimeout(error));
      resolve({ kind: "failed", error });
    }, options.trialTimeout);
  });
  const outcome = await Promise.race([executor.run(init, master, signal), late]);
  clearTimeout(timer);
  return outcome;
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
