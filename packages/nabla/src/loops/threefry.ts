// The counter-based generator of random bits, in loop-IR instructions.
import { add, binary, constant, type FunctionBuilder, sub } from "./build.ts";
import type { Expr } from "./ir.ts";

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011) of key (k0, k1) and counter (0, counter): word 0 xor word 1. */
export function threefry(f: FunctionBuilder, k0: Expr, k1: Expr, counter: Expr): Expr {
  const k2 = f.let("k2", binary("xor", binary("xor", k0, k1), constant("i32", 0x1bd11bda, k0.lanes)));
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
    x1 = f.let("x1", sub(add(x1, keys[(block + 2) % 3]!), constant("i32", -(block + 1), k0.lanes)));
  }
  return f.let("bits", binary("xor", x0, x1));
}
