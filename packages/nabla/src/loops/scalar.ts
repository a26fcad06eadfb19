// One body instruction as loop-IR expressions, whatever the number of lanes: what add, select, cast… mean in registers.
// Loads, indices and accumulators are the emitter's (body.ts): they depend on where the lanes lie.
import { add, binary, constant, div, fastMax, fastMin, type FunctionBuilder, mul, neg, select, sub, unary } from "./build.ts";
import type { Cell, Expr, Kind } from "./ir.ts";
import type { Instruction, RegisterType, Store } from "../kernels/kernel.ts";
import { cos, exp, expm1, log, log1p, pow, sigmoid, sin, softplus, tanh } from "./math.ts";
import { inDoubles } from "./lanes.ts";
import { threefry } from "./threefry.ts";
import type { DType } from "../ops/dtype.ts";
import type { BinaryOp, UnaryOp } from "../ops/elementwise.ts";

export const kindOf: Readonly<Record<RegisterType, Exclude<Kind, "i64">>> = { float32: "f32", float64: "f64", int32: "i32", bool: "mask" };

export const cellOf: Readonly<Record<DType, Cell>> = { float32: "f32", float64: "f64", int32: "i32", uint8: "u8", bool: "u8" };

const like = (x: Expr, value: number): Expr => constant(x.kind, value, x.lanes);

/** Instructions that need no place in memory. */
export type Computed = Exclude<Instruction, { op: "load" | "index" | "accumulator" }>;

/** The operands of an instruction: indices of earlier ones. */
export function operandsOf(instruction: Instruction): readonly number[] {
  switch (instruction.op) {
    case "load":
      return instruction.access.indirect === undefined ? [] : [instruction.access.indirect.row];
    case "constant":
    case "index":
    case "accumulator":
      return [];
    case "select":
      return [instruction.condition, instruction.a, instruction.b];
    case "randomBits":
      return [instruction.k0, instruction.k1, instruction.counter];
    default:
      return "b" in instruction ? [instruction.a, instruction.b] : [instruction.a];
  }
}

/** Lanes of a body on vectors of `lanes` 32-bit lanes: half as many where float64 comes up. */
export function lanesOf(body: readonly Instruction[], stores: readonly Store[], lanes: number): number {
  const wide =
    stores.some(({ access }) => access.dtype === "float64") ||
    body.some((instruction) => instruction.type === "float64" || (instruction.op === "load" && instruction.access.dtype === "float64"));
  return wide ? lanes / 2 : lanes;
}

/** Nanoseconds of an instruction on one vector, roughly. */
export function costOf(instruction: Instruction): number {
  switch (instruction.op) {
    case "exp":
    case "expm1":
    case "log":
    case "log1p":
    case "sigmoid":
      return 3;
    case "tanh":
    case "softplus":
    case "randomBits":
      return 5;
    case "sin":
    case "cos":
      return 8;
    case "pow":
      return 30;
    case "div":
    case "sqrt":
      return 1.5;
    default:
      return 0.25;
  }
}

/** Emits a computed instruction; `operand` gives the values of earlier ones. */
export function emitComputed(f: FunctionBuilder, instruction: Computed, lanes: number, operand: (index: number) => Expr): Expr {
  switch (instruction.op) {
    case "constant":
      return constant(kindOf[instruction.type], instruction.value, lanes);
    case "select":
      return f.let("select", select(operand(instruction.condition), operand(instruction.a), operand(instruction.b)));
    case "cast": {
      const value = convert(operand(instruction.a), kindOf[instruction.type]);
      return f.let("cast", instruction.wrap === "uint8" ? binary("and", value, 255) : value);
    }
    case "randomBits":
      return threefry(f, operand(instruction.k0), operand(instruction.k1), operand(instruction.counter));
    default:
      if ("b" in instruction) return f.let(instruction.op, emitBinary(f, instruction.op, operand(instruction.a), operand(instruction.b)));
      return f.let(instruction.op, emitUnary(f, instruction.op, operand(instruction.a)));
  }
}

/** `value` as `kind`: to i32 truncating and saturating, to mask by ≠ 0. */
export function convert(value: Expr, kind: Kind): Expr {
  if (value.kind === kind) return value;
  if (kind === "mask") return value.kind === "i32" ? unary("test", value) : binary("ne", value, 0);
  if (kind === "i32" && value.kind !== "mask") return unary("toInt", value);
  return unary("convert", value, kind);
}

function emitUnary(f: FunctionBuilder, op: UnaryOp, x: Expr): Expr {
  switch (op) {
    case "neg":
      return neg(x);
    case "abs":
    case "sqrt":
      return unary(op, x);
    case "floor":
      return x.kind === "i32" ? x : unary("floor", x);
    case "sign": {
      const zero = like(x, 0);
      // Zeros and NaN give themselves.
      return select(binary("gt", x, zero), like(x, 1), select(binary("lt", x, zero), like(x, -1), x));
    }
    case "relu":
      return fastMax(x, like(x, 0));
    case "logicalNot":
      return unary("not", convert(x, "mask"));
    case "exp":
      return exp(f, x);
    case "expm1":
      return expm1(f, x);
    case "log":
      return log(f, x);
    case "log1p":
      return log1p(f, x);
    case "tanh":
      return tanh(f, x);
    case "sigmoid":
      return sigmoid(f, x);
    case "softplus":
      return softplus(f, x);
    case "sin":
      return sin(f, x);
    case "cos":
      return cos(f, x);
  }
}

function emitBinary(f: FunctionBuilder, op: BinaryOp, a: Expr, b: Expr): Expr {
  if (a.kind === "mask") return emitLogic(op, a, b);
  switch (op) {
    case "add":
      return add(a, b);
    case "sub":
      return sub(a, b);
    case "mul":
      return mul(a, b);
    case "div":
      return a.kind === "i32" ? divideIntegers(f, a, b) : div(a, b);
    case "pow":
      return pow(f, a, b);
    case "maximum":
    case "minimum":
      return extremum(f, op === "maximum" ? "gt" : "lt", a, b);
    case "equal":
      return binary("eq", a, b);
    case "less":
      return binary("lt", a, b);
    case "lessEqual":
      return binary("le", a, b);
    case "logicalAnd":
    case "logicalOr":
      return emitLogic(op, convert(a, "mask"), convert(b, "mask"));
  }
}

/** On truth values false < true, and arithmetic is that of one bit. */
function emitLogic(op: BinaryOp, a: Expr, b: Expr): Expr {
  switch (op) {
    case "logicalAnd":
    case "mul":
    case "minimum":
      return binary("and", a, b);
    case "logicalOr":
    case "add":
    case "maximum":
      return binary("or", a, b);
    case "equal":
      return unary("not", binary("xor", a, b));
    case "less":
      return binary("and", unary("not", a), b);
    case "lessEqual":
      return binary("or", unary("not", a), b);
    default:
      throw new Error(`${op} of truth values has no meaning.`);
  }
}

/** The larger ("gt") or smaller of two; NaN where either is: the hardware's own NaN-propagating instruction is slower. */
export function extremum(f: FunctionBuilder, better: "gt" | "lt", a: Expr, b: Expr): Expr {
  if (a.kind === "i32") return binary(better === "gt" ? "max" : "min", a, b);
  // These keep `a` where the comparison is false, so NaN in `a` stays.
  const chosen = f.let("m", better === "gt" ? fastMax(a, b) : fastMin(a, b));
  return f.let("m", select(binary("eq", b, b), chosen, b));
}

/** Truncated, and 0 by zero: float64 holds int32 and truncates their quotients right; only −2³¹/−1 leaves the range. */
function divideIntegers(f: FunctionBuilder, a: Expr, b: Expr): Expr {
  const quotient = inDoubles(f, [a, b], ([x, y]) => div(x!, y!), (result) => unary("toInt", result));
  return select(binary("eq", b, 0), like(a, 0), select(binary("eq", b, -1), neg(a), quotient));
}
