// Define-by-run objectives that ask for different parameters in different branches.
import { describe, expect, test } from "vitest";
import { AutoSampler } from "../samplers/auto.ts";
import { ExhaustiveSampler } from "../samplers/grid.ts";
import { RandomSampler } from "../samplers/random.ts";
import { TPESampler } from "../samplers/tpe/sampler.ts";
import type { Sampler } from "../contract/contract.ts";
import type { StudyState } from "../state/state.ts";
import type { Trial } from "../trials/trial.ts";
import { createStudy } from "./study.ts";

/** 15 points: 5 under a, 1 under b, 9 under c, where a branch hangs on a number; the best one is c, 2, 3. */
function branched(trial: Trial): { asked: string; value: number } {
  const kind = trial.choice("kind", ["a", "b", "c"]);
  if (kind === "a") {
    const n = trial.int("n", 0, 4);
    return { asked: `kind=a n=${n}`, value: 5 + n };
  }
  if (kind === "b") return { asked: "kind=b", value: 4 };
  const depth = trial.int("depth", 0, 2);
  if (depth === 0) return { asked: "kind=c depth=0", value: 9 };
  const width = trial.int("width", 0, 3);
  return { asked: `kind=c depth=${depth} width=${width}`, value: depth === 2 && width === 3 ? 0 : 3 + width };
}

const samplers: readonly (readonly [string, () => Sampler])[] = [
  ["auto", () => new AutoSampler()], ["tpe", () => new TPESampler()], ["random", () => new RandomSampler()], ["exhaustive", () => new ExhaustiveSampler()],
];

describe.each(samplers)("%s", (_, make) => {
  test("a branched space of 15 points: each evaluated once, the best found, in 20 seeds", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const study = await createStudy({ seed, sampler: make() });
      const asked: string[] = [];
      await study.optimize((trial) => {
        const { asked: point, value } = branched(trial);
        asked.push(point);
        return value;
      }, { trials: 100 });
      expect(study.best!.values).toEqual([0]);
      expect(new Set(asked).size).toBe(asked.length);
      expect(asked.length).toBe(15);
    }
  });

  test("a trial records what was asked for and nothing else, with three workers too", async () => {
    for (const workers of [1, 3]) {
      const study = await createStudy({ seed: 1, sampler: make() });
      const asked = new Map<number, string>();
      await study.optimize(async (trial) => {
        const { asked: point, value } = branched(trial);
        asked.set(trial.number, point);
        await Promise.resolve();
        return value;
      }, { trials: 15, workers });
      for (const { number, params } of study.trials("COMPLETE")) {
        if (asked.has(number)) expect(Object.entries(params).map(([name, value]) => `${name}=${String(value)}`).sort()).toEqual(asked.get(number)!.split(" ").sort());
      }
    }
  });
});

test("numbers under a choice are learned jointly: the space that trials show is conditional", async () => {
  const study = await createStudy({ seed: 1, sampler: new RandomSampler() });
  await study.optimize((trial) => (trial.choice("k", ["a", "b"]) === "a" ? trial.float("x", 0, 1) : trial.float("y", 0, 1)), { trials: 20 });
  const { jointSpace } = study.view as StudyState;
  expect(jointSpace.parameters.map(({ name, condition }) => [name, condition])).toEqual(expect.arrayContaining([["k", null], ["x", { parameter: "k", choice: 0 }], ["y", { parameter: "k", choice: 1 }]]));
});
