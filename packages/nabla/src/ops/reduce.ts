// Reductions over axes, which they drop. Ties of max share the cotangent evenly, as PyTorch's amax does.
import * as ops from "./build.ts";
import type { DType } from "./dtype.ts";
import type { GraphNode, OpParams } from "./graph.ts";
import { infer } from "./infer.ts";
import type { ErrorSample, HostValue, Rule, Sample } from "./rule.ts";
import { aval, host, spread } from "./sample.ts";
import { rowMajorStrides, type Shape } from "./shape.ts";
import { walk } from "./strided.ts";

type Reduction = { readonly axes: readonly number[] };
/** sum and max have the same parameters, so they share cases; Pick makes the types structural. */
type ReduceSample = Pick<Sample<"sum">, keyof Sample<"sum">>;
type ReduceError = Pick<ErrorSample<"sum">, keyof ErrorSample<"sum">>;

/** Folds every element of `x` into the accumulator its output index has. */
function fold(x: HostValue, { axes }: Reduction, visit: (element: number, out: number) => void): void {
  const kept = rowMajorStrides(x.shape.filter((_, axis) => !axes.includes(axis)));
  let next = 0;
  const strides = x.shape.map((_, axis) => (axes.includes(axis) ? 0 : kept[next++]!));
  walk(x.shape, { offset: 0, strides: rowMajorStrides(x.shape) }, { offset: 0, strides }, (i, o) => visit(x.data[i]!, o));
}

const shifted = (axes: readonly number[]): number[] => axes.map((axis) => axis + 1);

function reduceSample(dtype: DType, shape: Shape, axes: readonly number[], name?: string): ReduceSample {
  return { inputs: [spread(dtype, shape, -5, 5)], params: { axes }, ...(name === undefined ? {} : { name }) };
}

const samples = (): readonly ReduceSample[] => [
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

const errors: readonly ReduceError[] = [
  { inputs: [aval("float32", 2, 3)], params: { axes: [2] }, message: /axis 2 is out of range for shape \[2, 3\]/ },
  { inputs: [aval("float32", 2, 3)], params: { axes: [1, 0] }, message: /\[1, 0\] are not ascending/ },
  { inputs: [aval("float32", 2, 3)], params: { axes: [] }, message: /no axes given/ },
  { inputs: [aval("bool", 2)], params: { axes: [0] }, message: /not bool/ },
];

export const sumRule: Rule<"sum"> = {
  shape: infer.sum,
  reference: ([x], params, out) => {
    const totals = new Float64Array(out.data.length);
    fold(x!, params, (element, index) => (totals[index]! += element));
    out.data.set(totals);
  },
  vjp: ({ inputs: [x], params: { axes } }, cotangent) => [ops.restoreAxes(cotangent, axes, x!.shape)],
  jvp: ({ params }, [tangent]) => ops.sum(tangent!, params.axes),
  batch: ([x], _, { axes }) => ops.sum(x!, shifted(axes)),
  samples: () => [
    ...samples(),
    { inputs: [host("int32", [3], [2147483647, 1, 5])], params: { axes: [0] }, name: "int32 wraps" },
    reduceSample("float32", [1, 997], [1], "long"),
    reduceSample("float32", [997, 3], [0], "long outer"),
  ],
  errors,
};

/** Where `x` equals its maximum, and how many places tie for it. */
function winners(x: GraphNode, output: GraphNode, { axes }: OpParams["max"]): { chosen: GraphNode; count: GraphNode } {
  const chosen = ops.equal(x, ops.restoreAxes(output, axes, x.shape));
  return { chosen, count: ops.sum(ops.cast(chosen, x.dtype), axes) };
}

export const maxRule: Rule<"max"> = {
  shape: infer.max,
  reference: ([x], params, out) => {
    out.data.fill(out.dtype === "int32" ? -(2 ** 31) : -Infinity);
    fold(x!, params, (element, index) => (out.data[index] = Math.max(out.data[index]!, element)));
  },
  vjp: ({ inputs: [x], output, params }, cotangent) => {
    const { chosen, count } = winners(x!, output, params);
    const shared = ops.restoreAxes(ops.div(cotangent, count), params.axes, x!.shape);
    return [ops.select(chosen, shared, ops.scalarLike(0, shared))];
  },
  jvp: ({ inputs: [x], output, params }, [tangent]) => {
    const { chosen, count } = winners(x!, output, params);
    return ops.div(ops.sum(ops.select(chosen, tangent!, ops.scalarLike(0, tangent!)), params.axes), count);
  },
  batch: ([x], _, { axes }) => ops.max(x!, shifted(axes)),
  samples: () => [...samples(), { inputs: [host("float32", [2, 3], [1, 3, 3, 2, 2, 2])], params: { axes: [1] }, name: "ties", differentiable: false }],
  errors,
};

function argmaxSample(dtype: DType, shape: Shape, axis: number, name?: string): Sample<"argmax"> {
  return { inputs: [spread(dtype, shape, -50, 50)], params: { axis }, ...(name === undefined ? {} : { name }) };
}

export const argmaxRule: Rule<"argmax"> = {
  shape: infer.argmax,
  reference: ([x], { axis }, out) => {
    const { shape, data } = x!;
    const inner = rowMajorStrides(shape)[axis]!;
    const extent = shape[axis]!;
    for (let o = 0; o < out.data.length; o++) {
      const start = Math.floor(o / inner) * inner * extent + (o % inner);
      let best = 0;
      for (let i = 1; i < extent; i++) if (data[start + i * inner]! > data[start + best * inner]!) best = i;
      out.data[o] = best;
    }
  },
  vjp: "none",
  jvp: "none",
  batch: ([x], _, { axis }) => ops.argmax(x!, axis + 1),
  samples: () => [
    argmaxSample("float32", [2, 3], 1),
    argmaxSample("float32", [7, 3], 0, "outer axis"),
    argmaxSample("float32", [3, 17, 5], 1, "middle axis, odd sizes"),
    argmaxSample("float32", [997], 0, "long"),
    argmaxSample("float32", [3, 1], 1, "one candidate"),
    argmaxSample("float32", [0, 3], 1, "empty"),
    argmaxSample("float64", [3, 7], 1, "float64"),
    argmaxSample("int32", [3, 7], 1, "int32"),
    { inputs: [host("float32", [2, 5], [1, 3, 3, 2, 3, 0, 0, 0, 0, 0])], params: { axis: 1 }, name: "the first of equals" },
    { inputs: [host("float32", [2, 3], [-Infinity, -5, -Infinity, -Infinity, -Infinity, -Infinity])], params: { axis: 1 }, name: "minus infinity" },
    { inputs: [host("int32", [1, 3], [-2147483648, -2147483648, -2147483648])], params: { axis: 1 }, name: "least int32" },
  ],
  errors: [
    { inputs: [aval("float32", 2, 3)], params: { axis: -1 }, message: /axis -1 is out of range for shape \[2, 3\]/ },
    { inputs: [aval("float32", 2, 0)], params: { axis: 1 }, message: /axis 1 of \[2, 0\] is empty/ },
    { inputs: [aval("bool", 2)], params: { axis: 0 }, message: /not bool/ },
  ],
};
