import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { compileProgram } from "../compile/index.ts";
import { ShapeError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { vjp } from "../transform/reverse.ts";
import { arange, ones, tensor, zeros } from "./creation.ts";
import { einsum } from "./einsum.ts";
import type { Tensor } from "./tensor.ts";

onEveryDevice("matmul", () => {
  const product = (a: number[][], b: number[][]): number[][] => a.map((row) => b[0]!.map((_, n) => row.reduce((sum, x, k) => sum + x * b[k]![n]!, 0)));
  const a = [[1, 2, 3], [4, 5, 6]];
  const b = [[1, 0], [2, 1], [0, 3]];

  test("integers multiply exactly in int32, and wrap", () => {
    const x = tensor([[16777217, 2], [3, -4]], { dtype: "int32" });
    const y = tensor([[1, 0], [0, 1]], { dtype: "uint8" });
    expect(x.matmul(y).dtype).toBe("int32");
    expect(x.matmul(y).toArray()).toEqual([[16777217, 2], [3, -4]]);
    expect(x.matmul(tensor([1, 1], { dtype: "int32" })).toArray()).toEqual([16777219, -1]);
    expect(tensor([65537], { dtype: "int32" }).matmul(tensor([65537], { dtype: "int32" })).item()).toBe(Math.imul(65537, 65537));
    expect(einsum("ij,jk->ik", x, y).toArray()).toEqual([[16777217, 2], [3, -4]]);
    const left = Array.from({ length: 5 }, (_, i) => Array.from({ length: 19 }, (_, k) => i * 1000003 - k * 70001));
    const right = Array.from({ length: 19 }, (_, k) => Array.from({ length: 23 }, (_, j) => (k * 3 - j * 5) % 7));
    expect(tensor(left, { dtype: "int32" }).matmul(tensor(right, { dtype: "int32" })).toArray()).toEqual(product(left, right));
    expect(tensor([left, left], { dtype: "int32" }).matmul(tensor(right, { dtype: "int32" })).toArray()).toEqual([product(left, right), product(left, right)]);
  });

  test("matrices and vectors", () => {
    expect(tensor(a).matmul(tensor(b)).toArray()).toEqual(product(a, b));
    expect(tensor([1, 2]).matmul(tensor(a)).toArray()).toEqual([9, 12, 15]);
    expect(tensor(a).matmul(tensor([1, 1, 1])).toArray()).toEqual([6, 15]);
    expect(tensor([1, 2]).matmul(tensor([3, 4])).item()).toBe(11);
  });

  test("transposes are read in place: one kernel, nothing copied", () => {
    const [left, right] = [tensor(b), tensor(a)];
    const result = left.T.matmul(right.T);
    const { kernels, arenaBytes } = compileProgram({ inputs: [left.node, right.node], outputs: [result.node], donate: [] });
    expect(kernels.map(({ kind }) => kind)).toEqual(["gemm"]);
    expect(arenaBytes).toBe(0);
    expect(result.toArray()).toEqual(product([[1, 2, 0], [0, 1, 3]], [[1, 4], [2, 5], [3, 6]]));
  });

  test("so are those of a stack, and a gradient is made the way its weight lies", () => {
    const kernels = (inputs: readonly Tensor[], outputs: readonly GraphNode[]): string[] => {
      const program = compileProgram({ inputs: inputs.map(({ node }) => node), outputs, donate: [] });
      expect(program.arenaBytes).toBe(0);
      return program.kernels.map(({ kind }) => kind);
    };
    const [stacked, shared] = [arange(24).reshape([2, 4, 3]).clone(), ones([4, 5]).clone()];
    expect(kernels([stacked, shared], [stacked.swapAxes(1, 2).matmul(shared).node])).toEqual(["gemm"]);
    // y = x·wᵀ, as PyTorch's linear layers have it.
    const [x, w, cotangent] = [ones([6, 4]).clone(), ones([5, 4]).clone(), ones([6, 5]).clone()];
    const gradients = vjp([x.matmul(w.T).node], [x.node, w.node], [cotangent.node]).map((gradient) => gradient!);
    expect(kernels([x, w, cotangent], gradients)).toEqual(["gemm", "gemm"]);
  });

  test("batches broadcast, and one matrix serves them all", () => {
    const x = arange(24).reshape([2, 4, 3]);
    const expected = [0, 1].map((batch) => product(x.slice(batch).toArray() as number[][], b));
    expect(x.matmul(tensor(b)).toArray()).toEqual(expected);
    expect(x.matmul(tensor(b).expandDims(0)).toArray()).toEqual(expected);
    expect(x.swapAxes(1, 2).matmul(zeros([4, 5])).shape).toEqual([2, 3, 5]);
    expect(zeros([0, 4, 3]).matmul(tensor(b)).shape).toEqual([0, 4, 2]);
  });

  test("names both shapes when the inner sizes differ", () => {
    expect(() => tensor(a).matmul(tensor(a))).toThrow(/matmul: \[2, 3\] × \[2, 3\]: the inner sizes 3 and 2 differ/);
    expect(() => tensor(1).matmul(tensor(a))).toThrow(ShapeError);
  });

  test("names the batches that differ", () => {
    expect(() => zeros([5, 2, 3]).matmul(zeros([4, 3, 4]))).toThrow(/matmul: \[5, 2, 3\] × \[4, 3, 4\], batch axes: shapes \[5\] and \[4\] do not broadcast/);
  });

  test("outer product", () => {
    expect(tensor([1, 2]).outer(tensor([3, 4, 5])).toArray()).toEqual([[3, 4, 5], [6, 8, 10]]);
    expect(() => tensor([[1]]).outer(tensor([1]))).toThrow(/outer: \[1, 1\] and \[1\] are not two vectors/);
  });

  test.each([[131, 257], [1, 40_000], [1000, 70]])("multiplies large matrices of %d × %d with vectors on either side, stored either way", (rows, columns) => {
    const matrix = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 19) / 8 - 1);
    const vector = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => ((i * 11) % 7) + 1);
    const a = tensor(matrix).reshape([rows, columns]);
    const [right, left] = [vector(columns), vector(rows)];
    const products = Array.from({ length: rows }, (_, i) => right.reduce((sum, x, j) => sum + x * matrix[i * columns + j]!, 0));
    const sums = Array.from({ length: columns }, (_, j) => left.reduce((sum, x, i) => sum + x * matrix[i * columns + j]!, 0));
    // The numbers are multiples of 1/8, so float32 adds them up without rounding.
    expect(a.matmul(tensor(right)).toArray()).toEqual(products);
    expect(tensor(right).matmul(a.T).toArray()).toEqual(products);
    expect(tensor(left).matmul(a).toArray()).toEqual(sums);
    expect(a.T.matmul(tensor(left)).toArray()).toEqual(sums);
  });
});
