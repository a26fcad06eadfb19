// Reading and adding by computed indices: gather, scatter-add, one-hot.
// Indices are int32; gather clamps what is out of range, scatter-add drops it, one-hot leaves its row zero.
import * as ops from "../ops/build.ts";
import { type DType, isFloating, promote } from "../ops/dtype.ts";
import { DTypeError, ShapeError, ValueError } from "../ops/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape, normaliseAxis, sameShape } from "../ops/shape.ts";
import { add, cast } from "./arithmetic.ts";
import { equal } from "./comparison.ts";
import { ContractionMethods } from "./contraction.ts";
import { broadcastTo, expandDims, transpose } from "./movement.ts";
import type { Tensor } from "./tensor.ts";

function indexNode(operation: string, indices: GraphNode): GraphNode {
  if (isFloating(indices.dtype) || indices.dtype === "bool") {
    throw new DTypeError(`${operation}: indices are ${indices.dtype}.`, "Make them int32, e.g. with int().");
  }
  return cast(indices, "int32");
}

/** Entries of `x` along `axis`: [...before, ...indices.shape, ...after]. */
export function take(x: GraphNode, indices: GraphNode, axis: number): GraphNode {
  const rank = x.shape.length;
  const at = normaliseAxis("take", axis, rank);
  const index = indexNode("take", indices);
  if (x.shape[at] === 0) throw new ShapeError(`take: axis ${axis} of ${formatShape(x.shape)} is empty.`, "There is nothing to take.");
  if (at === 0) return ops.gather(x, index);
  const others = Array.from({ length: rank }, (_, other) => other).filter((other) => other !== at);
  const gathered = ops.gather(transpose(x, [at, ...others]), index);
  // [...indices, ...before, ...after] → [...before, ...indices, ...after]
  const depth = index.shape.length;
  const order = [
    ...Array.from({ length: at }, (_, i) => depth + i),
    ...Array.from({ length: depth }, (_, i) => i),
    ...Array.from({ length: rank - 1 - at }, (_, i) => depth + at + i),
  ];
  return transpose(gathered, order);
}

/** `x` with updates[i] added to row indices[i]; repeated indices add up. */
export function scatterAdd(x: GraphNode, indices: GraphNode, updates: GraphNode): GraphNode {
  if (x.shape.length === 0) throw new ShapeError("scatterAdd: a scalar has no rows.", "Scatter into a tensor of rank 1 or more.");
  const index = indexNode("scatterAdd", indices);
  const expected = [...index.shape, ...x.shape.slice(1)];
  if (!sameShape(updates.shape, expected)) {
    throw new ShapeError(
      `scatterAdd: updates of shape ${formatShape(updates.shape)} for indices ${formatShape(index.shape)} into ${formatShape(x.shape)}.`,
      `Updates must have shape ${formatShape(expected)}.`,
    );
  }
  const dtype = promote(x.dtype, updates.dtype);
  return add(cast(x, dtype), ops.scatterAdd(index, cast(updates, dtype), x.shape[0]!));
}

/** [...indices] → [...indices, classes]: 1 at the index, 0 elsewhere. */
export function oneHot(indices: GraphNode, classes: number, dtype: DType): GraphNode {
  if (!Number.isInteger(classes) || classes < 1) throw new ValueError(`oneHot: ${classes} classes.`, "Pass a positive integer.");
  const index = indexNode("oneHot", indices);
  const shape = [...index.shape, classes];
  return cast(equal(broadcastTo(expandDims(index, -1), shape), ops.iota(shape, shape.length - 1)), dtype);
}

/** Methods of {@link Tensor} that read and add by computed indices. */
export abstract class IndexingMethods extends ContractionMethods {
  /**
   * Rows: [R, ...rest] with indices [...I] → [...I, ...rest]. Indices are clamped to the range.
   *
   * @example
   * tensor([[1], [2], [3]]).gather(tensor([2, 0], { dtype: "int32" })).toArray(); // [[3], [1]]
   */
  gather(indices: Tensor): Tensor {
    return this.take(indices, 0);
  }

  /**
   * Entries along `axis` (default 0) at int32 `indices`, clamped to the range.
   *
   * @example
   * tensor([10, 20, 30]).take(tensor([2, 0], { dtype: "int32" })).toArray(); // [30, 10]
   */
  take(indices: Tensor, axis = 0): Tensor {
    return this.result(take(this.node, indices.node, axis));
  }

  /**
   * This with updates[i] added to row indices[i]; repeated indices add up, those out of range are dropped.
   *
   * @example
   * zeros([3]).scatterAdd(tensor([1, 1], { dtype: "int32" }), tensor([2, 3])).toArray(); // [0, 5, 0]
   */
  scatterAdd(indices: Tensor, updates: Tensor): Tensor {
    return this.result(scatterAdd(this.node, indices.node, updates.node));
  }

  /**
   * [...indices] → [...indices, classes]: 1 at the index, otherwise 0.
   *
   * @example
   * tensor([2, 0], { dtype: "int32" }).oneHot(3).toArray(); // [[0, 0, 1], [1, 0, 0]]
   */
  oneHot(classes: number, dtype: DType = "float32"): Tensor {
    return this.result(oneHot(this.node, classes, dtype));
  }
}
