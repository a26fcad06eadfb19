// The rooms of packages/nabla and which may import which: only downwards, no cycles, node:* in node/ alone.
// ARCHITECTURE.md explains the order; this test holds it.
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

/** From the ground up: a room may import itself and those before it. */
const rooms = [
  "errors", "ops", "kernels", "loops", "devices", "compile", "tensor", "transform", "random",
  "nn", "optim", "metrics", "io", "data", "train", "models", "text",
];

const root = resolve(import.meta.dirname, "..");
const source = join(root, "packages/nabla/src");

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

/** Static, dynamic and re-exporting imports of a file. */
function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const statement = /^\s*(?:import|export)\s+(type\s)?[^;"'`]*?from\s*["']([^"']+)["']|^\s*import\s+()["']([^"']+)["']|\bimport\(\s*()["']([^"']+)["']/gm;
  return [...text.matchAll(statement)].map((match) => ({
    file,
    target: match[2] ?? match[4] ?? match[6]!,
    typeOnly: match[1] !== undefined,
  }));
}

const files = globSync("**/*.ts", { cwd: source })
  .filter((path) => !/\.(test|test-d|fixture)\.ts$/.test(path))
  .map((path) => join(source, path));
const imports = files.flatMap(importsOf);

/** "ops", or "" for files of the root. */
function roomOf(file: string): string {
  const parts = relative(source, file).split(/[\\/]/);
  return parts.length > 1 ? parts[0]! : "";
}

const short = (file: string): string => relative(source, file);

describe("rooms", () => {
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
    expect(wrong.map(({ file, target }) => `${short(file)} imports ${target}`)).toEqual([]);
  });

  test("only node/ imports node:*, and the library imports no package", () => {
    const wrong = imports.filter(({ file, target }) => !target.startsWith(".") && !(target.startsWith("node:") && roomOf(file) === "node"));
    expect(wrong.map(({ file, target }) => `${short(file)} imports ${target}`)).toEqual([]);
  });

  test("fixtures are for tests", () => {
    expect(imports.filter(({ target }) => /\.(test|fixture)\.ts$/.test(target)).map(({ file, target }) => `${short(file)} imports ${target}`)).toEqual([]);
  });

  test("every relative import names a file that exists, with its extension", () => {
    const wrong = imports.filter(({ file, target }) => target.startsWith(".") && !existsSync(resolve(dirname(file), target)));
    expect(wrong.map(({ file, target }) => `${short(file)} imports ${target}`)).toEqual([]);
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
