// What the browser test runs in the page: a program on the engine in its worker, while the page counts its own ticks.
import { add, f32, FunctionBuilder, load, madd, mul } from "../../packages/nabla/src/loops/build.ts";
import type { LoweredKernel } from "../../packages/nabla/src/loops/ir.ts";
import { type DeviceReport, WasmDevice } from "../../packages/nabla/src/devices/wasm/device.ts";
import { type Training, trainOnMadeUpDigits } from "./training.ts";
import { tuneParabola } from "./tuning.ts";

/** What the page got to do meanwhile. */
export interface Ticks {
  readonly timers: number;
  readonly frames: number;
  /** Longest time in ms between two timers. */
  readonly longestGap: number;
}

export interface DeviceCheck extends Ticks {
  readonly report: DeviceReport;
  readonly correct: boolean;
  readonly milliseconds: number;
  /** The message a failing program is reported with. */
  readonly failure: string;
  readonly correctAfterFailure: boolean;
  readonly live: { readonly buffers: number; readonly bytes: number };
}

/** y ← x/2 + 1, `repeats` times over. */
function halve(units: number, repeats: number, cost: number): LoweredKernel {
  const fn = new FunctionBuilder("halve");
  const args = fn.parameter("args");
  const start = fn.parameter("start");
  const end = fn.parameter("end");
  fn.parameter("scratch");
  const x = fn.let("x", load("i32", args, 0));
  const y = fn.let("y", load("i32", args, 4));
  fn.loop("repeat", 0, repeats, 1, () => {
    fn.loop("i", start, end, 1, (i) => {
      const at = fn.let("at", mul(i, 4));
      fn.store("f32", add(y, at), madd(load("f32", add(x, at)), f32(0.5), f32(1)));
    });
  });
  return { entry: fn.finish(), units, cost, setup: 0, scratchBytes: 0 };
}

function trap(): LoweredKernel {
  const fn = new FunctionBuilder("trap");
  const args = fn.parameter("args");
  for (const name of ["start", "end", "scratch"]) fn.parameter(name);
  fn.store("f32", add(mul(load("i32", args, 0), 0), -4), f32(1));
  return { entry: fn.finish(), units: 1, cost: 1, setup: 0, scratchBytes: 0 };
}

/** Counts timers and frames until it is stopped. */
function countTicks(): () => Ticks {
  let timers = 0;
  let frames = 0;
  let longestGap = 0;
  let last = performance.now();
  let running = true;
  const tick = (): void => {
    const now = performance.now();
    longestGap = Math.max(longestGap, now - last);
    last = now;
  };
  const interval = setInterval(() => {
    timers++;
    tick();
  }, 4);
  const frame = (): void => {
    frames++;
    if (running) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  return () => {
    running = false;
    clearInterval(interval);
    tick();
    return { timers, frames, longestGap };
  };
}

async function checkDevice(): Promise<DeviceCheck> {
  const size = 200_000;
  const device = new WasmDevice({ threads: 2 });
  await device.startThreads();
  const layout = {
    buffers: [0, 1].map((slot) => ({ dtype: "float32" as const, size, place: { kind: "bound" as const, slot } })),
    phases: [[0]],
    arenaBytes: 0,
    slots: 2,
  };
  const program = device.compileLowered([halve(size, 200, 1e7)], layout);
  const broken = device.compileLowered([trap()], layout);
  const [x, y] = [device.allocate(4 * size), device.allocate(4 * size)];
  const input = Float32Array.from({ length: size }, (_, index) => index % 1000);
  const output = new Float32Array(size);
  const check = (): boolean => output.every((value, index) => value === input[index]! / 2 + 1);

  const stop = countTicks();
  const begin = performance.now();
  device.write(x, input);
  for (let step = 0; step < 40; step++) program.run([x, y]);
  await device.read(y, output);
  const milliseconds = performance.now() - begin;
  const ticks = stop();
  const correct = check();

  broken.run([x, y]);
  const failure = await device.finish().then(() => "none", String);
  output.fill(0);
  program.run([x, y]);
  await device.read(y, output);
  const correctAfterFailure = check();

  const report = device.report();
  device.free(x);
  device.free(y);
  const live = device.memory();
  await device.dispose();
  return { report, correct, milliseconds, ...ticks, failure, correctAfterFailure, live };
}

async function checkTraining(steps: number): Promise<Training & Ticks> {
  // Tracing and lowering run on the page, once; what is counted is the training itself.
  await trainOnMadeUpDigits(1);
  const stop = countTicks();
  const training = await trainOnMadeUpDigits(steps);
  return { ...training, ...stop() };
}

declare global {
  var checks: { readonly checkDevice: typeof checkDevice; readonly checkTraining: typeof checkTraining; readonly tuneParabola: typeof tuneParabola };
}
globalThis.checks = { checkDevice, checkTraining, tuneParabola };
