// Random bits by counter: element i is a pure function of (key, i), whatever the device and its threads.
// Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
import { scalarLike } from "./broadcast.ts";
import { requireDType, requireShape } from "./check.ts";
import { concat } from "./concat.ts";
import { ShapeError } from "../errors/errors.ts";
import type { GraphNode } from "./graph.ts";
import { reshape, slice } from "./movement.ts";
import { apply, correctlyRounded, type HostValue, type Rule } from "./rule.ts";
import { aval, host } from "./sample.ts";
import { formatShape, sameShape, type Shape } from "./shape.ts";

const PARITY = 0x1bd11bda;

/** The two words that key (k0, k1) gives for counter (c0, c1), as int32. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number): readonly [number, number] {
  const words = new Int32Array(2);
  threefryInto(words, k0, k1, c0, c1);
  return [words[0]!, words[1]!];
}

/** {@link threefry2x32} into `words`. Rounds are written out: the distances are then constants, and nothing is allocated. */
export function threefryInto(words: Int32Array, k0: number, k1: number, c0: number, c1: number): void {
  const k2 = k0 ^ k1 ^ PARITY;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  // The key's words go round: (k1, k2), (k2, k0), (k0, k1), (k1, k2), (k2, k0).
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  x0 = (x0 + k1) | 0;
  x1 = (x1 + k2 + 1) | 0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
  x0 = (x0 + k2) | 0;
  x1 = (x1 + k0 + 2) | 0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  x0 = (x0 + k0) | 0;
  x1 = (x1 + k1 + 3) | 0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
  x0 = (x0 + k1) | 0;
  x1 = (x1 + k2 + 4) | 0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  x0 = (x0 + k2) | 0;
  x1 = (x1 + k0 + 5) | 0;
  words[0] = x0;
  words[1] = x1;
}

const key = (): HostValue => host("int32", [2], [0x12345678, -1698898192]);

/** 32 random bits an element, from an int32 [2] key. */
export function randomBits(key: GraphNode, shape: Shape): GraphNode<"randomBits"> {
  return apply(randomBitsRule, [key], { shape });
}

export const randomBitsRule: Rule<"randomBits"> = {
  op: "randomBits",
  kind: "lookup",
  cost: 110,
  shape: ([key], { shape }) => {
    requireDType("randomBits", "the key", key!, "int32");
    if (!sameShape(key!.shape, [2])) throw new ShapeError(`randomBits: the key has shape ${formatShape(key!.shape)}.`, "A key is two words: [2].");
    requireShape("randomBits", shape);
    return { shape, dtype: "int32" };
  },
  reference: ([words], _, out) => {
    for (let i = 0; i < out.data.length; i++) {
      const [a, b] = threefry2x32(words!.data[0]!, words!.data[1]!, 0, i);
      out.data[i] = a ^ b;
    }
  },
  roundingError: correctlyRounded,
  vjp: "none",
  jvp: "none",
  batch: ([keys], _, { shape }, size) => {
    const draws = Array.from({ length: size }, (__, index) => {
      const own = reshape(slice(keys!, [index, 0], [index + 1, 2]), [2]);
      return reshape(randomBits(own, shape), [1, ...shape]);
    });
    return size === 0 ? scalarLike(0, { shape: [0, ...shape], dtype: "int32" }) : concat(draws, 0);
  },
  samples: () => [
    { inputs: [key()], params: { shape: [2, 3] } },
    { inputs: [host("int32", [2], [0, 0])], params: { shape: [1] }, name: "key zero" },
    { inputs: [host("int32", [2], [-1, -1])], params: { shape: [17] }, name: "odd size" },
    { inputs: [key()], params: { shape: [3, 7, 5] }, name: "odd sizes" },
    { inputs: [key()], params: { shape: [] }, name: "scalar" },
    { inputs: [key()], params: { shape: [0, 4] }, name: "empty" },
  ],
  errors: [
    { inputs: [aval("float32", 2)], params: { shape: [3] }, message: /the key must be int32, not float32/ },
    { inputs: [aval("int32", 3)], params: { shape: [3] }, message: /the key has shape \[3\]/ },
  ],
};
