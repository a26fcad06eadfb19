// A master for the tests to kill: tells trials one after another, says which are confirmed, and writes checkpoints all
// the time.
import { RandomSampler } from "../../samplers/random.ts";
import { createStudy } from "../../study/study.ts";
import { JournalStorage } from "./journal.ts";

const storage = new JournalStorage(process.argv[2]!, { tail: 1 });
const study = await createStudy({ storage, sampler: new RandomSampler(), seed: 1, ifExists: "load" });
for (const { number } of study.trials("RUNNING")) await study.tell(number, { state: "FAIL" });
for (;;) {
  const trial = await study.ask();
  const x = trial.float("x", 0, 1);
  await trial.report(x, 0);
  await study.tell(trial, x);
  process.stdout.write(`${trial.number}\n`);
}
