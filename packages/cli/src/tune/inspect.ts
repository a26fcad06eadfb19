// status, best and export: they look only, so a journal may be in use by its master meanwhile.
import { writeFile } from "node:fs/promises";
import { loadStudy, openStorage, toCsv, trialsTable, TuneError, resultsOf, type Study } from "@nabla/tune";
import { describeTrial, done, printable } from "./live.ts";
import { UsageError, type Streams, type TuneOptions } from "./main.ts";

export async function status(operands: readonly string[], options: TuneOptions, { stdout }: Streams): Promise<number> {
  await withStudy("status", operands, options, (study) => {
    const counts = new Map<string, number>();
    for (const trial of study.trials()) {
      const state = trial.answeredBy === null ? trial.state : "answered from memory";
      counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    stdout.write(`${printable(study.name)}: ${study.directions.join(", ")} ${study.metricNames.join(", ")}; seed ${study.seed}; ${done(study)} evaluations\n`);
    for (const [state, count] of counts) stdout.write(`${String(count).padStart(8)} ${state}\n`);
    const winner = study.directions.length === 1 ? study.best : null;
    if (winner !== null) stdout.write(`best: ${describeTrial(winner)}\n`);
    else if (study.directions.length > 1) stdout.write(`front: ${study.front.length} trials\n`);
  });
  return 0;
}

export async function best(operands: readonly string[], options: TuneOptions, { stdout, stderr }: Streams): Promise<number> {
  let found = 0;
  await withStudy("best", operands, options, (study) => {
    for (const trial of study.directions.length === 1 ? [study.best] : study.front) {
      if (trial === null) continue;
      found++;
      stdout.write(`${JSON.stringify({ trial: trial.number, values: trial.values, params: trial.params })}\n`);
    }
  });
  if (found === 0) stderr.write("nabla tune: no trial is complete and feasible yet.\n");
  return found === 0 ? 1 : 0;
}

export async function exportTrials(operands: readonly string[], options: TuneOptions, { stdout }: Streams): Promise<number> {
  const format = options.format ?? "csv";
  if (format !== "csv" && format !== "json") throw new UsageError(`--format is csv or json, not "${format}".`);
  let text = "";
  await withStudy("export", operands, options, (study) => {
    text = format === "csv" ? toCsv(trialsTable(resultsOf(study.view))) : `${JSON.stringify(study.trials(), null, 1)}\n`;
  });
  if (options.out === undefined) stdout.write(text);
  else {
    await writeFile(options.out, text).catch((error: unknown) => {
      throw new TuneError(`${options.out!} cannot be written: ${(error as Error).message}`, { cause: error });
    });
  }
  return 0;
}

async function withStudy(command: string, operands: readonly string[], options: TuneOptions, look: (study: Study) => void): Promise<void> {
  if (operands.length > 0 || options.storage === undefined) throw new UsageError(`nabla tune ${command} needs --storage, e.g. nabla tune ${command} --storage journal:study.journal.`);
  const storage = await openStorage(options.storage, { readOnly: true });
  try {
    const study = await loadStudy({ storage, ...(options.name === undefined ? {} : { name: options.name }) });
    try {
      look(study);
    } finally {
      await study.close();
    }
  } finally {
    await storage.close();
  }
}
