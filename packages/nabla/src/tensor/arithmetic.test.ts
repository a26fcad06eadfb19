import fc from "fast-check";
import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { DTypeError, ValueError } from "../errors/errors.ts";
import { grad } from "../transform/derivatives.ts";
import { arange, tensor, zeros } from "./creation.ts";
import type { Tensor } from "./tensor.ts";

const values = (t: Tensor): number[] => [...t.dataSync()];

onEveryDevice("arithmetic", () => {
  test("broadcasts like NumPy", () => {
    const row = tensor([1, 2, 3]);
    const column = tensor([[10], [20]]);
    expect(row.add(column).toArray()).toEqual([[11, 12, 13], [21, 22, 23]]);
    expect(() => row.add(zeros([2]))).toThrow(/add: shapes \[3\] and \[2\] do not broadcast/);
  });

  test("broadcasting is repetition", () => {
    const extents = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom("both", "left", "right")), { maxLength: 4 });
    fc.assert(
      fc.property(extents, fc.nat(4), (axes, dropped) => {
        const shape = axes.map(([extent]) => extent);
        const left = axes.map(([extent, side]) => (side === "right" ? 1 : extent));
        const right = axes.map(([extent, side]) => (side === "left" ? 1 : extent));
        // Leading axes of size 1 may be left out.
        while (right.length > 0 && right[0] === 1 && right.length > axes.length - dropped) right.shift();
        const [a, b] = [left, right].map((each) => arange(each.reduce((size, extent) => size * extent, 1)).reshape(each)) as [Tensor, Tensor];
        const both = a.mul(100).sub(b);
        const strides = (of: readonly number[]): number[] => of.map((extent, axis) => (extent === 1 ? 0 : of.slice(axis + 1).reduce((size, next) => size * next, 1)));
        const [sa, sb] = [strides(left), strides(right)];
        const out = both.shape.reduce((size, extent) => size * extent, 1);
        const expected = Array.from({ length: out }, (_, flat) => {
          let [rest, ia, ib] = [flat, 0, 0];
          for (let fromEnd = 1; fromEnd <= both.rank; fromEnd++) {
            const extent = both.shape.at(-fromEnd)!;
            ia += (rest % extent) * (sa.at(-fromEnd) ?? 0);
            ib += (rest % extent) * (sb.at(-fromEnd) ?? 0);
            rest = Math.floor(rest / extent);
          }
          return ia * 100 - ib;
        });
        expect(both.shape.length).toBe(shape.length);
        expect(values(both)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test("promotes to the wider dtype", () => {
    const byte = tensor([200], { dtype: "uint8" });
    expect(byte.add(tensor([100], { dtype: "int32" })).dtype).toBe("int32");
    expect(byte.add(tensor([0.5])).toArray()).toEqual([200.5]);
    expect(tensor([1]).mul(tensor([2], { dtype: "float64" })).dtype).toBe("float64");
    expect(tensor([true, true]).add(tensor([true, false])).toArray()).toEqual([2, 1]);
  });

  test("a number takes the tensor's dtype, and one that does not fit is refused", () => {
    expect(tensor([1], { dtype: "int32" }).add(1).dtype).toBe("int32");
    expect(tensor([1], { dtype: "float64" }).mul(0.1).item()).toBe(0.1);
    expect(() => tensor([1], { dtype: "int32" }).add(0.5)).toThrow(DTypeError);
    expect(() => tensor([1], { dtype: "uint8" }).add(256)).toThrow(DTypeError);
  });

  test("integers divide, and take roots, as float32", () => {
    const x = tensor([1, 3], { dtype: "int32" });
    expect(x.div(2).toArray()).toEqual([0.5, 1.5]);
    expect(x.mul(3).add(1).sqrt().dtype).toBe("float32");
  });

  test("clips and refuses bounds in the wrong order", () => {
    expect(tensor([-1, 0.5, 2]).clip(0, 1).toArray()).toEqual([0, 0.5, 1]);
    expect(() => tensor([1]).clip(1, 0)).toThrow(ValueError);
  });

  test("constant integer powers are exact products, with the signs and infinities of powers", () => {
    const x = tensor([-3, -0.5, -0, 0, 2, Infinity, -Infinity, NaN]);
    for (const exponent of [1, 3, 4, 5, 7, 8, -1, -2, -3]) {
      const expected = values(x).map((value) => Math.fround(value ** exponent));
      values(x.pow(exponent)).forEach((value, index) => {
        if (!Object.is(value, expected[index])) expect(value / expected[index]!, `power ${exponent}`).toBeCloseTo(1, 6);
      });
    }
    expect(tensor([-0]).pow(-1).item()).toBe(-Infinity);
    expect(tensor([-0]).pow(3).item()).toBe(-0);
    expect(tensor([1e-10]).pow(-3).item()).toBeCloseTo(1e30, -25);
  });

  test("rounding keeps the sign of zero", () => {
    for (const dtype of ["float32", "float64"] as const) {
      const x = tensor([-0.2, -0, 0, 0.2, -0.5, 0.5, -1.5], { dtype });
      expect(x.round().toArray()).toEqual([-0, -0, 0, 0, -0, 0, -2]);
      expect(x.ceil().toArray()).toEqual([-0, -0, 0, 1, -0, 1, -1]);
      expect(x.trunc().toArray()).toEqual([-0, -0, 0, 0, -0, 0, -1]);
      expect(x.floor().toArray()).toEqual([-1, -0, 0, 0, -1, 0, -2]);
    }
    expect(tensor([-0]).sin().item()).toBe(-0);
  });

  test("softplus neither overflows nor loses small values", () => {
    expect(values(tensor([-1000, 0, 1000], { dtype: "float64" }).softplus())).toEqual([0, Math.log(2), 1000]);
  });

  test("rounds: floor, ceil, round half to even, trunc", () => {
    const x = tensor([-2.5, -1.5, -0.4, 0.49999997, 0.5, 1.5, 2.5, 8388609, NaN, -Infinity]);
    expect(values(x.round())).toEqual([-2, -2, expect.closeTo(0), 0, 0, 2, 2, 8388609, NaN, -Infinity]);
    expect(values(x.floor())).toEqual([-3, -2, -1, 0, 0, 1, 2, 8388609, NaN, -Infinity]);
    expect(values(x.ceil())).toEqual([-2, -1, expect.closeTo(0), 1, 1, 2, 3, 8388609, NaN, -Infinity]);
    expect(values(x.trunc())).toEqual([-2, -1, expect.closeTo(0), 0, 0, 1, 2, 8388609, NaN, -Infinity]);
    expect(tensor([2.5, 2251799813685248.5], { dtype: "float64" }).round().toArray()).toEqual([2, 2251799813685248]);
    expect(tensor([3], { dtype: "int32" }).round().dtype).toBe("int32");
    expect(grad((y: Tensor) => y.round().add(y.trunc()).add(y.ceil()).sum())(tensor([0.3, 1.7])).toArray()).toEqual([0, 0]);
  });

  test("mod has the sign of the divisor", () => {
    fc.assert(
      fc.property(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -9, max: 9 }).filter((y) => y !== 0), (x, y) => {
        const expected = ((x % y) + y) % y;
        expect(tensor([x], { dtype: "int32" }).mod(y).item()).toBeCloseTo(expected);
        expect(tensor([x / 4]).mod(y / 4).item()).toBeCloseTo(expected / 4);
      }),
      { numRuns: 30 },
    );
  });

  test("a reciprocal is floating", () => {
    expect(tensor([2, 4], { dtype: "int32" }).reciprocal().toArray()).toEqual([0.5, 0.25]);
  });
});
