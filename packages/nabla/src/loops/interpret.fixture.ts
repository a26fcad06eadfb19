// Runs a function of the loop IR in plain JavaScript over an ArrayBuffer: the meaning of the IR, for tests.
// Every operation rounds as its kind says; a fused multiply-add is rounded once (f32) or twice (f64).
import type { Cell, Expr, IrFunction, Kind, Local, Statement } from "./ir.ts";

/** A scalar is an array of one lane; a mask lane is 0 or 1; lanes of i64 are bigints. */
type Value = readonly number[] | readonly bigint[];
type Frame = Map<Local, Value>;

const bits = new DataView(new ArrayBuffer(8));

function floatToBits(value: number): number {
  bits.setFloat32(0, value);
  return bits.getInt32(0);
}

function bitsToFloat(value: number): number {
  bits.setInt32(0, value);
  return bits.getFloat32(0);
}

function toWide(value: number): bigint {
  bits.setFloat64(0, value);
  return bits.getBigInt64(0);
}

function fromWide(value: bigint): number {
  bits.setBigInt64(0, value);
  return bits.getFloat64(0);
}

/** Lanes of anything but i64. */
function numbers(value: Value): readonly number[] {
  if (typeof value[0] === "bigint") throw new TypeError("interpret: i64 where it is not understood.");
  return value as readonly number[];
}

function wides(value: Value): readonly bigint[] {
  if (typeof value[0] === "number") throw new TypeError("interpret: i64 is needed.");
  return value as readonly bigint[];
}

function round(kind: Kind, value: number): number {
  if (kind === "f32") return Math.fround(value);
  return kind === "f64" ? value : value | 0;
}

function wideArithmetic(name: string, a: bigint, b: bigint): bigint {
  switch (name) {
    case "add":
      return BigInt.asIntN(64, a + b);
    case "sub":
      return BigInt.asIntN(64, a - b);
    case "shl":
      return BigInt.asIntN(64, a << b);
    case "shrU":
      return BigInt.asIntN(64, BigInt.asUintN(64, a) >> b);
    case "and":
      return a & b;
    case "or":
      return a | b;
    case "xor":
      return a ^ b;
    default:
      throw new TypeError(`interpret: no ${name} of i64.`);
  }
}

function saturate(value: number): number {
  if (Number.isNaN(value)) return 0;
  return Math.max(-2147483648, Math.min(2147483647, Math.trunc(value)));
}

function arithmetic(name: string, kind: Kind, a: number, b: number): number {
  switch (name) {
    case "add":
      return round(kind, a + b);
    case "sub":
      return round(kind, a - b);
    case "mul":
      return kind === "i32" ? Math.imul(a, b) : round(kind, a * b);
    case "div":
      if (kind !== "i32") return round(kind, a / b);
      if (b === 0) throw new RangeError("interpret: division by zero traps.");
      return Math.trunc(a / b) | 0;
    case "min":
      return Math.min(a, b);
    case "max":
      return Math.max(a, b);
    case "fastMin":
      return b < a ? b : a;
    case "fastMax":
      return a < b ? b : a;
    case "shl":
      return a << b;
    case "shrU":
      return (a >>> b) | 0;
    case "shrS":
      return a >> b;
    case "remU":
      return ((a >>> 0) % (b >>> 0)) | 0;
    default:
      throw new TypeError(`interpret: no binary operation ${name}.`);
  }
}

function bitwise(name: "and" | "or" | "xor", a: number, b: number): number {
  if (name === "and") return a & b;
  return name === "or" ? a | b : a ^ b;
}

function compare(name: string, a: number, b: number): number {
  switch (name) {
    case "eq":
      return Number(a === b);
    case "ne":
      return Number(a !== b);
    case "lt":
      return Number(a < b);
    case "le":
      return Number(a <= b);
    case "gt":
      return Number(a > b);
    default:
      return Number(a >= b);
  }
}

/** Bits of a lane as an i32, for the bitwise operations. */
function asBits(kind: Kind, value: number): number {
  if (kind === "f32") return floatToBits(value);
  return kind === "mask" ? -value : value;
}

function fromBits(kind: Kind, value: number): number {
  if (kind === "f32") return bitsToFloat(value);
  return kind === "mask" ? value & 1 : value;
}

const cellBytes: { readonly [C in Cell]: number } = { f32: 4, f64: 8, i32: 4, u8: 1 };

/** Runs IR functions over `memory`; out-of-range and misaligned accesses throw. */
export class Interpreter {
  readonly memory: DataView;
  constructor(memory: ArrayBuffer) {
    this.memory = new DataView(memory);
  }

  /** The result, if `callee` has one. */
  run(callee: IrFunction, args: readonly number[]): number | undefined {
    if (args.length !== callee.parameters.length) {
      throw new TypeError(`interpret: ${callee.name} takes ${callee.parameters.length} arguments, got ${args.length}.`);
    }
    const frame: Frame = new Map();
    callee.parameters.forEach((parameter, index) => frame.set(parameter, [round(parameter.kind, args[index]!)]));
    this.#block(callee.body, frame);
    return callee.result === undefined ? undefined : this.#scalar(callee.result, frame);
  }

  #block(body: readonly Statement[], frame: Frame): void {
    for (const statement of body) this.#statement(statement, frame);
  }

  #statement(statement: Statement, frame: Frame): void {
    switch (statement.op) {
      case "set": {
        const value = this.#value(statement.value, frame);
        const { local } = statement;
        if (value.length !== local.lanes || statement.value.kind !== local.kind) {
          throw new TypeError(`interpret: ${local.name} is ${local.kind}×${local.lanes}, not ${statement.value.kind}×${value.length}.`);
        }
        frame.set(local, value);
        return;
      }
      case "store": {
        const value = this.#numbers(statement.value, frame);
        const address = this.#scalar(statement.address, frame);
        value.forEach((lane, index) => this.#store(statement.cell, address, statement.offset + index * cellBytes[statement.cell], lane));
        return;
      }
      case "loop": {
        const start = this.#scalar(statement.start, frame);
        const end = this.#scalar(statement.end, frame);
        frame.set(statement.counter, [start]);
        for (;;) {
          const count = frame.get(statement.counter)![0]!;
          if (count >= end) return;
          this.#block(statement.body, frame);
          frame.set(statement.counter, [(numbers(frame.get(statement.counter)!)[0]! + statement.step) | 0]);
        }
      }
      case "if":
        this.#block(this.#scalar(statement.condition, frame) === 0 ? statement.otherwise : statement.then, frame);
        return;
      case "call": {
        const result = this.run(statement.callee, statement.arguments.map((argument) => this.#scalar(argument, frame)));
        if (statement.into !== undefined) frame.set(statement.into, [result!]);
        return;
      }
    }
  }

  #numbers(expr: Expr, frame: Frame): readonly number[] {
    return numbers(this.#value(expr, frame));
  }

  #scalar(expr: Expr, frame: Frame): number {
    const value = this.#numbers(expr, frame);
    if (value.length !== 1) throw new TypeError(`interpret: a scalar is needed, got ${value.length} lanes of ${expr.op}.`);
    return value[0]!;
  }

  #value(expr: Expr, frame: Frame): Value {
    const value = this.#evaluate(expr, frame);
    if (value.length !== expr.lanes) throw new TypeError(`interpret: ${expr.op} gave ${value.length} lanes, ${expr.lanes} declared.`);
    return value;
  }

  #evaluate(expr: Expr, frame: Frame): Value {
    switch (expr.op) {
      case "const":
        if (expr.kind === "i64") return new Array<bigint>(expr.lanes).fill(BigInt(expr.value));
        return new Array<number>(expr.lanes).fill(expr.kind === "mask" ? Number(expr.value !== 0) : round(expr.kind, expr.value));
      case "get": {
        const value = frame.get(expr.local);
        // A register never set reads as zero, as WebAssembly's locals do.
        return value ?? new Array<number>(expr.lanes).fill(0);
      }
      case "unary": {
        const from = expr.a.kind;
        if (expr.name === "any") return [Number(this.#numbers(expr.a, frame).some((lane) => lane !== 0))];
        if (from === "i64") return wides(this.#value(expr.a, frame)).map((a) => (expr.name === "bitcast" ? fromWide(a) : Number(BigInt.asIntN(32, a))));
        if (expr.kind === "i64") return this.#numbers(expr.a, frame).map(toWide);
        return this.#numbers(expr.a, frame).map((a) => unary(expr.name, from, expr.kind, a));
      }
      case "binary":
        return this.#binary(expr, frame);
      case "madd":
      case "nmadd": {
        const [a, b, c] = [this.#numbers(expr.a, frame), this.#numbers(expr.b, frame), this.#numbers(expr.c, frame)];
        const sign = expr.op === "madd" ? 1 : -1;
        return a.map((lane, index) => round(expr.kind, c[index]! + sign * lane * b[index]!));
      }
      case "select": {
        const [mask, a, b] = [this.#numbers(expr.mask, frame), this.#numbers(expr.a, frame), this.#numbers(expr.b, frame)];
        if (expr.mask.kind !== "mask") throw new TypeError("interpret: select needs a mask.");
        return mask.map((lane, index) => (lane === 0 ? b[index]! : a[index]!));
      }
      case "splat":
        return new Array<number>(expr.lanes).fill(this.#scalar(expr.a, frame));
      case "extract":
        return [this.#numbers(expr.a, frame)[expr.lane]!];
      case "shuffle": {
        const pair = [...this.#numbers(expr.a, frame), ...this.#numbers(expr.b, frame)];
        return expr.order.map((lane) => pair[lane]!);
      }
      case "half": {
        const whole = this.#numbers(expr.a, frame);
        return expr.upper ? whole.slice(expr.lanes) : whole.slice(0, expr.lanes);
      }
      case "join":
        return [...this.#numbers(expr.a, frame), ...this.#numbers(expr.b, frame)];
      case "laneIndex":
        return Array.from({ length: expr.lanes }, (_, lane) => lane);
      case "load": {
        const address = this.#scalar(expr.address, frame);
        const width = cellBytes[expr.cell];
        return Array.from({ length: expr.lanes }, (_, lane) => this.#load(expr.cell, address, expr.offset + lane * width));
      }
      default:
        return new Array<number>(expr.lanes).fill(this.#load(expr.cell, this.#scalar(expr.address, frame), expr.offset));
    }
  }

  #binary(expr: Extract<Expr, { op: "binary" }>, frame: Frame): Value {
    const { name, kind } = expr;
    const shift = name === "shl" || name === "shrS" || name === "shrU";
    if (expr.a.kind === "i64") {
      const wide = wides(this.#value(expr.a, frame));
      const other = shift ? [BigInt(this.#scalar(expr.b, frame))] : wides(this.#value(expr.b, frame));
      const at = (index: number): bigint => other[other.length === 1 ? 0 : index]!;
      if (name === "eq" || name === "ne") return wide.map((lane, index) => Number((lane === at(index)) === (name === "eq")));
      return wide.map((lane, index) => wideArithmetic(name, lane, at(index)));
    }
    const a = this.#numbers(expr.a, frame);
    const b = this.#numbers(expr.b, frame);
    if (a.length !== b.length && !shift) throw new TypeError(`interpret: ${name} of ${a.length} and ${b.length} lanes.`);
    const right = (index: number): number => b[b.length === 1 ? 0 : index]!;
    switch (name) {
      case "and":
      case "or":
      case "xor":
        return a.map((lane, index) => fromBits(kind, bitwise(name, asBits(expr.a.kind, lane), asBits(expr.b.kind, right(index)))));
      case "eq":
      case "ne":
      case "lt":
      case "le":
      case "gt":
      case "ge":
        return a.map((lane, index) => compare(name, lane, right(index)));
      default:
        if (expr.a.kind !== kind || (expr.b.kind !== kind && !shift)) throw new TypeError(`interpret: ${name} of ${expr.a.kind} and ${expr.b.kind} as ${kind}.`);
        return a.map((lane, index) => arithmetic(name, kind, lane, right(index)));
    }
  }

  #address(base: number, offset: number, width: number): number {
    const address = (base >>> 0) + offset;
    if (address % width !== 0 || offset < 0 || address + width > this.memory.byteLength) {
      throw new RangeError(`interpret: bad address ${base} + ${offset} of width ${width} in ${this.memory.byteLength} bytes.`);
    }
    return address;
  }

  #load(cell: Cell, base: number, offset: number): number {
    const address = this.#address(base, offset, cellBytes[cell]);
    switch (cell) {
      case "f32":
        return this.memory.getFloat32(address, true);
      case "f64":
        return this.memory.getFloat64(address, true);
      case "i32":
        return this.memory.getInt32(address, true);
      case "u8":
        return this.memory.getUint8(address);
    }
  }

  #store(cell: Cell, base: number, offset: number, value: number): void {
    const address = this.#address(base, offset, cellBytes[cell]);
    switch (cell) {
      case "f32":
        this.memory.setFloat32(address, value, true);
        return;
      case "f64":
        this.memory.setFloat64(address, value, true);
        return;
      case "i32":
        this.memory.setInt32(address, value, true);
        return;
      case "u8":
        this.memory.setUint8(address, value & 255);
        return;
    }
  }
}

function unary(name: Extract<Expr, { op: "unary" }>["name"], from: Kind, kind: Kind, a: number): number {
  switch (name) {
    case "neg":
      return kind === "i32" ? -a | 0 : -a;
    case "abs":
      return kind === "i32" ? Math.abs(a) | 0 : Math.abs(a);
    case "sqrt":
      return round(kind, Math.sqrt(a));
    case "floor":
      return Math.floor(a);
    case "not":
      return kind === "mask" ? 1 - a : fromBits(kind, ~asBits(from, a));
    case "toInt":
      return saturate(a);
    case "convert":
      return round(kind, a);
    case "bitcast":
      return fromBits(kind, asBits(from, a));
    case "any":
      throw new TypeError("interpret: any is of a vector.");
    case "test":
      return Number(a !== 0);
  }
}
