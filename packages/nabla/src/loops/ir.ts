// The loop IR: typed expressions over locals and memory, counted loops, functions.
// It carries a lane count and knows no instruction set; a device prints it (devices/wasm/print.ts).

/** What a register lane holds. A mask is all ones or all zeros a lane; a scalar mask is 0 or 1. i64 holds bits of f64. */
export type Kind = "f32" | "f64" | "i32" | "i64" | "mask";

/** What a memory cell holds; u8 widens to i32 on load and keeps its low byte on store. */
export type Cell = "f32" | "f64" | "i32" | "u8";

/** A mutable register of a function: a scalar (lanes 1) or a vector of the device's width. */
export interface Local {
  /** Its number among the function's, in the order they were named. */
  readonly id: number;
  readonly kind: Kind;
  readonly lanes: number;
  readonly name: string;
}

export type UnaryIr =
  | "neg" | "abs" | "sqrt" | "floor" | "not"
  /** f32 or f64→i32 truncating, saturating, NaN to 0. */
  | "toInt"
  /** i32→f32 or f64, mask→0 or 1 of `kind`, f32↔f64; i64→i32 keeps the low half (scalars only). */
  | "convert"
  /** f32 bits ↔ i32 bits, f64 bits ↔ i64 bits. */
  | "bitcast"
  /** i32 ≠ 0 as a mask. */
  | "test"
  /** Whether any lane of a mask is set, as a scalar mask. */
  | "any";

export type BinaryIr =
  | "add" | "sub" | "mul" | "div"
  /** Propagates NaN. */
  | "min" | "max"
  /** b < a ? b : a and a < b ? b : a, one instruction; NaN and signed zeros as the instruction has it. */
  | "fastMin" | "fastMax"
  | "and" | "or" | "xor" | "shl" | "shrU" | "shrS" | "remU"
  | "eq" | "ne" | "lt" | "le" | "gt" | "ge";

export type Expr =
  | { readonly op: "const"; readonly kind: Kind; readonly lanes: number; readonly value: number }
  | { readonly op: "get"; readonly kind: Kind; readonly lanes: number; readonly local: Local }
  | { readonly op: "unary"; readonly kind: Kind; readonly lanes: number; readonly name: UnaryIr; readonly a: Expr }
  | { readonly op: "binary"; readonly kind: Kind; readonly lanes: number; readonly name: BinaryIr; readonly a: Expr; readonly b: Expr }
  /** a·b + c, fused where the device can (`nmadd`: c − a·b). */
  | { readonly op: "madd" | "nmadd"; readonly kind: Kind; readonly lanes: number; readonly a: Expr; readonly b: Expr; readonly c: Expr }
  | { readonly op: "select"; readonly kind: Kind; readonly lanes: number; readonly mask: Expr; readonly a: Expr; readonly b: Expr }
  /** One value in every lane. */
  | { readonly op: "splat"; readonly kind: Kind; readonly lanes: number; readonly a: Expr }
  /** Lane `lane` as a scalar. */
  | { readonly op: "extract"; readonly kind: Kind; readonly lanes: 1; readonly a: Expr; readonly lane: number }
  /** Lane i is lane order[i] of a followed by b; transposes are made of these. */
  | { readonly op: "shuffle"; readonly kind: Kind; readonly lanes: number; readonly a: Expr; readonly b: Expr; readonly order: readonly number[] }
  /** The lower or upper half of the lanes, and two halves as one: f64 has half as many lanes in a register as f32. */
  | { readonly op: "half"; readonly kind: Kind; readonly lanes: number; readonly a: Expr; readonly upper: boolean }
  | { readonly op: "join"; readonly kind: Kind; readonly lanes: number; readonly a: Expr; readonly b: Expr }
  /** Lanes 0, 1, 2, … of kind i32. */
  | { readonly op: "laneIndex"; readonly kind: "i32"; readonly lanes: number }
  /** Contiguous lanes from byte address + offset. */
  | { readonly op: "load"; readonly kind: Kind; readonly lanes: number; readonly cell: Cell; readonly address: Expr; readonly offset: number }
  /** One cell in every lane. */
  | { readonly op: "loadSplat"; readonly kind: Kind; readonly lanes: number; readonly cell: Cell; readonly address: Expr; readonly offset: number };

export type Statement =
  | { readonly op: "set"; readonly local: Local; readonly value: Expr }
  | { readonly op: "store"; readonly cell: Cell; readonly address: Expr; readonly offset: number; readonly value: Expr }
  /** counter = start; while (counter < end) { body; counter += step }, signed; start, end are evaluated once. `locals` live within one turn. */
  | {
    readonly op: "loop"; readonly counter: Local; readonly start: Expr; readonly end: Expr; readonly step: number;
    readonly body: readonly Statement[]; readonly locals: readonly Local[];
  }
  | { readonly op: "if"; readonly condition: Expr; readonly then: readonly Statement[]; readonly otherwise: readonly Statement[] }
  /** `into` takes the callee's result. */
  | { readonly op: "call"; readonly callee: IrFunction; readonly arguments: readonly Expr[]; readonly into: Local | undefined };

/** A function of scalars (i32 addresses and counts, f32/f64 values) with one scalar result or none. */
export interface IrFunction {
  readonly name: string;
  readonly parameters: readonly Local[];
  readonly body: readonly Statement[];
  readonly result: Expr | undefined;
}

/** What a device offers the generators. */
export interface Target {
  /** f32 lanes of one vector. */
  readonly lanes: number;
  /** Vectors a micro-kernel may keep in registers, as f32 columns of its tile: 16 where pairs of vectors fuse (V8 revectorize), else 8. */
  readonly tileColumns: number;
  /** Rows of that tile: 6, or 4 where the engine loads a whole step of the loop ahead of its arithmetic, which spills larger ones (V8 12). */
  readonly tileRows: 4 | 6;
}

/** A kernel of a program, lowered. */
export type Lowered = LoweredKernel | LoweredLoop;

/** A loop lowered: its kernels run once an entry, on a table of addresses of their own. All numbers are bytes. */
export interface LoweredLoop {
  readonly length: number;
  readonly reverse: boolean;
  readonly kernels: readonly Lowered[];
  readonly phases: readonly (readonly number[])[];
  /** Entry i of the table at entry t of the sequences: the address of a buffer of the program around it + offset + t·stride. */
  readonly table: readonly { readonly buffer: number; readonly offset: number; readonly stride: number }[];
  /** What is copied before the first step. */
  readonly starts: readonly {
    readonly from: { readonly buffer: number; readonly offset: number };
    readonly to: { readonly buffer: number; readonly offset: number };
    readonly bytes: number;
  }[];
}

/**
 * A kernel lowered to code: `body(args, start, end)` runs units [start, end) of `units` independent ones.
 * `args` is the byte address of the table of i32 buffer addresses (entry i: Program.buffers[i]; then one scratch area a thread,
 * see `scratchBytes`). Any split of the units gives the same bits.
 */
export interface LoweredKernel {
  readonly entry: IrFunction;
  readonly units: number;
  /** Rough cost of all units in nanoseconds on one core: decides how many threads are worth waking. */
  readonly cost: number;
  /** Nanoseconds of every call before its first unit: what all units read is packed anew. */
  readonly setup: number;
  /** Bytes of scratch each thread needs (packing buffers); the fourth parameter of `entry` is its address. */
  readonly scratchBytes: number;
}
