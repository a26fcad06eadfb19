// Elementary functions of float32 in loop-IR instructions, on vectors.
// Reductions round by adding a magic number (1.5·2^mantissa bits): truncating and rounding instructions are slow on vectors.
import { add, binary, constant, div, type FunctionBuilder, fastMax, fastMin, madd, mul, neg, nmadd, select, sub, unary } from "./build.ts";
import type { Expr } from "./ir.ts";
import { like, polynomial } from "./polynomial.ts";

const toBits = (x: Expr): Expr => unary("bitcast", x, "i32");

const fromBits = (x: Expr): Expr => unary("bitcast", x, "f32");

const log2e = Math.LOG2E;
/** ln 2 in two parts; n times the first is exact for |n| < 2^9. */
const ln2High = 0.693145751953125;
const ln2Low = 1.428606820309417e-6;
const magic32 = 1.5 * 2 ** 23;

/** (e^r − 1 − r)/r² on [−0.347, 0.694], error 1.5e-9 relative to e^r. */
const expTail = [0.4999999403953552, 0.16666699945926666, 0.04166807234287262, 0.008326769806444645, 0.0013838590821251273, 0.00023255182895809412];

/** x = n·ln 2 + r for x ≥ least: r, the bits of n + 1.5·2^23, and (e^r − 1 − r)/r². */
function reduceExponent32(f: FunctionBuilder, x: Expr, least: number): { readonly r: Expr; readonly bits: Expr; readonly tail: Expr } {
  // n ≤ 127, so that 2^n is finite; r then reaches ln 2 where e^x exceeds 2^127.
  const clamped = f.let("x", fastMax(x, like(x, least)));
  const shifted = f.let("t", fastMin(madd(clamped, like(x, log2e), like(x, magic32)), like(x, magic32 + 127)));
  const n = f.let("n", sub(shifted, like(x, magic32)));
  const r = f.let("r", nmadd(n, like(x, ln2Low), nmadd(n, like(x, ln2High), clamped)));
  return { r, bits: toBits(shifted), tail: polynomial(f, r, expTail) };
}

/** 2^n from the bits of n + 1.5·2^23, for n from −127, which gives 0, to 127. */
const powerOfBits = (bits: Expr): Expr => fromBits(add(binary("shl", bits, 23), constant("i32", 0x3f800000, bits.lanes)));

/** e^x; results below 2^−126.5 are 0. */
function flushedExp32(f: FunctionBuilder, x: Expr): Expr {
  const { r, bits, tail } = reduceExponent32(f, x, -88);
  return f.let("exp", mul(madd(mul(r, r), tail, add(r, like(x, 1))), powerOfBits(bits)));
}

/** e^x, subnormal results too: where they are near, the power is 2^64 larger and the last product brings it down. */
export function exp32(f: FunctionBuilder, x: Expr): Expr {
  const { r, bits, tail } = reduceExponent32(f, x, -104);
  const small = f.let("small", binary("lt", x, like(x, -86)));
  const raised = add(bits, select(small, constant("i32", 64, x.lanes), constant("i32", 0, x.lanes)));
  const y = mul(madd(mul(r, r), tail, add(r, like(x, 1))), powerOfBits(f.let("bits", raised)));
  return f.let("exp", mul(y, select(small, like(x, 2 ** -64), like(x, 1))));
}

/** e^x − 1 = 2^n·(e^r − 1) + (2^n − 1). */
export function expm132(f: FunctionBuilder, x: Expr): Expr {
  const { r, bits, tail } = reduceExponent32(f, x, -88);
  const power = f.let("power", powerOfBits(bits));
  const y = madd(madd(mul(r, r), tail, r), power, sub(power, like(x, 1)));
  return f.let("expm1", select(binary("eq", x, like(x, 0)), x, y));
}

/** (ln(1 + m) − m + m²/2)/m³ on [√½ − 1, √2 − 1], error 7.5e-10 relative to ln(1 + m). */
const logTail = [
  0.3333331346511841, -0.25000008940696716, 0.2000211924314499, -0.1666799634695053, 0.14219552278518677, -0.1240558922290802, 0.11888162791728973,
  -0.11675651371479034, 0.0674663856625577,
];

/** ⌊log2(x/√½)⌋ of normal x > 0, given its bits: x without this exponent lies in [√½, √2). */
const exponentOf = (f: FunctionBuilder, bits: Expr): Expr => f.let("e", binary("shrS", sub(bits, constant("i32", 0x3f3504f3, bits.lanes)), 23));

/** ln(2^e·(1 + m)). */
function logOfParts(f: FunctionBuilder, m: Expr, exponent: Expr): Expr {
  const e = f.let("n", unary("convert", exponent, "f32"));
  const square = f.let("m2", mul(m, m));
  const tail = mul(mul(square, m), polynomial(f, m, logTail));
  const low = f.let("low", madd(e, like(m, ln2Low), nmadd(square, like(m, 0.5), tail)));
  return f.let("y", madd(e, like(m, ln2High), add(m, low)));
}

/** `result`, the logarithm of x > 0, and what it is elsewhere: ∞ and NaN pass; below zero is NaN, at zero −∞. */
function logEverywhere(f: FunctionBuilder, x: Expr, result: Expr): Expr {
  const high = select(binary("lt", x, like(x, Infinity)), result, x);
  return f.let("log", select(binary("gt", x, like(x, 0)), high, select(binary("eq", x, like(x, 0)), like(x, -Infinity), like(x, NaN))));
}

export function log32(f: FunctionBuilder, x: Expr): Expr {
  const integer = (value: number): Expr => constant("i32", value, x.lanes);
  const tiny = f.let("tiny", binary("lt", x, like(x, 2 ** -126)));
  const bits = f.let("bits", toBits(select(tiny, mul(x, like(x, 2 ** 23)), x)));
  const exponent = exponentOf(f, bits);
  const m = f.let("m", sub(fromBits(sub(bits, binary("shl", exponent, 23))), like(x, 1)));
  return logEverywhere(f, x, logOfParts(f, m, sub(exponent, select(tiny, integer(23), integer(0)))));
}

/** log(1 + x): the mantissa of the rounded 1 + x gets back what rounding took from it. */
export function log1p32(f: FunctionBuilder, x: Expr): Expr {
  const one = like(x, 1);
  const sum = f.let("sum", add(x, one));
  const part = f.let("part", sub(sum, one));
  const lost = f.let("lost", add(sub(one, sub(sum, part)), sub(x, part)));
  const bits = f.let("bits", toBits(sum));
  const exponent = exponentOf(f, bits);
  const shift = f.let("shift", binary("shl", exponent, 23));
  // 2^−exponent; 0 where that is below 2^−126, and what is lost does not count.
  const scale = fromBits(binary("max", sub(constant("i32", 0x3f800000, x.lanes), shift), 0));
  const m = f.let("m", madd(lost, scale, sub(fromBits(sub(bits, shift)), one)));
  const result = logEverywhere(f, sum, logOfParts(f, m, exponent));
  return f.let("log1p", select(binary("eq", x, like(x, 0)), x, result));
}

/** (ln(1 + x) − x)/x² on [0, 1], error 9e-10 relative to ln(1 + x). */
const log1pTail = [
  -0.49999988079071045, 0.33332714438438416, -0.24988864362239838, 0.19899621605873108, -0.16135157644748688, 0.12479481101036072,
  -0.08323805034160614, 0.042113907635211945, -0.013691186904907227, 0.0020844400860369205,
];

/** max(x, 0) + log(1 + e^−|x|). */
export function softplus32(f: FunctionBuilder, x: Expr): Expr {
  const e = exp32(f, f.let("minus", neg(unary("abs", x))));
  const tail = madd(mul(e, e), polynomial(f, e, log1pTail), e);
  return f.let("softplus", add(fastMax(x, like(x, 0)), tail));
}

/** (tanh x − x)/x³ as a polynomial in x² for |x| < 0.625, error 4.4e-9 relative to tanh x. */
const tanhTail = [-0.3333328068256378, 0.13331441581249237, -0.05373971536755562, 0.02063908614218235, -0.005704986397176981];

export function tanh32(f: FunctionBuilder, x: Expr): Expr {
  const square = f.let("x2", mul(x, x));
  const small = f.let("small", madd(mul(square, x), polynomial(f, square, tanhTail), x));
  const size = f.let("size", unary("abs", x));
  // 1 − 2/(e^{2|x|} + 1)
  const large = f.let("large", sub(like(x, 1), div(like(x, 2), add(flushedExp32(f, f.let("twice", add(size, size))), like(x, 1)))));
  const signed = select(binary("lt", x, like(x, 0)), neg(large), large);
  return f.let("tanh", select(binary("eq", x, like(x, 0)), x, select(binary("lt", size, like(x, 0.625)), small, signed)));
}

export function sigmoid32(f: FunctionBuilder, x: Expr): Expr {
  return f.let("sigmoid", div(like(x, 1), add(flushedExp32(f, f.let("minus", neg(x))), like(x, 1))));
}
