import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { ShapeError } from "../errors/errors.ts";
import { grad } from "../transform/derivatives.ts";
import { arange, full, tensor, zeros } from "./creation.ts";
import type { Tensor } from "./tensor.ts";

const values = (t: Tensor): number[] => [...t.dataSync()];

onEveryDevice("reduction", () => {
  const matrix = (): Tensor => tensor([[1, 5, 3], [4, 2, 6]]);

  test("the first NaN is the largest and the smallest, as NumPy has it", () => {
    for (const dtype of ["float32", "float64"] as const) {
      const x = tensor([[1, NaN, 3, NaN], [4, 0, 2, 9]], { dtype });
      expect(x.argmax(1).toArray()).toEqual([1, 3]);
      expect(x.argmin(1).toArray()).toEqual([1, 1]);
      expect(x.max(1).toArray()).toEqual([NaN, 9]);
      expect(x.min(1).toArray()).toEqual([NaN, 0]);
    }
  });

  test("over axes, counted from either end, with axes kept or not", () => {
    expect(matrix().sum().item()).toBe(21);
    expect(matrix().sum(-1).toArray()).toEqual([9, 12]);
    expect(matrix().mean(0, { keepDims: true }).toArray()).toEqual([[2.5, 3.5, 4.5]]);
    expect(matrix().max(1).toArray()).toEqual([5, 6]);
    expect(matrix().min([0, 1]).item()).toBe(1);
    expect(matrix().argmax().toArray()).toEqual([1, 2]);
    expect(matrix().argmin(0).toArray()).toEqual([0, 1, 0]);
    expect(() => matrix().sum(2)).toThrow(/sum: axis 2 is out of range/);
    expect(() => matrix().sum([0, -2])).toThrow(ShapeError);
  });

  test("norm: NaN stays, infinity stays, nothing overflows or vanishes, and so its derivative", () => {
    expect(tensor([NaN, 1]).norm().item()).toBeNaN();
    expect(tensor([-Infinity, 1]).norm().item()).toBe(Infinity);
    expect(zeros([0]).norm().item()).toBe(0);
    for (const size of [1e30, 1e-30, 1e-38, 3]) {
      const x = tensor([3 * size, -4 * size]);
      expect(x.norm().item() / size).toBeCloseTo(5, 5);
      expect(values(grad((t: Tensor) => t.norm())(x))).toEqual([expect.closeTo(0.6, 5), expect.closeTo(-0.8, 5)]);
    }
    expect(tensor([[3e200, 4e200], [0, 0]], { dtype: "float64" }).norm(1, { keepDims: true }).toArray()).toEqual([[expect.closeTo(5e200, -190)], [0]]);
    expect(values(grad((t: Tensor) => t.norm(1).sum())(tensor([[0, 0], [3, 4]])))).toEqual([0, 0, expect.closeTo(0.6, 6), expect.closeTo(0.8, 6)]);
    // Of second order: the Hessian of |x| in two dimensions, (I − uuᵀ) / |x|.
    const x = tensor([3, 4], { dtype: "float64" });
    const column = grad((t: Tensor) => grad((u: Tensor) => u.norm())(t).slice(0));
    expect(values(column(x))).toEqual([expect.closeTo((1 - 0.36) / 5, 10), expect.closeTo(-0.48 / 5, 10)]);
  });

  test("std: its derivative is 0 where there is no deviation, and NaN stays", () => {
    expect(values(grad((t: Tensor) => t.std(0).sum())(tensor([[5, 1], [5, 3]])))).toEqual([0, -0.5, 0, 0.5]);
    expect(values(grad((t: Tensor) => t.std())(full([3], 2)))).toEqual([0, 0, 0]);
    expect(tensor([1, NaN]).std().item()).toBeNaN();
  });

  test("variance: what is left to divide by is never negative", () => {
    expect(tensor([1, 3]).variance(0, { correction: 1 }).item()).toBe(2);
    expect(tensor([1, 3]).variance(0, { correction: 2 }).item()).toBe(Infinity);
    expect(tensor([1, 3]).variance(0, { correction: 3 }).item()).toBe(Infinity);
    expect(tensor([5]).variance(0, { correction: 1 }).item()).toBeNaN();
  });

  test("means and deviations of large integers are those of the integers", () => {
    const seconds = tensor(Int32Array.from({ length: 61 }, (_, i) => 1_764_000_000 + i));
    expect(seconds.variance().item()).toBeCloseTo(310, 4);
    expect(seconds.std().dtype).toBe("float32");
    expect(seconds.mean().item()).toBe(Math.fround(1_764_000_030));
    expect(tensor(new Int32Array(7).fill(2 ** 31 - 1)).mean().item()).toBe(2 ** 31);
  });

  test("softmax and log-sum-exp of rows with infinities", () => {
    const row = tensor([[-Infinity, 0, 0]]);
    expect(values(row.softmax())).toEqual([0, 0.5, 0.5]);
    expect(values(row.logSoftmax())).toEqual([-Infinity, expect.closeTo(-Math.LN2, 6), expect.closeTo(-Math.LN2, 6)]);
    expect(values(row.logSumExp(1))).toEqual([expect.closeTo(Math.LN2, 6)]);
    for (const f of [(t: Tensor) => t.softmax().slice(null, 1).sum(), (t: Tensor) => t.logSumExp()]) expect(values(grad(f)(row)).every(Number.isFinite)).toBe(true);
    expect(tensor([-Infinity, -Infinity]).logSumExp().item()).toBe(-Infinity);
    expect(tensor([Infinity, 1]).logSumExp().item()).toBe(Infinity);
  });

  test("bytes and truth values add up without wrapping", () => {
    expect(full([300], 255, "uint8").sum().item()).toBe(76500);
    expect(tensor([true, true, false]).mean().item()).toBeCloseTo(2 / 3, 6);
  });

  test("the least int32 has a minimum", () => {
    const x = tensor([-(2 ** 31), 5], { dtype: "int32" });
    expect(x.min().item()).toBe(-(2 ** 31));
    expect(x.argmin().item()).toBe(0);
  });

  test("variance, of the population or the sample", () => {
    expect(tensor([1, 2, 3, 4]).variance().item()).toBe(1.25);
    expect(tensor([1, 2, 3, 4]).variance(0, { correction: 1 }).item()).toBeCloseTo(5 / 3, 6);
  });

  test("softmax and log-sum-exp are stable", () => {
    const x = tensor([[1000, 1001], [-1000, -1000]], { dtype: "float64" });
    const e = Math.E;
    expect(values(x.softmax())).toEqual([expect.closeTo(1 / (1 + e), 12), expect.closeTo(e / (1 + e), 12), 0.5, 0.5]);
    expect(values(x.logSoftmax(-1))[0]).toBeCloseTo(-Math.log(1 + e), 12);
    expect(values(x.logSumExp(-1))[1]).toBeCloseTo(-1000 + Math.log(2), 10);
    expect(tensor([-Infinity, -Infinity]).logSumExp().item()).toBe(-Infinity);
    expect(tensor([-Infinity, 0]).logSumExp().item()).toBe(0);
  });

  test("there is no extreme of nothing, but a sum", () => {
    expect(zeros([2, 0]).sum(1).toArray()).toEqual([0, 0]);
    expect(() => zeros([0]).max()).toThrow(/max: there is no extreme of nothing/);
    expect(() => zeros([0]).argmax()).toThrow(ShapeError);
  });

  test("standard deviation and norm", () => {
    const x = tensor([[3, 4], [0, 0]], { dtype: "float64" });
    expect(x.norm(1).toArray()).toEqual([5, 0]);
    expect(grad((y: Tensor) => y.norm(1).sum())(x).toArray()).toEqual([[expect.closeTo(0.6), expect.closeTo(0.8)], [0, 0]]);
    expect(tensor([1, 2, 3, 4]).std(0, { correction: 1, keepDims: true }).toArray()).toEqual([expect.closeTo(Math.sqrt(5 / 3), 6)]);
  });

  test("any and all, of something and of nothing", () => {
    const x = tensor([[0, -0.5], [NaN, 2], [0, 0]]);
    expect(x.any(1).toArray()).toEqual([1, 1, 0]);
    expect(x.all(-1, { keepDims: true }).toArray()).toEqual([[0], [1], [0]]);
    expect([x.any().item(), x.all().item(), x.any().dtype]).toEqual([1, 0, "bool"]);
    expect([zeros([0]).any().item(), zeros([0]).all().item()]).toEqual([0, 1]);
  });

  test("products, whose derivatives bear zeros", () => {
    const x = tensor([[2, 3, 5, 7, 11], [1, 0, 4, 1, 2]], { dtype: "float64" });
    expect(x.prod(1).toArray()).toEqual([2310, 0]);
    expect(x.prod([0, 1], { keepDims: true }).toArray()).toEqual([[0]]);
    expect(tensor([200, 3], { dtype: "uint8" }).prod().item()).toBe(600);
    expect([zeros([0]).prod().item(), zeros([2, 0]).prod(1).toArray()]).toEqual([1, [1, 1]]);
    expect(grad((y: Tensor) => y.prod(1).sum())(x).toArray()).toEqual([[1155, 770, 462, 330, 210], [0, 8, 0, 0, 0]]);
  });

  test("running sums", () => {
    const x = arange(1001, undefined, 1, "float64").reshape([7, 143]).sin();
    const rows = x.toArray() as number[][];
    const expected = rows.map((row) => row.reduce<number[]>((sums, value) => [...sums, (sums.at(-1) ?? 0) + value], []));
    (x.cumsum().toArray() as number[][]).forEach((row, r) => row.forEach((value, c) => expect(value).toBeCloseTo(expected[r]![c]!, 10)));
    expect(x.T.cumsum(0).T.sub(x.cumsum()).abs().max().item()).toBeLessThan(1e-12);
    expect(tensor([true, true, false]).cumsum().toArray()).toEqual([1, 2, 2]);
    expect(zeros([2, 0]).cumsum().shape).toEqual([2, 0]);
    // The derivative sums what comes after.
    expect(grad((y: Tensor) => y.cumsum().mul(tensor([1, 10, 100])).sum())(tensor([0, 0, 0])).toArray()).toEqual([111, 110, 100]);
  });
});
