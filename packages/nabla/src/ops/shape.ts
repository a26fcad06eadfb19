// Shape algebra: sizes, row-major strides, broadcasting, axis checks.
// Pure functions over arrays of integers; every message names the shapes it saw.
import { ShapeError } from "../errors/errors.ts";

/** Sizes of the axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (let axis = 0; axis < shape.length; axis++) size *= shape[axis]!;
  return size;
}

/** Row-major strides in elements. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** `[2, 3]`, as errors and inspection print it. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** NumPy broadcasting of two shapes; throws {@link ShapeError} naming `operation`, both shapes and the axis. */
export function broadcastShapes(operation: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const result = new Array<number>(rank);
  for (let fromEnd = 1; fromEnd <= rank; fromEnd++) {
    const extentA = a[a.length - fromEnd] ?? 1;
    const extentB = b[b.length - fromEnd] ?? 1;
    if (extentA !== extentB && extentA !== 1 && extentB !== 1) {
      throw new ShapeError(
        `${operation}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast: axis -${fromEnd} has ${extentA} and ${extentB}.`,
        "Make the two sizes equal, or one of them 1 (reshape inserts axes of size 1).",
      );
    }
    result[rank - fromEnd] = extentA === 1 ? extentB : extentA;
  }
  return result;
}

/** Resolves a possibly negative axis against `rank`; throws {@link ShapeError} when out of range. */
export function normaliseAxis(operation: string, axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= rank) {
    throw new ShapeError(
      `${operation}: axis ${axis} is out of range for a tensor of rank ${rank}.`,
      rank === 0 ? "A scalar has no axes." : `Use an axis from ${-rank} to ${rank - 1}.`,
    );
  }
  return resolved;
}
