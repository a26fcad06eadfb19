// Sine and cosine of any finite number: x = n·π/2 + r, then a polynomial of r.
// Up to a limit the parts of π/2 are short enough for exact products; beyond it, 2/π is multiplied by x in 24-bit words (Payne and Hanek 1983).
import { add, binary, constant, div, f64, FunctionBuilder, get, i32, madd, mul, neg, nmadd, select, sub, unary } from "./build.ts";
import { fromBits as fromWide, magic as magic64, powerOf, toBits as toWide } from "./double.ts";
import type { Expr, IrFunction } from "./ir.ts";
import { as, rarely } from "./lanes.ts";
import { like, polynomial } from "./polynomial.ts";

const magic32 = 1.5 * 2 ** 23;

/** π/2 in parts of 11 bits and a rest; n times a part is exact for |n| < 2^13. */
const halfPi32 = [1.5703125, 0.00048351287841796875, 3.1385570764541626e-7, 6.070877134334296e-11, 6.223372171896613e-14];
const limit32 = 12_000;

/** π/2 in two parts of 33 bits and a rest; n times a part is exact for |n| < 2^20. */
const halfPi64 = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21];
const limit64 = 2 ** 20;

/** (sin r − r)/r³ and (cos r − 1 + r²/2)/r⁴ as polynomials in r² for |r| ≤ π/4: errors 4e-9 and 1e-10, then 2^−56 and 2^−59. */
const sineTail32 = [-0.16666655242443085, 0.008332190103828907, -0.0001951840822584927];
const cosineTail32 = [0.04166664555668831, -0.00138873013202101, 0.00002443066841806285];
const sineTail64 = [-0.16666666666666616, 0.008333333333318102, -0.0001984126982631091, 0.000002755731250102453, -2.5050577049530726e-8, 1.5886640386649148e-10];
const cosineTail64 = [0.04166666666666702, -0.001388888888892065, 0.000024801587308087165, -2.7557317737257306e-7, 2.0875999550674926e-9, -1.1367322794145087e-11];

/** The digits of 2/π in base 2^24. */
const twoOverPi = [
  10680707, 7228996, 1387004, 2578385, 16069853, 12639074, 9804092, 4427841, 16666979, 11263675, 12935607, 2387514, 4345298, 14681673, 3074569,
  13734428, 16653803, 1880361, 10960616, 8533493, 3062596, 8710556, 7349940, 6258241, 3772886, 3769171, 3798172, 8675211, 12450088, 3874808,
  9961438, 366607, 15675153, 9132554, 7151469, 3571407, 2607881, 12013382, 4155038, 6285869, 7677882, 13102053, 15825725, 473591, 9065106,
  15363067, 6271263, 9264392, 5636912, 4652155,
];

/** sin r and cos r for |r| ≤ π/4. */
function sineAndCosine(f: FunctionBuilder, r: Expr): { readonly sine: Expr; readonly cosine: Expr } {
  const single = r.kind === "f32";
  const z = f.let("z", mul(r, r));
  const sine = f.let("sine", madd(mul(r, z), polynomial(f, z, single ? sineTail32 : sineTail64), r));
  const cosine = madd(mul(z, z), polynomial(f, z, single ? cosineTail32 : cosineTail64), nmadd(z, like(z, 0.5), like(z, 1)));
  return { sine, cosine: f.let("cosine", cosine) };
}

/** sin(x + quarters·π/2). */
function sine(f: FunctionBuilder, x: Expr, quarters: 0 | 1): Expr {
  const single = x.kind === "f32";
  const magic = like(x, single ? magic32 : magic64);
  const shifted = f.let("t", madd(x, like(x, 2 / Math.PI), magic));
  const n = f.let("n", sub(shifted, magic));
  let r = x;
  for (const part of single ? halfPi32 : halfPi64) r = f.let("r", nmadd(n, like(x, part), r));
  const both = sineAndCosine(f, r);
  const bits = f.let("q", add(single ? unary("bitcast", shifted, "i32") : toWide(shifted), constant(single ? "i32" : "i64", quarters, x.lanes)));
  const value = f.let("value", select(binary("eq", binary("and", bits, 1), 1), both.cosine, both.sine));
  const sign = binary("shl", binary("and", bits, 2), single ? 30 : 62);
  const signed = single ? unary("bitcast", binary("xor", unary("bitcast", value, "i32"), sign), "f32") : fromWide(binary("xor", toWide(value), sign));
  const size = f.let("size", unary("abs", x));
  const rare = binary("and", binary("gt", size, like(x, single ? limit32 : limit64)), binary("lt", size, like(x, Infinity)));
  const usual = quarters === 1 ? signed : select(binary("eq", x, like(x, 0)), x, signed);
  return rarely(f, x, rare, usual, (lane) => as(f.resultOf(largeSine(quarters), as(lane, "f64")), x.kind));
}

export const sin = (f: FunctionBuilder, x: Expr): Expr => sine(f, x, 0);
export const cos = (f: FunctionBuilder, x: Expr): Expr => sine(f, x, 1);

const known: (IrFunction | undefined)[] = [];

function largeSine(quarters: 0 | 1): IrFunction {
  return (known[quarters] ??= makeLargeSine(quarters));
}

/** sin(x + quarters·π/2) for finite |x| ≥ 2^13. */
function makeLargeSine(quarters: 0 | 1): IrFunction {
  const f = new FunctionBuilder(`large_sine_${quarters}`);
  const x = f.parameter("x", "f64");
  // |x| = mantissa·2^exponent, an integer of 53 bits in three digits of 24.
  const bits = f.let("bits", toWide(unary("abs", x)));
  const exponent = f.let("exponent", sub(unary("convert", binary("shrU", bits, 52), "i32"), 1023 + 52));
  const mantissa = f.let("mantissa", fromWide(binary("or", binary("and", bits, constant("i64", 2 ** 52 - 1)), constant("i64", 0x433 * 2 ** 52))));
  const top = f.let("top", unary("floor", mul(mantissa, 2 ** -48)));
  const rest = f.let("rest", sub(mantissa, mul(top, 2 ** 48)));
  const middle = f.let("middle", unary("floor", mul(rest, 2 ** -24)));
  const bottom = f.let("bottom", sub(rest, mul(middle, 2 ** 24)));
  // Digits before `first` make multiples of 4 turns; 2 ≤ scale < 26 is what is left of the exponent.
  const first = f.let("first", sub(div(add(exponent, 24 * 4 - 2), 24), 4));
  const scale = f.let("scale", powerOf(add(unary("convert", sub(exponent, mul(first, i32(24))), "f64"), magic64)));
  const used = 9;
  const digits = Array.from({ length: used }, (_, index) => f.variable(`w${index}`, f64(0)));
  for (let at = -2; at + used <= twoOverPi.length; at++) {
    f.if(binary("eq", first, at), () => digits.forEach((digit, index) => f.set(digit, f64(twoOverPi[at + index] ?? 0))));
  }
  const product = Array.from({ length: used - 2 }, (_, index) => {
    const [a, b, c] = [0, 1, 2].map((step) => get(digits[index + step]!)) as [Expr, Expr, Expr];
    return f.let("t", add(add(mul(bottom, a), mul(middle, b)), mul(top, c)));
  });
  for (let index = product.length - 1; index > 0; index--) {
    const carry = f.let("carry", unary("floor", mul(product[index]!, 2 ** -24)));
    product[index] = f.let("t", sub(product[index]!, mul(carry, 2 ** 24)));
    product[index - 1] = f.let("t", add(product[index - 1]!, carry));
  }
  const [t0, t1, t2, t3, t4, t5] = product as [Expr, Expr, Expr, Expr, Expr, Expr];
  const turns = f.let("turns", mul(mul(t0, scale), 2 ** -24));
  const quarter = sub(turns, mul(unary("floor", mul(turns, 0.25)), 4));
  const v = f.let("v", add(quarter, mul(mul(t1, scale), 2 ** -48)));
  const n = f.let("n", sub(add(v, magic64), magic64));
  const near = f.let("near", sub(v, n));
  const next = f.let("next", mul(mul(add(mul(t2, 2 ** 24), t3), scale), 2 ** -96));
  const last = f.let("last", mul(mul(add(mul(t4, 2 ** 24), t5), scale), 2 ** -144));
  const high = f.let("high", add(near, next));
  const low = f.let("low", add(add(sub(near, high), next), last));
  const angle = f.let("angle", add(mul(high, Math.PI / 2), add(mul(low, Math.PI / 2), mul(high, 6.123233995736766e-17))));
  const negative = f.let("negative", binary("lt", x, 0));
  const both = sineAndCosine(f, f.let("r", select(negative, neg(angle), angle)));
  const q = f.let("q", add(unary("toInt", select(negative, neg(n), n)), quarters));
  const value = f.let("value", select(unary("test", binary("and", q, 1)), both.cosine, both.sine));
  return f.finish(select(unary("test", binary("and", q, 2)), neg(value), value));
}
