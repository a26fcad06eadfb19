// The programs of README.md run as they stand there, in order and in one scope, on a slice of MNIST to stay fast.
// What is replaced: the digits, and the numbers named below.
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tuner from "@nabla/tune";
import * as nabla from "nabla";
import * as data from "nabla/data";
import { afterAll, beforeAll, expect, test } from "vitest";

const readme = readFileSync(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8");
const programs = [...readme.matchAll(/```ts\n([^]*?)```/g)].map((match) => match[1]!);

const home = process.cwd();
let folder: string;
beforeAll(() => process.chdir((folder = mkdtempSync(join(tmpdir(), "nabla-readme-")))));
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

async function mnist(): Promise<{ trainSet: data.Digits; testSet: data.Digits }> {
  const { trainSet, testSet } = await data.mnist();
  return { trainSet: trainSet.slice(0, 4000), testSet: testSet.slice(0, 500) };
}

const AsyncFunction = (async () => {}).constructor as new (...parameters: string[]) => (...values: unknown[]) => Promise<Record<string, unknown>>;

/** Runs a program without its imports, which are in scope, and gives what it declares by `names`. */
function run(program: string, given: Readonly<Record<string, unknown>>, names: readonly string[]): Promise<Record<string, unknown>> {
  const code = stripTypeScriptTypes(`async () => {\n${program.replace(/^import .*$/gm, "")}\nreturn { ${names.join(", ")} };\n}`);
  const scope = { ...nabla, ...data, ...tuner, mnist, ...given };
  return new AsyncFunction(...Object.keys(scope), `return (${code})();`)(...Object.values(scope));
}

test("there are three programs, which import what they use", () => {
  expect(programs.length).toBe(3);
  for (const program of [programs[0]!, programs[2]!]) expect(program).toMatch(/^import \{.*\} from "nabla";\nimport \{ mnist \} from "nabla\/data";\n/);
});

test("the quickstart trains, a second time too, and its file is the model", async () => {
  const { nn, io, train } = nabla;
  const { run: trained, model, testSet } = (await run(programs[0]!, {}, ["run", "model", "testSet"])) as { run: nabla.train.Run<"accuracy">; model: nabla.nn.Sequential; testSet: data.Digits };
  expect(trained.history.length).toBe(5);
  expect(trained.last.validation!.accuracy).toBeGreaterThan(0.88);
  expect(trained.last.accuracy).toBeGreaterThan(0.88);
  expect(statSync("mnist.safetensors").size).toBeGreaterThan(4 * (784 * 256 + 256 * 10));
  await run(programs[0]!.replace("epochs: 5", "epochs: 1"), {}, ["run"]);
  await io.save("mnist.safetensors", model);
  const again = nn.sequential(nn.flatten(), nn.dense(784, 256), nn.relu(), nn.dropout(0.2), nn.dense(256, 10));
  await io.load("mnist.safetensors", again);
  expect(await train.evaluate(again, testSet)).toEqual(await train.evaluate(model, testSet));
});

test("a layer and a loop of one's own", async () => {
  const { trainSet } = await mnist();
  const before = nabla.nn.crossEntropy(nabla.zeros([1, 10]), nabla.tensor([0], { dtype: "int32" })).item();
  const { model } = (await run(programs[1]!, { trainSet }, ["model"])) as { model: nabla.nn.Sequential };
  expect((await nabla.train.evaluate(model, trainSet)).loss).toBeLessThan(before / 2);
});

test("the tuner drives whole trainings: four at a time, some of them pruned, all of them kept", async () => {
  const shortened = programs[2]!.replaceAll("50_000", "3_000").replace("trials: 100", "trials: 12");
  const { study } = (await run(shortened, {}, ["study"])) as { study: tuner.Study };
  const trials = study.trials();
  expect(trials.length).toBe(12);
  for (const { state, params, reports, values } of trials) {
    expect(["COMPLETE", "PRUNED"]).toContain(state);
    expect(Number(params["width"]) % 16).toBe(0);
    expect(reports.map(({ step }) => step)).toEqual(Array.from({ length: reports.length }, (_, step) => step));
    if (state === "COMPLETE") expect([reports.length, values!.length]).toEqual([10, 1]);
    else expect(reports.length).toBeLessThanOrEqual(10);
  }
  expect(study.best!.values![0]).toBeGreaterThan(0.8);
  await study.close();
  // A second time the study is there: its trials count.
  const { study: again } = (await run(shortened, {}, ["study"])) as { study: tuner.Study };
  expect(again.trials().length).toBe(12);
  await again.close();
});
