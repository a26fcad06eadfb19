// The maximum over axes, which it drops, and its place. Ties of max share the cotangent evenly, as PyTorch's amax does.
// The sum lives in broadcast.ts, beside its transpose.
import { restoreAxes, scalarLike, sum } from "./broadcast.ts";
import { requireAxis, requireSigned } from "./check.ts";
import type { DType } from "./dtype.ts";
import { cast, div, equal, select } from "./elementwise.ts";
import { ShapeError } from "../errors/errors.ts";
import { errors, fold, reduction, samples, shifted } from "./fold.ts";
import type { GraphNode, OpParams } from "./graph.ts";
import { apply, correctlyRounded, type Rule, type Sample } from "./rule.ts";
import { aval, host, spread } from "./sample.ts";
import { formatShape, rowMajorStrides, type Shape } from "./shape.ts";

/** Where `x` equals its maximum, and how many places tie for it. */
function winners(x: GraphNode, output: GraphNode, { axes }: OpParams["max"]): { chosen: GraphNode; count: GraphNode } {
  const chosen = equal(x, restoreAxes(output, axes, x.shape));
  return { chosen, count: sum(cast(chosen, x.dtype), axes) };
}

/** Drops `axes`, which are ascending and at least one. */
export function max(x: GraphNode, axes: readonly number[]): GraphNode<"max"> {
  return apply(maxRule, [x], { axes });
}

export const maxRule: Rule<"max"> = {
  op: "max",
  kind: "reduction",
  cost: 1,
  shape: reduction("max"),
  reference: ([x], params, out) => {
    out.data.fill(out.dtype === "int32" ? -(2 ** 31) : -Infinity);
    fold(x!, params, (element, index) => (out.data[index] = Math.max(out.data[index]!, element)));
  },
  roundingError: correctlyRounded,
  vjp: ({ inputs: [x], output, params }, cotangent) => {
    const { chosen, count } = winners(x!, output, params);
    const shared = restoreAxes(div(cotangent, count), params.axes, x!.shape);
    return [select(chosen, shared, scalarLike(0, shared))];
  },
  jvp: ({ inputs: [x], output, params }, [tangent]) => {
    const { chosen, count } = winners(x!, output, params);
    return div(sum(select(chosen, tangent!, scalarLike(0, tangent!)), params.axes), count);
  },
  batch: ([x], _, { axes }) => max(x!, shifted(axes)),
  samples: () => [...samples(), { inputs: [host("float32", [2, 3], [1, 3, 3, 2, 2, 2])], params: { axes: [1] }, name: "ties", differentiable: false }],
  errors,
};

function argmaxSample(dtype: DType, shape: Shape, axis: number, name?: string): Sample<"argmax"> {
  return { inputs: [spread(dtype, shape, -50, 50)], params: { axis }, ...(name === undefined ? {} : { name }) };
}

/** NaN is above every number, as NumPy has it. */
const exceeds = (a: number, b: number): boolean => a > b || (Number.isNaN(a) && !Number.isNaN(b));

/** First position of the maximum along `axis`, int32; of the first NaN, if there is one. */
export function argmax(x: GraphNode, axis: number): GraphNode<"argmax"> {
  return apply(argmaxRule, [x], { axis });
}

export const argmaxRule: Rule<"argmax"> = {
  op: "argmax",
  kind: "reduction",
  cost: 1,
  shape: ([x], { axis }) => {
    requireSigned("argmax", x!);
    requireAxis("argmax", axis, x!);
    if (x!.shape[axis] === 0) throw new ShapeError(`argmax: axis ${axis} of ${formatShape(x!.shape)} is empty.`, "The maximum of nothing has no place.");
    return { shape: x!.shape.toSpliced(axis, 1), dtype: "int32" };
  },
  reference: ([x], { axis }, out) => {
    const { shape, data } = x!;
    const inner = rowMajorStrides(shape)[axis]!;
    const extent = shape[axis]!;
    for (let o = 0; o < out.data.length; o++) {
      const start = Math.floor(o / inner) * inner * extent + (o % inner);
      let best = 0;
      for (let i = 1; i < extent; i++) if (exceeds(data[start + i * inner]!, data[start + best * inner]!)) best = i;
      out.data[o] = best;
    }
  },
  roundingError: correctlyRounded,
  vjp: "none",
  jvp: "none",
  batch: ([x], _, { axis }) => argmax(x!, axis + 1),
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
    ...(["float32", "float64"] as const).map((dtype) =>
      ({ inputs: [host(dtype, [4, 9], Array.from({ length: 36 }, (_, i) => ([3, 11, 13, 18, 35].includes(i) ? NaN : i === 5 ? Infinity : (i * 7) % 10)))], params: { axis: 1 }, name: `the first NaN, ${dtype}` })),
    { inputs: [host("float32", [3, 5], [1, NaN, 3, 4, 5, NaN, 2, 3, 9, 5, 1, NaN, 3, 4, NaN])], params: { axis: 0 }, name: "the first NaN of columns" },
    { inputs: [host("int32", [1, 3], [-2147483648, -2147483648, -2147483648])], params: { axis: 1 }, name: "least int32" },
  ],
  errors: [
    { inputs: [aval("float32", 2, 3)], params: { axis: -1 }, message: /axis -1 is out of range for shape \[2, 3\]/ },
    { inputs: [aval("float32", 2, 0)], params: { axis: 1 }, message: /axis 1 of \[2, 0\] is empty/ },
    { inputs: [aval("bool", 2)], params: { axis: 0 }, message: /not bool/ },
  ],
};
