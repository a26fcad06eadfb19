// What a kernel computes, free of how: strided accesses and a scalar body over an index domain.
// `compile` builds these from the graph; the generators in `loops/` lower them to the loop IR.
import type { DType } from "../ops/dtype.ts";
import type { BinaryOp, UnaryOp } from "../ops/elementwise.ts";

/** What a register holds: uint8 widens to int32; bool is a truth value. */
export type RegisterType = "float32" | "float64" | "int32" | "bool";

/**
 * An element of a program buffer as a function of the domain's coordinates:
 * index = offset + Σ strides[d]·coordinate[d] (+ indirect.stride · clamp(value of instruction indirect.row, 0, indirect.rows − 1)).
 * Strides are in elements; 0 repeats. `buffer` indexes Program.buffers.
 */
export interface Access {
  readonly buffer: number;
  readonly dtype: DType;
  readonly offset: number;
  readonly strides: readonly number[];
  readonly indirect?: { readonly row: number; readonly stride: number; readonly rows: number };
}

/** One scalar instruction in SSA form: operands are indices of earlier instructions of the same body. */
export type Instruction =
  | { readonly op: "load"; readonly type: RegisterType; readonly access: Access }
  | { readonly op: "constant"; readonly type: RegisterType; readonly value: number }
  /** int32: offset + Σ strides[d]·coordinate[d]. */
  | { readonly op: "index"; readonly type: "int32"; readonly offset: number; readonly strides: readonly number[] }
  /** Elementwise primitives. Comparisons give bool; the rest keep their operands' type. int32 arithmetic wraps; int32 div truncates, by zero gives 0. */
  | { readonly op: UnaryOp; readonly type: RegisterType; readonly a: number }
  | { readonly op: BinaryOp; readonly type: RegisterType; readonly a: number; readonly b: number }
  | { readonly op: "select"; readonly type: RegisterType; readonly condition: number; readonly a: number; readonly b: number }
  /** Conversion to `type`; to int32 truncates toward zero and saturates; to bool is ≠ 0. `wrap: "uint8"` then keeps the low 8 bits. */
  | { readonly op: "cast"; readonly type: RegisterType; readonly a: number; readonly wrap?: "uint8" }
  /** int32: Threefry-2x32-20 of key (k0, k1) and counter (0, counter), word 0 xor word 1. */
  | { readonly op: "randomBits"; readonly type: "int32"; readonly k0: number; readonly k1: number; readonly counter: number }
  /** The finished value of accumulator `index` (reduce), or of the product (gemm): epilogue bodies only. */
  | { readonly op: "accumulator"; readonly type: RegisterType; readonly index: number };

/** Writes the value of instruction `value` at `access`. */
export interface Store {
  readonly access: Access;
  readonly value: number;
}

/** stores[i] ← body, for every coordinate of `domain`. */
export interface MapKernel {
  readonly kind: "map";
  readonly domain: readonly number[];
  readonly body: readonly Instruction[];
  readonly stores: readonly Store[];
}

/** "sum" of nothing is 0, "max" of nothing −∞ (int32: least). "argmax" accumulates the first position of the maximum (linear index in `reduced`). */
export type ReduceOp = "sum" | "max" | "argmax";

/**
 * For every coordinate of `domain`: fold `body` over `reduced`, then run `epilogue` and its stores.
 * Body coordinates are domain ++ reduced; epilogue coordinates are domain.
 */
export interface ReduceKernel {
  readonly kind: "reduce";
  readonly domain: readonly number[];
  readonly reduced: readonly number[];
  readonly body: readonly Instruction[];
  readonly accumulators: readonly { readonly op: ReduceOp; readonly type: RegisterType; readonly value: number }[];
  readonly epilogue: readonly Instruction[];
  readonly stores: readonly Store[];
}

/** One operand of a product: element (…batch, row, column) of `body`'s last instruction; a plain matrix has one load as its body. */
export interface MatrixOperand {
  /** Coordinates are batch ++ [row, column]; rows × columns is M×K for a, K×N for b, whatever the storage order. */
  readonly body: readonly Instruction[];
}

/**
 * For every coordinate of batch: C = A·B, then `epilogue` over batch ++ [m, n] with accumulator 0 = C.
 * `scratch` is where C accumulates over blocks of K (row-major, batch ++ [m, n]); `kept` says whether it must hold C in the end.
 */
export interface GemmKernel {
  readonly kind: "gemm";
  readonly type: "float32" | "float64";
  readonly batch: readonly number[];
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: MatrixOperand;
  readonly b: MatrixOperand;
  readonly scratch: { readonly buffer: number; readonly offset: number };
  readonly kept: boolean;
  readonly epilogue: readonly Instruction[];
  readonly stores: readonly Store[];
}

/**
 * out[rows, inner] ← 0, then out[indices[i], j] += updates[i, j] for i < count in ascending order; other indices are dropped.
 * All three are contiguous; a row of `out` is always summed in the same order, whatever the number of threads.
 */
export interface ScatterAddKernel {
  readonly kind: "scatterAdd";
  readonly dtype: DType;
  readonly rows: number;
  readonly count: number;
  readonly inner: number;
  readonly indices: { readonly buffer: number; readonly offset: number };
  readonly updates: { readonly buffer: number; readonly offset: number };
  readonly out: { readonly buffer: number; readonly offset: number };
}

/** Where a slot of a loop's program lies at entry t: `offset` + t·`stride` elements into a buffer of the program around it. */
export interface LoopBinding {
  readonly buffer: number;
  readonly offset: number;
  readonly stride: number;
}

/**
 * For each `start`: to ← from. Then `program` once for each entry 0 ≤ t < length, backward where `reverse`, its slots bound as
 * `bindings` say. `arena` is the buffer for its temporaries.
 */
export interface LoopKernel {
  readonly kind: "loop";
  readonly length: number;
  readonly reverse: boolean;
  readonly program: KernelProgram;
  readonly bindings: readonly LoopBinding[];
  readonly starts: readonly {
    readonly from: { readonly buffer: number; readonly offset: number };
    readonly to: { readonly buffer: number; readonly offset: number };
    readonly dtype: DType;
    readonly size: number;
  }[];
  readonly arena?: number;
}

/** A kernel without kernels in it. */
export type SimpleKernel = MapKernel | ReduceKernel | GemmKernel | ScatterAddKernel;

export type Kernel = SimpleKernel | LoopKernel;

/** A buffer that the kernels of a program name by its position in KernelProgram.buffers. */
export interface ProgramBuffer {
  readonly dtype: DType;
  /** Elements. */
  readonly size: number;
  /** "bound": given at run time, `slot` is its place in the buffers passed to run. "arena": a temporary at byte `offset`. */
  readonly place: { readonly kind: "bound"; readonly slot: number } | { readonly kind: "arena"; readonly offset: number };
}

/** Kernels and the buffers they work on. */
export interface KernelProgram {
  readonly buffers: readonly ProgramBuffer[];
  readonly kernels: readonly Kernel[];
  /** Indices into kernels: those of one phase are independent of each other, and phases run one after another. */
  readonly phases: readonly (readonly number[])[];
  /** Bytes of temporaries; offsets are multiples of 64. */
  readonly arenaBytes: number;
  /** Number of bound slots: inputs first, then outputs; an output that updates an input in place has none of its own. */
  readonly slots: number;
}
