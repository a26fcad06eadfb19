// The matrix product in every transpose. Both cotangents are products again, so no operand is ever moved.
import * as ops from "./build.ts";
import type { DType } from "./dtype.ts";
import type { GraphNode } from "./graph.ts";
import { infer } from "./infer.ts";
import type { Rule, Sample } from "./rule.ts";
import { aval, spread } from "./sample.ts";
import { sizeOf } from "./shape.ts";

interface Sizes {
  readonly batch?: readonly number[];
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

function matmulSamples({ batch = [], m, k, n }: Sizes, name: string, dtype: DType = "float32"): Sample<"matmul">[] {
  return [[false, false], [false, true], [true, false], [true, true]].map(([transposeA, transposeB]) => ({
    inputs: [
      spread(dtype, [...batch, ...(transposeA ? [k, m] : [m, k])], -2, 2),
      spread(dtype, [...batch, ...(transposeB ? [n, k] : [k, n])], -2, 2, 1),
    ],
    params: { transposeA: transposeA!, transposeB: transposeB! },
    name: `${name} ${transposeA ? "T" : "N"}${transposeB ? "T" : "N"}`,
  }));
}

export const matmulRule: Rule<"matmul"> = {
  shape: infer.matmul,
  reference: ([a, b], { transposeA, transposeB }, out) => {
    const [m, n] = out.shape.slice(-2) as [number, number];
    const k = a!.shape.at(transposeA ? -2 : -1)!;
    const batches = sizeOf(out.shape.slice(0, -2));
    const [aRow, aColumn] = transposeA ? [1, m] : [k, 1];
    const [bRow, bColumn] = transposeB ? [1, k] : [n, 1];
    for (let batch = 0; batch < batches; batch++) {
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let total = 0;
          for (let l = 0; l < k; l++) total += a!.data[batch * m * k + i * aRow + l * aColumn]! * b!.data[batch * k * n + l * bRow + j * bColumn]!;
          out.data[(batch * m + i) * n + j] = total;
        }
      }
    }
  },
  vjp: ({ inputs, params: { transposeA, transposeB } }, cotangent) => {
    const [a, b] = inputs as readonly [GraphNode, GraphNode];
    return [
      transposeA ? ops.matmul(b, cotangent, transposeB, true) : ops.matmul(cotangent, b, false, !transposeB),
      transposeB ? ops.matmul(cotangent, a, true, transposeA) : ops.matmul(a, cotangent, !transposeA, false),
    ];
  },
  jvp: ({ inputs: [a, b], params: { transposeA, transposeB } }, [tangentA, tangentB]) =>
    ops.sumOf([
      tangentA ? ops.matmul(tangentA, b!, transposeA, transposeB) : null,
      tangentB ? ops.matmul(a!, tangentB, transposeA, transposeB) : null,
    ]),
  batch: (inputs, batched, { transposeA, transposeB }, size) => {
    const [a, b] = inputs as readonly [GraphNode, GraphNode];
    if (!batched[1] && !transposeA && b.shape.length === 2) {
      // A stack of left matrices on one right matrix is one taller product.
      const [, m, k] = a.shape as readonly [number, number, number];
      const product = ops.matmul(ops.reshape(a, [size * m, k]), b, false, transposeB);
      return ops.reshape(product, [size, m, product.shape[1]!]);
    }
    const [stackA, stackB] = ops.alignBatch(inputs, batched, size);
    return ops.matmul(stackA!, stackB!, transposeA, transposeB);
  },
  samples: () => [
    ...matmulSamples({ m: 2, k: 3, n: 4 }, "plain"),
    ...matmulSamples({ m: 7, k: 17, n: 3 }, "odd sizes"),
    ...matmulSamples({ m: 1, k: 7, n: 1 }, "a dot product"),
    ...matmulSamples({ m: 5, k: 1, n: 3 }, "an outer product"),
    ...matmulSamples({ batch: [3], m: 2, k: 5, n: 3 }, "a stack"),
    ...matmulSamples({ batch: [2, 1], m: 3, k: 2, n: 2 }, "a stack of stacks"),
    ...matmulSamples({ m: 2, k: 0, n: 3 }, "over nothing"),
    ...matmulSamples({ m: 0, k: 3, n: 2 }, "empty"),
    ...matmulSamples({ m: 3, k: 5, n: 7 }, "float64", "float64"),
  ],
  errors: [
    { inputs: [aval("float32", 2, 3), aval("float32", 4, 5)], params: { transposeA: false, transposeB: false }, message: /\[2, 3\] × \[4, 5\]: the inner sizes 3 and 4 differ/ },
    { inputs: [aval("float32", 2, 3), aval("float32", 3, 5)], params: { transposeA: true, transposeB: false }, message: /\[2, 3\]ᵀ × \[3, 5\]: the inner sizes 2 and 3 differ/ },
    { inputs: [aval("float32", 3), aval("float32", 3, 5)], params: { transposeA: false, transposeB: false }, message: /same rank, 2 or more/ },
    { inputs: [aval("float32", 2, 3, 3), aval("float32", 4, 3, 3)], params: { transposeA: false, transposeB: false }, message: /the batch axes differ/ },
    { inputs: [aval("int32", 2, 2), aval("int32", 2, 2)], params: { transposeA: false, transposeB: false }, message: /takes float32 or float64, not int32/ },
    { inputs: [aval("float32", 2, 2), aval("float64", 2, 2)], params: { transposeA: false, transposeB: false }, message: /dtypes float32 and float64 differ/ },
  ],
};
