// For tests: runs a lowered kernel in the interpreter and as WebAssembly, in any split of its units, on buffers with guard bytes.
// What it must compute is evaluated in float64 by compile/execute.fixture.ts.
import { expect } from "vitest";
import { execute } from "../kernels/execute.fixture.ts";
import { ModuleAssembler } from "../devices/wasm/assemble.ts";
import { memoryImport } from "../devices/wasm/module.ts";
import { printFunctions } from "../devices/wasm/print.ts";
import { bytesPerElement, type DType, hostArray, type TypedArray } from "../ops/dtype.ts";
import { Interpreter } from "./interpret.fixture.ts";
import type { LoweredKernel, Target } from "./ir.ts";
import type { SimpleKernel } from "../kernels/kernel.ts";
import { lowerKernel } from "./lower.ts";

export const target: Target = { lanes: 4, tileColumns: 16, tileRows: 6 };

/** A buffer of the kernel: its type and first contents. */
export interface Contents {
  readonly dtype: DType;
  readonly data: readonly number[];
}

const guard = 64;
const guardByte = 0xa5;

interface Laid {
  readonly memory: ArrayBuffer;
  readonly addresses: readonly number[];
  readonly scratch: number;
}

function layOut(contents: readonly Contents[], scratchBytes: number, memory: (bytes: number) => ArrayBuffer): Laid {
  const addresses: number[] = [];
  let at = 256;
  for (const { dtype, data } of contents) {
    addresses.push(at + guard);
    at += guard + data.length * bytesPerElement[dtype] + guard;
    at = Math.ceil(at / 64) * 64;
  }
  const buffer = memory(at + scratchBytes + guard);
  new Uint8Array(buffer).fill(guardByte, 256);
  const table = new Int32Array(buffer, 0, 64);
  contents.forEach(({ dtype, data }, index) => {
    table[index] = addresses[index]!;
    arrayAt(buffer, addresses[index]!, dtype, data.length).set(data);
  });
  return { memory: buffer, addresses, scratch: at };
}

function arrayAt(memory: ArrayBuffer, address: number, dtype: DType, length: number): TypedArray {
  const { constructor } = hostArray(dtype, 0);
  return new (constructor as new (memory: ArrayBuffer, address: number, length: number) => TypedArray)(memory, address, length);
}

function collect({ memory, addresses }: Laid, contents: readonly Contents[]): number[][] {
  return contents.map(({ dtype, data }, index) => {
    const end = addresses[index]! + data.length * bytesPerElement[dtype];
    const bytes = new Uint8Array(memory);
    for (let byte = 0; byte < guard; byte++) {
      if (bytes[addresses[index]! - 1 - byte] !== guardByte || bytes[end + byte] !== guardByte) throw new Error(`Written outside buffer ${index}.`);
    }
    return [...arrayAt(memory, addresses[index]!, dtype, data.length)];
  });
}

/** Buffers after the kernel ran in the interpreter. */
export function interpret(kernel: SimpleKernel, contents: readonly Contents[]): number[][] {
  const lowered = lowerKernel(kernel, target);
  const laid = layOut(contents, lowered.scratchBytes, (bytes) => new ArrayBuffer(bytes));
  if (lowered.units > 0) new Interpreter(laid.memory).run(lowered.entry, [0, 0, lowered.units, laid.scratch]);
  return collect(laid, contents);
}

/** Buffers after the kernel ran as WebAssembly, its units cut at the given fractions. */
export function runWasm(kernel: SimpleKernel, contents: readonly Contents[], cuts: readonly number[] = []): number[][] {
  return runLowered(lowerKernel(kernel, target), contents, cuts);
}

function runLowered(lowered: LoweredKernel, contents: readonly Contents[], cuts: readonly number[]): number[][] {
  const assembler = new ModuleAssembler(memoryImport(false));
  const indices = printFunctions(assembler, [lowered.entry], { relaxedSimd: true });
  assembler.exportFunction("entry", indices.get(lowered.entry)!);
  let memory: WebAssembly.Memory | undefined;
  const laid = layOut(contents, lowered.scratchBytes, (bytes) => {
    memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65_536), maximum: 65_536 });
    return memory.buffer;
  });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assembler.finish()), { nabla: { memory: memory! } });
  const entry = exports["entry"] as (args: number, start: number, end: number, scratch: number) => void;
  const bounds = [0, ...cuts.map((cut) => Math.floor(cut * lowered.units)), lowered.units].sort((a, b) => a - b);
  bounds.slice(1).forEach((end, index) => entry(0, bounds[index]!, end, laid.scratch));
  return collect(laid, contents);
}

/** Buffers after the kernel ran element by element; floats are held in float64. */
function evaluate(kernel: SimpleKernel, contents: readonly Contents[]): number[][] {
  const bound = contents.map(({ dtype, data }) => (dtype === "float32" ? Float64Array.from(data, Math.fround) : filled(dtype, data)));
  const program = {
    buffers: contents.map(({ dtype, data }, slot) => ({ dtype, size: data.length, place: { kind: "bound" as const, slot } })),
    kernels: [kernel],
    phases: [[0]],
    arenaBytes: 0,
    slots: contents.length,
    graph: { inputs: [], outputs: [] },
  };
  execute(program, bound);
  return bound.map((array) => [...array]);
}

function filled(dtype: DType, data: readonly number[]): TypedArray {
  const array = hostArray(dtype, data.length);
  array.set(data);
  return array;
}

/** Runs the kernel both ways, and in pieces for the same bits, and compares every buffer with its float64 evaluation. */
export function checkKernel(kernel: SimpleKernel, contents: readonly Contents[], tolerance = 1e-6): void {
  const whole = runWasm(kernel, contents);
  expect(runWasm(kernel, contents, [0.3, 0.5])).toEqual(whole);
  const expected = evaluate(kernel, contents);
  for (const [name, result] of [["wasm", whole], ["interpreter", interpret(kernel, contents)]] as const) {
    result.forEach((values, buffer) =>
      values.forEach((got, element) => {
        const wanted = expected[buffer]![element]!;
        if (got === wanted || (Number.isNaN(got) && Number.isNaN(wanted))) return;
        if (!(Math.abs(got - wanted) <= tolerance * Math.max(1, Math.abs(wanted)))) {
          expect.fail(`${name}: buffer ${buffer}, element ${element} is ${got}, not ${wanted}`);
        }
      }),
    );
  }
}

/** Row-major strides with an axis order, and zero where repeated. */
export function stridesFor(domain: readonly number[], order: readonly number[], repeated: readonly boolean[] = []): { strides: number[]; size: number } {
  const strides = new Array<number>(domain.length).fill(0);
  let size = 1;
  for (const axis of order.toReversed()) {
    if (repeated[axis]) continue;
    strides[axis] = size;
    size *= domain[axis]!;
  }
  return { strides, size };
}

/** `count` values without a pattern, in quarters from −2 to 2, or bytes from 0 to 8 and truth values. */
export function values(dtype: DType, count: number, seed = 1): number[] {
  return Array.from({ length: count }, (_, index) => {
    const noise = (Math.imul(index + seed * 7919, 2654435761) >>> 16) % 17;
    if (dtype === "bool") return noise & 1;
    if (dtype === "uint8") return noise >> 1;
    return dtype === "int32" ? noise - 8 : (noise - 8) / 4;
  });
}
