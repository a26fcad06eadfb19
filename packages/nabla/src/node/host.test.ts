// The version gate and the number of threads; the rest of the platform is exercised by every device test.
import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import { PlatformError } from "../devices/errors.ts";
import { ValueError } from "../errors/errors.ts";
import { checkVersion, nodeHost, threadCount } from "./host.ts";

describe("Node platform", () => {
  test.each(["20.20.2", "22.17.1", "18.0.0"])("Node %s is refused with the version it needs", (version) => {
    expect(() => checkVersion(version)).toThrow(PlatformError);
    expect(() => checkVersion(version)).toThrow(`nabla needs Node 22.18 or newer, and this is Node ${version}.`);
  });

  test.each(["22.18.0", "22.23.3", "24.0.0", "26.10.0"])("Node %s is taken", (version) => {
    expect(() => checkVersion(version)).not.toThrow();
  });

  test("NABLA_NUM_THREADS sets the threads; nonsense is named", () => {
    expect(threadCount(undefined, 8)).toBe(8);
    expect(threadCount("", 8)).toBe(8);
    expect(threadCount("3", 8)).toBe(3);
    for (const setting of ["0", "-1", "2.5", "all"]) expect(() => threadCount(setting, 8)).toThrow(ValueError);
  });

  test("where Node's permissions allow no workers there is one thread", async () => {
    const program = 'import { ones } from "nabla"; import { defaultDevice } from "nabla"; const x = ones([512, 512]); for (let i = 0; i < 3; i++) console.log(x.matmul(x).sum().item(), defaultDevice().report().threads);';
    const child = spawn(process.execPath, ["--permission", "--allow-fs-read=*", "--conditions=nabla-source", "--input-type=module", "--eval", program], { cwd: import.meta.dirname });
    let output = "";
    child.stdout.on("data", (data: Buffer) => (output += data.toString()));
    child.stderr.on("data", (data: Buffer) => (output += data.toString()));
    await new Promise((resolve) => child.on("close", resolve));
    expect(output.trim().split("\n")).toEqual(Array.from({ length: 3 }, () => "134217728 1"));
  });

  test("a spawned worker answers, and does not keep the process alive", async () => {
    const host = nodeHost();
    const answer = await new Promise((resolve, reject) => {
      const worker = host.spawn("(port) => port.listen((message) => port.post(message + 1))", {
        message(message) {
          worker.terminate();
          resolve(message);
        },
        failed: (reason) => reject(new Error(reason)),
      });
      worker.post(41);
    });
    expect(answer).toBe(42);
  });

  test("compiling leaves WebAssembly alone that another thread runs for the first time", async () => {
    // (func (result i32) i32.const 1) (func (export "f") (result i32) call 0)
    const bytes = "new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 3, 2, 0, 0, 7, 5, 1, 1, 102, 0, 1, 10, 11, 2, 4, 0, 65, 1, 11, 4, 0, 16, 0, 11])";
    // (func (result i32) i32.const 1)
    const compiled = "new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 10, 6, 1, 4, 0, 65, 1, 11])";
    const other = `
      const module = new WebAssembly.Module(${bytes});
      const run = () => new WebAssembly.Instance(module).exports.f();
      (await import("node:worker_threads")).parentPort.postMessage(run());
      for (;;) run();`;
    const program = `
      const { Worker } = await import("node:worker_threads");
      const { nodeHost } = await import(${JSON.stringify(new URL("host.ts", import.meta.url).href)});
      const host = nodeHost();
      await new Promise((resolve) => new Worker(${JSON.stringify(other)}, { eval: true }).on("message", resolve));
      for (let i = 0; i < 500; i++) host.compileModule(${compiled});
      process.exit(0);`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = await new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
    expect(ended, stderr).toEqual({ code: 0, signal: null });
  });

  test("a worker that dies says so", async () => {
    const reason = await new Promise<string>((resolve) => {
      nodeHost().spawn('() => { throw new Error("broken"); }', { message: () => {}, failed: resolve });
    });
    expect(reason).toContain("broken");
  });
});
