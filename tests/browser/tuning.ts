// One study, the same in Node and in the page: a conditional space, reports, and the sampler that is the default.
import { createStudy, space } from "@nabla/tune";

const choices = space.object({ x: space.float(-5, 5), power: space.choice({ two: {}, four: { offset: space.float(0, 1) } }) });

/** Of every trial, in order: x, the number of the branch, and the result. */
export async function tuneParabola(trials: number): Promise<readonly (readonly number[])[]> {
  const study = await createStudy({ seed: 1, space: choices });
  await study.optimize(async (trial) => {
    const { x, power } = trial.params;
    const loss = power.kind === "two" ? (x - 2) ** 2 : (x - 2) ** 4 + power.offset;
    for (let step = 0; step < 3; step++) if (await trial.report(loss + 2 - step, step)) trial.prune();
    return loss;
  }, { trials });
  return study.trials().map(({ params, values }) => [Number(params["x"]), params["power"] === "two" ? 0 : 1, values![0]!]);
}
