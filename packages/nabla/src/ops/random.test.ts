// Known answers of Random123's test vectors for threefry2x32, 20 rounds.
import { describe, expect, test } from "vitest";
import { threefry2x32 } from "./random.ts";

const hex = (words: readonly number[]): string => words.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join(" ");

describe("threefry2x32", () => {
  test.each([
    { key: [0, 0], counter: [0, 0], expected: "6b200159 99ba4efe" },
    { key: [0xffffffff, 0xffffffff], counter: [0xffffffff, 0xffffffff], expected: "1cb996fc bb002be7" },
    { key: [0x13198a2e, 0x03707344], counter: [0x243f6a88, 0x85a308d3], expected: "c4923a9c 483df7a0" },
  ])("key $key, counter $counter", ({ key, counter, expected }) => {
    expect(hex(threefry2x32(key[0]!, key[1]!, counter[0]!, counter[1]!))).toBe(expected);
  });

  test("bits of neighbouring counters are uncorrelated", () => {
    const flips = Array.from({ length: 1000 }, (_, index) => {
      const [a, b] = [threefry2x32(1, 2, 0, index), threefry2x32(1, 2, 0, index + 1)];
      let difference = a[0] ^ b[0];
      let count = 0;
      for (; difference !== 0; difference &= difference - 1) count++;
      return count;
    });
    const mean = flips.reduce((total, count) => total + count, 0) / flips.length;
    expect(Math.abs(mean - 16)).toBeLessThan(0.5);
  });
});
