// What the runtime costs around the arithmetic: a run, a wake-up, a barrier, a copy. `node --conditions=nabla-source bench/engine/runtime.ts`
// Programs here do almost nothing, so times are overhead. Medians of 21 rounds, in µs.
import { type LoweredKernel } from "../../packages/nabla/src/loops/ir.ts";
import { WasmDevice } from "../../packages/nabla/src/devices/wasm/device.ts";
import { installHost } from "../../packages/nabla/src/devices/wasm/host.ts";
import { add, f32, FunctionBuilder, load, madd, mul } from "../../packages/nabla/src/loops/build.ts";
import { nodeHost } from "../../packages/nabla/src/node/host.ts";
import type { DeviceBuffer, Executable } from "../../packages/nabla/src/devices/device.ts";

installHost(nodeHost());
const device = new WasmDevice({ threads: 2 });
const units = 8;

/** y ← x/2 + 1 on eight numbers; `cost` says whether threads share it. */
function kernel(from: number, to: number, cost: number): LoweredKernel {
  const fn = new FunctionBuilder("kernel");
  const args = fn.parameter("args");
  const [start, end] = [fn.parameter("start"), fn.parameter("end")];
  fn.parameter("scratch");
  fn.loop("i", start, end, 1, (index) => {
    const at = fn.let("at", mul(index, 4));
    fn.store("f32", add(load("i32", args, 4 * to), at), madd(load("f32", add(load("i32", args, 4 * from), at)), f32(0.5), f32(1)));
  });
  return { entry: fn.finish(), units, cost, setup: 0, scratchBytes: 0 };
}

function program(phases: number, slots: number, shared: boolean): { executable: Executable; buffers: DeviceBuffer[] } {
  const kernels = Array.from({ length: phases }, (_, phase) => kernel(phase % 2, (phase + 1) % 2, shared ? 1e6 : 10));
  const executable = device.compileLowered(kernels, {
    buffers: Array.from({ length: slots }, (_, slot) => ({ dtype: "float32", size: units, place: { kind: "bound", slot } })),
    phases: kernels.map((_, index) => [index]),
    arenaBytes: 0,
    slots,
  });
  return { executable, buffers: Array.from({ length: slots }, () => device.allocate(4 * units)) };
}

function report(name: string, microseconds: number[]): void {
  microseconds.sort((a, b) => a - b);
  console.log(`${name.padEnd(44)} ${microseconds[microseconds.length >> 1]!.toFixed(2).padStart(8)}   best ${microseconds[0]!.toFixed(2)}`);
}

function measure(name: string, action: () => void, count: number): void {
  for (let warm = 0; warm < 3 * count; warm++) action();
  report(
    name,
    Array.from({ length: 21 }, () => {
      const begin = performance.now();
      for (let index = 0; index < count; index++) action();
      return ((performance.now() - begin) / count) * 1e3;
    }),
  );
}

for (const [name, phases, slots, shared] of [
  ["run: 1 kernel, 2 slots", 1, 2, false],
  ["run: 10 phases, 30 slots", 10, 30, false],
  ["2 threads: wake and join", 1, 2, true],
  ["2 threads: wake, 10 barriers and join", 11, 2, true],
  ["2 threads: wake, 100 barriers and join", 101, 2, true],
] as const) {
  if (shared) await device.startThreads();
  const { executable, buffers } = program(phases, slots, shared);
  measure(name, () => executable.run(buffers), phases > 50 ? 100 : 1000);
}

const { executable, buffers } = program(1, 2, true);
const asleep: number[] = [];
for (let round = 0; round < 41; round++) {
  await new Promise((resolve) => setTimeout(resolve, 5));
  const begin = performance.now();
  executable.run(buffers);
  asleep.push((performance.now() - begin) * 1e3);
}
report("2 threads: wake one that sleeps, and join", asleep);

const batch = new Float32Array(128 * 784).fill(1);
const large = device.allocate(batch.byteLength);
measure("write 401 kB", () => device.write(large, batch), 100);
measure("read 401 kB", () => device.readSync(large, batch), 100);
measure("allocate and free", () => device.free(device.allocate(1000)), 1000);
console.log(device.report());
await device.dispose();
