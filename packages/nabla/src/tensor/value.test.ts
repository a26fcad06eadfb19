import { AssertionError, deepEqual, deepStrictEqual } from "node:assert";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { LifetimeError } from "../errors/errors.ts";
import { arange, tensor, zeros } from "./creation.ts";
import { Variable } from "./variable.ts";

onEveryDevice("reading", () => {
  test("data, item and nested arrays", async () => {
    const x = tensor([[1, 2], [3, 4]]);
    expect(await x.mul(2).data()).toEqual(Float32Array.of(2, 4, 6, 8));
    expect(x.toArray()).toEqual([[1, 2], [3, 4]]);
    expect(() => x.item()).toThrow(/item: the tensor has shape \[2, 2\], 4 elements/);
  });

  test("into an array that is there already, if it fits", async () => {
    const into = new Float32Array(4);
    expect(tensor([[1, 2], [3, 4]]).dataSync(into)).toBe(into);
    expect(into).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(await tensor([5, 6, 7, 8]).data(into)).toBe(into);
    expect(into[3]).toBe(8);
    expect(tensor([true, false]).dataSync(new Uint8Array(2))).toEqual(Uint8Array.of(1, 0));
    expect(() => tensor([1, 2, 3]).dataSync(into)).toThrow(/Cannot read float32 of shape \[3\] into a Float32Array of 4. Pass a Float32Array of 3/);
    expect(() => tensor([1, 2, 3, 4], { dtype: "int32" }).dataSync(into)).toThrow(/Pass an Int32Array of 4/);
    expect(() => tensor([1]).dataSync([0] as never)).toThrow(/into an array. Pass/);
  });

  test("many values come whole", () => {
    for (const dtype of ["float32", "float64", "int32", "uint8"] as const) {
      const values = arange(20_000, undefined, 1, "int32").mod(251);
      const read = values.cast(dtype).dataSync();
      expect(read.length).toBe(20_000);
      expect(read.every((value, index) => value === index % 251)).toBe(true);
    }
  });

  test("deep equality never takes two tensors for one another", () => {
    const x = tensor([1, 2]);
    expect(x).toEqual(x);
    expect({ x, y: [x] }).toStrictEqual({ x, y: [x] });
    deepStrictEqual(x, x);
    for (const other of [tensor([1, 3]), tensor([1]), tensor([1, 2], { dtype: "int32" }), x.add(0), new Variable(x)]) {
      expect(x).not.toEqual(other);
      expect({ x }).not.toStrictEqual({ x: other });
      expect(() => deepStrictEqual({ x }, { x: other })).toThrow(AssertionError);
      expect(() => deepEqual(x, other)).toThrow(AssertionError);
    }
  });

  test("as JSON, nested numbers", () => {
    const x = tensor([[1, 2.5], [3, 4]]);
    expect(JSON.stringify({ x, y: [x.sum()] })).toBe('{"x":[[1,2.5],[3,4]],"y":[10.5]}');
    expect(tensor(JSON.parse(JSON.stringify(x)) as number[][]).toArray()).toEqual(x.toArray());
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
    expect(String(tensor([1e-10, 1]))).toBe("tensor([1e-10, 1e+00], shape=[2], dtype=float32)");
    expect(String(tensor([3e38, 1.25]))).toBe("tensor([3.00e+38, 1.25e+00], shape=[2], dtype=float32)");
    expect(String(tensor([1e20, NaN, 0]))).toBe("tensor([1e+20,   nan, 0e+00], shape=[3], dtype=float32)");
    expect(String(tensor([12345, 1, 0]))).toBe("tensor([12345,     1,     0], shape=[3], dtype=float32)");
    expect(String(tensor([2 ** 31 - 1, -1], { dtype: "int32" }))).toBe("tensor([2147483647,         -1], shape=[2], dtype=int32)");
    expect(String(zeros([0, 3]))).toBe("tensor([], shape=[0, 3], dtype=float32)");
    expect(String(arange(2000, undefined, 1, "int32"))).toBe("tensor([   0,    1,    2, …, 1997, 1998, 1999], shape=[2000], dtype=int32)");
    expect(String(tensor([[[1], [2]], [[3], [4]]], { dtype: "int32" }))).toBe("tensor([[[1],\n         [2]],\n\n        [[3],\n         [4]]], shape=[2, 2, 1], dtype=int32)");
  });
});
