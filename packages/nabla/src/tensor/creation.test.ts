import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import { arange, eye, full, linspace, tensor, zeros } from "./creation.ts";
import { concat } from "./tensor.ts";

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
    expect(() => tensor(tensor([1]) as never)).toThrow("tensor: values is a Tensor. Pass numbers or booleans.");
    expect(() => tensor(new BigInt64Array(1) as never)).toThrow("tensor: the values are a BigInt64Array. Convert them");
  });

  test("what only JavaScript lets through is named", () => {
    expect(() => tensor([1], { dtype: "float16" as never })).toThrow('tensor: "float16" is no dtype. Use float32, float64, int32, uint8, bool.');
    expect(() => zeros([1], "double" as never)).toThrow('"double" is no dtype');
    expect(() => zeros(3 as never)).toThrow("full: the shape is 3. Pass the sizes as an array, e.g. [2, 3].");
    expect(() => tensor([1], { shape: 1 as never })).toThrow(ShapeError);
    expect(() => zeros([6]).reshape(2 as never)).toThrow("reshape: the shape is 2. Pass the sizes as an array, e.g. reshape([2, 3]).");
    expect(() => zeros([1]).broadcastTo("2" as never)).toThrow('broadcastTo: the shape is "2".');
    for (const wrong of [undefined, null, [1], "1"]) {
      for (const meet of [() => zeros([1]).add(wrong as never), () => zeros([1]).matmul(wrong as never), () => zeros([1]).gather(wrong as never), () => concat([zeros([1]), wrong as never])]) {
        expect(meet).toThrow(DTypeError);
      }
    }
    expect(() => zeros([2]).mul([1, 2] as never)).toThrow("mul: an operand is an array. Pass a tensor; tensor(…) makes one of numbers and arrays.");
  });

  test("counts and fills", () => {
    expect(arange(3).toArray()).toEqual([0, 1, 2]);
    expect(arange(5, 0, -2).toArray()).toEqual([5, 3, 1]);
    expect(arange(0, 0).shape).toEqual([0]);
    expect(() => arange(0, 1, 0)).toThrow(ValueError);
    expect(arange(256, undefined, 1, "uint8").shape).toEqual([256]);
    expect(() => arange(0, 300, 1, "uint8")).toThrow("arange(0, 300, 1) leaves the range of uint8. Use int32.");
    expect(() => arange(0, -3, -1, "uint8")).toThrow(ValueError);
    expect(linspace(-1, 1, 3).toArray()).toEqual([-1, 0, 1]);
    expect(eye(2, 3).toArray()).toEqual([[1, 0, 0], [0, 1, 0]]);
    expect(full([2], 1, "bool").dtype).toBe("bool");
    expect(() => full([2], 0.5, "int32")).toThrow(DTypeError);
  });

  test("one number everywhere is the same before and after it has a value", () => {
    for (const dtype of ["float32", "float64", "int32", "uint8", "bool"] as const) {
      const x = full([3, 5], 1, dtype);
      const twice = x.reshape([15]).cast("float64").mul(2);
      expect(x.dataSync()).toHaveLength(15);
      expect(x.reshape([5, 3]).toArray()).toEqual(full([5, 3], 1, dtype).toArray());
      expect(twice.sum().item()).toBe(30);
    }
    expect(zeros([0, 4]).toArray()).toEqual([]);
  });
});
