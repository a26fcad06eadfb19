// `nabla tune` from arguments to streams, on two worker processes and a journal; with PostgreSQL where one is named.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { tuneCommand } from "./main.ts";

const folder = mkdtempSync(join(tmpdir(), "tune-"));
afterAll(() => { rmSync(folder, { recursive: true }); });
const module = fileURLToPath(new URL("./study.fixture.ts", import.meta.url));
const postgres = process.env["NABLA_TEST_POSTGRES"];

async function tune(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const texts = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof texts): Writable => new Writable({ write(chunk, _, next) { texts[name] += String(chunk); next(); } });
  const code = await tuneCommand(args, { stdout: stream("stdout"), stderr: stream("stderr") });
  return { code, ...texts };
}

describe.each([["journal", `journal:${join(folder, "a.journal")}`], ["sqlite", `sqlite:${join(folder, "a.db")}`], ...(postgres === undefined ? [] : [["postgres", postgres]])])("%s", (kind, storage) => {
  const name = kind === "postgres" ? ["--name", `rosenbrock ${process.pid}`] : [];
  const at = ["--storage", storage, ...name];

  test("run, status, best, resume, export", async () => {
    const ran = await tune("run", module, "--workers", "2", "--seed", "3", ...at);
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringMatching(/^(trial \d+ (COMPLETE|PRUNED).*\n){12}$/) as string });
    const won = JSON.parse(ran.stdout) as { values: number[]; params: Record<string, number> };
    expect(won.values[0]).toBeCloseTo((1 - won.params["x"]!) ** 2 + 100 * (won.params["y"]! - won.params["x"]! ** 2) ** 2, 12);
    expect((await tune("run", module, ...at)).stderr).toMatch(/already has a study/);
    const status = await tune("status", ...at);
    expect(status.stdout).toMatch(/seed 3; 12 evaluations/);
    expect((await tune("resume", module, "--trials", "15", "--executor", "threads", ...at)).code).toBe(0);
    expect((await tune("status", ...at)).stdout).toMatch(/15 evaluations/);
    expect((await tune("resume", module, "--trials", "15", ...at)).stderr).toMatch(/15 were asked for; ask for more/);
    expect(await tune("export", "--out", join(folder, "no", "folder.csv"), ...at)).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot be written/) as string });
    expect(JSON.parse((await tune("best", ...at)).stdout)).toHaveProperty("trial");
    const csv = await tune("export", ...at);
    expect(csv.stdout.trim().split("\r\n")).toHaveLength(16);
    const file = join(folder, `${kind}.json`);
    expect((await tune("export", "--format", "json", "--out", file, ...at)).code).toBe(0);
    expect(JSON.parse(readFileSync(file, "utf8"))).toHaveLength(15);
  }, 60_000);
});

describe("usage", () => {
  test.each([
    [[], 2, /nabla tune run/], [["fly"], 2, /no command "fly"/], [["run"], 2, /one module/], [["run", module, "--workers", "zero"], 2, /--workers/],
    [["run", module, "--wings"], 2, /wings/i], [["status"], 2, /--storage/], [["export", "-s", "memory:", "-f", "xml"], 2, /csv or json/],
    [["status", "-s", `journal:${join(folder, "none.journal")}`], 1, /no studies/], [["status", "-s", `sqlite:${join(folder, "none.db")}`], 1, /no file/], [["best", "-s", "ftp://x"], 1, /unknown scheme/], [["run", join(folder, "none.ts")], 1, /cannot be loaded/],
    [["run", fileURLToPath(import.meta.resolve("./values.ts"))], 1, /exports no study/], [["resume", module, "--seed", "1"], 2, /resume has no option --seed/], [["status", "-s", "memory:", "--workers", "2"], 2, /status has no option --workers/], [["best", "extra", "-s", "memory:"], 2, /--storage/],
  ] as const)("%j", async (args, code, message) => {
    const result = await tune(...args);
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(code);
  });

  test("help, of all and of one, on 80 columns", async () => {
    expect(await tune("--help")).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("nabla tune resume") as string });
    expect(await tune("help")).toEqual(await tune("--help"));
    for (const command of ["run", "resume", "status", "best", "export"]) {
      const one = await tune(command, "--help");
      expect(one).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(new RegExp(`^nabla tune ${command} [^]*--storage`)) as string });
      expect(await tune("help", command)).toEqual(one);
      expect(one.stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    }
    expect((await tune("--help")).stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect((await tune("status", "--help")).stdout).not.toMatch(/--workers/);
  });
});
