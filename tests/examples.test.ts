// Every @example of the public documentation runs, and what its `// value` comments say is what comes out.
// In scope: the public API, the exports of the file the example stands in, and a small model with data.
import { mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import * as nabla from "../packages/nabla/src/node/index.ts";
import * as data from "../packages/nabla/src/node/data.ts";
import * as hypergradient from "../packages/tune/src/hypergradient/index.ts";
import * as tune from "../packages/tune/src/node/index.ts";

/** Where examples stand, and what they find in scope. */
interface House {
  readonly source: string;
  scope(file: string): Promise<Record<string, unknown>>;
}

interface Example {
  readonly file: string;
  readonly line: number;
  readonly code: string;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/@example\n((?: *\* .*\n)+)/g)].map((match) => {
    const block = match[1]!.split("\n").map((line) => line.replace(/^ *\* ?/, ""));
    const end = block.findIndex((line) => line.startsWith("@"));
    return { file, line: text.slice(0, match.index).split("\n").length, code: block.slice(0, end < 0 ? undefined : end).join("\n") };
  });
}

/** The files of a house that have examples. */
function filesWith(source: string): { readonly name: string; readonly examples: readonly Example[] }[] {
  return readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => ({ name, examples: examplesOf(join(source, name)) }))
    .filter(({ examples }) => examples.length > 0);
}

/** `expression; // expected` becomes a comparison; the rest runs as it is. */
function instrument(code: string): string {
  return code.split("\n").map((line) => {
    const said = /^(?!\s*(?:const|let|for|class|if|return)\b)(.*?);\s*\/\/\s*((?:\[|-?\d|"|\{|true|false).*)$/.exec(line);
    return said === null ? line : `__expect(await (${said[1]!}), ${JSON.stringify(said[2])});`;
  }).join("\n");
}

/** Compares what came out with what the comment shows; `…` stands for anything from there on. */
function matches(actual: unknown, said: string): void {
  const shown = JSON.stringify(actual) ?? String(actual);
  const plain = (text: string): string => text.replace(/\s+/g, "").replace(/(\{|,)"(\w+)":/g, "$1$2:");
  const [prefix, rest] = plain(said).split("…") as [string, string | undefined];
  if (rest === undefined) expect(plain(shown)).toBe(prefix);
  else expect(plain(shown).startsWith(prefix), `${shown} does not begin as ${said}`).toBe(true);
}

const AsyncFunction = (async () => {}).constructor as new (...parameters: string[]) => (...values: unknown[]) => Promise<void>;

const quiet = { log: () => undefined };

/** A small model with data. */
function fixtures(): Record<string, unknown> {
  const { nn, optim } = nabla;
  const columns = { x: { data: Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)), shape: [4] }, y: { data: Int32Array.from({ length: 16 }, (_, i) => i % 3), shape: [] } };
  const set = data.dataset(columns);
  return { model: nn.sequential(nn.dense(4, 3)), optimizer: optim.adam(), trainSet: set, testSet: set, loader: set.loader({ batchSize: 8 }), console: quiet };
}

/** A study of one objective with twenty trials, its results, and those of one with two. */
async function studies(): Promise<Record<string, unknown>> {
  const study = await tune.createStudy({ seed: 1, sampler: new tune.TPESampler() });
  await study.optimize((trial) => trial.float("x", -5, 5) ** 2 + trial.float("y", -5, 5), { trials: 20 });
  const two = await tune.createStudy({ seed: 1, directions: ["minimize", "minimize"], sampler: new tune.TPESampler() });
  await two.optimize((trial) => [trial.float("x", 0, 1), (1 - trial.float("x", 0, 1)) * (1 + trial.float("y", 0, 1))], { trials: 20 });
  return { study, results: tune.resultsOf(study.view), front: tune.resultsOf(two.view), console: quiet };
}

const nablaSource = fileURLToPath(new URL("../packages/nabla/src", import.meta.url));
const tuneSource = fileURLToPath(new URL("../packages/tune/src", import.meta.url));
const houses: [string, House][] = [
  ["nabla", {
    source: nablaSource,
    scope: async (file) => ({ ...fixtures(), ...nabla.nn, ...nabla, ...data, ...(await import(pathToFileURL(file).href) as object), ...(relative(nablaSource, file).startsWith("random") ? nabla.random : {}) }),
  }],
  ["tune", {
    source: tuneSource,
    scope: async (file) => ({ ...nabla, ...(await studies()), ...tune, ...hypergradient, ...(await import(pathToFileURL(file).href) as object) }),
  }],
];

beforeAll(() => process.chdir(mkdtempSync(join(tmpdir(), "nabla-examples-"))));

describe.each(houses)("%s", (_, { source, scope }) => {
  describe.each(filesWith(source))("$name", ({ examples }) => {
    test.each(examples)("line $line", async ({ file, code }) => {
      const given: Record<string, unknown> = { ...(await scope(file)), __expect: matches };
      // What an example declares itself hides what is in scope.
      const declared = new Set([...code.matchAll(/\b(?:const|let|class|function)\s+(\w+)/g)].map((match) => match[1]));
      const names = Object.keys(given).filter((each) => !declared.has(each) && !/^(import|default)$/.test(each));
      const plain = stripTypeScriptTypes(`async () => {\n${instrument(code.replace(/^import .*$/gm, "").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(file).href)))}\n}`);
      await new AsyncFunction(...names, `await (${plain})();`)(...names.map((each) => given[each]));
    });
  });
});
