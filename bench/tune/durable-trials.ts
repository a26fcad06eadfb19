// The trials whose durability is measured; run by itself with a storage and a number of trials, for strace to count.
import "../../packages/tune/src/node/platform.ts";
import { RandomSampler } from "../../packages/tune/src/samplers/random.ts";
import { createStudy } from "../../packages/tune/src/study/study.ts";
import type { Trial } from "../../packages/tune/src/trials/trial.ts";

export async function fiveParametersTenReports(trial: Trial): Promise<number> {
  let sum = 0;
  for (let i = 0; i < 5; i++) sum += trial.float(`x${i}`, 0, 1);
  for (let step = 0; step < 10; step++) await trial.report(sum, step);
  return sum;
}

if (import.meta.main) {
  const [storage, trials] = process.argv.slice(2);
  const study = await createStudy({ storage: storage!, sampler: new RandomSampler(), seed: 1, pruner: null });
  await study.optimize(fiveParametersTenReports, { trials: Number(trials) });
  await study.close();
}
