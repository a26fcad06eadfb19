// Polynomials and constants in the kind and lanes of their argument.
// Coefficients were fitted by weighted least maximum error (Lawson's iteration) on the range that the argument is reduced to.
import { constant, type FunctionBuilder, madd } from "./build.ts";
import type { Expr } from "./ir.ts";

/** An elementary function of one value. */
export type Elementary = (f: FunctionBuilder, x: Expr) => Expr;

/** The constant `value` in the kind and lanes of `x`. */
export const like = (x: Expr, value: number): Expr => constant(x.kind, value, x.lanes);

/** Σ coefficients[k]·x^k by Horner's rule. */
export function polynomial(f: FunctionBuilder, x: Expr, coefficients: readonly number[]): Expr {
  let sum = like(x, coefficients.at(-1)!);
  for (let k = coefficients.length - 2; k >= 0; k--) sum = f.let("p", madd(sum, x, like(x, coefficients[k]!)));
  return sum;
}
