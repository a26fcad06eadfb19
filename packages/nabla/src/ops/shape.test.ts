import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { promote } from "./dtype.ts";
import { ShapeError } from "../errors/errors.ts";
import { broadcastShapes, normaliseAxis, rowMajorStrides, sizeOf } from "./shape.ts";

const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });

describe("broadcastShapes", () => {
  test("a shape grows to whatever has 1 where it differs", () => {
    fc.assert(fc.property(shapes, fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), fc.nat(4), (shape, ones, dropped) => {
      const smaller = shape.map((extent, axis) => (ones[axis] ? 1 : extent)).slice(Math.min(dropped, shape.length));
      expect(broadcastShapes("op", shape, smaller)).toEqual(shape);
      expect(broadcastShapes("op", smaller, shape)).toEqual(shape);
    }));
  });

  test("both sides may grow, and nothing broadcasts with an empty axis but 1 and itself", () => {
    expect(broadcastShapes("op", [3, 1], [1, 7])).toEqual([3, 7]);
    expect(broadcastShapes("op", [0], [1])).toEqual([0]);
    expect(() => broadcastShapes("op", [0], [2])).toThrow(ShapeError);
  });

  test("the message names the operation, both shapes, the axis and the fix", () => {
    expect(() => broadcastShapes("add", [2, 3], [2, 4])).toThrow(/^add: shapes \[2, 3\] and \[2, 4\] do not broadcast: axis -1 has 3 and 4\. .*reshape/);
  });
});

test("row-major strides address every element once, in order", () => {
  fc.assert(fc.property(shapes, (shape) => {
    const strides = rowMajorStrides(shape);
    const indices: number[] = [];
    const visit = (axis: number, index: number): void => {
      if (axis === shape.length) indices.push(index);
      else for (let i = 0; i < shape[axis]!; i++) visit(axis + 1, index + i * strides[axis]!);
    };
    visit(0, 0);
    expect(indices).toEqual(Array.from({ length: sizeOf(shape) }, (_, index) => index));
  }));
});

describe("normaliseAxis", () => {
  test("counts from the end", () => {
    expect(normaliseAxis("sum", -1, 3)).toBe(2);
    expect(normaliseAxis("sum", 0, 3)).toBe(0);
  });
  test.each([3, -4, 0.5, NaN])("refuses %s of rank 3", (axis) => {
    expect(() => normaliseAxis("sum", axis, 3)).toThrow(/sum: axis .* is out of range for a tensor of rank 3\. Use an axis from -3 to 2/);
  });
  test("a scalar has none", () => {
    expect(() => normaliseAxis("sum", 0, 0)).toThrow(/A scalar has no axes/);
  });
});

test("promotion is a maximum: commutative, associative, and the same dtype stays", () => {
  const dtypes = fc.constantFrom("bool", "uint8", "int32", "float32", "float64" as const);
  fc.assert(fc.property(dtypes, dtypes, dtypes, (a, b, c) => {
    expect(promote(a, a)).toBe(a);
    expect(promote(a, b)).toBe(promote(b, a));
    expect(promote(promote(a, b), c)).toBe(promote(a, promote(b, c)));
  }));
  expect(promote("int32", "float32")).toBe("float32");
  expect(promote("bool", "uint8")).toBe("uint8");
});
