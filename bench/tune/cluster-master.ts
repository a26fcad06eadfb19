// One master of a cluster, for cluster.ts: address, study, when to start (milliseconds since 1970) and for how long.
import "../../packages/tune/src/node/platform.ts";
import { AutoSampler } from "../../packages/tune/src/samplers/auto.ts";
import { RandomSampler } from "../../packages/tune/src/samplers/random.ts";
import { loadStudy } from "../../packages/tune/src/study/study.ts";

const [, , storage, name, start, milliseconds, sampler] = process.argv;
const study = await loadStudy({ storage: storage!, name: name!, sampler: sampler === "random" ? new RandomSampler() : new AutoSampler() });
await new Promise((resolve) => setTimeout(resolve, Number(start) - Date.now()));
await study.optimize(async (trial) => {
  const x = trial.float("x", -5, 5), y = trial.float("y", -5, 5), z = trial.float("z", -5, 5);
  await new Promise((resolve) => setTimeout(resolve, 100));
  return (x - 1) ** 2 + y ** 2 + Math.abs(z);
}, { workers: 2, trials: 1_000_000, timeout: Number(milliseconds) });
await study.close();
