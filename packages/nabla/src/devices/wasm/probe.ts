// What the WebAssembly of this platform can do, found by validating and timing instead of by names and versions.
// Timed: whether pairs of vectors fuse into 256-bit registers (V8's revectorize), and else how high a tile its registers hold.
import { add, f32, FunctionBuilder, get, i32, load, loadSplat, madd } from "../../loops/build.ts";
import type { IrFunction } from "../../loops/ir.ts";
import { PlatformError } from "../errors.ts";
import { Code, ModuleAssembler } from "./assemble.ts";
import type { Host } from "./host.ts";
import { memoryImport } from "./module.ts";
import { printFunctions } from "./print.ts";

/** What the generators and `nabla doctor` need to know. */
export interface Capabilities {
  readonly relaxedSimd: boolean;
  /** A product's tile, in floats (loops/ir.ts, Target). */
  readonly tileColumns: 8 | 16;
  readonly tileRows: 4 | 6;
  /** The engine fuses pairs of 128-bit vectors. */
  readonly revectorized: boolean;
  /** Speed of a 6×16 tile compiled with fusing over that without, where it was measured. */
  readonly fusionRatio: number | undefined;
  readonly probeMilliseconds: number;
}

const known = new WeakMap<Host, Capabilities>();

/** Probes `host` once; throws {@link PlatformError} without SIMD. */
export function probeCapabilities(host: Host): Capabilities {
  let capabilities = known.get(host);
  if (capabilities === undefined) known.set(host, (capabilities = probe(host)));
  return capabilities;
}

function probe(host: Host): Capabilities {
  const begin = performance.now();
  if (typeof WebAssembly === "undefined" || !validates((code) => code.i32Const(0).op("i32x4.splat").op("drop"))) {
    throw new PlatformError(
      `${host.name} has no WebAssembly SIMD.`,
      "Use Node 22.18 or newer, or a browser of 2023 or newer (Chrome 91, Firefox 89, Safari 16.4).",
    );
  }
  const relaxedSimd = validates((code) => {
    const one = (): Code => code.f32Const(1).op("f32x4.splat");
    one();
    one();
    one();
    code.op("f32x4.relaxed_madd").op("drop");
  });
  const fusionRatio = host.synchronous ? measureFusion(host, relaxedSimd) : undefined;
  // Fused, a 6×16 tile is 3 times as fast as when it spills its sixteen 128-bit registers; 6×8 tiles, which do not spill, 2 times.
  const revectorized = fusionRatio !== undefined && fusionRatio > 1.5;
  const tileRows = host.synchronous && !revectorized && spillsHighTiles(host, relaxedSimd) ? 4 : 6;
  return { relaxedSimd, revectorized, fusionRatio, tileColumns: revectorized ? 16 : 8, tileRows, probeMilliseconds: performance.now() - begin };
}

function validates(write: (code: Code) => void): boolean {
  const module = new ModuleAssembler(memoryImport(false));
  const code = new Code();
  write(code);
  module.addFunction({ parameters: [], results: [], locals: [], code });
  return WebAssembly.validate(module.finish());
}

const depth = 256;
const repeats = 16;
const rounds = 8;

/** Time of a 6×16 tile without fusing over time with it. */
function measureFusion(host: Host, relaxedSimd: boolean): number {
  // The names differ, or V8 gives the second module the first one's code.
  return timeRatio(tileOn(host, relaxedSimd, tile("plain", 6, 16), false), tileOn(host, relaxedSimd, tile("fused", 6, 16), true));
}

/** Whether a tile of 6×8 takes longer than the rows more that it has account for, beside one of 4×8: 1.5 times, and then some for what is spilled. */
function spillsHighTiles(host: Host, relaxedSimd: boolean): boolean {
  return timeRatio(tileOn(host, relaxedSimd, tile("high", 6, 8), true), tileOn(host, relaxedSimd, tile("low", 4, 8), true)) > 1.8;
}

function tileOn(host: Host, relaxedSimd: boolean, fn: IrFunction, fuse: boolean): (count: number) => void {
  const module = new ModuleAssembler(memoryImport(false));
  module.exportFunction(fn.name, printFunctions(module, [fn], { relaxedSimd }).get(fn)!);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  return new WebAssembly.Instance(host.compileModule(module.finish(), fuse), { nabla: { memory } }).exports[fn.name] as (count: number) => void;
}

/** Time of `a` over time of `b`; the best of a few rounds each, in turn. */
function timeRatio(a: (count: number) => void, b: (count: number) => void): number {
  const time = (run: (count: number) => void): number => {
    const begin = performance.now();
    run(repeats);
    return performance.now() - begin;
  };
  let [timeA, timeB] = [Infinity, Infinity];
  for (let round = 0; round < rounds; round++) {
    timeA = Math.min(timeA, time(a));
    timeB = Math.min(timeB, time(b));
  }
  return timeA / timeB;
}

/** `count` times a product of a packed rows×depth panel with a packed depth×columns one, in memory as it is. */
function tile(name: string, rows: number, columns: number): IrFunction {
  const vectors = columns / 4;
  const aBytes = 4 * rows * depth;
  const bBytes = 4 * columns * depth;
  const fn = new FunctionBuilder(name);
  const count = fn.parameter("count");
  fn.loop("repeat", 0, count, 1, () => {
    const sums = Array.from({ length: rows * vectors }, (_, index) => fn.variable(`c${index}`, f32(0, 4)));
    const a = fn.variable("a", i32(0));
    const b = fn.variable("b", i32(aBytes));
    fn.loop("k", 0, depth, 1, () => {
      const right = Array.from({ length: vectors }, (_, v) => fn.let(`b${v}`, load("f32", get(b), 16 * v, 4)));
      for (let row = 0; row < rows; row++) {
        const left = fn.let("a", loadSplat("f32", get(a), 4 * row, 4));
        right.forEach((value, v) => {
          const sum = sums[row * vectors + v]!;
          fn.set(sum, madd(left, value, get(sum)));
        });
      }
      fn.set(a, add(get(a), 4 * rows));
      fn.set(b, add(get(b), 4 * columns));
    });
    sums.forEach((sum, index) => fn.store("f32", i32(aBytes + bBytes), get(sum), 16 * index));
  });
  return fn.finish();
}
