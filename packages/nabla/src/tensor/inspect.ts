// How a tensor prints: NumPy's layout, aligned columns, long axes summarised.
// float32 shows the shortest digits that matter: up to four decimals, or exponents where sizes differ much.
import type { DType, TypedArray } from "../ops/dtype.ts";
import { isFloating } from "../ops/dtype.ts";
import { formatShape, rowMajorStrides, type Shape, sizeOf } from "../ops/shape.ts";

/** More elements than this are summarised. */
const THRESHOLD = 1000;
/** Most digits after the point. */
const DECIMALS = 4;
/** Entries shown at each end of a summarised axis. */
const EDGE = 3;

/** `tensor([[1, 2], [3, 4]], shape=[2, 2], dtype=float32)`. */
export function formatTensor(data: TypedArray, shape: Shape, dtype: DType): string {
  const strides = rowMajorStrides(shape);
  const summarised = sizeOf(shape) > THRESHOLD;
  const shown = (extent: number): number[] => {
    const all = Array.from({ length: Math.min(extent, summarised && extent > 2 * EDGE ? 2 * EDGE : extent) }, (_, i) => i);
    return summarised && extent > 2 * EDGE ? all.map((i) => (i < EDGE ? i : extent - 2 * EDGE + i)) : all;
  };

  const visible: number[] = [];
  const collect = (axis: number, offset: number): void => {
    if (axis === shape.length) visible.push(data[offset]!);
    else for (const index of shown(shape[axis]!)) collect(axis + 1, offset + index * strides[axis]!);
  };
  if (sizeOf(shape) > 0) collect(0, 0);
  const format = elementFormat(visible, dtype);
  const width = visible.reduce((widest, value) => Math.max(widest, format(value).length), 0);

  const prefix = "tensor(";
  const render = (axis: number, offset: number): string => {
    if (axis === shape.length) return format(data[offset]!).padStart(width);
    const extent = shape[axis]!;
    const parts = shown(extent).map((index) => render(axis + 1, offset + index * strides[axis]!));
    if (parts.length < extent) parts.splice(EDGE, 0, "…");
    const inner = axis === shape.length - 1;
    const blankLines = "\n".repeat(shape.length - 1 - axis);
    return `[${parts.join(inner ? ", " : `,${blankLines}${" ".repeat(prefix.length + axis + 1)}`)}]`;
  };
  const body = sizeOf(shape) === 0 ? "[]" : render(0, 0);
  return `${prefix}${body}, shape=${formatShape(shape)}, dtype=${dtype})`;
}

/** How every visible element is written. */
function elementFormat(values: readonly number[], dtype: DType): (value: number) => string {
  if (dtype === "bool") return (value) => (value === 0 ? "false" : "true");
  if (!isFloating(dtype)) return String;
  const magnitudes = values.filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  const largest = magnitudes.reduce((a, b) => Math.max(a, b), 0);
  const smallest = magnitudes.reduce((a, b) => Math.min(a, b), Infinity);
  // NumPy's criterion for exponents, but that whole numbers are written out however different their sizes are.
  const scientific = largest >= 1e8 || (magnitudes.length > 0 && (smallest < 1e-4 || largest / smallest > 1000) && !values.every(Number.isInteger));
  const write = (value: number, decimals: number): string => (scientific ? exponential(value, decimals) : value.toFixed(decimals));
  const decimals = values.filter(Number.isFinite).reduce((most, value) => Math.max(most, decimalsOf(write(value, DECIMALS))), 0);
  return (value) => {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    return write(value, decimals);
  };
}

/** `1.5e-07`: exponents of two digits at least, so that columns line up. */
function exponential(value: number, decimals: number): string {
  return value.toExponential(decimals).replace(/e([+-])(\d)$/, "e$10$2");
}

/** Digits after the point that are needed. */
function decimalsOf(text: string): number {
  return /\.(\d*?)0*(?:e|$)/.exec(text)?.[1]!.length ?? 0;
}
