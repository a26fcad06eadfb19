import { expect, test } from "vitest";
import { categoricalDistribution, floatDistribution, intDistribution } from "../space/distribution.ts";
import { SearchSpace } from "../space/space.ts";
import { AutoSampler } from "./auto.ts";
import { askContext, emptyStudy } from "./study.fixture.ts";

function choice(space: SearchSpace, finished: number, remaining: number, directions: readonly ("minimize" | "maximize")[] = ["minimize"]): string {
  const study = emptyStudy({ space, seed: 1, directions });
  for (let trial = 0; trial < finished; trial++) {
    study.apply({ type: "ask", trial, time: 0, owner: "w", watermark: study.watermark });
    study.apply({ type: "parameters", trial, values: Object.fromEntries(space.parameters.map(({ name, distribution }) => [name, distribution.kind === "categorical" ? trial % 2 : (trial % 10) / 10])) });
    study.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: directions.map(() => Math.sin(trial)) });
  }
  const sampler = new AutoSampler();
  return sampler.ask(askContext(study, sampler, remaining))!.why!;
}

const numbers = new SearchSpace(["x", "y"].map((name) => ({ name, distribution: floatDistribution(0, 1), condition: null })));
const mixed = new SearchSpace([...numbers.parameters, { name: "c", distribution: categoricalDistribution(["a", "b"]), condition: null }]);
const small = new SearchSpace([{ name: "n", distribution: intDistribution(0, 9), condition: null }]);

test("chooses by space, budget and history, and says why", () => {
  expect(choice(small, 0, 100)).toMatch(/^exhaustive: the budget covers/);
  expect(choice(small, 0, 5)).toMatch(/^gp/);
  expect(choice(small, 0, Infinity)).toMatch(/^gp/);
  expect(choice(numbers, 0, Infinity)).toMatch(/^gp: few trials/);
  expect(choice(numbers, 0, 100)).toMatch(/^gp: few trials/);
  expect(choice(numbers, 300, 100)).toMatch(/^cma-es: many trials, numeric/);
  expect(choice(mixed, 300, 100)).toMatch(/^tpe: many trials, mixed/);
  expect(choice(numbers, 300, 100, ["minimize", "maximize"])).toMatch(/^nsga: many trials, several/);
});
