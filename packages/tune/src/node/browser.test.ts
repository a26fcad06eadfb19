// The package as a bundler makes it for a browser: no module of Node in it, and it optimises where there is none.
import { fileURLToPath } from "node:url";
import { createContext, Script } from "node:vm";
import { build } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";

/** What a page has; a fresh context has only the language. */
const page = { crypto, performance, setTimeout, clearTimeout, AbortController, AbortSignal, console, TextEncoder, TextDecoder };

let text = "";
let inputs: string[] = [];
beforeAll(async () => {
  const entry = fileURLToPath(new URL("../index.ts", import.meta.url));
  const { outputFiles, metafile } = await build({
    entryPoints: [entry], bundle: true, minify: true, format: "iife", globalName: "tune", platform: "browser", target: "es2022",
    conditions: ["nabla-source"], write: false, metafile: true, logLevel: "error",
  });
  text = outputFiles[0]!.text;
  inputs = Object.keys(metafile.inputs);
});

/** Runs a program after the bundle; its value comes back as JSON, for its objects are another world's. */
async function runInPage(program: string): Promise<unknown> {
  const context = createContext({ ...page });
  new Script(text).runInContext(context);
  return JSON.parse((await new Script(`(async () => JSON.stringify(await (${program})()))()`).runInContext(context)) as string);
}

describe("a browser bundle", () => {
  test("holds nothing of Node", () => {
    expect(inputs.filter((path) => /src\/node\/|executors\/(workers|remote|trainer|agent)|storage\/(journal|sqlite|postgres|optuna|heartbeat)/.test(path))).toEqual([]);
    expect(text).not.toMatch(/["']node:|\brequire\(/);
  });

  test("optimises a typed space with reports, a pruner, and figures of what came out", async () => {
    const found = (await runInPage(`async () => {
      const { createStudy, space, HyperbandPruner, plotHistory, trialsTable, resultsOf, toCsv } = tune;
      const study = await createStudy({
        seed: 1, pruner: new HyperbandPruner({ maximumResource: 4 }),
        space: space.object({ x: space.float(-5, 5), kind: space.choice({ a: { n: space.int(1, 4) }, b: {} }) }),
      });
      await study.optimize(async (trial) => {
        const { x, kind } = trial.params;
        const loss = (x - 2) ** 2 + (kind.kind === "a" ? kind.n : 0.5);
        for (let step = 1; step <= 4; step++) if (await trial.report(loss + 1 / step, step)) trial.prune();
        return loss;
      }, { trials: 60, workers: 4 });
      return { best: study.best.values[0], evaluations: study.evaluations, svg: /<svg/.test(plotHistory(resultsOf(study.view))), lines: toCsv(trialsTable(resultsOf(study.view))).split("\\n").length };
    }`)) as { best: number };
    expect(found).toMatchObject({ evaluations: 60, svg: true });
    expect(found.best).toBeLessThan(0.6);
  });

  test.each(["RandomSampler", "SobolSampler", "TPESampler", "GPSampler", "CMAESSampler", "LSHADESampler", "NSGASampler", "EvolutionSampler", "RegularisedEvolutionSampler"])("has %s, and proposes what Node does", async (name) => {
    const program = `async (tune) => {
      const study = await tune.createStudy({ seed: 7, sampler: new tune.${name}(), space: tune.space.object({ x: tune.space.float(-2, 2), y: tune.space.float(-2, 2) }) });
      await study.optimize(({ params: { x, y } }) => x * x + (y - 1) ** 2, { trials: 30 });
      return study.trials().map((trial) => trial.params);
    }`;
    const here = new Script(`(${program})`).runInThisContext() as (tune: object) => Promise<unknown>;
    expect(await runInPage(`() => (${program})(tune)`)).toEqual(await here(await import("../index.ts")));
  });

  test("says what needs Node", async () => {
    const said = (await runInPage(`async () => {
      const messages = [];
      for (const attempt of [() => tune.createStudy({ storage: "sqlite:a.db" }), () => tune.openStorage("ftp:x"), async () => tune.processExecutor("x", { workers: 2 }), async () => tune.threadExecutor("x", { workers: 2 })]) {
        await attempt().catch((error) => messages.push([error instanceof tune.TuneError, String(error)]));
      }
      return messages;
    }`)) as [boolean, string][];
    expect(said.map(([typed]) => typed)).toEqual([true, true, true, true]);
    expect(said.map(([, message]) => message).join("\n")).toMatch(/^StorageError: sqlite: needs Node.*\nStorageError: .*unknown scheme "ftp".*\nTuneError: processExecutor needs Node.*\nTuneError: threadExecutor needs Node/);
  });
});
