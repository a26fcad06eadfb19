// Powers: 2^(y·log2 x). The product magnifies the error of the logarithm, so float32 computes it in float64,
// and float64 in pairs of numbers after FreeBSD's e_pow (Sun Microsystems 1993), whose high parts have few enough bits for exact products.
import { add, binary, constant, div, type FunctionBuilder, fastMax, fastMin, madd, mul, select, sub, unary } from "./build.ts";
import { expTail, fromBits, magic, mantissaAndExponent, powerOf, scaled, toBits } from "./double.ts";
import type { Expr } from "./ir.ts";
import { inDoubles } from "./lanes.ts";
import { like, polynomial } from "./polynomial.ts";

/** For float32: (ln((1 + s)/(1 − s)) − 2s)/s³ in s², error 5e-12, and (e^r − 1 − r)/r² on [−0.347, 0.347], error 3e-9. */
const shortLogTail = [0.6666666564502124, 0.4000033529698201, 0.2853730143348365, 0.23582292823984696];
const shortExpTail = [0.4999999344756022, 0.16666520629839054, 0.04166838809468624, 0.008368717037773601, 0.0013814594848296847];

/** x^y to float32's precision, in float64, for normal x > 0; y of any size. */
function shortPower(f: FunctionBuilder, x: Expr, y: Expr): Expr {
  const { m, e } = mantissaAndExponent(f, x);
  const s = f.let("s", div(m, add(m, like(m, 2))));
  const z = f.let("z", mul(s, s));
  const logarithm = madd(madd(mul(s, z), polynomial(f, z, shortLogTail), add(s, s)), like(m, Math.LOG2E), e);
  const exponent = f.let("exponent", fastMin(fastMax(mul(y, logarithm), like(y, -1000)), like(y, 1000)));
  const shifted = f.let("t", add(exponent, like(y, magic)));
  const r = f.let("r", mul(sub(exponent, sub(shifted, like(y, magic))), like(y, Math.LN2)));
  return f.let("power", mul(add(madd(mul(r, r), polynomial(f, r, shortExpTail), r), like(r, 1)), powerOf(shifted)));
}

/** 2/(3 ln 2) and ln 2, each also as a sum of a part of 26 bits and a rest. */
const [cp, cpHigh, cpLow] = [0.9617966939259756, 0.9617966860532761, 7.872699542894897e-9];
const [ln2, ln2High, ln2Low] = [Math.LN2, 0.6931471675634384, 1.2996506893889889e-8];

/** (3/2·ln((1 + s)/(1 − s)) − 3s − s³)/s⁵ as a polynomial in s², error 2^−65 relative to the logarithm. */
const pairedLogTail = [
  0.6000000000000524, 0.42857142854275315, 0.3333333393253483, 0.2727266350910622, 0.2308072204532023, 0.19871917363074101, 0.19914982133240283,
];

/** The upper 26 bits of x's mantissa. */
const cut = (f: FunctionBuilder, x: Expr): Expr => f.let("cut", fromBits(binary("and", toBits(x), constant("i64", -(2 ** 27), x.lanes))));

/** x^y for x > 0; y of any size. */
function pairedPower(f: FunctionBuilder, x: Expr, y: Expr): Expr {
  const tiny = f.let("tiny", binary("lt", x, like(x, 2 ** -1022)));
  const parts = mantissaAndExponent(f, f.let("x", select(tiny, mul(x, like(x, 2 ** 54)), x)));
  const { m } = parts;
  const e = f.let("e", sub(parts.e, select(tiny, like(x, 54), like(x, 0))));
  // s = m/(m + 2) as sHigh + sLow.
  const sum = f.let("sum", add(m, like(m, 2)));
  const inverse = f.let("inverse", div(like(m, 1), sum));
  const s = f.let("s", mul(m, inverse));
  const sHigh = cut(f, s);
  const sumHigh = cut(f, sum);
  const sumLow = sub(m, sub(sumHigh, like(m, 2)));
  const sLow = f.let("sLow", mul(inverse, sub(sub(m, mul(sHigh, sumHigh)), mul(sHigh, sumLow))));
  // 3 + s² + …, whose product with s is 3/2·ln(1 + m).
  const z = f.let("z", mul(s, s));
  const tail = f.let("tail", madd(sLow, add(sHigh, s), mul(mul(z, z), polynomial(f, z, pairedLogTail))));
  const square = f.let("square", mul(sHigh, sHigh));
  const seriesHigh = cut(f, add(add(square, like(m, 3)), tail));
  const seriesLow = sub(tail, sub(sub(seriesHigh, like(m, 3)), square));
  const u = f.let("u", mul(sHigh, seriesHigh));
  const v = f.let("v", add(mul(sLow, seriesHigh), mul(seriesLow, s)));
  const high = cut(f, add(u, v));
  const low = f.let("low", sub(v, sub(high, u)));
  // log2 x as logHigh + logLow.
  const wholeHigh = f.let("wholeHigh", mul(high, like(m, cpHigh)));
  const wholeLow = f.let("wholeLow", add(mul(high, like(m, cpLow)), mul(low, like(m, cp))));
  const logHigh = cut(f, add(add(wholeHigh, wholeLow), e));
  const logLow = f.let("logLow", sub(wholeLow, sub(sub(logHigh, e), wholeHigh)));
  // Times y; where the result leaves float64 its exponent only has to be far outside.
  const bounded = f.let("y", fastMin(fastMax(y, like(y, -(2 ** 65))), like(y, 2 ** 65)));
  const yHigh = cut(f, bounded);
  const limit = (value: Expr, most: number): Expr => fastMin(fastMax(value, like(value, -most)), like(value, most));
  const p = f.let("p", limit(mul(yHigh, logHigh), 1100));
  const q = f.let("q", limit(add(mul(sub(bounded, yHigh), logHigh), mul(bounded, logLow)), 1));
  const shifted = f.let("t", add(add(p, q), like(p, magic)));
  const n = f.let("n", sub(shifted, like(p, magic)));
  const fraction = f.let("fraction", sub(p, n));
  const fractionHigh = cut(f, add(fraction, q));
  const a = f.let("a", mul(fractionHigh, like(p, ln2High)));
  const b = f.let("b", add(mul(sub(q, sub(fractionHigh, fraction)), like(p, ln2)), mul(fractionHigh, like(p, ln2Low))));
  const r = f.let("r", add(a, b));
  const lost = sub(b, sub(r, a));
  return scaled(f, f.let("y", add(add(madd(mul(r, r), polynomial(f, r, expTail), lost), r), like(r, 1))), n);
}

/** Whether x ≥ 0 is an integer. By rounding: V8 fuses no pair of floor. */
function isWhole(x: Expr): Expr {
  const large = like(x, x.kind === "f64" ? 2 ** 52 : 2 ** 23);
  return binary("or", binary("ge", x, large), binary("eq", sub(add(x, large), large), x));
}

/** x^y as IEEE 754 has it: 1 where x is 1 or y is 0, NaN for negative x unless y is an integer, and the signs of odd powers. */
export function pow(f: FunctionBuilder, x: Expr, y: Expr): Expr {
  const [zero, one] = [like(x, 0), like(x, 1)];
  const size = f.let("size", unary("abs", x));
  const power = x.kind === "f64"
    ? pairedPower(f, size, y)
    : inDoubles(f, [size, y], ([a, b]) => shortPower(f, a!, b!), (result) => unary("convert", result, "f32"));
  const none = f.let("none", binary("eq", size, zero));
  const edge = f.let("edge", binary("or", none, binary("eq", size, like(x, Infinity))));
  const atEdge = select(binary("xor", binary("lt", y, zero), none), zero, like(x, Infinity));
  const known = f.let("known", binary("eq", y, y));
  const usual = f.let("usual", select(binary("and", edge, known), atEdge, select(binary("eq", size, size), power, size)));
  const flat = f.let("flat", binary("or", binary("eq", y, zero), binary("and", binary("eq", size, one), known)));
  const magnitude = f.let("magnitude", select(flat, one, usual));
  const exponent = f.let("exponent", unary("abs", y));
  const whole = f.let("whole", isWhole(exponent));
  const odd = binary("and", whole, unary("not", isWhole(f.let("half", mul(exponent, like(y, 0.5))))));
  const bits = x.kind === "f64" ? "i64" : "i32";
  const sign = binary("and", unary("bitcast", x, bits), unary("bitcast", like(x, -0), bits));
  const signed = select(odd, unary("bitcast", binary("xor", unary("bitcast", magnitude, bits), sign), x.kind), magnitude);
  const real = binary("or", binary("or", whole, edge), binary("ge", x, zero));
  const result = f.let("pow", select(binary("or", real, binary("ne", x, x)), signed, like(x, NaN)));
  return f.let("pow", select(binary("eq", x, one), one, result));
}
