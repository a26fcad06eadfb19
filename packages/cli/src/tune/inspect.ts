// What is there: names, status, best, export, importance. They look only, so a journal may be in use by its master meanwhile.
import { writeFile } from "node:fs/promises";
import { failureOf, importance, loadStudy, openStorage, resultsOf, toCsv, trialsTable, TuneError, type Study } from "@nabla/tune";
import { json, jsonLine } from "./json.ts";
import { describeTrial, done, printable } from "./live.ts";
import type { Streams } from "./main.ts";

export interface InspectOptions { readonly storage?: string; readonly name?: string }

/** Reasons shown; the others are counted. */
const REASONS = 5;

export async function status(options: InspectOptions, { stdout }: Streams): Promise<void> {
  await withStudy(options, (study) => {
    const trials = study.trials();
    const states = tally(trials.map((trial) => (trial.answeredBy === null ? trial.state : "answered from memory")));
    const reasons = tally(trials.map((trial) => failureOf(trial)?.split("\n")[0]).filter((reason) => reason !== undefined));
    stdout.write(`${printable(study.name)}: ${study.directions.join(", ")} ${study.metricNames.join(", ")}; seed ${study.seed}; ${done(study)} evaluations\n`);
    for (const [state, count] of states) stdout.write(`${String(count).padStart(8)} ${state}\n`);
    if (reasons.length > 0) stdout.write("failed because of\n");
    for (const [reason, count] of reasons.slice(0, REASONS)) stdout.write(`${String(count).padStart(8)} ${printable(reason)}\n`);
    if (reasons.length > REASONS) stdout.write(`         and ${reasons.length - REASONS} other reasons: nabla tune export\n`);
    const winner = study.directions.length === 1 ? study.best : null;
    if (winner !== null) stdout.write(`best: ${describeTrial(winner)}\n`);
    else if (study.directions.length > 1) stdout.write(`front: ${study.front.length} trials\n`);
  });
}

export async function best(options: InspectOptions, { stdout, stderr }: Streams): Promise<number> {
  let found = 0;
  await withStudy(options, (study) => {
    for (const trial of study.directions.length === 1 ? [study.best] : study.front) {
      if (trial === null) continue;
      found++;
      stdout.write(jsonLine({ trial: trial.number, values: trial.values, params: trial.params }));
    }
  });
  if (found === 0) stderr.write("nabla tune: no trial is complete and feasible yet.\n");
  return found === 0 ? 1 : 0;
}

export async function exportTrials(options: InspectOptions & { readonly format: string; readonly out?: string }, { stdout }: Streams): Promise<void> {
  await withStudy(options, async (study) => {
    await put(options.format === "csv" ? toCsv(trialsTable(resultsOf(study.view))) : `${json(study.trials(), 1)}\n`, options.out, stdout);
  });
}

export async function showImportance(options: InspectOptions & { readonly objective: number; readonly method: "ped-anova" | "fanova"; readonly json?: boolean }, { stdout }: Streams): Promise<void> {
  await withStudy(options, (study) => {
    const shares = importance(resultsOf(study.view), { objective: options.objective, method: options.method });
    if (options.json === true) stdout.write(jsonLine(shares));
    else for (const [name, share] of Object.entries(shares)) stdout.write(`${share.toFixed(3)}  ${printable(name)}\n`);
  });
}

export async function listNames({ storage: address }: InspectOptions, { stdout }: Streams): Promise<void> {
  const storage = await openStorage(address!, { readOnly: true });
  try {
    for (const name of await storage.names()) stdout.write(`${printable(name)}\n`);
  } finally {
    await storage.close();
  }
}

/** Opens the study for looking only. */
export async function withStudy(options: InspectOptions, look: (study: Study) => void | Promise<void>): Promise<void> {
  const storage = await openStorage(options.storage!, { readOnly: true });
  try {
    const study = await loadStudy({ storage, ...(options.name === undefined ? {} : { name: options.name }) });
    try {
      await look(study);
    } finally {
      await study.close();
    }
  } finally {
    await storage.close();
  }
}

/** Writes a text into a file, or without one to the stream. */
export async function put(text: string, file: string | undefined, stream: NodeJS.WritableStream): Promise<void> {
  if (file === undefined) {
    stream.write(text);
    return;
  }
  await writeFile(file, text).catch((error: unknown) => {
    throw new TuneError(`${file} cannot be written: ${(error as Error).message}`, { cause: error });
  });
}

/** How often each text is there, the most frequent first. */
function tally(texts: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}
