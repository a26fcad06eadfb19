// run and resume: the module's study, a storage, a pool of workers, and the live table while they work.
import { createStudy, loadStudy, processExecutor, threadExecutor, TuneError, type Executor } from "@nabla/tune";
import { jsonLine } from "./json.ts";
import { done, LiveTable } from "./live.ts";
import type { Streams } from "./main.ts";
import { definitionOf } from "./module.ts";

export interface RunOptions {
  readonly storage?: string; readonly name?: string; readonly seed?: number; readonly workers: number; readonly trials?: number;
  /** Milliseconds. */
  readonly timeout?: number; readonly trialTimeout?: number;
  readonly failures?: "stop" | "continue"; readonly executor: "processes" | "threads";
  readonly env: Readonly<Record<string, string>>;
}

/** The first trial that failed: its number, and the stack or the reason. */
interface Failure { readonly trial: number; readonly said: string; readonly cause?: Error }

export async function run(command: "run" | "resume", file: string, options: RunOptions, streams: Streams): Promise<number> {
  const { module, definition: { objective: _, trials: defined, trialTimeout: patience, retries, failures: rule, ...definition } } = await definitionOf(file);
  const { trials = defined, timeout, trialTimeout = patience, failures = rule, workers, seed } = options;
  if (trials === undefined && timeout === undefined) throw new TuneError("nothing says how long: give --trials, --timeout, or `trials` in the module.");
  const name = options.name ?? definition.name ?? "study";
  const opening = { ...definition, name, storage: options.storage ?? `journal:${name}.journal` };
  const study = command === "run" ? await createStudy({ ...opening, ...(seed === undefined ? {} : { seed }) }) : await loadStudy(opening);
  if (trials !== undefined && study.evaluations >= trials) {
    streams.stderr.write(`${study.name} has had ${study.evaluations} evaluations, and ${trials} were asked for; ask for more with --trials.\n`);
  }
  const table = new LiveTable(study, trials ?? Infinity, streams.stderr);
  let first: Failure | null = null;
  let ended = 0, failed = 0;
  const executor = watched(makeExecutor(module, options, (text) => { table.print(text); }), (failure) => { first ??= failure; });
  let interrupts = 0;
  const interrupt = (): void => {
    // The first waits for the trials under way, the second does not.
    if (++interrupts > 1) process.exit(130);
    table.say("stopping after the trials under way; interrupt again to stop at once");
    study.stop();
  };
  process.on("SIGINT", interrupt);
  try {
    await study.run(executor, {
      workers, ...(failures === undefined ? {} : { failures }),
      ...(trials === undefined ? {} : { trials }), ...(timeout === undefined ? {} : { timeout }),
      ...(trialTimeout === undefined ? {} : { trialTimeout }), ...(retries === undefined ? {} : { retries }),
      callbacks: [(trial) => {
        table.finished(trial);
        ended++;
        if (trial.state !== "FAIL") return;
        failed++;
        first ??= { trial: trial.number, said: String(trial.systemAttributes["fail_reason"] ?? "without a reason") };
      }],
    });
  } catch (error) {
    // What an objective threw is told below, like any other failure.
    if (first === null || error !== (first as Failure).cause) throw error;
    failed ||= 1;
    ended ||= 1;
  } finally {
    process.off("SIGINT", interrupt);
    table.close();
    await executor.close();
    await study.close();
  }
  if (first !== null && failed > 0) {
    const { trial, said } = first as Failure;
    streams.stderr.write(`nabla tune: ${failed} of ${ended} trials failed; the first was trial ${trial}:\n${said}\n`);
  }
  const winners = study.directions.length === 1 ? [study.best] : study.front;
  for (const trial of winners) if (trial !== null) streams.stdout.write(jsonLine({ trial: trial.number, values: trial.values, params: trial.params }));
  if (interrupts > 0) return 130;
  const stopped = failed > 0 && failures !== "continue" && trials !== undefined && done(study) < trials;
  return (failed > 0 && failed === ended) || stopped ? 1 : 0;
}

function makeExecutor(module: string, { executor, workers, env }: RunOptions, output: (text: string) => void): Executor {
  const environment = (worker: number): Record<string, string> => Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replaceAll("{worker}", String(worker))]));
  return { processes: processExecutor, threads: threadExecutor }[executor](module, { workers, output, env: environment });
}

/** The executor, telling of every evaluation that failed. */
function watched(executor: Executor, failed: (failure: Failure) => void): Executor {
  return {
    slots: executor.slots,
    close: () => executor.close(),
    async run(init, master, signal) {
      const outcome = await executor.run(init, master, signal);
      if (outcome.kind === "failed") failed({ trial: init.number, said: outcome.cause?.stack ?? outcome.error, ...(outcome.cause === undefined ? {} : { cause: outcome.cause }) });
      return outcome;
    },
  };
}
