import fc from "fast-check";
import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { ShapeError, ValueError } from "../errors/errors.ts";
import { arange, tensor, zeros } from "./creation.ts";
import { concat, stack, type Tensor } from "./tensor.ts";

const values = (t: Tensor): number[] => [...t.dataSync()];

onEveryDevice("movement", () => {
  test("reshape infers one size", () => {
    expect(arange(6).reshape([2, -1]).shape).toEqual([2, 3]);
    expect(() => arange(6).reshape([4, -1])).toThrow(ShapeError);
    expect(() => arange(6).reshape([-1, -1])).toThrow(ShapeError);
    expect(arange(24).reshape([2, 3, 4]).flatten(1).shape).toEqual([2, 12]);
  });

  test("transposes", () => {
    expect(tensor([[1, 2], [3, 4]]).T.toArray()).toEqual([[1, 3], [2, 4]]);
    expect(zeros([2, 3, 4]).transpose([1, 2, 0]).shape).toEqual([3, 4, 2]);
    expect(zeros([2, 3, 4]).swapAxes(0, -1).shape).toEqual([4, 3, 2]);
    expect(() => zeros([2, 3]).transpose([0, 0])).toThrow(/not a permutation/);
  });

  test("slices by index, range, step and from the end", () => {
    const x = arange(12).reshape([3, 4]);
    expect(x.slice(-1).toArray()).toEqual([8, 9, 10, 11]);
    expect(x.slice(null, [1, 4, 2]).toArray()).toEqual([[1, 3], [5, 7], [9, 11]]);
    expect(x.slice([0, 2], -1).toArray()).toEqual([3, 7]);
    expect(x.slice([2, 1]).shape).toEqual([0, 4]);
    expect(() => x.slice(3)).toThrow(/index 3 is out of range for axis 0/);
    expect(() => x.slice(0, 0, 0)).toThrow(ShapeError);
  });

  test("a slice is what JavaScript's slice gives", () => {
    fc.assert(
      fc.property(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 }), (begin, end) => {
        using x = arange(7);
        expect(x.slice([begin, end]).toArray()).toEqual([0, 1, 2, 3, 4, 5, 6].slice(begin, end));
      }),
      { numRuns: 40 },
    );
  });

  test("pads, squeezes and expands", () => {
    expect(tensor([[1]]).pad([[1, 0], [0, 2]], 7).toArray()).toEqual([[7, 7, 7], [1, 7, 7]]);
    expect(zeros([1, 3, 1]).squeeze().shape).toEqual([3]);
    expect(zeros([1, 3, 1]).squeeze(0).shape).toEqual([3, 1]);
    expect(() => zeros([1, 3]).squeeze(1)).toThrow(ShapeError);
    expect(zeros([3]).expandDims(-1).shape).toEqual([3, 1]);
  });

  test("joins and promotes", () => {
    expect(concat([tensor([1]), tensor([2], { dtype: "float64" })]).dtype).toBe("float64");
    expect(stack([tensor([1, 2]), tensor([3, 4])], -1).toArray()).toEqual([[1, 3], [2, 4]]);
    expect(() => concat([])).toThrow(ValueError);
    expect(() => stack([zeros([2]), zeros([3])])).toThrow(/stack: shapes \[2\] and \[3\] differ/);
  });

  test("moves one axis", () => {
    const shape = [2, 3, 4, 5];
    for (const [from, to, expected] of [[0, 3, [3, 4, 5, 2]], [3, 0, [5, 2, 3, 4]], [1, -2, [2, 4, 3, 5]], [2, 2, shape]] as const) {
      expect(zeros(shape).moveAxis(from, to).shape).toEqual(expected);
    }
    expect(() => zeros([2]).moveAxis(0, 1)).toThrow(/moveAxis: axis 1 is out of range/);
    expect(() => zeros([2]).swapAxes(0, 1)).toThrow(/swapAxes: axis 1 is out of range/);
  });

  test("splits into equal parts or given sizes, and refuses the rest", () => {
    const x = arange(12).reshape([2, 6]);
    expect(x.split(3, 1).map((part) => part.toArray())).toEqual([[[0, 1], [6, 7]], [[2, 3], [8, 9]], [[4, 5], [10, 11]]]);
    expect(x.split([1, 0, 5], -1).map((part) => part.shape)).toEqual([[2, 1], [2, 0], [2, 5]]);
    expect(concat(x.split(2)).toArray()).toEqual(x.toArray());
    expect(() => x.split(4, 1)).toThrow(/split: axis 1 of \[2, 6\] has 6 entries, which do not make 4 equal parts/);
    expect(() => x.split([1, 2], 1)).toThrow(ShapeError);
    expect(() => x.split(0, 1)).toThrow(ShapeError);
  });

  test("tiles and rolls", () => {
    expect(tensor([[1, 2]]).tile([3]).toArray()).toEqual([[1, 2, 1, 2, 1, 2]]);
    expect(tensor([[1], [2]]).tile([2, 1, 2]).toArray()).toEqual([[[1, 1], [2, 2]], [[1, 1], [2, 2]]]);
    expect(tensor([1]).tile([0]).shape).toEqual([0]);
    const x = arange(6).reshape([2, 3]);
    expect(x.roll(1).toArray()).toEqual([[2, 0, 1], [5, 3, 4]]);
    expect(x.roll(-4, 0).toArray()).toEqual(x.toArray());
    expect(x.roll(-1, 0).toArray()).toEqual([[3, 4, 5], [0, 1, 2]]);
    expect(() => x.roll(0.5)).toThrow(ValueError);
  });

  test("diagonals of oblong matrices, near and far from the main one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }), fc.integer({ min: -6, max: 6 }), (rows, columns, offset) => {
        const x = arange(2 * rows * columns).reshape([2, rows, columns]);
        const expected = [0, 1].map((matrix) => Array.from({ length: rows }, (_, row) => row)
          .filter((row) => row + offset >= 0 && row + offset < columns).map((row) => (matrix * rows + row) * columns + row + offset));
        expect(x.diagonal(offset).shape).toEqual([2, expected[0]!.length]);
        expect(values(x.diagonal(offset))).toEqual(expected.flat());
      }),
      { numRuns: 40 },
    );
    expect(() => zeros([3]).diagonal()).toThrow(/diagonal: \[3\] is no matrix/);
  });

  test("views of nothing are nothing", () => {
    const x = zeros([3, 5, 0]).clone();
    expect(x.slice(0).relu().shape).toEqual([5, 0]);
    expect(x.slice(0).relu().toArray()).toEqual([[], [], [], [], []]);
    expect(values(x.transpose().reshape([0, 15]).add(1))).toEqual([]);
    expect(x.slice(0).add(1).sum().item()).toBe(0);
  });

  test("joining says which axis does not fit", () => {
    expect(() => concat([zeros([2, 3]), zeros([3, 4])])).toThrow(/concat: \[2, 3\] and \[3, 4\] do not join along axis 0: axis 1 has 3 and 4/);
    expect(() => concat([zeros([2, 3]), zeros([3])])).toThrow(/their ranks differ/);
  });
});
