// Runs a program's kernels in plain JavaScript, element by element: what the generated code must compute.
// For tests of the compiler alone; devices never use it.
import type { Program } from "../devices/device.ts";
import type { Access, Instruction, Kernel, KernelProgram, LoopKernel, MatrixOperand, RegisterType, Store } from "./kernel.ts";
import type { DType, TypedArray } from "../ops/dtype.ts";
import { sizeOf } from "../ops/shape.ts";

/** Runs `program` on `bound` arrays, one for each slot; the kernels of a phase in the given order, or backward, which must be the same. */
export function execute(program: Program, bound: readonly TypedArray[], order: Order = "forward"): void {
  // All ones: NaN in every floating type.
  const arena = new Uint8Array(program.arenaBytes).fill(255).buffer;
  executeIn(program, bound, arena, 0, order);
}

type Order = "forward" | "backward";

function executeIn(program: KernelProgram, bound: readonly TypedArray[], arena: ArrayBufferLike, arenaOffset: number, order: Order): void {
  const memory = program.buffers.map(({ dtype, size, place }) => (place.kind === "bound" ? bound[place.slot]! : hostView(dtype, arena, arenaOffset + place.offset, size)));
  for (const phase of program.phases) {
    for (const index of order === "forward" ? phase : phase.toReversed()) run(program.kernels[index]!, memory, order);
  }
}

function runLoop({ length, reverse, program, bindings, starts, arena }: LoopKernel, memory: readonly TypedArray[], order: Order): void {
  for (const { from, to, size } of starts) memory[to.buffer]!.set(memory[from.buffer]!.subarray(from.offset, from.offset + size), to.offset);
  const sizes = new Map(program.buffers.flatMap(({ place, size }) => (place.kind === "bound" ? [[place.slot, size] as const] : [])));
  const own = arena === undefined ? undefined : memory[arena]!;
  for (let step = 0; step < length; step++) {
    const t = reverse ? length - 1 - step : step;
    const bound = bindings.map(({ buffer, offset, stride }, slot) => memory[buffer]!.subarray(offset + t * stride, offset + t * stride + (sizes.get(slot) ?? 0)));
    executeIn(program, bound, own?.buffer ?? new ArrayBuffer(0), own?.byteOffset ?? 0, order);
  }
}

function hostView(dtype: DType, buffer: ArrayBufferLike, offset: number, size: number): TypedArray {
  switch (dtype) {
    case "float32":
      return new Float32Array(buffer, offset, size);
    case "float64":
      return new Float64Array(buffer, offset, size);
    case "int32":
      return new Int32Array(buffer, offset, size);
    case "uint8":
    case "bool":
      return new Uint8Array(buffer, offset, size);
  }
}

function run(kernel: Kernel, memory: readonly TypedArray[], order: Order): void {
  switch (kernel.kind) {
    case "loop":
      runLoop(kernel, memory, order);
      return;
    case "map":
      for (const at of coordinates(kernel.domain)) store(kernel.stores, evaluate(kernel.body, at, memory, []), at, memory);
      return;
    case "reduce":
      for (const at of coordinates(kernel.domain)) {
        const results = kernel.accumulators.map(({ op, type }) => (op === "sum" ? 0 : op === "max" ? (type === "int32" ? -(2 ** 31) : -Infinity) : 0));
        const best = kernel.accumulators.map(() => -Infinity);
        let position = 0;
        for (const inner of coordinates(kernel.reduced)) {
          const values = evaluate(kernel.body, [...at, ...inner], memory, []);
          kernel.accumulators.forEach(({ op, value }, index) => {
            const x = values[value]!;
            if (op === "sum") results[index]! += x;
            else if (op === "max") results[index] = Number.isNaN(x) || Number.isNaN(results[index]!) ? NaN : Math.max(results[index]!, x);
            else if (x > best[index]!) {
              best[index] = x;
              results[index] = position;
            }
          });
          position++;
        }
        store(kernel.stores, evaluate(kernel.epilogue, at, memory, results), at, memory);
      }
      return;
    case "gemm": {
      const scratch = memory[kernel.scratch.buffer]!;
      const domain = [...kernel.batch, kernel.m, kernel.n];
      const element = (operand: MatrixOperand, at: readonly number[]): number => evaluate(operand.body, at, memory, []).at(-1)!;
      let position = kernel.scratch.offset;
      for (const at of coordinates(domain)) {
        const [row, column] = at.slice(-2) as [number, number];
        const batch = at.slice(0, -2);
        let sum = 0;
        for (let k = 0; k < kernel.k; k++) sum += element(kernel.a, [...batch, row, k]) * element(kernel.b, [...batch, k, column]);
        scratch[position++] = sum;
      }
      position = kernel.scratch.offset;
      for (const at of coordinates(domain)) store(kernel.stores, evaluate(kernel.epilogue, at, memory, [scratch[position++]!]), at, memory);
      return;
    }
    case "scatterAdd": {
      const out = memory[kernel.out.buffer]!;
      const { rows, inner, count } = kernel;
      out.fill(0, kernel.out.offset, kernel.out.offset + rows * inner);
      for (let i = 0; i < count; i++) {
        const row = memory[kernel.indices.buffer]![kernel.indices.offset + i]!;
        if (row < 0 || row >= rows) continue;
        for (let j = 0; j < inner; j++) out[kernel.out.offset + row * inner + j]! += memory[kernel.updates.buffer]![kernel.updates.offset + i * inner + j]!;
      }
    }
  }
}

function* coordinates(domain: readonly number[]): Generator<number[]> {
  const size = sizeOf(domain);
  for (let linear = 0; linear < size; linear++) {
    const at = new Array<number>(domain.length);
    let rest = linear;
    for (let d = domain.length - 1; d >= 0; d--) {
      at[d] = rest % domain[d]!;
      rest = Math.floor(rest / domain[d]!);
    }
    yield at;
  }
}

function indexOf(access: Access, at: readonly number[], values: readonly number[]): number {
  let index = access.offset;
  access.strides.forEach((stride, d) => (index += stride * at[d]!));
  const { indirect } = access;
  if (indirect !== undefined) index += indirect.stride * Math.min(Math.max(values[indirect.row]!, 0), indirect.rows - 1);
  return index;
}

function store(stores: readonly Store[], values: readonly number[], at: readonly number[], memory: readonly TypedArray[]): void {
  for (const { access, value } of stores) memory[access.buffer]![indexOf(access, at, values)] = values[value]!;
}

function evaluate(body: readonly Instruction[], at: readonly number[], memory: readonly TypedArray[], accumulators: readonly number[]): number[] {
  const values: number[] = [];
  for (const instruction of body) values.push(step(instruction, values, at, memory, accumulators));
  return values;
}

function step(instruction: Instruction, values: readonly number[], at: readonly number[], memory: readonly TypedArray[], accumulators: readonly number[]): number {
  switch (instruction.op) {
    case "load": {
      const index = indexOf(instruction.access, at, values);
      const value = memory[instruction.access.buffer]![index];
      if (value === undefined) throw new Error(`Load outside buffer ${instruction.access.buffer}: ${index}.`);
      return value;
    }
    case "constant":
      return instruction.value;
    case "index":
      return instruction.strides.reduce((sum, stride, d) => sum + stride * at[d]!, instruction.offset);
    case "accumulator":
      return accumulators[instruction.index]!;
    case "select":
      return values[instruction.condition]! !== 0 ? values[instruction.a]! : values[instruction.b]!;
    case "cast":
      return convert(values[instruction.a]!, instruction.type, instruction.wrap === "uint8");
    case "randomBits":
      throw new Error("randomBits is tested on the device.");
    default: {
      const a = values[instruction.a]!;
      const b = "b" in instruction ? values[instruction.b]! : 0;
      return arithmetic(instruction.op, instruction.type, a, b);
    }
  }
}

function convert(value: number, type: RegisterType, wrap: boolean): number {
  if (type === "bool") return value !== 0 ? 1 : 0;
  if (type === "float32") return Math.fround(value);
  if (type === "float64") return value;
  const integer = Number.isNaN(value) ? 0 : Math.trunc(Math.min(Math.max(value, -(2 ** 31)), 2 ** 31 - 1));
  return wrap ? integer & 255 : integer;
}

function arithmetic(op: string, type: RegisterType, a: number, b: number): number {
  const integer = type === "int32";
  switch (op) {
    case "neg": return integer ? -a | 0 : -a;
    case "abs": return Math.abs(a);
    case "sign": return Math.sign(a);
    case "floor": return Math.floor(a);
    case "exp": return Math.exp(a);
    case "expm1": return Math.expm1(a);
    case "log": return Math.log(a);
    case "log1p": return Math.log1p(a);
    case "sqrt": return Math.sqrt(a);
    case "sin": return Math.sin(a);
    case "cos": return Math.cos(a);
    case "tanh": return Math.tanh(a);
    case "sigmoid": return 1 / (1 + Math.exp(-a));
    case "softplus": return Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
    case "relu": return a < 0 ? 0 : a;
    case "logicalNot": return a === 0 ? 1 : 0;
    case "add": return integer ? (a + b) | 0 : a + b;
    case "sub": return integer ? (a - b) | 0 : a - b;
    case "mul": return integer ? Math.imul(a, b) : a * b;
    case "div": return integer ? (b === 0 ? 0 : Math.trunc(a / b) | 0) : a / b;
    case "pow": return a ** b;
    case "maximum": return Math.max(a, b);
    case "minimum": return Math.min(a, b);
    case "equal": return a === b ? 1 : 0;
    case "less": return a < b ? 1 : 0;
    case "lessEqual": return a <= b ? 1 : 0;
    case "logicalAnd": return a !== 0 && b !== 0 ? 1 : 0;
    case "logicalOr": return a !== 0 || b !== 0 ? 1 : 0;
    default: throw new Error(`Unknown instruction ${op}.`);
  }
}
