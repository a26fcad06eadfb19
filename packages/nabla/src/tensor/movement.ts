// Operations that move elements without computing: reshape, transpose, broadcast, slice, pad, concat.
// The compiler folds most of them into the indexing of whatever reads them.
import * as ops from "../ops/build.ts";
import { type DType, promote } from "../ops/dtype.ts";
import { describe, ShapeError, ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { broadcastShapes, formatShape, normaliseAxis, sameShape, type Shape, sizeOf } from "../ops/shape.ts";
import type { Tensor } from "./tensor.ts";
import { Value } from "./value.ts";

/** One axis of a slice: an index (drops the axis), `[begin, end?, step?]`, or null for all of it. Negative positions count from the end. */
export type SliceRange = number | readonly [begin: number, end?: number, step?: number] | null;

/** A node of its own with the same value: a same-shape reshape, which the compiler makes a copy or nothing. */
export function alias(x: GraphNode): GraphNode {
  return ops.reshape(x, x.shape);
}

/** Throws {@link ShapeError} unless `shape` is a list of sizes. */
function requireList(operation: string, shape: Shape): void {
  if (!Array.isArray(shape)) throw new ShapeError(`${operation}: the shape is ${describe(shape)}.`, `Pass the sizes as an array, e.g. ${operation}([2, 3]).`);
}

export function reshape(x: GraphNode, shape: Shape): GraphNode {
  requireList("reshape", shape);
  const unknown = shape.indexOf(-1);
  if (unknown >= 0) {
    const known = shape.reduce((size, extent, axis) => (axis === unknown ? size : size * extent), 1);
    const size = sizeOf(x.shape);
    if (shape.indexOf(-1, unknown + 1) >= 0 || known === 0 || size % known !== 0) {
      throw new ShapeError(
        `reshape: ${formatShape(x.shape)} (${size} elements) does not fit ${formatShape(shape)}.`,
        "One -1 stands for whatever makes the number of elements equal.",
      );
    }
    return reshape(x, shape.map((extent, axis) => (axis === unknown ? size / known : extent)));
  }
  return sameShape(x.shape, shape) ? x : ops.reshape(x, shape);
}

export function broadcastTo(x: GraphNode, shape: Shape): GraphNode {
  requireList("broadcastTo", shape);
  if (sameShape(x.shape, shape)) return x;
  if (!sameShape(broadcastShapes("broadcastTo", x.shape, shape), shape)) {
    throw new ShapeError(
      `broadcastTo: ${formatShape(x.shape)} does not broadcast to ${formatShape(shape)}.`,
      "Aligned from the last axis, every size must be equal or 1.",
    );
  }
  const missing = shape.length - x.shape.length;
  const aligned = missing === 0 ? x : ops.reshape(x, [...new Array<number>(missing).fill(1), ...x.shape]);
  return sameShape(aligned.shape, shape) ? aligned : ops.broadcast(aligned, shape);
}

/** Without a permutation the axes are reversed. */
export function transpose(x: GraphNode, permutation?: readonly number[]): GraphNode {
  const rank = x.shape.length;
  const order = permutation?.map((axis) => normaliseAxis("transpose", axis, rank)) ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  if (order.length !== rank || new Set(order).size !== rank) {
    throw new ShapeError(
      `transpose: [${permutation?.join(", ")}] is not a permutation of the axes of ${formatShape(x.shape)}.`,
      `Name each of the ${rank} axes once.`,
    );
  }
  return order.every((axis, index) => axis === index) ? x : ops.transpose(x, order);
}

/** Swaps two axes. */
export function swapAxes(x: GraphNode, a: number, b: number): GraphNode {
  const rank = x.shape.length;
  const [first, second] = [normaliseAxis("swapAxes", a, rank), normaliseAxis("swapAxes", b, rank)];
  return transpose(x, x.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis)));
}

/** The axis `from` at place `to`, the others in their order. */
export function moveAxis(x: GraphNode, from: number, to: number): GraphNode {
  const rank = x.shape.length;
  const [moved, place] = [normaliseAxis("moveAxis", from, rank), normaliseAxis("moveAxis", to, rank)];
  return transpose(x, x.shape.map((_, axis) => axis).toSpliced(moved, 1).toSpliced(place, 0, moved));
}

export function expandDims(x: GraphNode, axis: number): GraphNode {
  const at = normaliseAxis("expandDims", axis, x.shape.length + 1);
  return ops.reshape(x, x.shape.toSpliced(at, 0, 1));
}

/** Drops axes of size 1: all of them, or `axis` alone. */
export function squeeze(x: GraphNode, axis?: number): GraphNode {
  if (axis === undefined) return reshape(x, x.shape.filter((extent) => extent !== 1));
  const at = normaliseAxis("squeeze", axis, x.shape.length);
  if (x.shape[at] !== 1) {
    throw new ShapeError(`squeeze: axis ${axis} of ${formatShape(x.shape)} has size ${x.shape[at]}.`, "Only an axis of size 1 can be dropped.");
  }
  return ops.reshape(x, x.shape.toSpliced(at, 1));
}

/** Merges the axes from `start` on into one. */
export function flatten(x: GraphNode, start: number): GraphNode {
  if (x.shape.length === 0) return ops.reshape(x, [1]);
  const at = normaliseAxis("flatten", start, x.shape.length);
  return reshape(x, [...x.shape.slice(0, at), sizeOf(x.shape.slice(at))]);
}

export function slice(x: GraphNode, ranges: readonly SliceRange[]): GraphNode {
  const rank = x.shape.length;
  if (ranges.length > rank) {
    throw new ShapeError(`slice: ${ranges.length} ranges for a tensor of shape ${formatShape(x.shape)}.`, "Pass at most one an axis.");
  }
  const begin: number[] = [];
  const end: number[] = [];
  const step: number[] = [];
  const kept: number[] = [];
  x.shape.forEach((extent, axis) => {
    const range = ranges[axis] ?? null;
    if (typeof range === "number") {
      const index = range < 0 ? range + extent : range;
      if (!Number.isInteger(range) || index < 0 || index >= extent) {
        throw new ValueError(`slice: index ${range} is out of range for axis ${axis} of ${formatShape(x.shape)}.`, `Use ${-extent} to ${extent - 1}.`);
      }
      begin.push(index);
      end.push(index + 1);
      step.push(1);
      return;
    }
    const [from = 0, to = extent, stride = 1] = range ?? [];
    if (!Number.isInteger(from) || !Number.isInteger(to) || !Number.isInteger(stride) || stride < 1) {
      throw new ValueError(`slice: [${range?.join(", ")}] is not a range for axis ${axis}.`, "Use integers [begin, end, step] with step ≥ 1.");
    }
    const first = position(from, extent);
    const last = Math.max(first, position(to, extent));
    begin.push(first);
    end.push(last);
    step.push(stride);
    kept.push(Math.ceil((last - first) / stride));
  });
  const whole = x.shape.every((extent, axis) => begin[axis] === 0 && end[axis] === extent && step[axis] === 1);
  return reshape(whole ? x : ops.slice(x, begin, end, step), kept);
}

/** NumPy's rule for the ends of a range: negative counts from the end, and what is beyond is cut. */
function position(index: number, extent: number): number {
  return Math.min(Math.max(index < 0 ? index + extent : index, 0), extent);
}

/** `widths`: one number for every side, or [before, after] for each axis. */
export function pad(x: GraphNode, widths: number | readonly (readonly [before: number, after: number])[], value: number): GraphNode {
  const pairs = typeof widths === "number" ? x.shape.map(() => [widths, widths] as const) : widths;
  if (pairs.length !== x.shape.length) {
    throw new ShapeError(`pad: ${pairs.length} widths for a tensor of shape ${formatShape(x.shape)}.`, "Pass [before, after] for each axis.");
  }
  return ops.pad(x, pairs.map(([before]) => before), pairs.map(([, after]) => after), value);
}

export function concat(nodes: readonly GraphNode[], axis: number): GraphNode {
  const [first, ...rest] = nodes;
  if (first === undefined) throw new ValueError("concat: no tensors were given.", "Pass at least one.");
  const dtype = rest.reduce((type: DType, node) => promote(type, node.dtype), first.dtype);
  const at = normaliseAxis("concat", axis, first.shape.length);
  for (const { shape } of rest) {
    if (shape.length === first.shape.length && shape.every((extent, other) => other === at || extent === first.shape[other])) continue;
    const other = shape.findIndex((extent, place) => place !== at && extent !== first.shape[place]);
    const what = shape.length === first.shape.length ? `axis ${other} has ${first.shape[other]} and ${shape[other]}` : "their ranks differ";
    throw new ShapeError(`concat: ${formatShape(first.shape)} and ${formatShape(shape)} do not join along axis ${at}: ${what}.`, "All other axes must be equal; stack() joins along a new one.");
  }
  const inputs = nodes.map((node) => (node.dtype === dtype ? node : ops.cast(node, dtype)));
  return inputs.length === 1 ? inputs[0]! : ops.concat(inputs, at);
}

export function stack(nodes: readonly GraphNode[], axis: number): GraphNode {
  const [first, ...rest] = nodes;
  if (first === undefined) throw new ValueError("stack: no tensors were given.", "Pass at least one.");
  const different = rest.find((node) => !sameShape(node.shape, first.shape));
  if (different !== undefined) {
    throw new ShapeError(`stack: shapes ${formatShape(first.shape)} and ${formatShape(different.shape)} differ.`, "Stack tensors of one shape, or concat them.");
  }
  const at = normaliseAxis("stack", axis, first.shape.length + 1);
  return concat(nodes.map((node) => expandDims(node, at)), at);
}

/** x[…, i, i + offset]: in a flattened matrix every (columns + 1)-th element. */
function diagonal(x: GraphNode, offset: number): GraphNode {
  if (x.shape.length < 2) throw new ShapeError(`diagonal: ${formatShape(x.shape)} is no matrix.`, "Pass a tensor of rank 2 or more.");
  if (!Number.isInteger(offset)) throw new ValueError(`diagonal: an offset of ${offset}.`, "Use an integer.");
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const length = Math.max(0, Math.min(rows + Math.min(offset, 0), columns - Math.max(offset, 0)));
  const first = length === 0 ? 0 : offset < 0 ? -offset * columns : offset;
  const end = length === 0 ? 0 : first + (length - 1) * (columns + 1) + 1;
  const batch = x.shape.slice(0, -2);
  return slice(reshape(x, [...batch, rows * columns]), [...batch.map(() => null), [first, end, columns + 1]]);
}

/** `parts` of one size, or of the sizes given. */
function split(x: GraphNode, parts: number | readonly number[], axis: number): GraphNode[] {
  const at = normaliseAxis("split", axis, x.shape.length);
  const extent = x.shape[at]!;
  const sizes = typeof parts === "number" ? new Array<number>(parts > 0 ? Math.floor(parts) : 0).fill(extent / parts) : parts;
  if (!sizes.every((size) => Number.isInteger(size) && size >= 0) || sizes.reduce((total, size) => total + size, 0) !== extent) {
    throw new ShapeError(
      `split: axis ${axis} of ${formatShape(x.shape)} has ${extent} entries, which do not make ${typeof parts === "number" ? `${parts} equal parts` : `parts of ${parts.join(", ")}`}.`,
      "Name a divisor, or sizes that add up to the axis.",
    );
  }
  let begin = 0;
  return sizes.map((size) => slice(x, x.shape.map((_, other) => (other === at ? [begin, (begin += size)] : null))));
}

/** Repeated counts[axis] times along each axis; missing leading counts are 1, missing leading axes are added. */
function tile(x: GraphNode, counts: readonly number[]): GraphNode {
  if (!counts.every((count) => Number.isInteger(count) && count >= 0)) throw new ValueError(`tile: [${counts.join(", ")}] are no counts.`, "Use integers from 0.");
  const rank = Math.max(x.shape.length, counts.length);
  const shape = [...new Array<number>(rank - x.shape.length).fill(1), ...x.shape];
  const times = [...new Array<number>(rank - counts.length).fill(1), ...counts];
  const spread = broadcastTo(reshape(x, shape.flatMap((extent) => [1, extent])), shape.flatMap((extent, axis) => [times[axis]!, extent]));
  return reshape(spread, shape.map((extent, axis) => extent * times[axis]!));
}

/** Moved along `axis` by `shift`; what leaves one end enters at the other. */
function roll(x: GraphNode, shift: number, axis: number): GraphNode {
  if (!Number.isInteger(shift)) throw new ValueError(`roll: a shift of ${shift}.`, "Use an integer.");
  const at = normaliseAxis("roll", axis, x.shape.length);
  const extent = x.shape[at]!;
  const first = extent === 0 ? 0 : ((-shift % extent) + extent) % extent;
  const [head, tail] = split(x, [first, extent - first], at) as [GraphNode, GraphNode];
  return first === 0 ? x : concat([tail, head], at);
}

/** Methods of {@link Tensor} that move elements. */
export abstract class MovementMethods extends Value {
  /**
   * The same elements in another shape; one -1 is inferred.
   *
   * @example
   * arange(6).reshape([2, -1]).shape; // [2, 3]
   */
  reshape(shape: Shape): Tensor {
    return this.result(reshape(this.node, shape));
  }

  /**
   * Merges the axes from `start` (default 0) on into one.
   *
   * @example
   * zeros([2, 3, 4]).flatten(1).shape; // [2, 12]
   */
  flatten(start = 0): Tensor {
    return this.result(flatten(this.node, start));
  }

  /**
   * Output axis i is axis permutation[i]; without a permutation the axes are reversed.
   *
   * @example
   * zeros([2, 3, 4]).transpose([1, 2, 0]).shape; // [3, 4, 2]
   */
  transpose(permutation?: readonly number[]): Tensor {
    return this.result(transpose(this.node, permutation));
  }

  /**
   * The axes reversed: a matrix transposed.
   *
   * @example
   * tensor([[1, 2], [3, 4]]).T.toArray(); // [[1, 3], [2, 4]]
   */
  get T(): Tensor {
    return this.transpose();
  }

  /**
   * Swaps two axes.
   *
   * @example
   * zeros([2, 3, 4]).swapAxes(0, -1).shape; // [4, 3, 2]
   */
  swapAxes(a: number, b: number): Tensor {
    return this.result(swapAxes(this.node, a, b));
  }

  /**
   * Moves an axis to another place; the others keep their order.
   *
   * @example
   * zeros([2, 3, 4]).moveAxis(0, -1).shape; // [3, 4, 2]
   */
  moveAxis(from: number, to: number): Tensor {
    return this.result(moveAxis(this.node, from, to));
  }

  /**
   * Repeats axes of size 1, and adds leading ones, up to `shape`.
   *
   * @example
   * tensor([1, 2]).broadcastTo([2, 2]).toArray(); // [[1, 2], [1, 2]]
   */
  broadcastTo(shape: Shape): Tensor {
    return this.result(broadcastTo(this.node, shape));
  }

  /**
   * Inserts an axis of size 1.
   *
   * @example
   * zeros([3]).expandDims(0).shape; // [1, 3]
   */
  expandDims(axis: number): Tensor {
    return this.result(expandDims(this.node, axis));
  }

  /**
   * Drops `axis`, or all axes, of size 1.
   *
   * @example
   * zeros([1, 3, 1]).squeeze().shape; // [3]
   */
  squeeze(axis?: number): Tensor {
    return this.result(squeeze(this.node, axis));
  }

  /**
   * Part of the tensor, one range an axis: an index (drops the axis), `[begin, end, step]`, or null for all.
   *
   * @example
   * tensor([[1, 2, 3], [4, 5, 6]]).slice(1, [0, 2]).toArray(); // [4, 5]
   */
  slice(...ranges: readonly SliceRange[]): Tensor {
    return this.result(slice(this.node, ranges));
  }

  /**
   * Taken apart along `axis` (default 0): into so many equal parts, or parts of the sizes given.
   *
   * @example
   * arange(6).split(3).map((part) => part.toArray()); // [[0, 1], [2, 3], [4, 5]]
   * arange(6).split([1, 5])[1]!.shape; // [5]
   */
  split(parts: number | readonly number[], axis = 0): Tensor[] {
    return split(this.node, parts, axis).map((part) => this.result(part));
  }

  /**
   * The diagonal of each matrix, `offset` (default 0) above the main one.
   *
   * @example
   * arange(9).reshape([3, 3]).diagonal(1).toArray(); // [1, 5]
   */
  diagonal(offset = 0): Tensor {
    return this.result(diagonal(this.node, offset));
  }

  /**
   * Repeated as a whole, so often along each axis; leading axes are added as needed.
   *
   * @example
   * tensor([1, 2]).tile([2, 2]).toArray(); // [[1, 2, 1, 2], [1, 2, 1, 2]]
   */
  tile(counts: readonly number[]): Tensor {
    return this.result(tile(this.node, counts));
  }

  /**
   * Moved along `axis` by `shift` places; what leaves one end enters at the other.
   *
   * @example
   * tensor([1, 2, 3]).roll(1).toArray(); // [3, 1, 2]
   */
  roll(shift: number, axis = -1): Tensor {
    return this.result(roll(this.node, shift, axis));
  }

  /**
   * Surrounds with `value` (default 0): a width for all sides, or [before, after] for each axis.
   *
   * @example
   * tensor([1, 2]).pad(1).toArray(); // [0, 1, 2, 0]
   */
  pad(widths: number | readonly (readonly [before: number, after: number])[], value = 0): Tensor {
    return this.result(pad(this.node, widths, value));
  }
}
