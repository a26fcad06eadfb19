import { describe, test } from "vitest";
import { checkKernel, values } from "./check-kernel.fixture.ts";
import type { ScatterAddKernel } from "../kernels/kernel.ts";
import type { DType } from "../ops/dtype.ts";

function check(dtype: DType, rows: number, count: number, inner: number, indices = Array.from({ length: count }, (_, index) => ((index * 7919) % (rows + 4)) - 2)): void {
  const kernel: ScatterAddKernel = {
    kind: "scatterAdd",
    dtype,
    rows,
    count,
    inner,
    indices: { buffer: 0, offset: 3 },
    updates: { buffer: 1, offset: 1 },
    out: { buffer: 2, offset: 2 },
  };
  checkKernel(kernel, [
    { dtype: "int32", data: [9, 9, 9, ...indices] },
    { dtype, data: values(dtype, count * inner + 1) },
    { dtype, data: values(dtype, rows * inner + 2, 2) },
  ]);
}

describe.each(["float32", "float64", "int32"] as const)("%s", (dtype) => {
  test.each([
    [1, 1, 1],
    [5, 0, 3],
    [7, 40, 1],
    [300, 1000, 3],
    [17, 63, 15],
    [10, 50, 64],
    [9, 33, 131],
  ])("%d rows, %d updates of %d", (rows, count, inner) => check(dtype, rows, count, inner));
});

test("every update to one row keeps its order", () => check("float32", 4, 200, 17, new Array<number>(200).fill(2)));
