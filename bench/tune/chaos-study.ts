// The study of the chaos benchmark: a few milliseconds of waiting, and a value that can be checked.
import { defineStudy, type StudyDefinition } from "../../packages/tune/src/study/define.ts";
import type { Parameters } from "../../packages/tune/src/study/study.ts";

const definition: StudyDefinition<Parameters> = defineStudy({
  objective: async (trial) => {
    const x = trial.float("x", 0, 1);
    await trial.report(x, 0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    return 2 * x;
  },
});
export default definition;
