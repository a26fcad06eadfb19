// Changes by hand: delete a study, ask for a trial, tell its result.
import { createStudy, loadStudy, openStorage, TuneError } from "@nabla/tune";
import type { InspectOptions } from "./inspect.ts";
import { jsonLine } from "./json.ts";
import { printable } from "./live.ts";
import type { Streams } from "./main.ts";
import { definitionOf } from "./module.ts";

export async function remove({ storage: address, name }: InspectOptions, { stderr }: Streams): Promise<void> {
  const storage = await openStorage(address!);
  try {
    await storage.remove(name!);
  } finally {
    await storage.close();
  }
  stderr.write(`deleted ${printable(name!)}\n`);
}

/** Starts a trial of the module's study, which is created where it does not exist. */
export async function ask(file: string, options: InspectOptions, { stdout }: Streams): Promise<void> {
  const { definition: { objective: _, trials: __, trialTimeout: ___, retries: ____, failures: _____, ...definition } } = await definitionOf(file);
  if (definition.space === undefined) throw new TuneError(`${file} declares no \`space\`, so only its objective knows the parameters; declare one, e.g. space: space.object({ rate: space.float(1e-4, 1) }).`);
  const name = options.name ?? definition.name ?? "study";
  const study = await createStudy({ ...definition, name, storage: options.storage ?? `journal:${name}.journal`, ifExists: "load" });
  try {
    const { number } = await study.ask();
    stdout.write(jsonLine({ trial: number, params: study.trials()[number]!.params }));
  } finally {
    await study.close();
  }
}

export async function tell(trial: number, values: readonly number[], options: InspectOptions & { readonly state?: "pruned" | "fail"; readonly reason?: string }, { stdout }: Streams): Promise<void> {
  const { storage, name, state, reason } = options;
  const study = await loadStudy({ storage: storage!, ...(name === undefined ? {} : { name }) });
  try {
    const told = await study.tell(trial, state === undefined ? values : { state: state === "pruned" ? "PRUNED" : "FAIL", ...(reason === undefined ? {} : { reason }) });
    stdout.write(jsonLine({ trial, state: told.state, values: told.values }));
  } finally {
    await study.close();
  }
}
