// Host values for samples: given numbers, or numbers spread evenly over a range without repeating.
// The spread is the golden-ratio sequence, so neighbours differ and ties do not happen by accident.
import { type DType, hostArray, isFloating } from "./dtype.ts";
import type { Aval } from "./graph.ts";
import type { HostValue } from "./rule.ts";
import { type Shape, sizeOf } from "./shape.ts";

const GOLDEN_RATIO = 0.6180339887498949;
const SEED_STEP = 0.3819660112501052;

/** `values` in row-major order. */
export function host(dtype: DType, shape: Shape, values: readonly number[]): HostValue {
  const data = hostArray(dtype, sizeOf(shape));
  data.set(values);
  return { shape, dtype, data };
}

/** Values in [low, high); different seeds give different ones. Integers are rounded down; bool is whether the upper half was met. */
export function spread(dtype: DType, shape: Shape, low: number, high: number, seed = 0): HostValue {
  const values = Array.from({ length: sizeOf(shape) }, (_, index) => {
    const value = low + (high - low) * (((index + 1) * GOLDEN_RATIO + seed * SEED_STEP * 1.1) % 1);
    if (dtype === "bool") return 2 * value < low + high ? 0 : 1;
    return isFloating(dtype) ? value : Math.floor(value);
  });
  return host(dtype, shape, values);
}

/** The largest magnitude among the finite elements. */
export function largest({ data }: HostValue): number {
  return Float64Array.from(data).reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
}

/** Shape and dtype of an operand that must be refused. */
export function aval(dtype: DType, ...shape: number[]): Aval {
  return { shape, dtype };
}

const otherDTypes: readonly DType[] = ["float64", "int32", "uint8", "bool"];

/** One more sample for each dtype but float32, which the others have. */
export function inEveryDType<S extends object>(make: (dtype: DType) => S): (S & { name: string })[] {
  return otherDTypes.map((dtype) => ({ ...make(dtype), name: dtype }));
}
