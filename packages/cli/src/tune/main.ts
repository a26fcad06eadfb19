// `nabla tune`: run, resume, status, best, export. Results go to stdout, progress and errors to stderr.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
import { parseArgs } from "node:util";
import { TuneError } from "@nabla/tune";
import { best, exportTrials, status } from "./inspect.ts";
import { run } from "./run.ts";

/** Where a command writes. */
export interface Streams { readonly stdout: NodeJS.WritableStream; readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number } }

const WHERE = ["storage", "name"] as const;
const WORK = [...WHERE, "workers", "trials", "timeout", "executor"] as const;
/** What each command takes, does, and which options it has. */
const COMMANDS = {
  run: { operands: "<study.ts>", about: "create the study of a module and optimise it", options: [...WORK, "seed"] },
  resume: { operands: "<study.ts>", about: "go on with it; from many machines by postgres:", options: WORK },
  status: { operands: "", about: "counts, budget, best", options: WHERE },
  best: { operands: "", about: "the best trial, or the Pareto front, as JSON", options: WHERE },
  export: { operands: "", about: "all trials as CSV or JSON", options: [...WHERE, "format", "out"] },
} as const satisfies Record<string, { readonly operands: string; readonly about: string; readonly options: readonly (keyof TuneOptions)[] }>;
type Command = keyof typeof COMMANDS;

const OPTION_HELP: Readonly<Record<keyof TuneOptions, readonly string[]>> = {
  storage: ["-s, --storage <address>", "journal:<file>, sqlite:<file> or", "postgres://user@host/database; run and", "resume: journal:<name>.journal by default"],
  name: ["-n, --name <name>", "the study, when the storage holds several"],
  workers: ["-w, --workers <n>", "evaluations at a time (1)"],
  trials: ["-t, --trials <n>", "evaluations the study shall have in all"],
  timeout: ["    --timeout <seconds>", "start no trial after this time"],
  executor: ["    --executor <kind>", "processes (default) or threads"],
  seed: ["    --seed <n>", "same seed, same study"],
  format: ["-f, --format <format>", "csv (default) or json"],
  out: ["-o, --out <file>", "instead of stdout"],
};

/** The help on all commands, or on one; at most 80 columns wide. */
function help(command?: Command): string {
  const lines = command === undefined
    ? ["nabla tune: tune hyper-parameters", "", ...commandNames().map((name) => `  nabla tune ${`${name} ${COMMANDS[name].operands}`.padEnd(19)} ${COMMANDS[name].about}`), "", "Options of a command: nabla tune <command> --help"]
    : [`nabla tune ${command} ${COMMANDS[command].operands}`.trimEnd() + " [options]", "", `  ${COMMANDS[command].about}`, "",
      ...COMMANDS[command].options.flatMap((option) => OPTION_HELP[option].slice(1).map((text, i) => `  ${(i === 0 ? OPTION_HELP[option][0]! : "").padEnd(26)}${text}`))];
  return `${lines.join("\n")}\n`;
}

function commandNames(): Command[] {
  return Object.keys(COMMANDS) as Command[];
}

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
    const [given, ...operands] = positionals;
    const asked = values.help === true || given === "help";
    const named = given === "help" ? operands[0] : given;
    if (named === undefined) {
      (asked ? streams.stdout : streams.stderr).write(help());
      return asked ? 0 : 2;
    }
    const command = commandNames().find((name) => name === named);
    if (command === undefined) throw new UsageError(`there is no command "${named}"; see nabla tune --help.`);
    if (asked) {
      streams.stdout.write(help(command));
      return 0;
    }
    const known: readonly string[] = COMMANDS[command].options;
    const foreign = Object.keys(values).find((option) => !known.includes(option));
    if (foreign !== undefined) throw new UsageError(`${command} has no option --${foreign}; see nabla tune ${command} --help.`);
    switch (command) {
      case "run": case "resume": return await run(command, operands, values, streams);
      case "status": return await status(operands, values, streams);
      case "best": return await best(operands, values, streams);
      case "export": return await exportTrials(operands, values, streams);
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
