// `nabla tune`: studies from the shell. Results go to stdout; progress, what trials print, and errors to stderr.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
import { Argument, Command, CommanderError, Option } from "commander";
import { TuneError } from "@nabla/tune";
import { count, duration, environment, names, number, positiveInteger, seed } from "../values.ts";
import { version } from "../version.ts";
import { ask, remove, tell } from "./change.ts";
import { best, exportTrials, listNames, showImportance, status, type InspectOptions } from "./inspect.ts";
import { FIGURES, plot, type PlotOptions } from "./plot.ts";
import { run, type RunOptions } from "./run.ts";

/** Where a command writes. */
export interface Streams { readonly stdout: NodeJS.WritableStream; readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number } }

const WIDTH = 80;

/** Runs `nabla tune` with the arguments after `tune`; returns the exit code. */
export async function tuneCommand(args: readonly string[], streams: Streams = process): Promise<number> {
  let code = 0;
  const program = tuneProgram(streams, (result) => { code = result; });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof TuneError)) throw error;
    streams.stderr.write(`nabla tune: ${error.message}\n`);
    return 1;
  }
}

function tuneProgram(streams: Streams, ended: (code: number) => void): Command {
  const program = new Command("nabla tune").description("tune hyper-parameters").version(version())
    .exitOverride().showHelpAfterError("(nabla tune <command> --help shows the options)").configureOutput({
      writeOut: (text) => { streams.stdout.write(text); }, writeErr: (text) => { streams.stderr.write(text); },
      getOutHelpWidth: () => WIDTH, getErrHelpWidth: () => WIDTH, outputError: (text, write) => { write(text.replace(/^error: /, "nabla tune: ")); },
    });
  const where = (command: Command, required = true): Command => {
    const storage = new Option("-s, --storage <address>", `journal:<file>, sqlite:<file> or postgres://user@host/database${required ? "" : " (default: journal:<name>.journal)"}`);
    return command.addOption(required ? storage.makeOptionMandatory() : storage).option("-n, --name <name>", "the study, when the storage holds several");
  };
  const work = (command: Command): Command => where(command.argument("<study.ts>", "a module that exports defineStudy({ … }) as its default"), false)
    .option("-w, --workers <n>", "evaluations at a time", positiveInteger, 1)
    .option("-t, --trials <n>", "evaluations the study shall have in all", positiveInteger)
    .option("--timeout <duration>", "start no trial after this time, e.g. 90s, 10min, 2h", duration)
    .option("--trial-timeout <duration>", "what one evaluation may take", duration)
    .addOption(new Option("--failures <what>", "what a trial that throws ends: all, or itself (default: as the module says, else stop)").choices(["stop", "continue"]))
    .addOption(new Option("--executor <kind>", "where trials are evaluated").choices(["processes", "threads"]).default("processes"))
    .option("--env <name=value>", "a variable of the workers' environment; {worker} in it is the worker's number, e.g. CUDA_VISIBLE_DEVICES={worker}", environment, {});

  work(program.command("run")).description("create the study of a module and optimise it")
    .option("--seed <n>", "same seed, same study", seed)
    .action(async (file: string, options: RunOptions) => { ended(await run("run", file, options, streams)); });
  work(program.command("resume")).description("go on with it; with postgres: from many machines")
    .action(async (file: string, options: RunOptions) => { ended(await run("resume", file, options, streams)); });
  where(program.command("status")).description("counts, why trials failed, the best")
    .action(async (options: InspectOptions) => { await status(options, streams); });
  where(program.command("best")).description("the best trial, or the Pareto front, as JSON")
    .action(async (options: InspectOptions) => { ended(await best(options, streams)); });
  where(program.command("export")).description("all trials as CSV or JSON")
    .addOption(new Option("-f, --format <format>", "how").choices(["csv", "json"]).default("csv"))
    .option("-o, --out <file>", "instead of stdout")
    .action(async (options: InspectOptions & { readonly format: string; readonly out?: string }) => { await exportTrials(options, streams); });
  where(program.command("importance")).description("which parameters matter, most important first")
    .option("--objective <n>", "which one, from 0", count, 0)
    .addOption(new Option("--method <name>", "how it is found").choices(["ped-anova", "fanova"]).default("ped-anova"))
    .option("--json", "one JSON object")
    .action(async (options: InspectOptions & { readonly objective: number; readonly method: "ped-anova" | "fanova"; readonly json?: boolean }) => { await showImportance(options, streams); });
  where(program.command("plot")).description("a figure as SVG")
    .addArgument(new Argument("<figure>", "which").choices(Object.keys(FIGURES)))
    .option("-o, --out <file>", "instead of stdout")
    .option("-p, --parameters <names>", "the parameters to show, separated by commas", names)
    .option("--objective <n>", "which one, from 0", count, 0)
    .option("--log", "a logarithmic objective")
    .option("--reference <values>", "hypervolume: a value of each objective that all good trials beat", (text: string) => text.split(",").map(number))
    .action(async (figure: string, options: PlotOptions) => { await plot(figure, options, streams); });
  where(program.command("names").description("the studies of a storage")).action(async (options: InspectOptions) => { await listNames(options, streams); });
  where(program.command("delete")).description("forget a study and all its trials; --name is needed")
    .action(async (options: InspectOptions, command: Command) => {
      if (options.name === undefined) command.error("error: delete needs the study's --name.");
      await remove(options, streams);
    });
  where(program.command("ask").argument("<study.ts>", "a module whose study declares its space"), false)
    .description("start one trial by hand: its number and parameters as JSON")
    .action(async (file: string, options: InspectOptions) => { await ask(file, options, streams); });
  where(program.command("tell").argument("<trial>", "its number", count).argument("[values...]", "one a objective, in order"))
    .description("end a trial that ask has started, with its values")
    .addOption(new Option("--state <state>", "how it ended without values").choices(["pruned", "fail"]))
    .option("--reason <text>", "why it failed")
    .action(async (trial: number, values: string[], options: InspectOptions & { readonly state?: "pruned" | "fail"; readonly reason?: string }, command: Command) => {
      if ((values.length > 0) === (options.state !== undefined)) command.error("error: tell takes either values or --state.");
      await tell(trial, values.map(number), options, streams);
    });
  return program;
}
