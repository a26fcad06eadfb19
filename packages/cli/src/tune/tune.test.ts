// `nabla tune` from arguments to streams, on two worker processes and a journal; with PostgreSQL where one is named.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { createStudy } from "@nabla/tune";
import { LiveTable } from "./live.ts";
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

/** An environment for the unruly study. */
const unruly = (mode: string): string[] => ["run", fileURLToPath(new URL("./unruly.fixture.ts", import.meta.url)), "--env", `UNRULY=${mode}`, "--env", "WORKER=w{worker}"];

describe("failures", () => {
  test("the first is shown with its stack and line, the exit code is 1, and status and CSV know why", async () => {
    const at = ["--storage", `journal:${join(folder, "all.journal")}`];
    const stopped = await tune(...unruly("all"), ...at);
    expect(stopped).toMatchObject({ code: 1, stdout: "" });
    expect(stopped.stderr).toMatch(/1 of 1 trials failed; the first was trial 0:\nRangeError: no good, trial 0\n +at .*unruly\.fixture\.ts:\d+:\d+/);
    expect((await tune("status", ...at)).stdout).toMatch(/ 1 FAIL\nfailed because of\n +1 RangeError: no good, trial 0 \(unruly\.fixture\.ts:\d+:\d+\)/);
    expect((await tune("export", ...at)).stdout).toMatch(/^number,state,.*reason.*\r\n0,FAIL,.*RangeError: no good, trial 0 \(unruly/);
  });

  test("all of them: exit code 1 also where they are to go on; some of them: 0, and said", async () => {
    const all = await tune(...unruly("all"), "--failures", "continue", "-s", `journal:${join(folder, "all on.journal")}`);
    expect(all.code).toBe(1);
    expect(all.stderr).toMatch(/6 of 6 trials failed; the first was trial 0:\nRangeError/);
    const some = await tune(...unruly("some"), "--failures", "continue", "--executor", "threads", "-s", `journal:${join(folder, "some on.journal")}`);
    expect(some.code).toBe(0);
    expect(some.stderr).toMatch(/1 of 6 trials failed; the first was trial 2:\nRangeError/);
    expect(JSON.parse(some.stdout)).toHaveProperty("params.x");
  });

  test("infinities are strings in JSON", async () => {
    const at = ["-s", `journal:${join(folder, "infinite.journal")}`];
    expect(JSON.parse((await tune(...unruly("infinite"), "--trials", "1", ...at)).stdout)).toMatchObject({ values: ["Infinity"] });
    expect(JSON.parse((await tune("export", "-f", "json", ...at)).stdout)).toMatchObject([{ values: ["Infinity"] }]);
  });
});

describe("what trials print", () => {
  test.each(["processes", "threads"])("goes to stderr in whole lines, from %s, each with its environment", async (executor) => {
    const ran = await tune(...unruly("no"), "--workers", "2", "--executor", executor, "-s", `journal:${join(folder, `printed ${executor}.journal`)}`);
    expect(ran.code).toBe(0);
    const lines = ran.stderr.split("\n").filter((line) => line.startsWith("worker"));
    const threads = Math.max(1, Math.floor(availableParallelism() / 2));
    expect(lines.toSorted((a, b) => Number(a.split(" ")[4]) - Number(b.split(" ")[4])).map((line) => line.replace(/w\d/, "w"))).toEqual(Array.from({ length: 6 }, (_, i) => `worker w evaluates trial ${i} on ${process.env["NABLA_NUM_THREADS"] ?? threads}`));
    expect(new Set(lines.map((line) => /w\d/.exec(line)![0]))).toEqual(new Set(["w0", "w1"]));
    expect(JSON.parse(ran.stdout)).toHaveProperty("trial");
  });

  test("stands above the live table, which shows progress before parameters at 80 columns", async () => {
    const study = await createStudy({ seed: 1, pruner: null });
    const trial = await study.ask();
    for (let i = 0; i < 9; i++) trial.float(`a parameter with a long name ${i}`, 0, 1);
    await trial.report(0.25, 7);
    let text = "";
    const stream = Object.assign(new Writable({ write(chunk, _, next) { text += String(chunk); next(); } }), { isTTY: true, columns: 80, rows: 24 });
    const table = new LiveTable(study, 10, stream);
    table.print("one\ntw");
    table.print("o\nthree");
    table.close();
    const screen = render(text);
    expect(screen.slice(0, 3)).toEqual(["one", "two", "three"]);
    expect(screen[3]).toMatch(/^study /);
    expect(screen[4]).toMatch(/^ +0 +step 7: value 0\.25 +a parameter/);
    expect(screen.every((line) => line.length <= 80)).toBe(true);
    expect(screen.filter((line) => line.startsWith("study "))).toHaveLength(1);
  });
});

/** What a terminal shows of a text that only moves up, erases lines and erases what is below. */
function render(text: string): string[] {
  const screen: string[] = [];
  let row = 0, column = 0;
  // oxlint-disable-next-line no-control-regex -- a terminal's commands begin with one
  for (const [token, , size, command] of text.matchAll(/(\x1b\[(\d*)([AJK]))|\n|[^\x1b\n]+/g)) {
    if (command === "A") row -= Number(size);
    else if (command === "J") screen.splice(row);
    else if (command === "K") screen[row] = "";
    else if (token === "\n") { row++; column = 0; }
    else {
      screen[row] = (screen[row] ?? "").slice(0, column) + token;
      column += token.length;
    }
  }
  return screen;
}

describe("by hand", () => {
  const at = ["-s", `sqlite:${join(folder, "hand.db")}`, "-n", "by hand"];

  test("ask, tell, names, importance, plot, delete", async () => {
    for (let trial = 0; trial < 8; trial++) {
      const asked = JSON.parse((await tune("ask", module, ...at)).stdout) as { trial: number; params: { x: number; y: number } };
      expect(asked.trial).toBe(trial);
      const result = trial === 6 ? ["--state", "fail", "--reason", "power cut"] : [String(asked.params.x ** 2 - 1)];
      expect(await tune("tell", String(trial), ...result, ...at)).toMatchObject({ code: 0 });
    }
    expect((await tune("status", ...at)).stdout).toMatch(/1 power cut/);
    expect(await tune("tell", "3", "1", ...at)).toMatchObject({ code: 1, stderr: expect.stringMatching(/COMPLETE/) as string });
    expect(await tune("tell", "3", ...at)).toMatchObject({ code: 2 });
    expect((await tune("names", ...at)).stdout).toBe("by hand\n");
    const shares = JSON.parse((await tune("importance", "--json", ...at)).stdout) as Record<string, number>;
    expect(Object.keys(shares).toSorted()).toEqual(["x", "y"]);
    expect((await tune("importance", ...at)).stdout).toMatch(/^\d\.\d{3} {2}[xy]\n\d\.\d{3} {2}[xy]\n$/);
    for (const figure of ["contour", "edf", "history", "importance", "parallel", "rank", "slice", "timeline"]) expect((await tune("plot", figure, ...at)).stdout).toMatch(/^<\?xml[^]*<\/svg>\n$/);
    expect(await tune("plot", "rank", "-p", "x,z", ...at)).toMatchObject({ code: 1, stderr: expect.stringMatching(/no parameter "z"/) as string });
    expect(await tune("plot", "hypervolume", ...at)).toMatchObject({ code: 1 });
    expect(await tune("delete", ...at.slice(0, 2))).toMatchObject({ code: 2, stderr: expect.stringMatching(/--name/) as string });
    expect((await tune("delete", ...at)).code).toBe(0);
    expect((await tune("names", ...at)).stdout).toBe("");
  }, 60_000);

  test("ask needs a module that declares its space", async () => {
    expect(await tune("ask", unruly("no")[1]!, ...at)).toMatchObject({ code: 1, stderr: expect.stringMatching(/declares no `space`/) as string });
  });
});

describe("usage", () => {
  test.each([
    [[], 2, /nabla tune/], [["fly"], 2, /unknown command 'fly'/], [["run"], 2, /study\.ts/], [["run", module, "--workers", "zero"], 2, /--workers.*positive integer/], [["run", module, "--timeout", "60"], 2, /unit: 500ms/],
    [["run", module, "--env", "x"], 2, /NAME=value/], [["run", module, "--failures", "ignore"], 2, /stop, continue/],
    [["run", module, "--wings"], 2, /wings/i], [["status"], 2, /--storage/], [["export", "-s", "memory:", "-f", "xml"], 2, /csv, json/], [["plot", "pie", "-s", "memory:"], 2, /contour/],
    [["status", "-s", `journal:${join(folder, "none.journal")}`], 1, /no studies/], [["status", "-s", `sqlite:${join(folder, "none.db")}`], 1, /no file/], [["best", "-s", "ftp://x"], 1, /unknown scheme/], [["run", join(folder, "none.ts")], 1, /cannot be loaded/],
    [["run", fileURLToPath(import.meta.resolve("./json.ts"))], 1, /exports no study/], [["resume", module, "--seed", "1"], 2, /unknown option '--seed'/], [["status", "-s", "memory:", "--workers", "2"], 2, /unknown option '--workers'/], [["best", "extra", "-s", "memory:"], 2, /too many arguments/],
  ] as [string[], number, RegExp][])("%j", async (args, code, message) => {
    const said = await tune(...args);
    expect(said).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(message) as string });
  });

  test("help goes to stdout, is at most 80 columns wide, and each command shows its own options", async () => {
    expect(await tune("--help")).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("resume") as string });
    expect(await tune("help")).toEqual(await tune("--help"));
    for (const command of ["run", "resume", "status", "best", "export", "importance", "plot", "names", "delete", "ask", "tell"]) {
      const one = await tune(command, "--help");
      expect(one).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(new RegExp(`nabla tune ${command} [^]*--storage`)) as string });
      expect(await tune("help", command)).toEqual(one);
      expect(one.stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    }
    expect((await tune("--help")).stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect((await tune("status", "--help")).stdout).not.toMatch(/--workers/);
    expect(await tune("--version")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) as string });
  });
});
