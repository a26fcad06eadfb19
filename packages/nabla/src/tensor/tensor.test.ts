import { inspect } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { DTypeError, LifetimeError, ShapeError, ValueError } from "../ops/errors.ts";
import { compileProgram } from "../compile/index.ts";
import type { GraphNode } from "../ops/graph.ts";
import { vjp } from "../transform/reverse.ts";
import { arange, eye, full, linspace, ones, tensor, zeros } from "./creation.ts";
import { concat, stack, type Tensor } from "./tensor.ts";

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

  test("compares, also with fractions", () => {
    const x = tensor([1, 2, 3], { dtype: "int32" });
    expect(x.greater(1.5).toArray()).toEqual([0, 1, 1]);
    expect(x.lessEqual(2).toArray()).toEqual([1, 1, 0]);
    expect(x.equal(2).logicalOr(x.greaterEqual(3)).toArray()).toEqual([0, 1, 1]);
    expect(x.notEqual(2).logicalAnd(x.less(3)).logicalNot().dtype).toBe("bool");
  });

  test("where chooses", () => {
    expect(tensor([[true], [false]]).where(tensor([1, 2]), 0).toArray()).toEqual([[1, 2], [0, 0]]);
  });

  test("clips and refuses bounds in the wrong order", () => {
    expect(tensor([-1, 0.5, 2]).clip(0, 1).toArray()).toEqual([0, 0.5, 1]);
    expect(() => tensor([1]).clip(1, 0)).toThrow(ValueError);
  });

  test("softplus neither overflows nor loses small values", () => {
    expect(values(tensor([-1000, 0, 1000], { dtype: "float64" }).softplus())).toEqual([0, Math.log(2), 1000]);
  });
});

onEveryDevice("reduction", () => {
  const matrix = (): Tensor => tensor([[1, 5, 3], [4, 2, 6]]);

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
});

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
});

onEveryDevice("matmul", () => {
  const product = (a: number[][], b: number[][]): number[][] => a.map((row) => b[0]!.map((_, n) => row.reduce((sum, x, k) => sum + x * b[k]![n]!, 0)));
  const a = [[1, 2, 3], [4, 5, 6]];
  const b = [[1, 0], [2, 1], [0, 3]];

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
});

onEveryDevice("indexing", () => {
  test("takes along any axis", () => {
    const x = arange(12).reshape([3, 4]);
    const indices = tensor([[3, 0], [1, 1]], { dtype: "int32" });
    expect(x.take(tensor([2, 0], { dtype: "uint8" })).toArray()).toEqual([[8, 9, 10, 11], [0, 1, 2, 3]]);
    expect(x.take(indices, 1).toArray()).toEqual([[[3, 0], [1, 1]], [[7, 4], [5, 5]], [[11, 8], [9, 9]]]);
    expect(() => x.take(tensor([0.5]))).toThrow(DTypeError);
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
});

onEveryDevice("creation", () => {
  test("shapes and dtypes are inferred", () => {
    expect(tensor([[1, 2]]).shape).toEqual([1, 2]);
    expect(tensor(5).shape).toEqual([]);
    expect(tensor([]).shape).toEqual([0]);
    expect(tensor([true]).dtype).toBe("bool");
    expect(tensor(new Int32Array(6), { shape: [2, 3] }).dtype).toBe("int32");
    expect(tensor(Uint8ClampedArray.of(255)).dtype).toBe("uint8");
    expect(tensor(Float64Array.of(1.5), { dtype: "float32" }).item()).toBe(1.5);
  });

  test("does not keep the caller's array", () => {
    const data = Float32Array.of(1, 2);
    const x = tensor(data);
    data[0] = 9;
    expect(x.toArray()).toEqual([1, 2]);
  });

  test("refuses what is ragged, too long, or not representable", () => {
    expect(() => tensor([[1, 2], [3]])).toThrow(/ragged array: values\[1\] has 1 entries where 2 were expected/);
    expect(() => tensor([1, [2]])).toThrow(/values\[1\] is an array/);
    expect(() => tensor([[1], 2])).toThrow(/values\[1\] is 2 where 1 were expected/);
    expect(() => tensor([1, 2], { shape: [3] })).toThrow(ShapeError);
    expect(() => tensor([NaN], { dtype: "int32" })).toThrow(/values\[0\] is NaN, which int32 cannot hold/);
    expect(() => tensor(Float32Array.of(0.5), { dtype: "uint8" })).toThrow(ValueError);
    expect(() => zeros([-1])).toThrow(ShapeError);
    const unsound: unknown = ["1"];
    expect(() => tensor(unsound as number[])).toThrow(DTypeError);
  });

  test("counts and fills", () => {
    expect(arange(3).toArray()).toEqual([0, 1, 2]);
    expect(arange(5, 0, -2).toArray()).toEqual([5, 3, 1]);
    expect(arange(0, 0).shape).toEqual([0]);
    expect(() => arange(0, 1, 0)).toThrow(ValueError);
    expect(linspace(-1, 1, 3).toArray()).toEqual([-1, 0, 1]);
    expect(eye(2, 3).toArray()).toEqual([[1, 0, 0], [0, 1, 0]]);
    expect(full([2], 1, "bool").dtype).toBe("bool");
    expect(() => full([2], 0.5, "int32")).toThrow(DTypeError);
  });
});

onEveryDevice("reading", () => {
  test("data, item and nested arrays", async () => {
    const x = tensor([[1, 2], [3, 4]]);
    expect(await x.mul(2).data()).toEqual(Float32Array.of(2, 4, 6, 8));
    expect(x.toArray()).toEqual([[1, 2], [3, 4]]);
    expect(() => x.item()).toThrow(/item: the tensor has shape \[2, 2\], 4 elements/);
  });

  test("a disposed tensor says so, and frees at once", () => {
    const x = tensor([1, 2]);
    const sum = x.sum();
    x.dispose();
    x.dispose();
    expect(() => x.add(1)).toThrow(LifetimeError);
    expect(() => sum.item()).toThrow(LifetimeError);
    expect(String(x)).toBe("tensor(disposed)");
    expect(String(sum)).toBe("tensor(lost, shape=[], dtype=float32)");
  });

  test("an operation that changes nothing gives a tensor of its own", () => {
    const x = tensor([1, 2]);
    {
      using same = x.float();
      expect(same.toArray()).toEqual([1, 2]);
    }
    expect(x.reshape([2]).toArray()).toEqual([1, 2]);
  });

  test("prints like NumPy", () => {
    expect(String(tensor([[1, 2.5], [10, 0.25]]))).toBe("tensor([[ 1.00,  2.50],\n        [10.00,  0.25]], shape=[2, 2], dtype=float32)");
    expect(inspect(tensor([true, false]))).toBe("tensor([ true, false], shape=[2], dtype=bool)");
    expect(String(tensor([NaN, Infinity, 1]))).toBe("tensor([nan, inf,   1], shape=[3], dtype=float32)");
    expect(String(tensor([1e-10, 1]))).toBe("tensor([1.0000e-10,  1.0000e+0], shape=[2], dtype=float32)");
    expect(String(zeros([0, 3]))).toBe("tensor([], shape=[0, 3], dtype=float32)");
    expect(String(arange(2000, undefined, 1, "int32"))).toBe("tensor([   0,    1,    2, …, 1997, 1998, 1999], shape=[2000], dtype=int32)");
    expect(String(tensor([[[1], [2]], [[3], [4]]], { dtype: "int32" }))).toBe("tensor([[[1],\n         [2]],\n\n        [[3],\n         [4]]], shape=[2, 2, 1], dtype=int32)");
  });
});
