// A program that forgets to close its study: storage and name; three trials and a note.
import "../node/platform.ts";
import { RandomSampler } from "../samplers/random.ts";
import { createStudy } from "../study/study.ts";

const [, , storage, name] = process.argv;
const study = await createStudy({ storage: storage!, name: name!, sampler: new RandomSampler() });
await study.optimize((trial) => trial.float("x", 0, 1), { trials: 3 });
study.setNote("the end");
