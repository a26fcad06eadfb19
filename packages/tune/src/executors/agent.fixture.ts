// One machine of the tests of a cluster: takes trials from a shared storage until the study has enough.
// arguments: the storage's address, seconds of a lease, the study, trials in all, milliseconds of an evaluation
import { RandomSampler } from "../samplers/random.ts";
import { openPostgres, openSqlite } from "../storage/optuna/open.ts";
import { loadStudy } from "../study/study.ts";

const [address = "", lease, name = "", trials, milliseconds] = process.argv.slice(2);
const options = { lease: Number(lease) };
const storage = await (address.startsWith("sqlite:") ? openSqlite(address.slice("sqlite:".length), options) : openPostgres(address, options));
const study = await loadStudy({ storage, name, sampler: new RandomSampler(), pruner: null });
await study.optimize(async (trial) => {
  const x = trial.float("x", 0, 1);
  await trial.report(x, 0);
  await new Promise((resolve) => setTimeout(resolve, Number(milliseconds)));
  return 2 * x;
}, { trials: Number(trials), workers: 2, restarts: 1000 });
await study.close();
await storage.close();
