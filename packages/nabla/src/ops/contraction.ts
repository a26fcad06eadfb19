// The matrix product in every transpose. Both cotangents are products again, so no operand is ever moved.
import { alignBatch } from "./broadcast.ts";
import { requireFloating } from "./check.ts";
import type { DType } from "./dtype.ts";
import { sumOf } from "./elementwise.ts";
import { DTypeError, ShapeError } from "../errors/errors.ts";
import type { GraphNode } from "./graph.ts";
import { reshape } from "./movement.ts";
import { apply, type Rule, type Sample } from "./rule.ts";
import { aval, largest, spread } from "./sample.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "./shape.ts";

/** [...batch, M, K] × [...batch, K, N]; a transposed operand is stored with its last two axes swapped. */
export function matmul(a: GraphNode, b: GraphNode, transposeA = false, transposeB = false): GraphNode<"matmul"> {
  return apply(matmulRule, [a, b], { transposeA, transposeB });
}

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
  op: "matmul",
  kind: "contraction",
  cost: 1,
  shape: ([a, b], { transposeA, transposeB }) => {
    requireFloating("matmul", a!);
    if (a!.dtype !== b!.dtype) throw new DTypeError(`matmul: dtypes ${a!.dtype} and ${b!.dtype} differ.`, "Cast one of them first.");
    const shapes = `${formatShape(a!.shape)}${transposeA ? "ᵀ" : ""} × ${formatShape(b!.shape)}${transposeB ? "ᵀ" : ""}`;
    if (a!.shape.length < 2 || a!.shape.length !== b!.shape.length) throw new ShapeError(`matmul: ${shapes}: both need the same rank, 2 or more.`, "Reshape or broadcast first.");
    const batch = a!.shape.slice(0, -2);
    if (!sameShape(batch, b!.shape.slice(0, -2))) throw new ShapeError(`matmul: ${shapes}: the batch axes differ.`, "Broadcast one of them first.");
    const [m, k] = matrixSizes(a!.shape, transposeA);
    const [kb, n] = matrixSizes(b!.shape, transposeB);
    if (k !== kb) throw new ShapeError(`matmul: ${shapes}: the inner sizes ${k} and ${kb} differ.`, "Columns of the left must equal rows of the right.");
    return { shape: [...batch, m, n], dtype: a!.dtype };
  },
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
  roundingError: {
    relative: 1,
    absolute: ([a, b]) => (sizeOf(a!.shape) + 1) * largest(a!) * largest(b!),
  },
  vjp: ({ inputs, params: { transposeA, transposeB } }, cotangent) => {
    const [a, b] = inputs as readonly [GraphNode, GraphNode];
    return [
      transposeA ? matmul(b, cotangent, transposeB, true) : matmul(cotangent, b, false, !transposeB),
      transposeB ? matmul(cotangent, a, true, transposeA) : matmul(a, cotangent, !transposeA, false),
    ];
  },
  jvp: ({ inputs: [a, b], params: { transposeA, transposeB } }, [tangentA, tangentB]) =>
    sumOf([
      tangentA ? matmul(tangentA, b!, transposeA, transposeB) : null,
      tangentB ? matmul(a!, tangentB, transposeA, transposeB) : null,
    ]),
  batch: (inputs, batched, { transposeA, transposeB }, size) => {
    const [a, b] = inputs as readonly [GraphNode, GraphNode];
    if (!batched[1] && !transposeA && b.shape.length === 2) {
      // A stack of left matrices on one right matrix is one taller product.
      const [, m, k] = a.shape as readonly [number, number, number];
      const product = matmul(reshape(a, [size * m, k]), b, false, transposeB);
      return reshape(product, [size, m, product.shape[1]!]);
    }
    const [stackA, stackB] = alignBatch(inputs, batched, size);
    return matmul(stackA!, stackB!, transposeA, transposeB);
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

/** Rows and columns of a stored matrix as the product reads it. */
function matrixSizes(shape: Shape, transposed: boolean): [rows: number, columns: number] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}
