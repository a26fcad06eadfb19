// A study for the tests of `nabla tune` whose objective prints, and fails as its environment says.
import { defineStudy, type Parameters, type StudyDefinition } from "@nabla/tune";

const definition: StudyDefinition<Parameters> = defineStudy({
  name: "unruly",
  seed: 1,
  trials: 6,
  objective: (trial) => {
    const x = trial.float("x", 0, 1);
    const mode = process.env["UNRULY"];
    console.log(`worker ${process.env["WORKER"]} evaluates trial ${trial.number} on ${process.env["NABLA_NUM_THREADS"]}`);
    if (mode === "all" || (mode === "some" && trial.number === 2)) throw new RangeError(`no good, trial ${trial.number}`);
    if (mode === "infinite") return Infinity;
    return x;
  },
});
export default definition;
