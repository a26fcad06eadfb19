// A study module for the tests of workers: parameters by define-by-run, reports, and misbehaviour on request.
import { defineStudy, type StudyDefinition } from "../study/define.ts";
import type { Parameters } from "../study/study.ts";

const definition: StudyDefinition<Parameters> = defineStudy({
  name: "quadratic",
  seed: 7,
  objective: async (trial) => {
    const x = trial.float("x", -1, 1);
    const mode = trial.choice("mode", ["plain", "throw", "exit", "block", "nan", "wait"]);
    trial.setAttribute("thread", "worker");
    trial.constraint("c", x);
    await trial.report(x, 0);
    if (mode === "throw") throw new RangeError("asked to throw");
    if (mode === "exit" && trial.attempt === 1) process.kill(process.pid, "SIGKILL");
    if (mode === "block") {
      const end = Date.now() + 4500;
      while (Date.now() < end);
    }
    if (mode === "wait") await new Promise((resolve) => setTimeout(resolve, 200));
    return mode === "nan" ? Number.NaN : x * x;
  },
});
export default definition;
