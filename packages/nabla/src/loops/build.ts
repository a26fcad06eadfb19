// A small typed builder for the loop IR: expressions as functions, statements collected by a FunctionBuilder.
// Integer arithmetic folds constants, so generators can write addresses plainly; a kind or lane mismatch throws at once.
import type { BinaryIr, Cell, Expr, IrFunction, Kind, Local, Statement, UnaryIr } from "./ir.ts";

/** Bytes of a memory cell. */
export const cellBytes: Readonly<Record<Cell, number>> = { f32: 4, f64: 8, i32: 4, u8: 1 };

/** What a register that holds the cell is of. */
export const cellKind: Readonly<Record<Cell, Kind>> = { f32: "f32", f64: "f64", i32: "i32", u8: "i32" };

const describe = (expr: Expr): string => `${expr.kind}×${expr.lanes}`;

export function constant(kind: Kind, value: number, lanes = 1): Expr {
  return { op: "const", kind, lanes, value: kind === "i32" ? value | 0 : value };
}

export const i32 = (value: number): Expr => constant("i32", value);

export const f32 = (value: number, lanes = 1): Expr => constant("f32", value, lanes);

export const f64 = (value: number, lanes = 1): Expr => constant("f64", value, lanes);

export function get(local: Local): Expr {
  return { op: "get", kind: local.kind, lanes: local.lanes, local };
}

const scalarInteger = (expr: Expr): expr is Extract<Expr, { op: "const" }> =>
  expr.op === "const" && expr.kind === "i32" && expr.lanes === 1;

function sameType(name: string, a: Expr, b: Expr): void {
  if (a.kind !== b.kind || a.lanes !== b.lanes) throw new Error(`${name} of ${describe(a)} and ${describe(b)}: the operands differ.`);
}

/** `a` op `b`; comparisons give a mask. A plain number as `b` is a constant of `a`'s type. */
export function binary(name: BinaryIr, a: Expr, b: Expr | number): Expr {
  const shift = name === "shl" || name === "shrS" || name === "shrU";
  const right = typeof b !== "number" ? b : shift ? i32(b) : constant(a.kind, b, a.lanes);
  switch (name) {
    case "shl":
    case "shrS":
    case "shrU":
      if ((a.kind !== "i32" && a.kind !== "i64") || right.kind !== "i32") throw new Error(`${name} of ${describe(a)} by ${describe(right)}: shifts take i32.`);
      break;
    case "eq":
    case "ne":
    case "lt":
    case "le":
    case "gt":
    case "ge":
      sameType(name, a, right);
      return { op: "binary", kind: "mask", lanes: a.lanes, name, a, b: right };
    case "and":
    case "or":
    case "xor":
    case "remU":
      sameType(name, a, right);
      if (a.kind === "f32" || a.kind === "f64") throw new Error(`${name} of ${describe(a)}: it takes integers or masks.`);
      break;
    default:
      sameType(name, a, right);
      if (a.kind === "mask") throw new Error(`${name} of ${describe(a)}: masks have no arithmetic.`);
  }
  return { op: "binary", kind: a.kind, lanes: a.lanes, name, a, b: right };
}

export function add(a: Expr, b: Expr | number): Expr {
  const right = typeof b === "number" ? constant(a.kind, b, a.lanes) : b;
  if (scalarInteger(right)) {
    if (right.value === 0) return a;
    if (scalarInteger(a)) return i32(a.value + right.value);
    if (a.op === "binary" && a.name === "add" && scalarInteger(a.b)) return add(a.a, a.b.value + right.value);
  } else if (scalarInteger(a)) return add(right, a);
  return binary("add", a, right);
}

export function sub(a: Expr, b: Expr | number): Expr {
  const right = typeof b === "number" ? constant(a.kind, b, a.lanes) : b;
  if (scalarInteger(right)) return add(a, -right.value);
  return binary("sub", a, right);
}

export function mul(a: Expr, b: Expr | number): Expr {
  const right = typeof b === "number" ? constant(a.kind, b, a.lanes) : b;
  if (scalarInteger(right)) {
    if (right.value === 1) return a;
    if (right.value === 0) return right;
    if (scalarInteger(a)) return i32(Math.imul(a.value, right.value));
    const log2 = Math.log2(right.value);
    if (Number.isInteger(log2)) return binary("shl", a, log2);
  } else if (scalarInteger(a)) return mul(right, a);
  return binary("mul", a, right);
}

/** Of i32: truncates; traps on zero and on −2³¹ / −1. */
export const div = (a: Expr, b: Expr | number): Expr => binary("div", a, b);

/** Non-negative `a` by a positive constant: quotient and remainder by shift and mask where `divisor` is a power of two. */
export function divideBy(a: Expr, divisor: number): Expr {
  if (divisor === 1) return a;
  const log2 = Math.log2(divisor);
  return Number.isInteger(log2) ? binary("shrU", a, log2) : binary("div", a, divisor);
}

export function remainderBy(a: Expr, divisor: number): Expr {
  if (divisor === 1) return i32(0);
  return Number.isInteger(Math.log2(divisor)) ? binary("and", a, divisor - 1) : binary("remU", a, divisor);
}

/** The smaller of two scalar i32, or of two floats of which neither is NaN. */
export const fastMin = (a: Expr, b: Expr | number): Expr => binary("fastMin", a, b);

export const fastMax = (a: Expr, b: Expr | number): Expr => binary("fastMax", a, b);

/** The smaller of two non-negative scalar i32 by compare and select. */
export function smaller(a: Expr, b: Expr | number): Expr {
  const right = typeof b === "number" ? i32(b) : b;
  if (scalarInteger(a) && scalarInteger(right)) return i32(Math.min(a.value, right.value));
  return select(binary("lt", a, right), a, right);
}

/** The result's kind: "convert" and "bitcast" need `kind`; the others know it. */
export function unary(name: UnaryIr, a: Expr, kind?: Kind): Expr {
  const result = name === "toInt" ? "i32" : name === "test" ? "mask" : (kind ?? a.kind);
  if ((name === "convert" || name === "bitcast") && kind === undefined) throw new Error(`${name} of ${describe(a)}: say the kind.`);
  return { op: "unary", kind: result, lanes: name === "any" ? 1 : a.lanes, name, a };
}

export const neg = (a: Expr): Expr => unary("neg", a);

/** a·b + c. */
export function madd(a: Expr, b: Expr, c: Expr): Expr {
  sameType("madd", a, b);
  sameType("madd", a, c);
  return { op: "madd", kind: a.kind, lanes: a.lanes, a, b, c };
}

/** c − a·b. */
export function nmadd(a: Expr, b: Expr, c: Expr): Expr {
  sameType("nmadd", a, b);
  sameType("nmadd", a, c);
  return { op: "nmadd", kind: a.kind, lanes: a.lanes, a, b, c };
}

/** mask ? a : b, lane by lane. */
export function select(mask: Expr, a: Expr, b: Expr): Expr {
  sameType("select", a, b);
  if (mask.kind !== "mask" || mask.lanes !== a.lanes) throw new Error(`select of ${describe(a)} by ${describe(mask)}: not its mask.`);
  return { op: "select", kind: a.kind, lanes: a.lanes, mask, a, b };
}

export function splat(a: Expr, lanes: number): Expr {
  if (a.lanes !== 1) throw new Error(`splat of ${describe(a)}: it takes a scalar.`);
  return lanes === 1 ? a : { op: "splat", kind: a.kind, lanes, a };
}

export function extract(a: Expr, lane: number): Expr {
  if (lane < 0 || lane >= a.lanes) throw new Error(`extract of lane ${lane} of ${describe(a)}.`);
  return a.lanes === 1 ? a : { op: "extract", kind: a.kind, lanes: 1, a, lane };
}

/** Lane i of the result is lane order[i] of `a` followed by `b`. */
export function shuffle(a: Expr, b: Expr, order: readonly number[]): Expr {
  sameType("shuffle", a, b);
  if (order.length !== a.lanes) throw new Error(`shuffle of ${describe(a)}: ${order.length} lanes are picked.`);
  return { op: "shuffle", kind: a.kind, lanes: a.lanes, a, b, order };
}

/** The lower half of the lanes, or the upper. */
export const half = (a: Expr, upper: boolean): Expr => ({ op: "half", kind: a.kind, lanes: a.lanes / 2, a, upper });

/** The lanes of `a`, then those of `b`. */
export function join(a: Expr, b: Expr): Expr {
  sameType("join", a, b);
  return { op: "join", kind: a.kind, lanes: 2 * a.lanes, a, b };
}

/** Lanes 0, 1, 2, … */
export const laneIndex = (lanes: number): Expr => ({ op: "laneIndex", kind: "i32", lanes });

function checkAddress(name: string, address: Expr): void {
  if (address.kind !== "i32" || address.lanes !== 1) throw new Error(`${name} at ${describe(address)}: an address is a scalar i32.`);
}

/** Contiguous lanes from `address` + `offset` bytes. */
export function load(cell: Cell, address: Expr, offset = 0, lanes = 1): Expr {
  checkAddress("load", address);
  // Offsets in instructions are not negative.
  if (offset < 0) return load(cell, add(address, offset), 0, lanes);
  return { op: "load", kind: cellKind[cell], lanes, cell, address, offset };
}

/** One cell in every lane. */
export function loadSplat(cell: Cell, address: Expr, offset: number, lanes: number): Expr {
  checkAddress("loadSplat", address);
  if (offset < 0) return loadSplat(cell, add(address, offset), 0, lanes);
  return { op: "loadSplat", kind: cellKind[cell], lanes, cell, address, offset };
}

/** Builds one function: statements are appended to the innermost open loop or branch. What a loop's body names ends with its turn. */
export class FunctionBuilder {
  readonly name: string;
  private readonly parameters: Local[] = [];
  private block: Statement[] = [];
  /** Named in the innermost open loop. */
  private locals: Local[] = [];
  private count = 0;

  constructor(name: string) {
    this.name = name;
  }

  private named(name: string, kind: Kind, lanes: number): Local {
    return { id: this.count++, kind, lanes, name };
  }

  /** The next parameter, as a value. */
  parameter(name: string, kind: Kind = "i32"): Expr {
    const local = this.named(name, kind, 1);
    this.parameters.push(local);
    return get(local);
  }

  /** A register that starts as `value`. */
  variable(name: string, value: Expr): Local {
    const local = this.named(name, value.kind, value.lanes);
    this.locals.push(local);
    this.block.push({ op: "set", local, value });
    return local;
  }

  /** Computes `value` once, here; the result names it. */
  let(name: string, value: Expr): Expr {
    return value.op === "get" || value.op === "const" ? value : get(this.variable(name, value));
  }

  set(local: Local, value: Expr): void {
    if (local.kind !== value.kind || local.lanes !== value.lanes) {
      throw new Error(`${this.name}: set of ${local.name} (${local.kind}×${local.lanes}) to ${describe(value)}.`);
    }
    this.block.push({ op: "set", local, value });
  }

  store(cell: Cell, address: Expr, value: Expr, offset = 0): void {
    checkAddress("store", address);
    if (value.kind !== cellKind[cell]) throw new Error(`${this.name}: store of ${describe(value)} to ${cell}.`);
    this.block.push({ op: "store", cell, address, offset, value });
  }

  /**
   * Stores vectors, the last first: V8 fuses the stores of neighbours into a wider one, but keeps the lower as well where it comes first,
   * lest memory differ when the higher one traps.
   */
  storeVectors(cell: Cell, address: Expr, values: readonly Expr[], offset: (index: number) => number): void {
    for (let index = values.length - 1; index >= 0; index--) this.store(cell, address, values[index]!, offset(index));
  }

  /** Stores vectors that V8 must not fuse: it looks for neighbours at one address. */
  storeApart(cell: Cell, address: Expr, values: readonly Expr[], offset: (index: number) => number): void {
    values.forEach((value, index) => this.store(cell, this.let("apart", add(address, offset(index))), value));
  }

  /** body(i) for i = start, start + step, … while i < end. */
  loop(name: string, start: Expr | number, end: Expr | number, step: number, body: (index: Expr) => void): void {
    const counter = this.named(name, "i32", 1);
    const outer = this.locals;
    const locals: Local[] = [];
    this.locals = locals;
    const statements = this.within(() => body(get(counter)));
    this.locals = outer;
    const bound = (value: Expr | number): Expr => (typeof value === "number" ? i32(value) : value);
    this.block.push({ op: "loop", counter, start: bound(start), end: bound(end), step, body: statements, locals });
  }

  if(condition: Expr, then: () => void, otherwise?: () => void): void {
    if (condition.kind !== "mask" || condition.lanes !== 1) throw new Error(`${this.name}: if of ${describe(condition)}.`);
    // oxlint-disable-next-line unicorn/no-thenable
    this.block.push({ op: "if", condition, then: this.within(then), otherwise: otherwise === undefined ? [] : this.within(otherwise) });
  }

  call(callee: IrFunction, ...args: readonly Expr[]): void {
    this.callInto(undefined, callee, args);
  }

  /** The result of `callee`. */
  resultOf(callee: IrFunction, ...args: readonly Expr[]): Expr {
    const { result } = callee;
    if (result === undefined) throw new Error(`${this.name}: ${callee.name} has no result.`);
    const into = this.named(callee.name, result.kind, result.lanes);
    this.locals.push(into);
    this.callInto(into, callee, args);
    return get(into);
  }

  private callInto(into: Local | undefined, callee: IrFunction, args: readonly Expr[]): void {
    if (args.length !== callee.parameters.length) {
      throw new Error(`${this.name}: ${callee.name} takes ${callee.parameters.length} arguments, not ${args.length}.`);
    }
    args.forEach((argument, index) => {
      const { kind, name } = callee.parameters[index]!;
      if (argument.kind !== kind || argument.lanes !== 1) throw new Error(`${this.name}: ${callee.name} of ${name} = ${describe(argument)}.`);
    });
    this.block.push({ op: "call", callee, arguments: args, into });
  }

  /** The statements that `write` appends, taken out of the current block. */
  private within(write: () => void): Statement[] {
    const outer = this.block;
    const inner: Statement[] = [];
    this.block = inner;
    write();
    this.block = outer;
    return inner;
  }

  /** Writes `count` independent computations statement by statement in turn: a processor then works on all of them at once. */
  interleaved(count: number, write: (index: number) => Expr): Expr[] {
    const results: Expr[] = [];
    const parts = Array.from({ length: count }, (_, index) => this.within(() => results.push(write(index))));
    const longest = Math.max(0, ...parts.map(({ length }) => length));
    for (let at = 0; at < longest; at++) for (const part of parts) if (at < part.length) this.block.push(part[at]!);
    return results;
  }

  finish(result?: Expr): IrFunction {
    return { name: this.name, parameters: this.parameters, body: this.block, result };
  }
}
