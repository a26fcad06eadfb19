// Random123's known answers for Threefry-4x32-20, and the moments and keying of the stream above it.
import { describe, expect, test } from "vitest";
import { createRandom } from "./random.ts";
import { threefry4x32 } from "./threefry.ts";

function encrypt(key: number[], counter: number[]): string {
  const out = new Uint32Array(4);
  threefry4x32(Uint32Array.from(key), Uint32Array.from(counter), out);
  return [...out].map((word) => word.toString(16).padStart(8, "0")).join(" ");
}

describe("threefry4x32", () => {
  test("known answers", () => {
    const ones = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
    expect(encrypt([0, 0, 0, 0], [0, 0, 0, 0])).toBe("9c6ca96a e17eae66 fc10ecd4 5256a7d8");
    expect(encrypt(ones, ones)).toBe("2a881696 57012287 f6c7446e a16a6732");
    expect(
      encrypt([0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]),
    ).toBe("59cd1dbb b8879579 86b5d00c ac8b6d84");
  });
});

describe("createRandom", () => {
  test("is a function of seed, trial and stream", () => {
    const draw = (seed: number, trial: number, stream: string): number => createRandom(seed, trial, stream).uniform();
    expect(draw(1, 2, "a")).toBe(draw(1, 2, "a"));
    expect(new Set([draw(1, 2, "a"), draw(2, 2, "a"), draw(1, 3, "a"), draw(1, 2, "b"), draw(1 + 2 ** 40, 2, "a")]).size).toBe(5);
  });

  test("moments of uniform and normal", () => {
    const random = createRandom(7, 0, "moments");
    const n = 40_000;
    let sum = 0, square = 0, uniform = 0;
    for (let i = 0; i < n; i++) {
      const z = random.normal();
      sum += z; square += z * z; uniform += random.uniform();
    }
    expect(Math.abs(sum / n)).toBeLessThan(0.02);
    expect(Math.abs(square / n - 1)).toBeLessThan(0.03);
    expect(Math.abs(uniform / n - 0.5)).toBeLessThan(0.01);
  });

  test("permutations are permutations", () => {
    const order = createRandom(0, 0, "p").permutation(17);
    expect([...order].sort((a, b) => a - b)).toEqual([...Array(17).keys()]);
  });
});
