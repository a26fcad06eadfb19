// Elementary functions in loop-IR instructions: float32 by polynomials on vectors, float64 on scalars.
// Reductions round by adding a magic number (1.5·2^mantissa bits): truncating and rounding instructions are slow on vectors.
import { add, binary, constant, div, extract, type FunctionBuilder, fastMax, fastMin, f64, madd, mul, neg, nmadd, select, shuffle, splat, sub, unary } from "./build.ts";
import type { Expr } from "./ir.ts";

/** The constant `value` in the kind and lanes of `x`. */
const like = (x: Expr, value: number): Expr => constant(x.kind, value, x.lanes);

const toBits = (x: Expr): Expr => unary("bitcast", x, "i32");

const fromBits = (x: Expr): Expr => unary("bitcast", x, "f32");

/** Σ coefficients[k]·x^k by Horner's rule. */
function polynomial(f: FunctionBuilder, x: Expr, coefficients: readonly number[]): Expr {
  let sum = like(x, coefficients.at(-1)!);
  for (let k = coefficients.length - 2; k >= 0; k--) sum = f.let("p", madd(sum, x, like(x, coefficients[k]!)));
  return sum;
}

/** An elementary function of one value. */
export type Elementary = (f: FunctionBuilder, x: Expr) => Expr;

const choose =
  (single: Elementary, double: Elementary): Elementary =>
  (f, x) =>
    x.kind === "f64" ? double(f, x) : single(f, x);

// float32. Polynomials were fitted by weighted least maximum error (Lawson's iteration) on the reduced range.

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
function exp32(f: FunctionBuilder, x: Expr): Expr {
  const { r, bits, tail } = reduceExponent32(f, x, -104);
  const small = f.let("small", binary("lt", x, like(x, -86)));
  const raised = add(bits, select(small, constant("i32", 64, x.lanes), constant("i32", 0, x.lanes)));
  const y = mul(madd(mul(r, r), tail, add(r, like(x, 1))), powerOfBits(f.let("bits", raised)));
  return f.let("exp", mul(y, select(small, like(x, 2 ** -64), like(x, 1))));
}

/** e^x − 1 = 2^n·(e^r − 1) + (2^n − 1). */
function expm132(f: FunctionBuilder, x: Expr): Expr {
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

function log32(f: FunctionBuilder, x: Expr): Expr {
  const integer = (value: number): Expr => constant("i32", value, x.lanes);
  const tiny = f.let("tiny", binary("lt", x, like(x, 2 ** -126)));
  const bits = f.let("bits", toBits(select(tiny, mul(x, like(x, 2 ** 23)), x)));
  const exponent = exponentOf(f, bits);
  const m = f.let("m", sub(fromBits(sub(bits, binary("shl", exponent, 23))), like(x, 1)));
  return logEverywhere(f, x, logOfParts(f, m, sub(exponent, select(tiny, integer(23), integer(0)))));
}

/** log(1 + x): the mantissa of the rounded 1 + x gets back what rounding took from it. */
function log1p32(f: FunctionBuilder, x: Expr): Expr {
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
function softplus32(f: FunctionBuilder, x: Expr): Expr {
  const e = exp32(f, f.let("minus", neg(unary("abs", x))));
  const tail = madd(mul(e, e), polynomial(f, e, log1pTail), e);
  return f.let("softplus", add(fastMax(x, like(x, 0)), tail));
}

/** (tanh x − x)/x³ as a polynomial in x² for |x| < 0.625, error 4.4e-9 relative to tanh x. */
const tanhTail = [-0.3333328068256378, 0.13331441581249237, -0.05373971536755562, 0.02063908614218235, -0.005704986397176981];

function tanh32(f: FunctionBuilder, x: Expr): Expr {
  const square = f.let("x2", mul(x, x));
  const small = f.let("small", madd(mul(square, x), polynomial(f, square, tanhTail), x));
  const size = f.let("size", unary("abs", x));
  // 1 − 2/(e^{2|x|} + 1)
  const large = f.let("large", sub(like(x, 1), div(like(x, 2), add(flushedExp32(f, f.let("twice", add(size, size))), like(x, 1)))));
  const signed = select(binary("lt", x, like(x, 0)), neg(large), large);
  return f.let("tanh", select(binary("eq", x, like(x, 0)), x, select(binary("lt", size, like(x, 0.625)), small, signed)));
}

function sigmoid32(f: FunctionBuilder, x: Expr): Expr {
  return f.let("sigmoid", div(like(x, 1), add(flushedExp32(f, f.let("minus", neg(x))), like(x, 1))));
}

/** float32 lanes one by one in float64: for what is rare, and wants its accuracy (large arguments, powers). */
function byLane(f: FunctionBuilder, inputs: readonly Expr[], compute: (lanes: readonly Expr[]) => Expr): Expr {
  const { lanes } = inputs[0]!;
  const results = Array.from({ length: lanes }, (_, lane) =>
    unary("convert", compute(inputs.map((x) => f.let("lane", unary("convert", extract(x, lane), "f64")))), "f32"),
  );
  return gatherLanes(f, results);
}

/** A vector of scalars. */
export function gatherLanes(f: FunctionBuilder, scalars: readonly Expr[]): Expr {
  const { length } = scalars;
  if (length === 1) return f.let("lane", scalars[0]!);
  let vectors = scalars.map((scalar) => f.let("lane", splat(scalar, length)));
  // Interleaves halves: after log2(length) rounds lane i is scalar i.
  for (let filled = 1; filled < length; filled *= 2) {
    const order = Array.from({ length }, (_, lane) => {
      const position = lane % (2 * filled);
      return position < filled ? position : length + position - filled;
    });
    vectors = vectors.filter((_, index) => index % 2 === 0).map((low, index) => f.let("lanes", shuffle(low, vectors[2 * index + 1]!, order)));
  }
  return vectors[0]!;
}

// float64. Series are Taylor's: the reduced ranges are short enough for the last term to vanish.

const magic64 = 1.5 * 2 ** 52;
/** ln 2 in two parts; n times the first is exact for |n| < 2^20. */
const ln2High64 = 0.6931471803691238;
const ln2Low64 = 1.9082149292705877e-10;

function inverseFactorials(first: number, last: number, step: number, alternate: boolean): number[] {
  const coefficients: number[] = [];
  let factorial = 1;
  for (let k = 1; k <= last; k++) {
    factorial *= k;
    if (k >= first && (k - first) % step === 0) coefficients.push((alternate && ((k - first) / step) % 2 === 1 ? -1 : 1) / factorial);
  }
  return coefficients;
}

/** 2^n for integer |n| ≤ 126, exact. */
const powerOfTwo = (n: Expr): Expr => unary("convert", fromBits(binary("shl", add(n, 127), 23)), "f64");

/** 2^n for integer |n| ≤ 1022, exact: (2^⌊n/8⌋)^8 · 2^(n mod 8). */
function widePower(f: FunctionBuilder, n: Expr): Expr {
  let power = f.let("power", powerOfTwo(binary("shrS", n, 3)));
  for (let round = 0; round < 3; round++) power = f.let("power", mul(power, power));
  return f.let("power", mul(power, powerOfTwo(binary("and", n, 7))));
}

/** r and n with x = n·ln 2 + r. */
function reduceExponent(f: FunctionBuilder, x: Expr): { readonly r: Expr; readonly n: Expr } {
  const n = f.let("n", sub(add(mul(x, log2e), magic64), magic64));
  return { n, r: f.let("r", sub(sub(x, mul(n, f64(ln2High64))), mul(n, f64(ln2Low64)))) };
}

function exp64(f: FunctionBuilder, x: Expr): Expr {
  const clamped = f.let("x", select(binary("gt", x, 710), f64(710), select(binary("lt", x, -746), f64(-746), x)));
  const { r, n } = reduceExponent(f, clamped);
  const y = f.let("y", add(f64(1), add(r, mul(mul(r, r), polynomial(f, r, inverseFactorials(2, 14, 1, false))))));
  const k = f.let("k", unary("toInt", n));
  const half = f.let("half", binary("shrS", k, 1));
  return f.let("exp", mul(mul(y, widePower(f, half)), widePower(f, f.let("rest", sub(k, half)))));
}

/** e^x − 1. */
function expm164(f: FunctionBuilder, x: Expr): Expr {
  const near = f.let("near", add(x, mul(mul(x, x), polynomial(f, x, inverseFactorials(2, 15, 1, false)))));
  const result = f.let("expm1", select(binary("lt", unary("abs", x), 0.35), near, sub(exp64(f, x), 1)));
  return f.let("expm1", select(binary("eq", x, 0), x, result));
}

function log64(f: FunctionBuilder, x: Expr): Expr {
  // Bring x near 1 by exact powers of two, so that a float32 holds its exponent.
  let scaled = x;
  let shift: Expr = constant("i32", 0);
  for (const step of [512, 256, 128, 64]) {
    const large = f.let("large", binary("ge", scaled, 2 ** step));
    const small = f.let("small", binary("lt", scaled, 2 ** -step));
    const factor = select(large, f64(2 ** -step), select(small, f64(2 ** step), f64(1)));
    shift = f.let("shift", add(shift, select(large, constant("i32", step), select(small, constant("i32", -step), constant("i32", 0)))));
    scaled = f.let("scaled", mul(scaled, factor));
  }
  const bits = f.let("bits", toBits(unary("convert", scaled, "f32")));
  const exponent = f.let("e", binary("shrS", sub(bits, constant("i32", 0x3f3504f3)), 23));
  const m = f.let("m", mul(scaled, powerOfTwo(neg(exponent))));
  const e = f.let("n", unary("convert", add(exponent, shift), "f64"));
  // ln m = 2 artanh((m − 1)/(m + 1)); with s = (m − 1)/(m + 1), 2s = (m − 1) − s(m − 1).
  const d = f.let("d", sub(m, 1));
  const s = f.let("s", div(d, add(m, 1)));
  const z = f.let("z", mul(s, s));
  const series = Array.from({ length: 12 }, (_, k) => 2 / (2 * k + 3));
  const tail = f.let("tail", sub(mul(mul(s, z), polynomial(f, z, series)), mul(s, d)));
  const result = f.let("y", add(mul(e, f64(ln2High64)), add(d, add(tail, mul(e, f64(ln2Low64))))));
  const special = select(binary("eq", x, 0), f64(-Infinity), select(binary("lt", x, 0), f64(NaN), x));
  const finite = f.let("finite", binary("and", binary("gt", x, 0), binary("lt", x, Infinity)));
  return f.let("log", select(finite, result, special));
}

/** ln u·x/(u − 1) with u = 1 + x rounded: both quotients err alike (Kahan). */
function log1p64(f: FunctionBuilder, x: Expr): Expr {
  const sum = f.let("sum", add(x, 1));
  const part = f.let("part", sub(sum, 1));
  const corrected = mul(log64(f, sum), div(x, select(binary("eq", part, 0), f64(1), part)));
  const plain = binary("or", binary("eq", part, 0), binary("eq", x, Infinity));
  return f.let("log1p", select(plain, x, corrected));
}

function softplus64(f: FunctionBuilder, x: Expr): Expr {
  const tail = log1p64(f, exp64(f, f.let("minus", neg(unary("abs", x)))));
  return f.let("softplus", add(fastMax(x, f64(0)), tail));
}

function tanh64(f: FunctionBuilder, x: Expr): Expr {
  const size = f.let("size", unary("abs", x));
  const t = expm164(f, f.let("twice", add(size, size)));
  const y = f.let("y", select(binary("gt", size, 20), f64(1), div(t, add(t, 2))));
  const signed = select(binary("lt", x, 0), neg(y), y);
  // Zeros keep their sign, NaN stays.
  return f.let("tanh", select(binary("or", binary("lt", x, 0), binary("gt", x, 0)), signed, x));
}

function sigmoid64(f: FunctionBuilder, x: Expr): Expr {
  return f.let("sigmoid", div(f64(1), add(exp64(f, f.let("minus", neg(x))), 1)));
}

/** π/2 in three parts; n times the first two is exact for |n| < 2^20. */
const halfPi = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21] as const;

/** sin(x + quarters·π/2); exact reduction for |x| < 2^20, within float64's own error of x to 2^50. */
function sine64(f: FunctionBuilder, x: Expr, quarters: 0 | 1): Expr {
  const n = f.let("n", sub(add(mul(x, 2 / Math.PI), magic64), magic64));
  let r = x;
  for (const part of halfPi) r = f.let("r", sub(r, mul(n, f64(part))));
  const z = f.let("z", mul(r, r));
  const sine = f.let("sine", madd(mul(r, z), polynomial(f, z, inverseFactorials(3, 19, 2, true).map((c) => -c)), r));
  const cosine = f.let("cosine", add(f64(1), mul(z, polynomial(f, z, inverseFactorials(2, 20, 2, true).map((c) => -c)))));
  const low = f.let("q", add(unary("toInt", sub(n, mul(unary("floor", mul(n, 0.25)), 4))), quarters));
  const value = f.let("value", select(unary("test", binary("and", low, 1)), cosine, sine));
  return f.let("sin", select(unary("test", binary("and", low, 2)), neg(value), value));
}

/** IEEE 754's powr extended to negative bases with integer exponents; relative error up to 1e-13 where |y·ln x| is large. */
function pow64(f: FunctionBuilder, x: Expr, y: Expr): Expr {
  const size = f.let("size", unary("abs", x));
  const power = f.let("power", exp64(f, f.let("ylogx", mul(y, log64(f, size)))));
  const one = binary("or", binary("eq", y, 0), binary("and", binary("eq", size, 1), binary("eq", y, y)));
  const magnitude = f.let("magnitude", select(f.let("one", one), f64(1), power));
  const integer = f.let("integer", binary("eq", unary("floor", y), y));
  const half = f.let("half", mul(y, 0.5));
  const odd = f.let("odd", binary("and", integer, binary("ne", unary("floor", half), half)));
  const negative = select(odd, neg(magnitude), select(binary("or", integer, binary("eq", size, Infinity)), magnitude, f64(NaN)));
  const signed = f.let("pow", select(binary("lt", x, 0), negative, magnitude));
  return f.let("pow", select(binary("and", binary("eq", x, 1), binary("ne", y, y)), f64(1), signed));
}

export const exp: Elementary = choose(exp32, exp64);
export const expm1: Elementary = choose(expm132, expm164);
export const log: Elementary = choose(log32, log64);
export const log1p: Elementary = choose(log1p32, log1p64);
export const tanh: Elementary = choose(tanh32, tanh64);
export const sigmoid: Elementary = choose(sigmoid32, sigmoid64);
export const softplus: Elementary = choose(softplus32, softplus64);
export const sin: Elementary = choose(
  (f, x) => byLane(f, [x], ([lane]) => sine64(f, lane!, 0)),
  (f, x) => sine64(f, x, 0),
);
export const cos: Elementary = choose(
  (f, x) => byLane(f, [x], ([lane]) => sine64(f, lane!, 1)),
  (f, x) => sine64(f, x, 1),
);

export function pow(f: FunctionBuilder, x: Expr, y: Expr): Expr {
  return x.kind === "f64" ? pow64(f, x, y) : byLane(f, [x, y], ([a, b]) => pow64(f, a!, b!));
}

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011) of key (k0, k1) and counter (0, counter): word 0 xor word 1. */
export function threefry(f: FunctionBuilder, k0: Expr, k1: Expr, counter: Expr): Expr {
  const k2 = f.let("k2", binary("xor", binary("xor", k0, k1), like(k0, 0x1bd11bda)));
  const keys = [k0, k1, k2];
  let x0 = k0;
  let x1 = f.let("x1", add(counter, k1));
  for (let block = 0; block < 5; block++) {
    for (const rotation of rotations[block % 2]!) {
      x0 = f.let("x0", add(x0, x1));
      const rotated = binary("or", binary("shl", x1, rotation), binary("shrU", x1, 32 - rotation));
      x1 = f.let("x1", binary("xor", rotated, x0));
    }
    x0 = f.let("x0", add(x0, keys[(block + 1) % 3]!));
    // Minus a negative: V8 fuses no pair of vectors where a constant, here 4, is also the distance between the pair's indices.
    x1 = f.let("x1", sub(add(x1, keys[(block + 2) % 3]!), like(k0, -(block + 1))));
  }
  return f.let("bits", binary("xor", x0, x1));
}
