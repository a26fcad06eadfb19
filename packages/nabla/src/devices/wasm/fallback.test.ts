// What the device does where the platform offers less: no SIMD, no relaxed SIMD, no fusing, no shared memory.
import { afterEach, describe, expect, test, vi } from "vitest";
import { add, f32, FunctionBuilder, load, loadSplat, madd, mul } from "../../loops/build.ts";
import type { LoweredKernel } from "../../loops/ir.ts";
import { nodeHost } from "../../node/host.ts";
import { PlatformError } from "../errors.ts";
import { WasmDevice } from "./device.ts";
import type { Host } from "./host.ts";
import { probeCapabilities } from "./probe.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** What validation is asked in turn: SIMD, relaxed SIMD. */
function platformWith(simd: boolean, relaxed: boolean): void {
  vi.spyOn(WebAssembly, "validate").mockReturnValueOnce(simd).mockReturnValueOnce(relaxed);
}

const size = 40;

/** y ← x·x[0] + 1 by vectors, `fn` claiming enough work for threads. */
function kernel(): LoweredKernel {
  const fn = new FunctionBuilder("kernel");
  const args = fn.parameter("args");
  const [start, end] = [fn.parameter("start"), fn.parameter("end")];
  fn.parameter("scratch");
  const [x, y] = [fn.let("x", load("i32", args, 0)), fn.let("y", load("i32", args, 4))];
  fn.loop("i", start, end, 1, (index) => {
    const at = fn.let("at", mul(index, 16));
    fn.store("f32", add(y, at), madd(load("f32", add(x, at), 0, 4), loadSplat("f32", x, 0, 4), f32(1, 4)));
  });
  return { entry: fn.finish(), units: size / 4, cost: 1e6, setup: 0, scratchBytes: 0 };
}

async function runs(host: Host): Promise<void> {
  const device = new WasmDevice({ threads: 2, host });
  if (host.sharedMemory) await device.startThreads();
  const input = Float32Array.from({ length: size }, (_, index) => index + 2);
  const executable = device.compileLowered([kernel()], {
    buffers: [0, 1].map((slot) => ({ dtype: "float32", size, place: { kind: "bound", slot } })), phases: [[0]], arenaBytes: 0, slots: 2,
  });
  const [x, y] = [device.allocate(4 * size), device.allocate(4 * size)];
  device.write(x, input);
  executable.run([x, y]);
  const output = new Float32Array(size);
  device.readSync(y, output);
  expect(output).toEqual(input.map((value) => value * 2 + 1));
  await device.dispose();
}

describe("fallbacks", () => {
  test("no SIMD: a PlatformError that names what to use", () => {
    platformWith(false, false);
    expect(() => probeCapabilities(nodeHost())).toThrow(PlatformError);
    platformWith(false, false);
    expect(() => probeCapabilities(nodeHost())).toThrow(/has no WebAssembly SIMD. Use Node 22.18 or newer, or a browser/);
  });

  test("no relaxed SIMD: products and sums round apart, programs run", async () => {
    platformWith(true, false);
    const host = nodeHost();
    expect(probeCapabilities(host).relaxedSimd).toBe(false);
    await runs(host);
  });

  test("no fusing: narrow tiles", () => {
    const base = nodeHost();
    const capabilities = probeCapabilities({ ...base, compileModule: (bytes) => base.compileModule(bytes, false) });
    expect(capabilities.revectorized).toBe(false);
    expect(capabilities.tileColumns).toBe(8);
  });

  test("a host that cannot be timed: narrow tiles", () => {
    expect(probeCapabilities({ ...nodeHost(), synchronous: false })).toMatchObject({ tileColumns: 8, fusionRatio: undefined });
  });

  test("no shared memory: one thread", async () => {
    const host = { ...nodeHost(), sharedMemory: false };
    expect(new WasmDevice({ threads: 4, host }).report()).toMatchObject({ threads: 1, sharedMemory: false });
    await runs(host);
  });
});
