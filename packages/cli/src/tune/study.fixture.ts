// The study that the tests of `nabla tune` run: a real objective with reports.
import { defineStudy, space, TPESampler, type StudyDefinition } from "@nabla/tune";

const rosenbrock = space.object({ x: space.float(-2, 2), y: space.float(-1, 3) });

const definition: StudyDefinition<{ readonly x: number; readonly y: number }> = defineStudy({
  name: "rosenbrock",
  space: rosenbrock,
  sampler: new TPESampler(),
  trials: 12,
  objective: async (trial) => {
    const { x, y } = trial.params;
    for (let step = 0; step < 3; step++) await trial.report(x + y + step, step);
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2;
  },
});
export default definition;
