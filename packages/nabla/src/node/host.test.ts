// The version gate and the number of threads; the rest of the platform is exercised by every device test.
import { describe, expect, test } from "vitest";
import { PlatformError } from "../devices/errors.ts";
import { ValueError } from "../ops/errors.ts";
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

  test("a worker that dies says so", async () => {
    const reason = await new Promise<string>((resolve) => {
      nodeHost().spawn('() => { throw new Error("broken"); }', { message: () => {}, failed: resolve });
    });
    expect(reason).toContain("broken");
  });
});
