// The device as its callers see it, on programs lowered by hand: memory, errors, phases, threads, failures.
// What the generators lower is checked in tests/conformance.
import { afterEach, describe, expect, test } from "vitest";
import { add, f32, FunctionBuilder, i32, load, loadSplat, madd, mul, splat } from "../../loops/build.ts";
import type { Expr, LoweredKernel } from "../../loops/ir.ts";
import { LifetimeError, ValueError } from "../../errors/errors.ts";
import type { Program, ProgramBuffer } from "../device.ts";
import { DeviceError, OutOfMemoryError } from "../errors.ts";
import { WasmDevice } from "./device.ts";

const devices: WasmDevice[] = [];
function device(threads = 1): WasmDevice {
  const made = new WasmDevice({ threads });
  devices.push(made);
  return made;
}
afterEach(async () => {
  for (const made of devices.splice(0)) {
    await made.dispose();
  }
});

const bound = (size: number, slot: number): ProgramBuffer => ({ dtype: "float32", size, place: { kind: "bound", slot } });
const arena = (size: number, offset: number): ProgramBuffer => ({ dtype: "float32", size, place: { kind: "arena", offset } });

/** A kernel whose units are elements; `body` writes element `index`. */
function elementwise(units: number, cost: number, body: (fn: FunctionBuilder, base: (buffer: number) => Expr, index: Expr, scratch: Expr) => void, scratchBytes = 0): LoweredKernel {
  const fn = new FunctionBuilder("kernel");
  const args = fn.parameter("args");
  const start = fn.parameter("start");
  const end = fn.parameter("end");
  const scratch = fn.parameter("scratch");
  fn.loop("i", start, end, 1, (index) => body(fn, (buffer) => load("i32", args, 4 * buffer), index, scratch));
  return { entry: fn.finish(), units, cost, setup: 0, scratchBytes };
}

/** out[i] ← a[i]·scale + out-of-place shift. */
const affine = (units: number, cost: number, from: number, to: number, scale: number, shift: number): LoweredKernel =>
  elementwise(units, cost, (fn, base, index) => {
    const at = mul(index, 4);
    fn.store("f32", add(base(to), at), madd(load("f32", add(base(from), at)), f32(scale), f32(shift)));
  });

/** out[i] ← a[n − 1 − i]: reads what other threads wrote in the phase before. */
const reverse = (units: number, cost: number, from: number, to: number): LoweredKernel =>
  elementwise(units, cost, (fn, base, index) => {
    const source = add(base(from), mul(add(mul(index, -1), units - 1), 4));
    fn.store("f32", add(base(to), mul(index, 4)), load("f32", source));
  });

type Layout = Pick<Program, "buffers" | "phases" | "arenaBytes" | "slots">;

/** `steps` phases of affine and reverse in turn, between two temporaries. */
function chain(size: number, steps: number, cost: number): { kernels: LoweredKernel[]; layout: Layout; expected: (input: Float32Array) => Float32Array } {
  const bytes = Math.ceil((4 * size) / 64) * 64;
  const kernels: LoweredKernel[] = [];
  let from = 0;
  for (let step = 0; step < steps; step++) {
    const to = step === steps - 1 ? 1 : 2 + (step % 2);
    kernels.push(step % 2 === 0 ? affine(size, cost, from, to, 0.5, 1) : reverse(size, cost, from, to));
    from = to;
  }
  return {
    kernels,
    layout: {
      buffers: [bound(size, 0), bound(size, 1), arena(size, 0), arena(size, bytes)],
      phases: kernels.map((_, index) => [index]),
      arenaBytes: 2 * bytes,
      slots: 2,
    },
    expected(input) {
      let value = Float32Array.from(input);
      for (let step = 0; step < steps; step++) value = step % 2 === 0 ? value.map((x) => Math.fround(x * 0.5 + 1)) : value.toReversed();
      return value;
    },
  };
}

const ramp = (size: number): Float32Array => Float32Array.from({ length: size }, (_, index) => (index * 37) % 101);

function runOn(made: WasmDevice, kernels: readonly LoweredKernel[], layout: Layout, input: Float32Array, times = 1): Float32Array {
  const executable = made.compileLowered(kernels, layout);
  const buffers = [made.allocate(input.byteLength), made.allocate(input.byteLength)];
  made.write(buffers[0]!, input);
  for (let time = 0; time < times; time++) executable.run(buffers);
  const output = new Float32Array(input.length);
  made.readSync(buffers[1]!, output);
  buffers.forEach((buffer) => made.free(buffer));
  executable.dispose();
  return output;
}

describe("memory", () => {
  test("what is written is read back, at an offset too", () => {
    const made = device();
    const buffer = made.allocate(20);
    made.write(buffer, Float32Array.of(1, 2, 3, 4, 5));
    made.write(buffer, Float32Array.of(9), 4);
    const read = new Float32Array(5);
    made.readSync(buffer, read);
    expect([...read]).toEqual([1, 9, 3, 4, 5]);
    expect(made.memory()).toEqual({ buffers: 1, bytes: 20 });
    made.free(buffer);
    expect(made.memory()).toEqual({ buffers: 0, bytes: 0 });
  });

  test("grows on demand and keeps what was there", () => {
    const made = device();
    const small = made.allocate(64);
    made.write(small, Float32Array.of(7));
    const large = made.allocate(64 * 2 ** 20);
    made.write(large, Float32Array.of(8), 64 * 2 ** 20 - 4);
    const read = new Float32Array(1);
    made.readSync(small, read);
    expect(read[0]).toBe(7);
  });

  test("an allocation beyond 4 GiB is an OutOfMemoryError and leaves the device usable", () => {
    const made = device();
    expect(() => made.allocate(5 * 2 ** 30)).toThrow(OutOfMemoryError);
    expect(made.memory().buffers).toBe(0);
    made.free(made.allocate(100));
  });

  test("misuse is refused by name: double free, use after free, foreign buffers, too much data", async () => {
    const made = device();
    const other = device();
    const buffer = made.allocate(8);
    expect(() => made.write(buffer, new Float32Array(3))).toThrow(/12 bytes at byte 0 of a buffer of 8/);
    expect(() => made.write(buffer, new Float32Array(2), 4)).toThrow(ValueError);
    await expect(made.read(buffer, new Float32Array(3))).rejects.toThrow(ValueError);
    expect(() => other.free(buffer)).toThrow(/another device/);
    made.free(buffer);
    expect(() => made.free(buffer)).toThrow(LifetimeError);
    expect(() => made.write(buffer, new Float32Array(1))).toThrow(LifetimeError);
    await made.dispose();
    expect(() => made.allocate(8)).toThrow(LifetimeError);
    expect(() => made.free(buffer)).not.toThrow();
  });
});

describe("programs", () => {
  test("kernels in phases pass values through the arena", () => {
    const made = device();
    for (const size of [1, 3, 7, 997]) {
      const { kernels, layout, expected } = chain(size, 5, 100);
      const input = ramp(size);
      expect(runOn(made, kernels, layout, input)).toEqual(expected(input));
    }
  });

  test("programs that share the workspace may alternate, whichever is larger", () => {
    const made = device();
    const small = chain(10, 3, 100);
    const large = chain(10_000, 3, 100);
    const compiled = [small, large].map(({ kernels, layout }) => made.compileLowered(kernels, layout));
    const inputs = [ramp(10), ramp(10_000)];
    const buffers = inputs.map((input) => [made.allocate(input.byteLength), made.allocate(input.byteLength)]);
    inputs.forEach((input, index) => made.write(buffers[index]![0]!, input));
    for (const index of [0, 1, 0, 1, 1, 0]) compiled[index]!.run(buffers[index]!);
    [small, large].forEach(({ expected }, index) => {
      const output = new Float32Array(inputs[index]!.length);
      made.readSync(buffers[index]![1]!, output);
      expect(output).toEqual(expected(inputs[index]!));
    });
  });

  test("equal programs share one module; disposing of one leaves the other", () => {
    const made = device();
    const { kernels, layout } = chain(10, 2, 100);
    const [first, second] = [made.compileLowered(kernels, layout), made.compileLowered(kernels, layout)];
    expect(made.report().programs).toBe(1);
    first.dispose();
    const buffers = [made.allocate(40), made.allocate(40)];
    expect(() => first.run(buffers)).toThrow(LifetimeError);
    second.run(buffers);
  });

  test("modules nobody uses are dropped, oldest first", () => {
    const made = device();
    for (let size = 1; size <= 70; size++) {
      const { kernels, layout } = chain(size, 1, 100);
      made.compileLowered(kernels, layout).dispose();
    }
    expect(made.report().programs).toBe(64);
  });

  test("a wrong number of buffers and one that is too small are refused", () => {
    const made = device();
    const { kernels, layout } = chain(10, 2, 100);
    const executable = made.compileLowered(kernels, layout);
    const buffers = [made.allocate(40), made.allocate(36)];
    expect(() => executable.run(buffers.slice(1))).toThrow(/2 slots but was given 1/);
    expect(() => executable.run(buffers)).toThrow(/Slot 1 of the program needs 40 bytes, but its buffer has 36/);
  });

  test("addresses beyond 2 GiB work", () => {
    const made = device();
    made.allocate(2.2 * 2 ** 30);
    const { kernels, layout, expected } = chain(997, 4, 100);
    expect(runOn(made, kernels, layout, ramp(997))).toEqual(expected(ramp(997)));
  });
});

describe("threads", () => {
  test("same bits on 1, 2, 3 and 5 threads, run after run, with units that do not divide", async () => {
    const { kernels, layout, expected } = chain(10_007, 9, 1e6);
    const input = ramp(10_007);
    for (const threads of [1, 2, 3, 5]) {
      const made = device(threads);
      await made.startThreads();
      expect(made.report().threadsReady).toBe(threads);
      expect(runOn(made, kernels, layout, input, 50)).toEqual(expected(input));
    }
  });

  test.each([["in whole shares where every call has much to set up", 1e6, 100], ["in pieces of a quarter of a share", 0, 25]])(
    "every unit runs once, on scratch of its thread: %s", async (_, setup, together) => {
      const threads = 3;
      const units = 300;
      // out[i] ← the address of the scratch area; count[i] grows by one.
      const kernel = elementwise(units, 1e6, (fn, base, index, scratch) => {
        const count = add(base(0), mul(index, 4));
        fn.store("i32", count, add(load("i32", count), 1));
        fn.store("i32", add(base(1), mul(index, 4)), scratch);
      }, 256);
      const made = device(threads);
      await made.startThreads();
      const executable = made.compileLowered([{ ...kernel, setup }], { buffers: [bound(units, 0), bound(units, 1)], phases: [[0]], arenaBytes: 0, slots: 2 });
      const buffers = [made.allocate(4 * units), made.allocate(4 * units)];
      made.write(buffers[0]!, new Int32Array(units));
      const output = new Int32Array(units);
      const seen = new Set<number>();
      for (let run = 1; run <= 20; run++) {
        executable.run(buffers);
        made.readSync(buffers[0]!, output);
        expect(new Set(output)).toEqual(new Set([run]));
        made.readSync(buffers[1]!, output);
        // Who runs a piece is whoever comes first.
        for (const scratch of output) seen.add(scratch);
        for (let piece = 0; piece < units; piece += together) expect(new Set(output.subarray(piece, piece + together)).size).toBe(1);
      }
      expect(seen.size).toBeLessThanOrEqual(threads);
    });

  test("small kernels of a shared phase, solo phases and shared ones may follow in any order", async () => {
    const size = 501;
    const bytes = 2048;
    const costs = [10, 1e6, 10, 10, 1e6, 1e6, 10];
    const kernels = costs.map((cost, step) => {
      const from = step === 0 ? 0 : 2 + ((step - 1) % 2);
      const to = step === costs.length - 1 ? 1 : 2 + (step % 2);
      return step % 2 === 0 ? affine(size, cost, from, to, 0.5, 1) : reverse(size, cost, from, to);
    });
    // A second, tiny kernel beside the fourth: it runs on another thread.
    kernels.push(affine(size, 10, 0, 4, 2, 0));
    const layout: Layout = {
      buffers: [bound(size, 0), bound(size, 1), arena(size, 0), arena(size, bytes), arena(size, 2 * bytes)],
      phases: costs.map((_, index) => (index === 4 ? [4, 7] : [index])),
      arenaBytes: 3 * bytes,
      slots: 2,
    };
    const made = device(2);
    await made.startThreads();
    const input = ramp(size);
    const { expected } = chain(size, costs.length, 1);
    expect(runOn(made, kernels, layout, input, 200)).toEqual(expected(input));
  });

  test("a program runs on one thread while the others start, with the same bits", () => {
    const made = device(2);
    const { kernels, layout, expected } = chain(1000, 4, 1e6);
    expect(runOn(made, kernels, layout, ramp(1000), 20)).toEqual(expected(ramp(1000)));
  });

  test.each([30_000, 1_000_000])("new programs reach threads that sleep, whether or not they are waited for (cost %i)", async (cost) => {
    const made = device(2);
    await made.startThreads();
    for (const size of [100, 101, 102]) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const { kernels, layout, expected } = chain(size, 4, cost);
      expect(runOn(made, kernels, layout, ramp(size), 3)).toEqual(expected(ramp(size)));
    }
  });

  /** Unit `unit` reads far outside memory. */
  const trapAt = (unit: number): LoweredKernel =>
    elementwise(2, 1e6, (fn, base, index) => {
      const address = mul(add(index, 1), 4);
      fn.if({ op: "binary", kind: "mask", lanes: 1, name: "eq", a: index, b: i32(unit) }, () => fn.store("f32", i32(-4), f32(1)));
      fn.store("f32", add(base(1), address), f32(1));
    });

  test.each([0, 1])("a trap on thread %i is a DeviceError, not a hang, and the device goes on", async (thread) => {
    const made = device(2);
    await made.startThreads();
    const { kernels, layout, expected } = chain(1000, 6, 1e6);
    const broken = made.compileLowered([...kernels.slice(0, 2), trapAt(thread), ...kernels.slice(3)], layout);
    const buffers = [made.allocate(4000), made.allocate(4000)];
    for (let time = 0; time < 3; time++) {
      expect(() => broken.run(buffers)).toThrow(DeviceError);
      expect(() => broken.run(buffers)).toThrow(/memory access out of bounds/);
      expect(runOn(made, kernels, layout, ramp(1000), 5)).toEqual(expected(ramp(1000)));
    }
    expect(made.report().threadsReady).toBe(2);
  });

  test("a vector kernel whose stores pair up gives the bits of its scalar twin", () => {
    const size = 64;
    const made = device();
    const kernel = elementwise(size / 8, 100, (fn, base, index) => {
      const at = fn.let("at", mul(index, 32));
      const values = [0, 1].map((half) => fn.let(`v${half}`, madd(load("f32", add(base(0), at), 16 * half, 4), loadSplat("f32", base(0), 4, 4), splat(f32(1), 4))));
      const to = fn.let("to", add(base(1), at));
      values.forEach((value, half) => fn.store("f32", to, value, 16 * half));
    });
    const output = runOn(made, [kernel], { buffers: [bound(size, 0), bound(size, 1)], phases: [[0]], arenaBytes: 0, slots: 2 }, ramp(size));
    expect(output).toEqual(ramp(size).map((x) => Math.fround(x * 37 + 1)));
  });
});
