// `nabla tune`: run, resume, status, best, export. Results go to stdout, progress and errors to stderr.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
import { parseArgs } from "node:util";
import { TuneError } from "@nabla/tune";
import { best, exportTrials, status } from "./inspect.ts";
import { run } from "./run.ts";

/** Where a command writes. */
export interface Streams { readonly stdout: NodeJS.WritableStream; readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number } }

const HELP = `nabla tune: tune hyper-parameters

  nabla tune run <study.ts> [options]      create the study that the module exports, and optimise it
  nabla tune resume <study.ts> [options]   go on with it; on several machines with postgres: at once
  nabla tune status [options]              counts, budget, best
  nabla tune best [options]                the best trial, or the Pareto front, as JSON
  nabla tune export [options]              all trials as CSV or JSON

  -s, --storage <address>  journal:<file>, sqlite:<file>, postgres://user@host/database
                           (run and resume: journal:<name>.journal by default)
  -n, --name <name>        the study's name, when the storage holds several
run, resume:
  -w, --workers <n>        evaluations at a time (1)
  -t, --trials <n>         evaluations the study shall have in all
      --timeout <seconds>  start no trial after this time
      --executor <kind>    processes (default) or threads
      --seed <n>           same seed, same study (run only)
export:
  -f, --format <format>    csv (default) or json
  -o, --out <file>         instead of stdout
`;

/** Wrong usage: exit code 2. */
export class UsageError extends Error {}

const OPTIONS = {
  storage: { type: "string", short: "s" }, name: { type: "string", short: "n" }, workers: { type: "string", short: "w" }, trials: { type: "string", short: "t" },
  timeout: { type: "string" }, executor: { type: "string" }, seed: { type: "string" }, format: { type: "string", short: "f" }, out: { type: "string", short: "o" },
  help: { type: "boolean", short: "h" },
} as const;

/** The options as they were typed. */
export interface TuneOptions {
  readonly storage?: string; readonly name?: string; readonly workers?: string; readonly trials?: string; readonly timeout?: string;
  readonly executor?: string; readonly seed?: string; readonly format?: string; readonly out?: string;
}

/** Runs `nabla tune` with the arguments after `tune`; returns the exit code. */
export async function tuneCommand(args: string[], streams: Streams = process): Promise<number> {
  try {
    const { positionals, values } = parse(args);
    const [command, ...operands] = positionals;
    if (values.help === true || command === undefined) {
      (values.help === true ? streams.stdout : streams.stderr).write(HELP);
      return values.help === true ? 0 : 2;
    }
    switch (command) {
      case "run": case "resume": return await run(command, operands, values, streams);
      case "status": return await status(operands, values, streams);
      case "best": return await best(operands, values, streams);
      case "export": return await exportTrials(operands, values, streams);
      default: throw new UsageError(`there is no command "${command}"; see nabla tune --help.`);
    }
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof TuneError)) throw error;
    streams.stderr.write(`nabla tune: ${error.message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function parse(args: string[]): { positionals: string[]; values: TuneOptions & { readonly help?: boolean } } {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
