// The programs of the README run as they stand.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const programs = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]!);

function execute(program: string): string {
  const folder = mkdtempSync(join(fileURLToPath(new URL(".", import.meta.url)), ".readme-"));
  try {
    writeFileSync(join(folder, "program.ts"), program);
    return execFileSync(process.execPath, ["--conditions=nabla-source", join(folder, "program.ts")], { encoding: "utf8" });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the first has ten lines and finds the minimum", () => {
  const [first] = programs;
  expect(first!.trim().split("\n").filter((line) => line !== "").length).toBeLessThanOrEqual(10);
  const output = execute(first!);
  expect(output).toMatch(/power: 2/);
  const value = Number(/\[ ?([\d.e+-]+) ?\]/.exec(output)?.[1]);
  expect(value).toBeLessThan(0.1);
});

test("the typed space runs", () => {
  expect(() => execute(programs[1]!)).not.toThrow();
});
