// A thread that dies, or never comes to a barrier, costs its speed: an error at most, never a hang or a wrong value.
import { expect, test, vi } from "vitest";
import { nodeHost } from "../../node/host.ts";
import { add, f32, FunctionBuilder, load, mul } from "../../loops/build.ts";
import type { LoweredKernel } from "../../loops/ir.ts";
import { DeviceError } from "../errors.ts";
import { type ControlLayout, controlLayout } from "./control.ts";
import { WasmDevice } from "./device.ts";
import type { Host } from "./host.ts";

vi.mock(import("./control.ts"), async (importOriginal) => {
  const original = await importOriginal();
  return { ...original, controlLayout: { ...original.controlLayout, barrierSeconds: 1 } satisfies ControlLayout };
});

const size = 1000;

/** Doubles 1000 values in place. */
function double(): LoweredKernel {
  const fn = new FunctionBuilder("double");
  const args = fn.parameter("args");
  const [start, end] = [fn.parameter("start"), fn.parameter("end")];
  fn.parameter("scratch");
  fn.loop("i", start, end, 1, (index) => {
    const at = fn.let("at", add(load("i32", args), mul(index, 4)));
    fn.store("f32", at, { op: "binary", kind: "f32", lanes: 1, name: "mul", a: load("f32", at), b: f32(2) });
  });
  return { entry: fn.finish(), units: size, cost: 1e6, setup: 0, scratchBytes: 0 };
}

function doubled(device: WasmDevice): Float32Array {
  const executable = device.compileLowered([double()], {
    buffers: [{ dtype: "float32", size, place: { kind: "bound", slot: 0 } }], phases: [[0]], arenaBytes: 0, slots: 1,
  });
  const buffer = device.allocate(4 * size);
  device.write(buffer, new Float32Array(size).fill(3));
  try {
    executable.run([buffer]);
    const result = new Float32Array(size);
    device.readSync(buffer, result);
    return result;
  } finally {
    device.free(buffer);
    executable.dispose();
  }
}

const expected = new Float32Array(size).fill(6);

test("after a thread died the device goes on with one", async () => {
  const base = nodeHost();
  let kill = (): void => {};
  const host: Host = {
    ...base,
    spawn(source, events) {
      const worker = base.spawn(source, events);
      kill = () => {
        worker.terminate();
        events.failed("killed by the test");
      };
      return worker;
    },
  };
  const device = new WasmDevice({ threads: 2, host });
  await device.startThreads();
  expect(doubled(device)).toEqual(expected);
  kill();
  expect(device.report().threadsReady).toBe(1);
  expect(doubled(device)).toEqual(expected);
  await device.dispose();
});

test("a platform that refuses threads has one", () => {
  const host: Host = { ...nodeHost(), spawn: () => {
    throw new Error("no workers here");
  } };
  const device = new WasmDevice({ threads: 2, host });
  for (let round = 0; round < 3; round++) expect(doubled(device)).toEqual(expected);
  expect(device.report().threadsReady).toBe(1);
});

test("a thread without a core finds its work done when it comes", async () => {
  const { epoch, ready, claimed, claimedWords, arrived, generation, completed } = controlLayout;
  // It comes to the barrier once the other thread has looked for all four pieces of its share in vain.
  const latecomer = `(port) => port.listen(({ memory }) => {
    if (!memory) return;
    const words = new Int32Array(memory.buffer);
    let seen = Atomics.load(words, ${epoch});
    Atomics.add(words, ${ready}, 1);
    for (;;) {
      Atomics.wait(words, ${epoch}, seen, 1);
      const command = Atomics.load(words, ${epoch});
      if (command === seen) continue;
      seen = command;
      if ((command & 255) < 2) continue;
      while (Atomics.load(words, ${claimed + claimedWords}) < 5);
      if (Atomics.add(words, ${arrived}, 1) === 1) {
        Atomics.store(words, ${arrived}, 0);
        for (const thread of [0, 1]) words.fill(0, ${claimed} + ${claimedWords} * thread, ${claimed + 4} + ${claimedWords} * thread);
        Atomics.add(words, ${generation}, 1);
        Atomics.notify(words, ${generation});
      }
      Atomics.store(words, ${completed + 1}, command);
    }
  })`;
  const base = nodeHost();
  const device = new WasmDevice({ threads: 2, host: { ...base, spawn: (_source, events) => base.spawn(latecomer, events) } });
  await device.startThreads();
  for (let round = 0; round < 20; round++) expect(doubled(device)).toEqual(expected);
  expect(device.report().threadsReady).toBe(2);
  await device.dispose();
});

test("a thread that never comes to the barrier is a DeviceError, and the device goes on with one", async () => {
  const base = nodeHost();
  // It says that it is ready, and then does nothing.
  const deserter = `(port) => port.listen(({ memory }) => memory && Atomics.add(new Int32Array(memory.buffer), ${controlLayout.ready}, 1))`;
  const host: Host = { ...base, spawn: (_source, events) => base.spawn(deserter, events) };
  const device = new WasmDevice({ threads: 2, host });
  await device.startThreads();
  expect(() => doubled(device)).toThrow(DeviceError);
  expect(doubled(device)).toEqual(expected);
  await device.dispose();
});
