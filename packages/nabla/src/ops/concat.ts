// Joining along an axis; the derivative takes the cotangent apart again.
import { alignBatch, scalarLike } from "./broadcast.ts";
import { requireAxis } from "./check.ts";
import type { DType } from "./dtype.ts";
import { DTypeError, ShapeError } from "../errors/errors.ts";
import type { GraphNode } from "./graph.ts";
import { slice } from "./movement.ts";
import { apply, correctlyRounded, type Rule, type Sample } from "./rule.ts";
import { aval, inEveryDType, spread } from "./sample.ts";
import { formatShape, rowMajorStrides, type Shape } from "./shape.ts";
import { walk } from "./strided.ts";

function concatSample(shapes: readonly Shape[], axis: number, name?: string, dtype: DType = "float32"): Sample<"concat"> {
  return { inputs: shapes.map((shape, index) => spread(dtype, shape, 0, 9, index)), params: { axis }, ...(name === undefined ? {} : { name }) };
}

/** Joined along `axis`. */
export function concat(inputs: readonly GraphNode[], axis: number): GraphNode<"concat"> {
  return apply(concatRule, inputs, { axis });
}

export const concatRule: Rule<"concat"> = {
  op: "concat",
  kind: "assembly",
  cost: 1,
  shape: (inputs, { axis }) => {
    const first = inputs[0];
    if (first === undefined) throw new ShapeError("concat: nothing to concatenate.", "Pass at least one tensor.");
    requireAxis("concat", axis, first);
    let total = 0;
    for (const { shape, dtype } of inputs) {
      if (dtype !== first.dtype) throw new DTypeError(`concat: dtypes ${first.dtype} and ${dtype} differ.`, "Cast one of them first.");
      if (shape.length !== first.shape.length || shape.some((extent, at) => at !== axis && extent !== first.shape[at])) {
        throw new ShapeError(`concat: shapes ${formatShape(first.shape)} and ${formatShape(shape)} differ outside axis ${axis}.`, "All other axes must be equal.");
      }
      total += shape[axis]!;
    }
    return { shape: first.shape.with(axis, total), dtype: first.dtype };
  },
  reference: (inputs, { axis }, out) => {
    const strides = rowMajorStrides(out.shape);
    let offset = 0;
    for (const { shape, data } of inputs) {
      walk(shape, { offset: 0, strides: rowMajorStrides(shape) }, { offset, strides }, (i, o) => (out.data[o] = data[i]!));
      offset += shape[axis]! * strides[axis]!;
    }
  },
  roundingError: correctlyRounded,
  vjp: ({ inputs, params: { axis } }, cotangent) => {
    let at = 0;
    return inputs.map(({ shape }) => {
      const begin = shape.map(() => 0).with(axis, at);
      at += shape[axis]!;
      return slice(cotangent, begin, shape.with(axis, at));
    });
  },
  jvp: ({ inputs, params: { axis } }, tangents) =>
    concat(inputs.map((input, index) => tangents[index] ?? scalarLike(0, input)), axis),
  batch: (inputs, batched, { axis }, size) => concat(alignBatch(inputs, batched, size), axis + 1),
  samples: () => [
    concatSample([[2], [3]], 0),
    concatSample([[3, 7], [3, 1], [3, 17]], 1, "three, odd sizes"),
    concatSample([[1, 5], [2, 5]], 0, "outer axis"),
    concatSample([[2, 3, 5], [2, 1, 5]], 1, "middle axis"),
    concatSample([[4]], 0, "one"),
    concatSample([[0, 3], [2, 3]], 0, "one is empty"),
    concatSample([[0], [0]], 0, "empty"),
    ...inEveryDType((dtype) => concatSample([[2], [3]], 0, undefined, dtype)),
  ],
  errors: [
    { inputs: [], params: { axis: 0 }, message: /nothing to concatenate/ },
    { inputs: [aval("float32", 2, 3), aval("float32", 3, 3)], params: { axis: 1 }, message: /\[2, 3\] and \[3, 3\] differ outside axis 1/ },
    { inputs: [aval("float32", 2), aval("int32", 2)], params: { axis: 0 }, message: /dtypes float32 and int32 differ/ },
    { inputs: [aval("float32")], params: { axis: 0 }, message: /axis 0 is out of range for shape \[\]/ },
  ],
};
