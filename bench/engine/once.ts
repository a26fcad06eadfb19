// What is measured in fresh processes: the first step, compilation included, and the size of the browser bundle.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** Median milliseconds from an untouched MLP 784-512-256-10 to its first finished Adam step, in `rounds` fresh processes. */
export async function firstStep(rounds: number): Promise<number> {
  const times = Array.from({ length: rounds }, () =>
    Number(execFileSync(process.execPath, ["--conditions=nabla-source", here("first-step.ts")], { encoding: "utf8" })));
  times.sort((a, b) => a - b);
  return times[times.length >> 1]!;
}

/** Bytes of the whole public API, bundled and minified for browsers, after gzip. */
export async function bundleSize(): Promise<number> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    stdin: { contents: 'export * from "nabla"; export * as data from "nabla/data";', resolveDir: here("../.."), loader: "ts" },
    bundle: true, minify: true, format: "esm", platform: "browser", conditions: ["nabla-source"], write: false,
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}
