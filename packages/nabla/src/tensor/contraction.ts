// Matrix products: vectors and stacks of matrices brought into the primitive's form.
// A transposed operand costs nothing: the compiler makes it a flag of the product.
import * as ops from "../ops/build.ts";
import { isFloating, promote } from "../ops/dtype.ts";
import { ShapeError } from "../errors/errors.ts";
import type { AnyNode, GraphNode } from "../ops/graph.ts";
import { broadcastShapes, formatShape, type Shape, sizeOf } from "../ops/shape.ts";
import { cast, floating, mul } from "./arithmetic.ts";
import { broadcastTo, expandDims, reshape } from "./movement.ts";
import { ReductionMethods, sum } from "./reduction.ts";
import type { Tensor } from "./tensor.ts";
import { nodeOf } from "./value.ts";

/**
 * NumPy's matmul: [..., M, K] × [..., K, N] → [..., M, N]; batch axes broadcast, a vector is a row on the left, a column on the right.
 * Integers multiply exactly, in int32.
 */
export function matmul(a: GraphNode, b: GraphNode): GraphNode {
  if (a.shape.length === 0 || b.shape.length === 0) {
    throw new ShapeError(`matmul: ${formatShape(a.shape)} × ${formatShape(b.shape)}: a scalar is no matrix.`, "Use mul for scalars.");
  }
  const whole = !isFloating(a.dtype) && !isFloating(b.dtype);
  const dtype = whole ? "int32" : promote(floating(a).dtype, floating(b).dtype);
  const left = cast(a.shape.length === 1 ? reshape(a, [1, a.shape[0]!]) : a, dtype);
  const right = cast(b.shape.length === 1 ? reshape(b, [b.shape[0]!, 1]) : b, dtype);
  const inner = left.shape.at(-1)!;
  if (inner !== right.shape.at(-2)) {
    throw new ShapeError(
      `matmul: ${formatShape(a.shape)} × ${formatShape(b.shape)}: the inner sizes ${inner} and ${right.shape.at(-2)} differ.`,
      "The last axis of the left operand must equal the second-last of the right one; transpose() swaps them.",
    );
  }
  const product = whole ? integerMatrices(left, right) : matrices(left, right);
  const vectorA = a.shape.length === 1;
  const vectorB = b.shape.length === 1;
  if (!vectorA && !vectorB) return product;
  const batch = product.shape.slice(0, -2);
  return reshape(product, [...batch, ...(vectorA ? [] : [left.shape.at(-2)!]), ...(vectorB ? [] : [right.shape.at(-1)!])]);
}

function matrices(a: GraphNode, b: GraphNode): GraphNode {
  const rows = a.shape.at(-2)!;
  const columns = b.shape.at(-1)!;
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  // One matrix on the right serves all rows of all batches: a single larger product.
  if (batchA.length > 0 && batchB.length === 0 && !isLazyTranspose(a)) {
    const merged = ops.matmul(reshape(a, [sizeOf(batchA) * rows, a.shape.at(-1)!]), b);
    return reshape(merged, [...batchA, rows, columns]);
  }
  const batch = broadcastShapes(`matmul: ${formatShape(a.shape)} × ${formatShape(b.shape)}, batch axes`, batchA, batchB);
  return ops.matmul(batched(a, batch), batched(b, batch));
}

/** Σ a·b in int32, which wraps as its arithmetic does; a reduction that computes the products as it goes. */
function integerMatrices(a: GraphNode, b: GraphNode): GraphNode {
  return sum(mul(expandDims(a, -1), expandDims(b, -3)), -2, false);
}

function batched(x: GraphNode, batch: Shape): GraphNode {
  return broadcastTo(x, [...batch, ...x.shape.slice(-2)]);
}

/** Matrices that are read along their columns, in place; merging their batches would copy them. */
function isLazyTranspose(x: GraphNode): boolean {
  const node = x as AnyNode;
  return node.op === "transpose" && node.storage === undefined && node.params.permutation.at(-1) !== x.shape.length - 1;
}

/** Methods of {@link Tensor} that multiply matrices. */
export abstract class ContractionMethods extends ReductionMethods {
  /**
   * Matrix product [..., M, K] × [..., K, N] → [..., M, N]; batch axes broadcast, a vector is a row on the left and a column on the right.
   * Integers multiply exactly, in int32, and wrap.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).matmul(tensor([1, 1])).toArray(); // [3, 7]
   */
  matmul(other: Tensor): Tensor {
    return this.result(matmul(this.node, nodeOf("matmul", other)));
  }

  /**
   * All products of two vectors: [N] and [M] → [N, M].
   *
   * @example
   * tensor([1, 2]).outer(tensor([3, 4])).toArray(); // [[3, 4], [6, 8]]
   */
  outer(other: Tensor): Tensor {
    const right = nodeOf("outer", other);
    if (this.rank !== 1 || right.shape.length !== 1) {
      throw new ShapeError(`outer: ${formatShape(this.shape)} and ${formatShape(right.shape)} are not two vectors.`, "Flatten them first.");
    }
    return this.result(mul(expandDims(this.node, 1), expandDims(right, 0)));
  }
}
