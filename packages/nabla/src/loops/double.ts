// Elementary functions of float64 in loop-IR instructions, on vectors or scalars.
// Nothing relies on a fused multiply-add being fused: where products must be exact, their factors are cut short.
import { add, binary, constant, div, type FunctionBuilder, fastMax, fastMin, madd, mul, neg, nmadd, select, sub, unary } from "./build.ts";
import type { Expr } from "./ir.ts";
import { like, polynomial } from "./polynomial.ts";

export const toBits = (x: Expr): Expr => unary("bitcast", x, "i64");

export const fromBits = (x: Expr): Expr => unary("bitcast", x, "f64");

/** Adding it rounds to an integer, which then stands in the low bits. */
export const magic: number = 1.5 * 2 ** 52;
const bitsOfOne = 0x3ff * 2 ** 52;
/** ln 2 in two parts; n times the first is exact for |n| < 2^20. */
export const ln2High = 0.6931471803691238;
export const ln2Low = 1.9082149292705877e-10;

/** 2^n from n + 1.5·2^52, for n from −1023, which gives 0, to 1023. */
export const powerOf = (shifted: Expr): Expr =>
  fromBits(add(binary("shl", toBits(shifted), 52), constant("i64", bitsOfOne, shifted.lanes)));

/** y·2^n for y about 1 and integer n from −1100 to 1100: in two steps, so that neither power leaves the range. */
export function scaled(f: FunctionBuilder, y: Expr, n: Expr): Expr {
  const first = f.let("half", madd(n, like(n, 0.5), like(n, magic)));
  const rest = f.let("rest", add(sub(n, sub(first, like(n, magic))), like(n, magic)));
  return f.let("scaled", mul(mul(y, powerOf(first)), powerOf(rest)));
}

/** (e^r − 1 − r)/r² on [−0.347, 0.347], error 2^−56 relative to e^r. */
export const expTail: readonly number[] = [
  0.5000000000000034, 0.16666666666666974, 0.04166666666633704, 0.008333333333083639, 0.001388888899243535, 0.00019841270473074934,
  0.000024801444444197464, 0.0000027556673032055438, 2.764697470528673e-7, 2.5301128249570347e-8,
];

/** x = n·ln 2 + r: r, n + 1.5·2^52, and (e^r − 1 − r)/r². */
function reduceExponent(f: FunctionBuilder, x: Expr): { readonly r: Expr; readonly shifted: Expr; readonly n: Expr; readonly tail: Expr } {
  const shifted = f.let("t", madd(x, like(x, Math.LOG2E), like(x, magic)));
  const n = f.let("n", sub(shifted, like(x, magic)));
  const r = f.let("r", nmadd(n, like(x, ln2Low), nmadd(n, like(x, ln2High), x)));
  return { r, shifted, n, tail: polynomial(f, r, expTail) };
}

const clamped = (f: FunctionBuilder, x: Expr, least: number, most: number): Expr =>
  f.let("x", fastMin(fastMax(x, like(x, least)), like(x, most)));

export function exp64(f: FunctionBuilder, x: Expr): Expr {
  const { r, n, tail } = reduceExponent(f, clamped(f, x, -746, 710));
  return scaled(f, f.let("y", add(madd(mul(r, r), tail, r), like(x, 1))), n);
}

/** e^x − 1 = 2·(2^(n−1)·(e^r − 1) + (2^(n−1) − ½)): n may be 1024. */
export function expm164(f: FunctionBuilder, x: Expr): Expr {
  const { r, shifted, tail } = reduceExponent(f, clamped(f, x, -50, 710));
  const power = f.let("power", powerOf(sub(shifted, like(x, 1))));
  const y = f.let("y", madd(madd(mul(r, r), tail, r), power, sub(power, like(x, 0.5))));
  return f.let("expm1", select(binary("eq", x, like(x, 0)), x, add(y, y)));
}

/** x = 2^e·(1 + m) for normal x > 0, with 1 + m in [√½, √2). */
export function mantissaAndExponent(f: FunctionBuilder, x: Expr): { readonly m: Expr; readonly e: Expr; readonly power: Expr } {
  const wide = (value: number): Expr => constant("i64", value, x.lanes);
  const bits = f.let("bits", toBits(x));
  // The bits of √½ become those of 1.
  const shifted = f.let("shifted", add(bits, wide(0x3ff0_0000 * 2 ** 32 - 0x3fe6_a09e * 2 ** 32)));
  const power = f.let("power", sub(shifted, binary("and", shifted, wide(2 ** 52 - 1))));
  const m = f.let("m", sub(fromBits(add(sub(bits, power), wide(bitsOfOne))), like(x, 1)));
  const e = f.let("e", sub(fromBits(binary("or", binary("shrU", shifted, 52), toBits(like(x, 2 ** 52)))), like(x, 2 ** 52 + 1023)));
  return { m, e, power };
}

/** (ln((1 + s)/(1 − s)) − 2s)/s³ as a polynomial in s², for 1 + m in [√½, √2); error 2^−59 relative to the logarithm. */
const logTail = [
  0.6666666666666738, 0.39999999999368807, 0.28571428754281913, 0.22222197263415017, 0.1818363484356611, 0.1531221453168406, 0.1481446004531089,
];

/** e·ln 2 + ln(1 + m) = e·ln 2 + m − (m²/2 − s·(m²/2 + tail)), s = m/(2 + m). */
function logOfParts(f: FunctionBuilder, m: Expr, e: Expr): Expr {
  const s = f.let("s", div(m, add(m, like(m, 2))));
  const z = f.let("z", mul(s, s));
  const square = f.let("square", mul(mul(m, m), like(m, 0.5)));
  const tail = f.let("tail", mul(z, polynomial(f, z, logTail)));
  const low = f.let("low", madd(s, add(square, tail), mul(e, like(m, ln2Low))));
  return f.let("y", sub(mul(e, like(m, ln2High)), sub(sub(square, low), m)));
}

/** `result`, the logarithm of x > 0, and what it is elsewhere: ∞ and NaN pass; below zero is NaN, at zero −∞. */
function logEverywhere(f: FunctionBuilder, x: Expr, result: Expr): Expr {
  const high = select(binary("lt", x, like(x, Infinity)), result, x);
  return f.let("log", select(binary("gt", x, like(x, 0)), high, select(binary("eq", x, like(x, 0)), like(x, -Infinity), like(x, NaN))));
}

export function log64(f: FunctionBuilder, x: Expr): Expr {
  const tiny = f.let("tiny", binary("lt", x, like(x, 2 ** -1022)));
  const { m, e } = mantissaAndExponent(f, f.let("x", select(tiny, mul(x, like(x, 2 ** 54)), x)));
  return logEverywhere(f, x, logOfParts(f, m, f.let("e", sub(e, select(tiny, like(x, 54), like(x, 0))))));
}

/** log(1 + x): the mantissa of the rounded 1 + x gets back what rounding took from it. */
export function log1p64(f: FunctionBuilder, x: Expr): Expr {
  const one = like(x, 1);
  const sum = f.let("sum", add(x, one));
  const part = f.let("part", sub(sum, one));
  const lost = f.let("lost", add(sub(one, sub(sum, part)), sub(x, part)));
  const { m, e, power } = mantissaAndExponent(f, sum);
  // 2^−e; beyond 2^1000 what is lost does not count.
  const scale = select(binary("lt", x, like(x, 2 ** 60)), fromBits(sub(constant("i64", 2 * bitsOfOne, x.lanes), power)), like(x, 0));
  const result = logEverywhere(f, sum, logOfParts(f, f.let("m", madd(lost, scale, m)), e));
  return f.let("log1p", select(binary("eq", x, like(x, 0)), x, result));
}

/** max(x, 0) + log(1 + e^−|x|). */
export function softplus64(f: FunctionBuilder, x: Expr): Expr {
  const tail = log1p64(f, exp64(f, f.let("minus", neg(unary("abs", x)))));
  return f.let("softplus", add(fastMax(x, like(x, 0)), tail));
}

/** t/(t + 2), t = e^{2|x|} − 1. */
export function tanh64(f: FunctionBuilder, x: Expr): Expr {
  const size = f.let("size", unary("abs", x));
  const t = expm164(f, f.let("twice", fastMin(add(size, size), like(x, 60))));
  const y = f.let("y", div(t, add(t, like(x, 2))));
  const sign = f.let("sign", binary("and", toBits(x), toBits(like(x, -0))));
  // Zeros keep their sign, and so does what is left of NaN.
  return f.let("tanh", fromBits(binary("or", toBits(y), sign)));
}

export function sigmoid64(f: FunctionBuilder, x: Expr): Expr {
  return f.let("sigmoid", div(like(x, 1), add(exp64(f, f.let("minus", neg(x))), like(x, 1))));
}
