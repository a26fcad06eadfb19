import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { DTypeError, ValueError } from "../errors/errors.ts";
import { grad } from "../transform/derivatives.ts";
import { arange, ones, tensor, zeros } from "./creation.ts";
import type { Tensor } from "./tensor.ts";

onEveryDevice("indexing", () => {
  test("takes along any axis", () => {
    const x = arange(12).reshape([3, 4]);
    const indices = tensor([[3, 0], [1, 1]], { dtype: "int32" });
    expect(x.take(tensor([2, 0], { dtype: "uint8" })).toArray()).toEqual([[8, 9, 10, 11], [0, 1, 2, 3]]);
    expect(x.take(indices, 1).toArray()).toEqual([[[3, 0], [1, 1]], [[7, 4], [5, 5]], [[11, 8], [9, 9]]]);
    expect(() => x.take(tensor([0.5]))).toThrow(DTypeError);
  });

  test("scatter-add takes bytes and truth values", () => {
    const indices = tensor([1, 1, 0], { dtype: "int32" });
    const bytes = tensor([250, 3], { dtype: "uint8" }).scatterAdd(indices, tensor([200, 100, 5], { dtype: "uint8" }));
    expect([bytes.dtype, bytes.toArray()]).toEqual(["uint8", [255, 47]]);
    expect(tensor([true, false]).scatterAdd(indices, tensor([true, true, true])).toArray()).toEqual([2, 2]);
  });

  test("scatter-add sums repeated rows and drops what is outside", () => {
    const indices = tensor([1, 1, 7], { dtype: "int32" });
    expect(ones([3, 1]).scatterAdd(indices, tensor([[1], [2], [4]])).toArray()).toEqual([[1], [4], [1]]);
    expect(() => ones([3, 1]).scatterAdd(indices, ones([3]))).toThrow(/Updates must have shape \[3, 1\]/);
  });

  test("one-hot leaves rows of unknown classes zero", () => {
    expect(tensor([2, -1], { dtype: "int32" }).oneHot(3).toArray()).toEqual([[0, 0, 1], [0, 0, 0]]);
    expect(() => tensor([1], { dtype: "int32" }).oneHot(0)).toThrow(ValueError);
  });

  test("takes along an axis, each line with its own indices", () => {
    const x = arange(12).reshape([3, 4]);
    expect(x.takeAlongAxis(tensor([[3, 0], [1, 1], [9, -9]], { dtype: "int32" })).toArray()).toEqual([[3, 0], [5, 5], [11, 8]]);
    expect(x.takeAlongAxis(tensor([[2, 0, 1, 0]], { dtype: "int32" }), 0).toArray()).toEqual([[8, 1, 6, 3]]);
    // Of the largest along an axis it is the maximum.
    const y = x.sin();
    expect(y.takeAlongAxis(y.argmax(1).expandDims(1)).squeeze(1).toArray()).toEqual(y.max(1).toArray());
    const picked = tensor([[1], [1], [0]], { dtype: "int32" });
    expect(grad((t: Tensor) => t.takeAlongAxis(picked).sum())(ones([3, 2])).toArray()).toEqual([[0, 1], [0, 1], [1, 0]]);
    expect(() => x.takeAlongAxis(tensor([0, 1], { dtype: "int32" }))).toThrow(/takeAlongAxis: indices of shape \[2\] along axis -1 of \[3, 4\]/);
  });

  test("flips any axes", () => {
    const x = arange(6).reshape([2, 3]);
    expect(x.flip(-1).toArray()).toEqual([[2, 1, 0], [5, 4, 3]]);
    expect(x.flip().toArray()).toEqual([[5, 4, 3], [2, 1, 0]]);
    expect(x.flip([0]).toArray()).toEqual([[3, 4, 5], [0, 1, 2]]);
    expect(zeros([0, 2]).flip().shape).toEqual([0, 2]);
  });

  test("triangles of a stack of matrices", () => {
    const x = ones([2, 3, 3]);
    expect(x.tril().slice(1).toArray()).toEqual([[1, 0, 0], [1, 1, 0], [1, 1, 1]]);
    expect(x.triu(1).slice(0).toArray()).toEqual([[0, 1, 1], [0, 0, 1], [0, 0, 0]]);
    expect(x.tril(-1).add(x.triu()).toArray()).toEqual(x.toArray());
    expect(() => ones([3]).tril()).toThrow(/tril: \[3\] is no matrix/);
  });
});
