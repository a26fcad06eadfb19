// `npm run bench -- tune`: every number the samplers must reach, measured on this machine, beside its bar.
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { clusterGates } from "./cluster.ts";
import { evaluationGates } from "./evaluations.ts";
import { frontGates } from "./fronts.ts";
import { main as hypergradientGates } from "./hypergradients.ts";
import { Optuna } from "./optuna.ts";
import { readTables } from "./problems.ts";
import { analyticGates, tableGates } from "./regret.ts";
import { Report } from "./report.ts";
import { speedGates } from "./speed.ts";
import { storageGates } from "./storage.ts";

const USAGE = `npm run bench -- tune [options]
  --quick            3 seeds, short runs, no long evaluation counts
  --seeds N          seeds of regret curves (default 20)
  --only A,B         parts: speed, storage, cluster, analytic, tables, fronts, evaluations, hypergradients, optuna (its speed)
  --samplers A,B     samplers of the regret curves: random, sobol, tpe, cma-es, gp, auto
  --tables DIR       folder of *.json.gz tables (default ../shared/data/hpo-tables)
  --python PATH      interpreter that may have Optuna or cmaes (default $NABLA_TEST_OPTUNA, else python3)`;

/** Runs the benchmark of hyper-parameter samplers. */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: "boolean", default: false }, seeds: { type: "string" }, only: { type: "string" }, samplers: { type: "string" },
      tables: { type: "string", default: "../shared/data/hpo-tables" }, python: { type: "string", default: process.env["NABLA_TEST_OPTUNA"] ?? "python3" }, help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const seeds = values.seeds === undefined ? (values.quick ? 3 : 20) : Number(values.seeds);
  if (!Number.isSafeInteger(seeds) || seeds < 1) throw new RangeError(`--seeds must be a positive integer, not ${values.seeds}.`);
  const only = values.only?.split(",");
  const wanted = (part: string): boolean => only?.includes(part) ?? true;
  const samplers = values.samplers?.split(",") ?? ["random", "sobol", "tpe", "cma-es", "gp", "auto"];
  const report = new Report();
  const optuna = ["analytic", "tables", "optuna"].some(wanted) ? Optuna.find(values.python) : null;
  if (wanted("speed")) await speedGates(report, values.quick);
  if (wanted("storage")) await storageGates(report, values.quick);
  if (wanted("cluster")) await clusterGates(report);
  if (wanted("fronts")) await frontGates(report, values.quick);
  if (wanted("evaluations")) await evaluationGates(report, values.quick, values.python);
  if (wanted("hypergradients") && !(await hypergradientGates(values.quick ? ["--quick"] : []))) process.exitCode = 1;
  if (wanted("analytic")) await analyticGates(report, samplers, seeds, optuna);
  if (wanted("tables")) {
    if (existsSync(values.tables)) await tableGates(report, readTables(values.tables), samplers, seeds, optuna);
    else console.log(`\nno tables: ${values.tables} does not exist; name a folder with --tables`);
  }
  if (wanted("optuna")) optuna?.speed(report, values.quick);
  report.save();
}

if (import.meta.main) await main(process.argv.slice(2));
