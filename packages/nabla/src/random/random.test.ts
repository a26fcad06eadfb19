import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { ValueError } from "../errors/errors.ts";
import { compile } from "../transform/compile.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { zeros } from "../tensor/creation.ts";
import { advance } from "./distributions.ts";
import { bernoulli, bits, foldIn, key, nextKey, normal, permutation, seed, split, uniform } from "./index.ts";
import { threefry2x32 } from "../ops/random.ts";

const unsigned = (words: readonly number[]): number[] => words.map((word) => word >>> 0);

describe("keys", () => {
  // Known-answer vectors of Random123 1.14 (kat_vectors, threefry2x32 20).
  test.each([
    { key: [0, 0], counter: [0, 0], words: [0x6b200159, 0x99ba4efe] },
    { key: [0xffffffff, 0xffffffff], counter: [0xffffffff, 0xffffffff], words: [0x1cb996fc, 0xbb002be7] },
    { key: [0x13198a2e, 0x03707344], counter: [0x243f6a88, 0x85a308d3], words: [0xc4923a9c, 0x483df7a0] },
  ] as const)("Threefry of $key and $counter", ({ key: [k0, k1], counter: [c0, c1], words }) => {
    expect(unsigned(threefry2x32(k0, k1, c0, c1))).toEqual(words);
  });

  test("split and foldIn are JAX's", () => {
    // jax.random.split(jax.random.key(0)), JAX 0.5 (jax_threefry_partitionable).
    expect(split(key(0)).map((child) => unsigned(child.words))).toEqual([[1797259609, 2579123966], [928981903, 3453687069]]);
    expect(foldIn(key(0), 1).words).toEqual(split(key(0))[1].words);
    expect(unsigned(key(2 ** 32 * 3 + 5).words)).toEqual([3, 5]);
  });

  test("refuse what is no seed", () => {
    for (const wrong of [-1, 0.5, 2 ** 53, NaN]) expect(() => key(wrong)).toThrow(ValueError);
    expect(() => foldIn(key(0), 2 ** 32)).toThrow(ValueError);
    expect(() => split(key(0), 0)).toThrow(ValueError);
  });

  test("the default generator repeats after seed", () => {
    seed(7);
    const first = [nextKey(), nextKey()].map(({ words }) => words);
    seed(7);
    expect([nextKey(), nextKey()].map(({ words }) => words)).toEqual(first);
    expect(first[0]).not.toEqual(first[1]);
    seed(0);
  });

  test("permutation has every index once", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(), (length, number) => {
        expect([...permutation(key(number), length)].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, index) => index));
      }),
    );
    expect(permutation(key(1), 50)).not.toEqual(permutation(key(2), 50));
  });
});

onEveryDevice("distributions", () => {
  test("bits are both words of each counter, combined", () => {
    const expected = [0, 1, 2, 3, 4].map((counter) => {
      const [high, low] = threefry2x32(key(42).words[0], key(42).words[1], 0, counter);
      return high ^ low;
    });
    expect(bits(key(42), [5]).toArray()).toEqual(expected);
  });

  test("uniform takes the upper 23 bits, exactly", () => {
    const drawn = bits(key(3), [1000]).dataSync();
    expect([...uniform(key(3), [1000]).dataSync()]).toEqual([...drawn].map((word) => (word >>> 9) * 2 ** -23));
  });

  test("uniform and normal are JAX's", () => {
    // jax.random.uniform(jax.random.key(0), (3,)) and jax.random.normal(jax.random.key(0), ()), JAX 0.5.
    expect(uniform(key(0), [3]).toArray()).toEqual([0.947667, 0.9785799, 0.33229148].map((value) => expect.closeTo(value, 6)));
    expect(normal(key(0), []).item()).toBeCloseTo(1.6226422, 6);
  });

  test.each([[0, 1], [1, 3], [1000, 1001], [-1e6, -999_999], [-1, 0], [0.1, 0.7]])("uniform on [%d, %d) reaches its lower bound's side only", (low, high) => {
    const drawn = uniform(key(2), [100_000], { low, high });
    expect([drawn.greaterEqual(high).any().item(), drawn.less(low).any().item()]).toEqual([0, 0]);
    expect(drawn.dtype).toBe("float32");
  });

  test("moments are right", () => {
    const n = 20_000;
    const u = uniform(key(1), [n], { low: -1, high: 3 });
    expect(u.mean().item()).toBeCloseTo(1, 1);
    expect(u.variance().item()).toBeCloseTo(16 / 12, 1);
    expect(u.min().item()).toBeGreaterThanOrEqual(-1);
    expect(u.max().item()).toBeLessThan(3);
    const z = normal(key(2), [n], { mean: 2, deviation: 0.5 });
    expect(z.mean().item()).toBeCloseTo(2, 1);
    expect(z.variance().item()).toBeCloseTo(0.25, 2);
    // The share beyond two deviations.
    expect(z.sub(2).abs().greater(1).mean().item()).toBeCloseTo(0.0455, 2);
    expect(bernoulli(key(3), 0.3, [n]).mean().item()).toBeCloseTo(0.3, 1);
  });

  test("float64 draws use all 32 bits", () => {
    const drawn = uniform(key(5), [100], { dtype: "float64" });
    expect(drawn.dtype).toBe("float64");
    const scaled = [...drawn.dataSync()].map((value) => value * 2 ** 32);
    expect(scaled.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32)).toBe(true);
    expect(scaled.some((value) => value % 512 !== 0)).toBe(true);
  });

  test("a key tensor in a compiled function gives what it gives outside, and advances", () => {
    const draw = compile((k: Tensor) => {
      const { next, drawn } = advance(k);
      return { next, values: uniform(drawn, [4]) };
    });
    const outside = advance(key(9).tensor);
    const first = draw(key(9).tensor);
    expect(first.values.toArray()).toEqual(uniform(outside.drawn, [4]).toArray());
    expect(draw(first.next).values.toArray()).not.toEqual(first.values.toArray());
  });

  test("refuse what cannot be", () => {
    expect(() => uniform(key(0), [1], { low: 1, high: 1 })).toThrow(ValueError);
    expect(() => normal(key(0), [1], { deviation: -1 })).toThrow(ValueError);
    expect(() => bernoulli(key(0), 1.1, [1])).toThrow(ValueError);
    expect(() => uniform(zeros([2]), [1])).toThrow(/is no key/);
  });
});
