// The rooms of packages/nabla and packages/tune and which may import which: only downwards, no cycles, and nothing of
// Node where there may be none. ARCHITECTURE.md and packages/tune/README.md explain the orders; this test holds them.
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

interface House {
  readonly source: string;
  /** From the ground up: a room may import itself and those before it. */
  readonly rooms: readonly string[];
}

const root = resolve(import.meta.dirname, "..");
const nabla: House = {
  source: join(root, "packages/nabla/src"),
  rooms: [
    "errors", "ops", "kernels", "loops", "devices", "compile", "tensor", "transform", "random",
    "nn", "optim", "metrics", "io", "data", "train", "models", "text",
  ],
};
const tune: House = {
  source: join(root, "packages/tune/src"),
  rooms: [
    "errors", "math", "random", "pareto", "space", "contract", "state", "storage", "samplers", "pruners", "analysis",
    "trials", "executors", "study", "cross-validation", "hypergradient",
  ],
};

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

/** Static, dynamic and re-exporting imports of a file. */
function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const statement = /^\s*(?:import|export)\s+(type\s)?[^;"'`]*?from\s*["']([^"']+)["']|^\s*import\s+()["']([^"']+)["']|\bimport\(\s*()["']([^"']+)["']/gm;
  return [...text.matchAll(statement)].map((match) => ({
    file,
    target: match[2] ?? match[4] ?? match[6]!,
    typeOnly: match[1] !== undefined,
    dynamic: match[6] !== undefined,
  }));
}

function filesUnder(source: string): string[] {
  return globSync("**/*.ts", { cwd: source })
    .filter((path) => !/\.(test|test-d|fixture)\.ts$/.test(path))
    .map((path) => join(source, path));
}

describe.each([["nabla", nabla], ["tune", tune]])("rooms of %s", (_, { source, rooms }) => {
  const files = filesUnder(source);
  const imports = files.flatMap(importsOf);
  const short = (file: string): string => relative(source, file);
  const said = (wrong: readonly Import[]): string[] => wrong.map(({ file, target }) => `${short(file)} imports ${target}`);

  /** "ops", or "" for files of the root. */
  function roomOf(file: string): string {
    const parts = short(file).split(/[\\/]/);
    return parts.length > 1 ? parts[0]! : "";
  }

  test("every folder is a known room", () => {
    const folders = new Set(files.map(roomOf));
    expect([...folders].filter((room) => room !== "" && room !== "node" && !rooms.includes(room))).toEqual([]);
  });

  test("imports point down only", () => {
    const wrong = imports.filter(({ file, target }) => {
      const from = roomOf(file);
      if (!target.startsWith(".") || from === "" || from === "node") return false;
      const to = roomOf(resolve(dirname(file), target));
      return to === "" || to === "node" || rooms.indexOf(to) > rooms.indexOf(from);
    });
    expect(said(wrong)).toEqual([]);
  });

  test("fixtures are for tests", () => {
    expect(said(imports.filter(({ target }) => /\.(test|fixture)\.ts$/.test(target)))).toEqual([]);
  });

  test("every relative import names a file that exists, with its extension", () => {
    expect(said(imports.filter(({ file, target }) => target.startsWith(".") && !existsSync(resolve(dirname(file), target))))).toEqual([]);
  });

  test("there are no cycles of values between files", () => {
    const edges = new Map<string, string[]>();
    for (const { file, target, typeOnly } of imports) {
      if (typeOnly || !target.startsWith(".")) continue;
      edges.set(file, [...(edges.get(file) ?? []), resolve(dirname(file), target)]);
    }
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].map(short).join(" → "));
      if (done.has(file) || path.includes(file)) return;
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

describe("Node", () => {
  test("only node/ of nabla imports node:*, and the library imports no package", () => {
    const wrong = filesUnder(nabla.source).flatMap(importsOf).filter(({ file, target }) => !target.startsWith(".") && !(target.startsWith("node:") && relative(nabla.source, file).startsWith("node")));
    expect(wrong.map(({ file, target }) => `${relative(nabla.source, file)} imports ${target}`)).toEqual([]);
  });

  test("what a browser gets of tune imports nothing but tune", () => {
    const seen = new Set<string>();
    const wrong: string[] = [];
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const { target, typeOnly } of importsOf(file)) {
        if (typeOnly) continue;
        if (target.startsWith(".")) visit(resolve(dirname(file), target));
        else wrong.push(`${relative(tune.source, file)} imports ${target}`);
      }
    };
    for (const entry of ["index.ts", "hypergradient/index.ts"]) visit(join(tune.source, entry));
    expect(wrong).toEqual([]);
  });

  test("tune imports at once only Node's own modules; packages are optional and loaded when they are asked for", () => {
    const wrong = filesUnder(tune.source).flatMap(importsOf).filter(({ target, typeOnly, dynamic }) => !target.startsWith(".") && !target.startsWith("node:") && !typeOnly && !dynamic);
    expect(wrong.map(({ file, target }) => `${relative(tune.source, file)} imports ${target}`)).toEqual([]);
  });
});
