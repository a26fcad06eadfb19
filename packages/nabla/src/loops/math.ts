// The elementary functions by name: each in float32 or float64, as its argument is.
import { exp64, expm164, log1p64, log64, sigmoid64, softplus64, tanh64 } from "./double.ts";
import type { Elementary } from "./polynomial.ts";
import { exp32, expm132, log1p32, log32, sigmoid32, softplus32, tanh32 } from "./single.ts";

const choose =
  (single: Elementary, double: Elementary): Elementary =>
  (f, x) =>
    x.kind === "f64" ? double(f, x) : single(f, x);

export const exp: Elementary = choose(exp32, exp64);
export const expm1: Elementary = choose(expm132, expm164);
export const log: Elementary = choose(log32, log64);
export const log1p: Elementary = choose(log1p32, log1p64);
export const tanh: Elementary = choose(tanh32, tanh64);
export const sigmoid: Elementary = choose(sigmoid32, sigmoid64);
export const softplus: Elementary = choose(softplus32, softplus64);

export { cos, sin } from "./angle.ts";
export { pow } from "./power.ts";
