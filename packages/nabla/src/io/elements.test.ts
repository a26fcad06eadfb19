import { describe, expect, test } from "vitest";
import { elementTypes } from "./elements.ts";

const read = (type: string, ...values: readonly ArrayLike<number>[] | readonly [BigInt64Array | BigUint64Array]): unknown => {
  const view = values[0] as unknown as Uint8Array;
  const result = elementTypes.get(type)!.read(new Uint8Array(view.buffer as ArrayBuffer));
  return result && [result.dtype, [...result.data]];
};

/** IEEE 754: (−1)^s · 2^(e − bias) · (1 + m / 2^digits), subnormal where e is 0. */
function decoded(bits: number, exponentBits: number, mantissaBits: number): number {
  const sign = bits >> (exponentBits + mantissaBits) === 0 ? 1 : -1;
  const exponent = (bits >> mantissaBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** mantissaBits - 1)) / 2 ** mantissaBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * 2 ** (1 - bias) * fraction : sign * 2 ** (exponent - bias) * (1 + fraction);
}

describe("element types", () => {
  test.each([["F16", 5, 10], ["BF16", 8, 7]] as const)("%s: every pattern of bits is the number it stands for, in float32", (type, exponentBits, mantissaBits) => {
    const patterns = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
    const { dtype, data } = elementTypes.get(type)!.read(new Uint8Array(patterns.buffer))!;
    expect(dtype).toBe("float32");
    const wrong = patterns.filter((bits) => !Object.is(data[bits], decoded(bits, exponentBits, mantissaBits)));
    expect([...wrong]).toEqual([]);
  });

  test("integers become int32 where all are, and float64 where one is not", () => {
    expect(read("I64", BigInt64Array.of(0n, -1n, 2n ** 31n - 1n, -(2n ** 31n)))).toEqual(["int32", [0, -1, 2 ** 31 - 1, -(2 ** 31)]]);
    expect(read("I64", BigInt64Array.of(2n ** 31n, -(2n ** 53n) + 1n, 5n))).toEqual(["float64", [2 ** 31, -(2 ** 53) + 1, 5]]);
    expect(read("U64", BigUint64Array.of(7n, 2n ** 53n - 1n))).toEqual(["float64", [7, 2 ** 53 - 1]]);
    expect(read("U32", Uint32Array.of(1, 2 ** 31))).toEqual(["float64", [1, 2 ** 31]]);
    expect(read("U32", Uint32Array.of(1, 2 ** 31 - 1))).toEqual(["int32", [1, 2 ** 31 - 1]]);
    expect(read("I16", Int16Array.of(-32_768, 7))).toEqual(["int32", [-32_768, 7]]);
    expect(read("U16", Uint16Array.of(65_535))).toEqual(["int32", [65_535]]);
    expect(read("I8", Int8Array.of(-128))).toEqual(["int32", [-128]]);
    expect(read("I64", new BigInt64Array(0))).toEqual(["int32", []]);
  });

  test("integers that no number holds are not rounded", () => {
    for (const value of [2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)]) expect(read("I64", BigInt64Array.of(value)), `${value}`).toBeUndefined();
    expect(read("U64", BigUint64Array.of(2n ** 64n - 1n))).toBeUndefined();
  });
});
