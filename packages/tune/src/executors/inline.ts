// Evaluates in the calling thread; several asynchronous objectives overlap while they wait.
import type { Fields, ObjectSpace } from "../space/builder.ts";
import type { Master, Outcome } from "../trials/master.ts";
import { asError, type Executor } from "../trials/loop.ts";
import { Trial, TrialAnswered, TrialPruned, type Metrics, type TrialChannel, type TrialInit } from "../trials/trial.ts";

/** What is optimised: returns one number, one per objective, or numbers by name. */
export type Objective<T> = (trial: Trial<T>) => Metrics | Promise<Metrics>;

/** The channel of a trial in the master's own thread. */
export function localChannel(master: Master, trial: number, fence: number, answer: boolean): TrialChannel {
  return {
    suggest(name, distribution) {
      const value = master.suggest(trial, fence, name, distribution);
      const twin = answer ? master.twin(trial) : -1;
      if (twin >= 0) throw new TrialAnswered(twin);
      return value;
    },
    report: (step, metrics, checkpoint) => master.report(trial, fence, step, metrics, checkpoint),
    constraint(name, value) { master.annotate(trial, fence, { type: "constraint", trial, name, value }); },
    attribute(key, value) { master.annotate(trial, fence, { type: "attribute", trial, scope: "user", key, value }); },
    note(text) { master.annotate(trial, fence, { type: "note", trial, text }); },
  };
}

/** Calls an objective and says how it ended. */
export async function evaluate<T>(objective: Objective<T>, trial: Trial<T>): Promise<Outcome> {
  try {
    return { kind: "values", values: await objective(trial) };
  } catch (error) {
    if (error instanceof TrialPruned) return { kind: "pruned" };
    if (error instanceof TrialAnswered) return { kind: "answered", by: error.answeredBy };
    const cause = asError(error);
    return { kind: "failed", error: `${cause.name}: ${cause.message}${placeOf(cause)}`, cause };
  }
}

/** " (study.ts:12:9)": where an error was thrown, or where one's own code called the package that threw it. */
function placeOf({ stack = "" }: Error): string {
  const frames = [...stack.matchAll(/^\s+at .*?([^/\\(\s]+:\d+:\d+)\)?$/gm)];
  const own = frames.find(([frame]) => !/node_modules|node:/.test(frame)) ?? frames[0];
  return own === undefined ? "" : ` (${decodeURIComponent(own[1]!)})`;
}

export class InlineExecutor<T> implements Executor {
  readonly slots: number;
  private readonly objective: Objective<T>;
  private readonly declared: ObjectSpace<Fields> | null;

  constructor(objective: Objective<T>, declared: ObjectSpace<Fields> | null, slots: number) {
    this.objective = objective;
    this.declared = declared;
    this.slots = slots;
  }

  run(init: TrialInit, master: Master, signal: AbortSignal): Promise<Outcome> {
    return evaluate(this.objective, new Trial<T>(init, localChannel(master, init.number, init.fence, true), this.declared, signal));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
