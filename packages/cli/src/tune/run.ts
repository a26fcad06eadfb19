// run and resume: the module's study, a storage, a pool of workers, and the live table while they work.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createStudy, loadStudy, processExecutor, threadExecutor, TuneError, type StudyDefinition } from "@nabla/tune";
import { LiveTable } from "./live.ts";
import { UsageError, type Streams, type TuneOptions } from "./main.ts";
import { positiveNumber, wholeNumber } from "./values.ts";

const EXECUTORS = { processes: processExecutor, threads: threadExecutor };

export async function run(command: "run" | "resume", operands: readonly string[], options: TuneOptions, streams: Streams): Promise<number> {
  const [file, ...rest] = operands;
  if (file === undefined || rest.length > 0) throw new UsageError(`nabla tune ${command} takes one module, e.g. nabla tune ${command} study.ts.`);
  const workers = wholeNumber("workers", options.workers, 1) ?? 1;
  const kind = options.executor ?? "processes";
  if (kind !== "processes" && kind !== "threads") throw new UsageError(`--executor is processes or threads, not "${kind}".`);
  const seed = wholeNumber("seed", options.seed, 0);
  const timeout = positiveNumber("timeout", options.timeout);
  const module = pathToFileURL(resolve(file)).href;
  const { objective: _, trials: defined, trialTimeout, retries, failures = "continue", ...definition } = await definitionOf(module, file);
  const trials = wholeNumber("trials", options.trials, 1) ?? defined;
  if (trials === undefined && timeout === undefined) throw new UsageError("say how long: --trials <n>, --timeout <seconds>, or `trials` in the module.");
  const name = options.name ?? definition.name ?? "study";
  const opening = { ...definition, name, storage: options.storage ?? `journal:${name}.journal` };
  const study = command === "run" ? await createStudy({ ...opening, ...(seed === undefined ? {} : { seed }) }) : await loadStudy(opening);
  if (trials !== undefined && study.evaluations >= trials) {
    streams.stderr.write(`${study.name} has had ${study.evaluations} evaluations, and ${trials} were asked for; ask for more with --trials.\n`);
  }
  const executor = EXECUTORS[kind](module, { workers });
  const table = new LiveTable(study, trials ?? Infinity, streams.stderr);
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
      workers, failures,
      ...(trials === undefined ? {} : { trials }), ...(timeout === undefined ? {} : { timeout: timeout * 1000 }),
      ...(trialTimeout === undefined ? {} : { trialTimeout }), ...(retries === undefined ? {} : { retries }),
      callbacks: [(trial) => { table.finished(trial); }],
    });
  } finally {
    process.off("SIGINT", interrupt);
    table.close();
    await executor.close();
    await study.close();
  }
  const winners = study.directions.length === 1 ? [study.best] : study.front;
  for (const trial of winners) if (trial !== null) streams.stdout.write(`${JSON.stringify({ trial: trial.number, values: trial.values, params: trial.params })}\n`);
  return interrupts > 0 ? 130 : 0;
}

async function definitionOf(module: string, file: string): Promise<StudyDefinition<unknown>> {
  let loaded: { readonly default?: StudyDefinition<unknown> };
  try {
    loaded = (await import(module)) as typeof loaded;
  } catch (error) {
    throw new TuneError(`${file} cannot be loaded: ${(error as Error).message}`, { cause: error });
  }
  if (typeof loaded.default?.objective !== "function") throw new TuneError(`${file} exports no study; write \`export default defineStudy({ objective: (trial) => … })\`.`);
  return loaded.default;
}
