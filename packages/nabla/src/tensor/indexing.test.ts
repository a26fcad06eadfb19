import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { DTypeError, ValueError } from "../errors/errors.ts";
import { compile } from "../transform/compile.ts";
import { grad, valueAndGrad } from "../transform/derivatives.ts";
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

  test("scatter-add sums repeated rows, and in a program drops what is outside", () => {
    const indices = tensor([1, 1, 7], { dtype: "int32" });
    const add = compile((x: Tensor, at: Tensor, updates: Tensor) => x.scatterAdd(at, updates));
    expect(add(ones([3, 1]), indices, tensor([[1], [2], [4]])).toArray()).toEqual([[1], [4], [1]]);
    expect(() => ones([3, 1]).scatterAdd(indices, ones([3]))).toThrow(/Updates must have shape \[3, 1\]/);
  });

  test("one-hot leaves rows of unknown classes zero", () => {
    expect(tensor([2, -1], { dtype: "int32" }).oneHot(3).toArray()).toEqual([[0, 0, 1], [0, 0, 0]]);
    expect(() => tensor([1], { dtype: "int32" }).oneHot(0)).toThrow(ValueError);
  });

  test("takes along an axis, each line with its own indices", () => {
    const x = arange(12).reshape([3, 4]);
    expect(compile((t: Tensor, at: Tensor) => t.takeAlongAxis(at))(x, tensor([[3, 0], [1, 1], [9, -9]], { dtype: "int32" })).toArray()).toEqual([[3, 0], [5, 5], [11, 8]]);
    expect(x.takeAlongAxis(tensor([[2, 0, 1, 0]], { dtype: "int32" }), 0).toArray()).toEqual([[8, 1, 6, 3]]);
    // Of the largest along an axis it is the maximum.
    const y = x.sin();
    expect(y.takeAlongAxis(y.argmax(1).expandDims(1)).squeeze(1).toArray()).toEqual(y.max(1).toArray());
    const picked = tensor([[1], [1], [0]], { dtype: "int32" });
    expect(grad((t: Tensor) => t.takeAlongAxis(picked).sum())(ones([3, 2])).toArray()).toEqual([[0, 1], [0, 1], [1, 0]]);
    expect(() => x.takeAlongAxis(tensor([0, 1], { dtype: "int32" }))).toThrow(/takeAlongAxis: indices of shape \[2\] along axis -1 of \[3, 4\]/);
  });

  test("known indices out of range are refused, of every operation", () => {
    const x = arange(12).reshape([3, 4]);
    const at = (...indices: number[]): Tensor => tensor(indices, { dtype: "int32" });
    expect(() => x.gather(at(0, 3))).toThrow("gather: index 3 at position 1 lies outside axis 0, which has 3 entries. Use indices from 0 to 2.");
    expect(() => x.take(at(-1), 1)).toThrow(ValueError);
    expect(() => x.take(tensor([4], { dtype: "uint8" }), 1)).toThrow(/take: index 4 .* axis 1, which has 4/);
    expect(() => x.takeAlongAxis(tensor([[4], [0], [0]], { dtype: "int32" }))).toThrow(/takeAlongAxis: index 4/);
    expect(() => x.scatterAdd(at(3), ones([1, 4]))).toThrow(/scatterAdd: index 3/);
    expect(x.gather(at(2, 0)).shape).toEqual([2, 4]);
  });

  test("in a program reading and its derivative use the same rows, and adding and its derivative too", () => {
    const at = tensor([-2, 1, 5], { dtype: "int32" });
    const along = tensor([[-2], [1], [5]], { dtype: "int32" });
    const weights = tensor([1, 10, 100]);
    const of = (f: (x: Tensor) => Tensor) => valueAndGrad((x: Tensor) => f(x).mul(weights).sum())(tensor([1, 2, 3]));
    for (const f of [(x: Tensor) => x.gather(at), (x: Tensor) => x.take(at), (x: Tensor) => x.expandDims(0).add(zeros([3, 1])).takeAlongAxis(along).squeeze(1)]) {
      const [value, gradient] = of(f);
      expect(value.item()).toBe(321);
      expect(gradient.toArray()).toEqual([1, 10, 100]);
    }
    const [value, gradient] = of((x) => zeros([3]).scatterAdd(at, x));
    expect([value.item(), gradient.toArray()]).toEqual([20, [0, 10, 0]]);
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
