import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { tensor } from "./creation.ts";

onEveryDevice("comparison", () => {
  test("compares, also with fractions", () => {
    const x = tensor([1, 2, 3], { dtype: "int32" });
    expect(x.greater(1.5).toArray()).toEqual([0, 1, 1]);
    expect(x.lessEqual(2).toArray()).toEqual([1, 1, 0]);
    expect(x.equal(2).logicalOr(x.greaterEqual(3)).toArray()).toEqual([0, 1, 1]);
    expect(x.notEqual(2).logicalAnd(x.less(3)).logicalNot().dtype).toBe("bool");
  });

  test("integers compare with numbers that their dtype does not hold", () => {
    for (const dtype of ["uint8", "int32"] as const) {
      const x = tensor([0, 7, 255], { dtype });
      expect(x.less(300).toArray()).toEqual([1, 1, 1]);
      expect(x.less(1e10).toArray()).toEqual([1, 1, 1]);
      expect(x.greater(-1).toArray()).toEqual([1, 1, 1]);
      expect(x.greaterEqual(-Infinity).toArray()).toEqual([1, 1, 1]);
      expect(x.equal(263).toArray()).toEqual([0, 0, 0]);
      expect(x.notEqual(NaN).toArray()).toEqual([1, 1, 1]);
      expect(x.lessEqual(NaN).toArray()).toEqual([0, 0, 0]);
    }
    expect(tensor([16777217], { dtype: "int32" }).greater(16777216.5).toArray()).toEqual([1]);
  });

  test("where chooses", () => {
    expect(tensor([[true], [false]]).where(tensor([1, 2]), 0).toArray()).toEqual([[1, 2], [0, 0]]);
  });

  test("NaN and infinities", () => {
    const x = tensor([1, NaN, Infinity, -Infinity]);
    expect(x.isNaN().toArray()).toEqual([0, 1, 0, 0]);
    expect(x.isFinite().toArray()).toEqual([1, 0, 0, 0]);
    const whole = tensor([1, -2], { dtype: "int32" });
    expect([whole.isNaN().any().item(), whole.isFinite().all().item()]).toEqual([0, 1]);
  });

  test("closeness, as NumPy has it", () => {
    const a = tensor([1, 1, Infinity, Infinity, 1, NaN], { dtype: "float64" });
    const b = tensor([1 + 9e-6, 1 + 1.1e-5, Infinity, 1, Infinity, NaN], { dtype: "float64" });
    expect(a.isClose(b).toArray()).toEqual([1, 0, 1, 0, 0, 0]);
    expect(a.isClose(b, { relative: 1e-4 }).toArray()).toEqual([1, 1, 1, 0, 0, 0]);
    expect(tensor([3], { dtype: "int32" }).isClose(3.4, { absolute: 0.5 }).item()).toBe(1);
  });
});
