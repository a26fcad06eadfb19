// Rows of single elementwise functions of a million elements.
// What each name computes is in peers/elementwise.ts and peers/elementwise.py.
import type { Row } from "./row.ts";

const names = [
  "x³", "x^2.5", "x^y", "sin", "cos", "sin of large angles", "exp", "log", "tanh", "sigmoid", "silu", "softplus", "x^y float64", "sin float64",
  "exp float64", "log float64", "tanh float64", "div float64", "mod int32", "and", "not", "add uint8", "max uint8", "equal uint8",
  "float64 to float32", "float32 to int32", "int32 to uint8", "float32 to bool", "uint8 to float32",
];

export const elementwiseRows: readonly Row[] = names.map((name) => ({
  name: `${name}, 1 M`, request: { work: "function", name }, threads: 1, figure: (seconds) => seconds * 1e6, unit: "µs",
}));
