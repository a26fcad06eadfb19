// Reading and adding by index: gather, scatter-add, one-hot, and what is chosen by position.
// Indices are int32. One that is out of range and known is refused; inside a transform, and where it is computed in the same
// program, gather clamps it, scatter-add drops it, and one-hot leaves its row zero.
import * as ops from "../ops/build.ts";
import { type DType, hostArray, isFloating, promote } from "../ops/dtype.ts";
import { DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape, normaliseAxis, rowMajorStrides, sameShape, sizeOf } from "../ops/shape.ts";
import { add, cast, clip, mul, sub } from "./arithmetic.ts";
import { equal, greaterEqual, lessEqual } from "./comparison.ts";
import { ContractionMethods } from "./contraction.ts";
import { broadcastTo, expandDims, transpose } from "./movement.ts";
import type { Tensor } from "./tensor.ts";
import { storageOf } from "./storage.ts";
import { isTransforming } from "./trace.ts";
import { nodeOf } from "./value.ts";

function indexNode(operation: string, indices: GraphNode): GraphNode {
  if (isFloating(indices.dtype) || indices.dtype === "bool") {
    throw new DTypeError(`${operation}: indices are ${indices.dtype}.`, "Make them int32, e.g. with int().");
  }
  return cast(indices, "int32");
}

/** Refuses stored indices outside [0, size), unless a transform runs or reading would have to wait. */
function requireInRange(operation: string, indices: GraphNode, size: number, axis: number): void {
  if (indices.storage === undefined || isTransforming()) return;
  const { device, buffer } = storageOf(indices);
  if (!device.synchronous) return;
  const values = hostArray(indices.dtype, sizeOf(indices.shape));
  device.readSync(buffer, values);
  const wrong = values.findIndex((index) => index < 0 || index >= size);
  if (wrong >= 0) {
    throw new ValueError(`${operation}: index ${values[wrong]} at position ${wrong} lies outside axis ${axis}, which has ${size} entries.`, `Use indices from 0 to ${size - 1}.`);
  }
}

/** Entries of `x` along `axis`: [...before, ...indices.shape, ...after]. */
export function take(x: GraphNode, indices: GraphNode, axis: number, operation: string = "take"): GraphNode {
  const rank = x.shape.length;
  const at = normaliseAxis(operation, axis, rank);
  const index = indexNode(operation, indices);
  if (x.shape[at] === 0) throw new ShapeError(`${operation}: axis ${axis} of ${formatShape(x.shape)} is empty.`, "There is nothing to take.");
  requireInRange(operation, indices, x.shape[at]!, at);
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

/** out[…, i, …] = x[…, indices[…, i, …], …], by positions in the flattened `x`. */
function takeAlongAxis(x: GraphNode, indices: GraphNode, axis: number): GraphNode {
  const at = normaliseAxis("takeAlongAxis", axis, x.shape.length);
  const index = indexNode("takeAlongAxis", indices);
  const fits = index.shape.length === x.shape.length && index.shape.every((extent, other) => other === at || extent === x.shape[other]);
  if (!fits) throw new ShapeError(`takeAlongAxis: indices of shape ${formatShape(index.shape)} along axis ${axis} of ${formatShape(x.shape)}.`, "All other axes must be equal.");
  if (x.shape[at] === 0) throw new ShapeError(`takeAlongAxis: axis ${axis} of ${formatShape(x.shape)} is empty.`, "There is nothing to take.");
  requireInRange("takeAlongAxis", indices, x.shape[at]!, at);
  const strides = rowMajorStrides(x.shape);
  const clamped = clip(index, 0, x.shape[at]! - 1);
  const position = x.shape.reduce<GraphNode>(
    (sum, _, other) => add(sum, mul(other === at ? clamped : ops.iota(index.shape, other), strides[other]!)),
    ops.scalarLike(0, index),
  );
  return ops.gather(ops.reshape(x, [sizeOf(x.shape)]), position);
}

/** The entries of `axes` in reverse. */
function flip(x: GraphNode, axes: readonly number[]): GraphNode {
  const resolved = axes.map((axis) => normaliseAxis("flip", axis, x.shape.length)).sort((a, b) => a - b);
  return resolved.length === 0 ? x : ops.flip(x, resolved);
}

/** `x` where column − row lies on the wanted side of `diagonal`, and 0 elsewhere. */
function triangle(operation: "tril" | "triu", x: GraphNode, diagonal: number): GraphNode {
  const rank = x.shape.length;
  if (rank < 2) throw new ShapeError(`${operation}: ${formatShape(x.shape)} is no matrix.`, "Pass a tensor of rank 2 or more.");
  const offset = sub(ops.iota(x.shape, rank - 1), ops.iota(x.shape, rank - 2));
  const kept = operation === "tril" ? lessEqual(offset, diagonal) : greaterEqual(offset, diagonal);
  return ops.select(kept, x, ops.scalarLike(0, x));
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
  requireInRange("scatterAdd", indices, x.shape[0]!, 0);
  const dtype = promote(x.dtype, updates.dtype);
  // Bytes and truth values are counted in int32; bytes wrap as their sums do.
  const counted = dtype === "uint8" || dtype === "bool" ? "int32" : dtype;
  const total = add(cast(x, counted), ops.scatterAdd(index, cast(updates, counted), x.shape[0]!));
  return dtype === "uint8" ? cast(total, dtype) : total;
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
   * Rows: [R, ...rest] with indices [...I] → [...I, ...rest]. Throws {@link ValueError} on a known index outside [0, R); in a
   * transform, or of computed indices, it is clamped.
   *
   * @example
   * tensor([[1], [2], [3]]).gather(tensor([2, 0], { dtype: "int32" })).toArray(); // [[3], [1]]
   */
  gather(indices: Tensor): Tensor {
    return this.result(take(this.node, nodeOf("gather", indices), 0, "gather"));
  }

  /**
   * Entries along `axis` (default 0) at int32 `indices`; out of range as {@link gather}.
   *
   * @example
   * tensor([10, 20, 30]).take(tensor([2, 0], { dtype: "int32" })).toArray(); // [30, 10]
   */
  take(indices: Tensor, axis = 0): Tensor {
    return this.result(take(this.node, nodeOf("take", indices), axis));
  }

  /**
   * Entries along `axis` (default the last), each line with indices of its own; out of range as {@link gather}: PyTorch's gather.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).takeAlongAxis(tensor([[1], [0]], { dtype: "int32" })).toArray(); // [[2], [3]]
   */
  takeAlongAxis(indices: Tensor, axis = -1): Tensor {
    return this.result(takeAlongAxis(this.node, nodeOf("takeAlongAxis", indices), axis));
  }

  /**
   * The entries along `axes` (default all) in reverse.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).flip(1).toArray(); // [[2, 1], [4, 3]]
   */
  flip(axes?: number | readonly number[]): Tensor {
    return this.result(flip(this.node, axes === undefined ? this.shape.map((_, axis) => axis) : [axes].flat()));
  }

  /**
   * The lower triangle of each matrix, zeros above `diagonal` (default 0, the main one; positive lies above it).
   *
   * @example
   * ones([2, 2]).tril().toArray(); // [[1, 0], [1, 1]]
   */
  tril(diagonal = 0): Tensor {
    return this.result(triangle("tril", this.node, diagonal));
  }

  /**
   * The upper triangle of each matrix, zeros below `diagonal` (default 0, the main one; positive lies above it).
   *
   * @example
   * ones([2, 2]).triu(1).toArray(); // [[0, 1], [0, 0]]
   */
  triu(diagonal = 0): Tensor {
    return this.result(triangle("triu", this.node, diagonal));
  }

  /**
   * This with updates[i] added to row indices[i]; repeated indices add up. Throws {@link ValueError} on a known index out of range;
   * in a transform, or of computed indices, it is dropped.
   *
   * @example
   * zeros([3]).scatterAdd(tensor([1, 1], { dtype: "int32" }), tensor([2, 3])).toArray(); // [0, 5, 0]
   */
  scatterAdd(indices: Tensor, updates: Tensor): Tensor {
    return this.result(scatterAdd(this.node, nodeOf("scatterAdd", indices), nodeOf("scatterAdd", updates)));
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
