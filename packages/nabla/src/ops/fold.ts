// What sum and max share: the axes that drop out, the walk over the elements, cases and refusals.
import { requireAxis, requireSigned } from "./check.ts";
import type { DType } from "./dtype.ts";
import { ShapeError } from "../errors/errors.ts";
import type { Aval, OpParams } from "./graph.ts";
import type { ErrorSample, HostValue, Sample } from "./rule.ts";
import { aval, host, spread } from "./sample.ts";
import { rowMajorStrides, type Shape } from "./shape.ts";
import { walk } from "./strided.ts";

/** The axes drop out. */
export function reduction(op: "sum" | "max"): (inputs: readonly Aval[], params: OpParams["sum"]) => Aval {
  return ([x], { axes }) => {
    requireSigned(op, x!);
    if (axes.length === 0) throw new ShapeError(`${op}: no axes given.`, "Name at least one; to reduce nothing, leave it out.");
    axes.forEach((axis, index) => {
      requireAxis(op, axis, x!);
      if (index > 0 && axis <= axes[index - 1]!) throw new ShapeError(`${op}: axes [${axes.join(", ")}] are not ascending and distinct.`, "Sort them and name each once.");
    });
    return { shape: x!.shape.filter((_, axis) => !axes.includes(axis)), dtype: x!.dtype };
  };
}

type Reduction = { readonly axes: readonly number[] };
/** sum and max have the same parameters, so they share cases; Pick makes the types structural. */
export type ReduceSample = Pick<Sample<"sum">, keyof Sample<"sum">>;
export type ReduceError = Pick<ErrorSample<"sum">, keyof ErrorSample<"sum">>;

/** Folds every element of `x` into the accumulator its output index has. */
export function fold(x: HostValue, { axes }: Reduction, visit: (element: number, out: number) => void): void {
  const kept = rowMajorStrides(x.shape.filter((_, axis) => !axes.includes(axis)));
  let next = 0;
  const strides = x.shape.map((_, axis) => (axes.includes(axis) ? 0 : kept[next++]!));
  walk(x.shape, { offset: 0, strides: rowMajorStrides(x.shape) }, { offset: 0, strides }, (i, o) => visit(x.data[i]!, o));
}

/** The axes where a batch axis comes first. */
export const shifted = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);

export function reduceSample(dtype: DType, shape: Shape, axes: readonly number[], name?: string): ReduceSample {
  return { inputs: [spread(dtype, shape, -5, 5)], params: { axes }, ...(name === undefined ? {} : { name }) };
}

export const samples = (): readonly ReduceSample[] => [
  reduceSample("float32", [2, 3], [1]),
  reduceSample("float32", [3, 7], [0], "outer axis"),
  reduceSample("float32", [17], [0], "to a scalar"),
  reduceSample("float32", [3, 5, 7], [1], "middle axis, odd sizes"),
  reduceSample("float32", [3, 5, 7], [0, 2], "two axes apart"),
  reduceSample("float32", [2, 3, 4], [0, 1, 2], "all axes"),
  reduceSample("float32", [1, 1], [0], "an axis of size 1"),
  reduceSample("float32", [0, 3], [1], "empty"),
  { ...reduceSample("float32", [3, 0], [1], "over nothing"), differentiable: false },
  reduceSample("float64", [3, 7], [1], "float64"),
  reduceSample("int32", [3, 7], [1], "int32"),
  { inputs: [host("float32", [2, 3], [1, NaN, 2, Infinity, 1, -Infinity])], params: { axes: [1] }, name: "not finite", differentiable: false },
];

export const errors: readonly ReduceError[] = [
  { inputs: [aval("float32", 2, 3)], params: { axes: [2] }, message: /axis 2 is out of range for shape \[2, 3\]/ },
  { inputs: [aval("float32", 2, 3)], params: { axes: [1, 0] }, message: /\[1, 0\] are not ascending/ },
  { inputs: [aval("float32", 2, 3)], params: { axes: [] }, message: /no axes given/ },
  { inputs: [aval("bool", 2)], params: { axes: [0] }, message: /not bool/ },
];
