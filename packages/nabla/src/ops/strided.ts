// Walking an index space with two strided views at once: how the reference evaluates movements and reductions.
import type { Shape } from "./shape.ts";

/** index = offset + Σ strides[axis]·coordinate[axis]. */
export interface View {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Calls `visit` with the index in each view, for every coordinate of `shape` in row-major order. */
export function walk(shape: Shape, a: View, b: View, visit: (a: number, b: number) => void): void {
  const step = (axis: number, indexA: number, indexB: number): void => {
    if (axis === shape.length) return visit(indexA, indexB);
    for (let i = 0; i < shape[axis]!; i++) step(axis + 1, indexA + i * a.strides[axis]!, indexB + i * b.strides[axis]!);
  };
  step(0, a.offset, b.offset);
}
