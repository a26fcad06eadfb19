// Simplifies an index domain: drops axes of size 1, orders them for the stores, and merges neighbours every access walks as one.
// Also cuts a domain into units of work: the same pieces whatever the number of threads.
import { divideBy, type FunctionBuilder, remainderBy } from "./build.ts";
import type { Expr } from "./ir.ts";
import type { Access, Instruction, Store } from "../kernels/kernel.ts";

/** A simplified domain. New axis i stands for old axes that run as one; its strides are those of `axes[i]`. */
export interface Axes {
  readonly extents: readonly number[];
  readonly axes: readonly number[];
}

/** Strides of everything that walks the domain: accesses and index instructions. */
export function stridesOf(body: readonly Instruction[], stores: readonly Store[]): (readonly number[])[] {
  const strides = stores.map(({ access }) => access.strides);
  for (const instruction of body) {
    if (instruction.op === "load") strides.push(instruction.access.strides);
    else if (instruction.op === "index") strides.push(instruction.strides);
  }
  return strides;
}

/** Axes `order` of a domain, outermost first, merged where `strides` allow. At least one axis is left. */
export function mergeAxes(extents: readonly number[], order: readonly number[], strides: readonly (readonly number[])[]): Axes {
  const merged: { extent: number; axis: number }[] = [];
  for (const axis of order) {
    const extent = extents[axis]!;
    if (extent === 1) continue;
    const outer = merged.at(-1);
    if (outer !== undefined && strides.every((stride) => stride[outer.axis] === stride[axis]! * extent)) {
      outer.extent *= extent;
      outer.axis = axis;
    } else merged.push({ extent, axis });
  }
  // One axis is always there; it walks nothing.
  if (merged.length === 0) merged.push({ extent: 1, axis: -1 });
  return { extents: merged.map(({ extent }) => extent), axes: merged.map(({ axis }) => axis) };
}

/** Axes by descending stride of the first store, so that the innermost is the one it walks contiguously. */
export function storeOrder(rank: number, stores: readonly Store[]): number[] {
  const strides = stores[0]?.access.strides ?? [];
  return Array.from({ length: rank }, (_, axis) => axis).sort((a, b) => Math.abs(strides[b] ?? 0) - Math.abs(strides[a] ?? 0) || a - b);
}

const pick = (strides: readonly number[], axes: readonly number[]): number[] => axes.map((axis) => strides[axis] ?? 0);

const remapAccess = (access: Access, axes: readonly number[]): Access => ({ ...access, strides: pick(access.strides, axes) });

/** The body with axis i of its domain being old axis `axes[i]`. */
export function remapBody(body: readonly Instruction[], axes: readonly number[]): Instruction[] {
  return body.map((instruction) => {
    if (instruction.op === "load") return { ...instruction, access: remapAccess(instruction.access, axes) };
    if (instruction.op === "index") return { ...instruction, strides: pick(instruction.strides, axes) };
    return instruction;
  });
}

export function remapStores(stores: readonly Store[], axes: readonly number[]): Store[] {
  return stores.map((store) => ({ ...store, access: remapAccess(store.access, axes) }));
}

/** Least and most elements of a unit: enough to pay for its set-up, few enough to share out. */
const smallestUnit = 4096;
const largestUnit = 16384;

/** Elements a unit should have, of `total`. */
export function unitSize(total: number): number {
  return Math.max(smallestUnit, Math.min(largestUnit, Math.ceil(total / 16)));
}

/** Coordinates of row-major position `linear` in axes 0, 1, … of `extents`. */
export function coordinatesOf(f: FunctionBuilder, linear: Expr, extents: readonly number[]): (readonly [number, Expr])[] {
  const coordinates: [number, Expr][] = [];
  let rest = linear;
  for (let axis = extents.length - 1; axis >= 0; axis--) {
    const extent = extents[axis]!;
    coordinates.push([axis, f.let("coordinate", axis === 0 ? rest : remainderBy(rest, extent))]);
    if (axis > 0) rest = f.let("rest", divideBy(rest, extent));
  }
  return coordinates;
}
