// Broadcast and its transpose, the sum: each is the other's derivative, so they share a file.
// Below them what rules make of broadcasts: filled, restored and repeated values.
import { requireEntries, requireShape } from "./check.ts";
import { ShapeError } from "../errors/errors.ts";
import { errors, fold, reduceSample, reduction, samples, shifted } from "./fold.ts";
import type { Aval, GraphNode } from "./graph.ts";
import { constant } from "./leaf.ts";
import { reshape } from "./movement.ts";
import { apply, correctlyRounded, type Rule, type Sample } from "./rule.ts";
import { aval, host, inEveryDType, largest, spread } from "./sample.ts";
import { formatShape, rowMajorStrides, sameShape, type Shape, sizeOf } from "./shape.ts";
import { walk } from "./strided.ts";

function broadcastSample(from: Shape, to: Shape, name?: string): Sample<"broadcast"> {
  return { inputs: [spread("float32", from, -3, 3)], params: { shape: to }, ...(name === undefined ? {} : { name }) };
}

/** Grows axes of size 1; the rank stays. */
export function broadcast(x: GraphNode, shape: Shape): GraphNode<"broadcast"> {
  return apply(broadcastRule, [x], { shape });
}

export const broadcastRule: Rule<"broadcast"> = {
  op: "broadcast",
  kind: "movement",
  cost: 0,
  shape: ([x], { shape }) => {
    requireShape("broadcast", shape);
    requireEntries("broadcast", "the target", shape, x!);
    const axis = shape.findIndex((extent, at) => x!.shape[at] !== extent && x!.shape[at] !== 1);
    if (axis >= 0) {
      throw new ShapeError(
        `broadcast: ${formatShape(x!.shape)} does not grow to ${formatShape(shape)}: axis ${axis} has ${x!.shape[axis]}, not 1.`,
        "Only axes of size 1 grow.",
      );
    }
    return { shape, dtype: x!.dtype };
  },
  reference: ([x], { shape }, out) => {
    const strides = rowMajorStrides(x!.shape).map((stride, axis) => (x!.shape[axis] === 1 ? 0 : stride));
    walk(shape, { offset: 0, strides }, { offset: 0, strides: rowMajorStrides(shape) }, (i, o) => (out.data[o] = x!.data[i]!));
  },
  roundingError: correctlyRounded,
  vjp: ({ inputs: [x], params: { shape } }, cotangent) => {
    const grown = shape.flatMap((extent, axis) => (extent === x!.shape[axis] ? [] : [axis]));
    return [grown.length === 0 ? cotangent : reshape(sum(cotangent, grown), x!.shape)];
  },
  jvp: ({ params }, [tangent]) => broadcast(tangent!, params.shape),
  batch: ([x], _, { shape }, size) => broadcast(x!, [size, ...shape]),
  samples: () => [
    broadcastSample([1, 3], [2, 3]),
    broadcastSample([7, 1], [7, 17], "odd sizes"),
    broadcastSample([1, 1], [3, 5], "both axes"),
    broadcastSample([2, 1, 3], [2, 5, 3], "middle axis"),
    broadcastSample([4], [4], "same shape"),
    broadcastSample([1], [0], "to nothing"),
    ...inEveryDType((dtype): Sample<"broadcast"> => ({ inputs: [spread(dtype, [3, 1], 0, 9)], params: { shape: [3, 2] } })),
  ],
  errors: [
    { inputs: [aval("float32", 2, 3)], params: { shape: [2, 4] }, message: /\[2, 3\] does not grow to \[2, 4\]: axis 1 has 3, not 1/ },
    { inputs: [aval("float32", 3)], params: { shape: [2, 3] }, message: /the target has 2 entries for shape \[3\]/ },
  ],
};

/** Drops `axes`, which are ascending and at least one. */
export function sum(x: GraphNode, axes: readonly number[]): GraphNode<"sum"> {
  return apply(sumRule, [x], { axes });
}

export const sumRule: Rule<"sum"> = {
  op: "sum",
  kind: "reduction",
  cost: 1,
  shape: reduction("sum"),
  reference: ([x], params, out) => {
    const totals = new Float64Array(out.data.length);
    fold(x!, params, (element, index) => (totals[index]! += element));
    out.data.set(totals);
  },
  roundingError: {
    relative: 1,
    absolute: ([x], out) => (sizeOf(x!.shape) / Math.max(1, sizeOf(out.shape))) * largest(x!),
  },
  vjp: ({ inputs: [x], params: { axes } }, cotangent) => [restoreAxes(cotangent, axes, x!.shape)],
  jvp: ({ params }, [tangent]) => sum(tangent!, params.axes),
  batch: ([x], _, { axes }) => sum(x!, shifted(axes)),
  samples: () => [
    ...samples(),
    { inputs: [host("int32", [3], [2147483647, 1, 5])], params: { axes: [0] }, name: "int32 wraps" },
    reduceSample("float32", [1, 997], [1], "long"),
    reduceSample("float32", [997, 3], [0], "long outer"),
  ],
  errors,
};

/** `value` in the shape and dtype of `like`. */
export function scalarLike(value: number, { shape, dtype }: Aval): GraphNode {
  const scalar = constant(value, dtype);
  return shape.length === 0 ? scalar : broadcast(reshape(scalar, shape.map(() => 1)), shape);
}

/** `x`, which lacks `axes` of `shape`, repeated along them: the dual of a reduction. */
export function restoreAxes(x: GraphNode, axes: readonly number[], shape: Shape): GraphNode {
  const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const aligned = reshape(x, kept);
  return sameShape(kept, shape) ? aligned : broadcast(aligned, shape);
}

/** `x` with a leading axis along which it repeats. */
export function repeat(x: GraphNode, size: number): GraphNode {
  return broadcast(reshape(x, [1, ...x.shape]), [size, ...x.shape]);
}

/** Operands of one batched primitive: those without the batch axis gain it by repetition. */
export function alignBatch(inputs: readonly GraphNode[], batched: readonly boolean[], size: number): GraphNode[] {
  return inputs.map((input, index) => (batched[index] ? input : repeat(input, size)));
}
