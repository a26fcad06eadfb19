// Primitives that move elements without computing. All are linear: jvp applies the movement to the tangent,
// vjp applies its transpose (reshape back, inverse permutation, sum, pad, slice).
import * as ops from "./build.ts";
import type { DType } from "./dtype.ts";
import type { GraphNode } from "./graph.ts";
import { infer } from "./infer.ts";
import type { Rule, Sample } from "./rule.ts";
import { aval, spread } from "./sample.ts";
import { rowMajorStrides, type Shape } from "./shape.ts";
import { walk } from "./strided.ts";

const everyDType: readonly DType[] = ["float64", "int32", "uint8", "bool"];

/** One more sample for each dtype but float32, which the others have. */
function inEveryDType<S extends object>(make: (dtype: DType) => S): (S & { name: string })[] {
  return everyDType.map((dtype) => ({ ...make(dtype), name: dtype }));
}

const zeros = (shape: Shape): number[] => shape.map(() => 0);

function reshapeSample(from: Shape, to: Shape, name?: string): Sample<"reshape"> {
  return { inputs: [spread("float32", from, -3, 3)], params: { shape: to }, ...(name === undefined ? {} : { name }) };
}

export const reshapeRule: Rule<"reshape"> = {
  shape: infer.reshape,
  reference: ([x], _, out) => out.data.set(x!.data),
  vjp: ({ inputs: [x] }, cotangent) => [ops.reshape(cotangent, x!.shape)],
  jvp: ({ params }, [tangent]) => ops.reshape(tangent!, params.shape),
  batch: ([x], _, { shape }, size) => ops.reshape(x!, [size, ...shape]),
  samples: () => [
    reshapeSample([2, 3], [3, 2]),
    reshapeSample([3, 7], [21]),
    reshapeSample([1, 1], [], "to a scalar"),
    reshapeSample([], [1, 1, 1], "from a scalar"),
    reshapeSample([17], [17], "same shape"),
    reshapeSample([2, 15], [3, 5, 2], "merges and splits"),
    reshapeSample([0, 3], [5, 0], "empty"),
    ...inEveryDType((dtype): Sample<"reshape"> => ({ inputs: [spread(dtype, [6], 0, 9)], params: { shape: [2, 3] } })),
  ],
  errors: [
    { inputs: [aval("float32", 2, 3)], params: { shape: [4] }, message: /\[2, 3\] \(6 elements\) does not fit \[4\] \(4\)/ },
    { inputs: [aval("float32", 4)], params: { shape: [-2, -2] }, message: /has -2 at axis 0/ },
  ],
};

function transposeSample(shape: Shape, permutation: readonly number[], name?: string): Sample<"transpose"> {
  return { inputs: [spread("float32", shape, -3, 3)], params: { permutation }, ...(name === undefined ? {} : { name }) };
}

export const transposeRule: Rule<"transpose"> = {
  shape: infer.transpose,
  reference: ([x], { permutation }, out) => {
    const strides = rowMajorStrides(x!.shape);
    const from = { offset: 0, strides: permutation.map((axis) => strides[axis]!) };
    walk(out.shape, from, { offset: 0, strides: rowMajorStrides(out.shape) }, (i, o) => (out.data[o] = x!.data[i]!));
  },
  vjp: ({ params: { permutation } }, cotangent) => [ops.transpose(cotangent, inverse(permutation))],
  jvp: ({ params }, [tangent]) => ops.transpose(tangent!, params.permutation),
  batch: ([x], _, { permutation }) => ops.transpose(x!, [0, ...permutation.map((axis) => axis + 1)]),
  samples: () => [
    transposeSample([2, 3], [1, 0]),
    transposeSample([7, 17], [1, 0], "odd sizes"),
    transposeSample([2, 3, 5], [2, 0, 1], "a cycle"),
    transposeSample([3, 1, 7], [1, 2, 0], "an axis of size 1"),
    transposeSample([2, 3, 2, 5], [0, 2, 1, 3], "middle axes"),
    transposeSample([3, 4], [0, 1], "identity"),
    transposeSample([], [], "scalar"),
    transposeSample([0, 3], [1, 0], "empty"),
    ...inEveryDType((dtype): Sample<"transpose"> => ({ inputs: [spread(dtype, [3, 2], 0, 9)], params: { permutation: [1, 0] } })),
  ],
  errors: [
    { inputs: [aval("float32", 2, 3)], params: { permutation: [0, 0] }, message: /\[0, 0\] is not a permutation of the axes of \[2, 3\]/ },
    { inputs: [aval("float32", 2, 3)], params: { permutation: [0] }, message: /is not a permutation/ },
  ],
};

/** The permutation that undoes `permutation`. */
function inverse(permutation: readonly number[]): number[] {
  return permutation.map((_, axis) => permutation.indexOf(axis));
}

function broadcastSample(from: Shape, to: Shape, name?: string): Sample<"broadcast"> {
  return { inputs: [spread("float32", from, -3, 3)], params: { shape: to }, ...(name === undefined ? {} : { name }) };
}

export const broadcastRule: Rule<"broadcast"> = {
  shape: infer.broadcast,
  reference: ([x], { shape }, out) => {
    const strides = rowMajorStrides(x!.shape).map((stride, axis) => (x!.shape[axis] === 1 ? 0 : stride));
    walk(shape, { offset: 0, strides }, { offset: 0, strides: rowMajorStrides(shape) }, (i, o) => (out.data[o] = x!.data[i]!));
  },
  vjp: ({ inputs: [x], params: { shape } }, cotangent) => {
    const grown = shape.flatMap((extent, axis) => (extent === x!.shape[axis] ? [] : [axis]));
    return [grown.length === 0 ? cotangent : ops.reshape(ops.sum(cotangent, grown), x!.shape)];
  },
  jvp: ({ params }, [tangent]) => ops.broadcast(tangent!, params.shape),
  batch: ([x], _, { shape }, size) => ops.broadcast(x!, [size, ...shape]),
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

interface SliceRange {
  readonly begin: readonly number[];
  readonly end: readonly number[];
  readonly step: readonly number[];
}

function sliceSample(shape: Shape, { begin, end, step }: SliceRange, name?: string): Sample<"slice"> {
  return { inputs: [spread("float32", shape, -3, 3)], params: { begin, end, step }, ...(name === undefined ? {} : { name }) };
}

export const sliceRule: Rule<"slice"> = {
  shape: infer.slice,
  reference: ([x], { begin, step }, out) => {
    const strides = rowMajorStrides(x!.shape);
    const from = { offset: begin.reduce((offset, index, axis) => offset + index * strides[axis]!, 0), strides: strides.map((stride, axis) => stride * step[axis]!) };
    walk(out.shape, from, { offset: 0, strides: rowMajorStrides(out.shape) }, (i, o) => (out.data[o] = x!.data[i]!));
  },
  vjp: ({ inputs: [x], params: { begin, step } }, cotangent) => {
    const spaced = spacedOut(cotangent, step);
    const after = x!.shape.map((extent, axis) => extent - begin[axis]! - spaced.shape[axis]!);
    return [ops.pad(spaced, begin, after)];
  },
  jvp: ({ params: { begin, end, step } }, [tangent]) => ops.slice(tangent!, begin, end, step),
  batch: ([x], _, { begin, end, step }, size) => ops.slice(x!, [0, ...begin], [size, ...end], [1, ...step]),
  samples: () => [
    sliceSample([5], { begin: [1], end: [4], step: [1] }),
    sliceSample([3, 7], { begin: [1, 2], end: [3, 6], step: [1, 1] }, "two axes"),
    sliceSample([17], { begin: [2], end: [17], step: [3] }, "steps to the end"),
    sliceSample([17], { begin: [1], end: [12], step: [5] }, "steps that leave a rest"),
    sliceSample([3, 7, 5], { begin: [0, 1, 0], end: [3, 7, 5], step: [2, 2, 3] }, "steps on every axis"),
    sliceSample([4], { begin: [2], end: [2], step: [1] }, "nothing"),
    sliceSample([7], { begin: [3], end: [4], step: [9] }, "a step beyond the end"),
    sliceSample([], { begin: [], end: [], step: [] }, "scalar"),
    ...inEveryDType((dtype): Sample<"slice"> => ({ inputs: [spread(dtype, [7], 0, 9)], params: { begin: [1], end: [6], step: [2] } })),
  ],
  errors: [
    { inputs: [aval("float32", 5)], params: { begin: [2], end: [6], step: [1] }, message: /2 to 6 by 1 does not lie in axis 0 of \[5\]/ },
    { inputs: [aval("float32", 5)], params: { begin: [0], end: [5], step: [0] }, message: /by 0 does not lie/ },
    { inputs: [aval("float32", 5, 5)], params: { begin: [0], end: [5], step: [1] }, message: /begin has 1 entries for shape \[5, 5\]/ },
  ],
};

/** `step` − 1 zeros between neighbours along each axis: the transpose of a stepped slice, but for its ends. */
function spacedOut(x: GraphNode, step: readonly number[]): GraphNode {
  return step.reduce((node, by, axis) => {
    const extent = node.shape[axis]!;
    if (by === 1 || extent < 2) return node;
    const split = ops.reshape(node, node.shape.toSpliced(axis + 1, 0, 1));
    const after = zeros(split.shape).with(axis + 1, by - 1);
    const merged = ops.reshape(ops.pad(split, zeros(split.shape), after), node.shape.with(axis, extent * by));
    return ops.slice(merged, zeros(merged.shape), merged.shape.with(axis, (extent - 1) * by + 1));
  }, x);
}

function padSample(shape: Shape, before: readonly number[], after: readonly number[], value: number, name?: string): Sample<"pad"> {
  return { inputs: [spread("float32", shape, -3, 3)], params: { before, after, value }, ...(name === undefined ? {} : { name }) };
}

export const padRule: Rule<"pad"> = {
  shape: infer.pad,
  reference: ([x], { before, value }, out) => {
    out.data.fill(value);
    const strides = rowMajorStrides(out.shape);
    const into = { offset: before.reduce((offset, width, axis) => offset + width * strides[axis]!, 0), strides };
    walk(x!.shape, { offset: 0, strides: rowMajorStrides(x!.shape) }, into, (i, o) => (out.data[o] = x!.data[i]!));
  },
  vjp: ({ inputs: [x], params: { before } }, cotangent) => [ops.slice(cotangent, before, before.map((width, axis) => width + x!.shape[axis]!))],
  jvp: ({ params: { before, after } }, [tangent]) => ops.pad(tangent!, before, after),
  batch: ([x], _, { before, after, value }) => ops.pad(x!, [0, ...before], [0, ...after], value),
  samples: () => [
    padSample([3], [1], [2], 0),
    padSample([3, 7], [1, 0], [0, 2], -1.5, "a value, one side an axis"),
    padSample([1, 1], [3, 3], [3, 3], 0, "all around"),
    padSample([2, 3, 5], [0, 1, 0], [0, 1, 0], 7, "middle axis"),
    padSample([0], [2], [1], 3, "nothing"),
    padSample([], [], [], 3, "scalar"),
    { ...padSample([4], [1], [1], -Infinity, "minus infinity"), differentiable: false },
    padSample([4], [0], [0], 1, "no width"),
    ...inEveryDType((dtype): Sample<"pad"> => ({ inputs: [spread(dtype, [3], 0, 9)], params: { before: [1], after: [2], value: 1 } })),
  ],
  errors: [
    { inputs: [aval("float32", 3)], params: { before: [-1], after: [0], value: 0 }, message: /-1 is not a width/ },
    { inputs: [aval("float32", 3, 2)], params: { before: [1], after: [1, 1], value: 0 }, message: /before has 1 entries for shape \[3, 2\]/ },
  ],
};

function concatSample(shapes: readonly Shape[], axis: number, name?: string, dtype: DType = "float32"): Sample<"concat"> {
  return { inputs: shapes.map((shape, index) => spread(dtype, shape, 0, 9, index)), params: { axis }, ...(name === undefined ? {} : { name }) };
}

export const concatRule: Rule<"concat"> = {
  shape: infer.concat,
  reference: (inputs, { axis }, out) => {
    const strides = rowMajorStrides(out.shape);
    let offset = 0;
    for (const { shape, data } of inputs) {
      walk(shape, { offset: 0, strides: rowMajorStrides(shape) }, { offset, strides }, (i, o) => (out.data[o] = data[i]!));
      offset += shape[axis]! * strides[axis]!;
    }
  },
  vjp: ({ inputs, params: { axis } }, cotangent) => {
    let at = 0;
    return inputs.map(({ shape }) => {
      const begin = zeros(shape).with(axis, at);
      at += shape[axis]!;
      return ops.slice(cotangent, begin, shape.with(axis, at));
    });
  },
  jvp: ({ inputs, params: { axis } }, tangents) =>
    ops.concat(inputs.map((input, index) => tangents[index] ?? ops.scalarLike(0, input)), axis),
  batch: (inputs, batched, { axis }, size) => ops.concat(ops.alignBatch(inputs, batched, size), axis + 1),
  samples: () => [
    concatSample([[2], [3]], 0),
    concatSample([[3, 7], [3, 1], [3, 17]], 1, "three, odd sizes"),
    concatSample([[1, 5], [2, 5]], 0, "outer axis"),
    concatSample([[2, 3, 5], [2, 1, 5]], 1, "middle axis"),
    concatSample([[4]], 0, "one"),
    concatSample([[0, 3], [2, 3]], 0, "one is empty"),
    concatSample([[0], [0]], 0, "empty"),
    ...everyDType.map((dtype) => concatSample([[2], [3]], 0, dtype, dtype)),
  ],
  errors: [
    { inputs: [], params: { axis: 0 }, message: /nothing to concatenate/ },
    { inputs: [aval("float32", 2, 3), aval("float32", 3, 3)], params: { axis: 1 }, message: /\[2, 3\] and \[3, 3\] differ outside axis 1/ },
    { inputs: [aval("float32", 2), aval("int32", 2)], params: { axis: 0 }, message: /dtypes float32 and int32 differ/ },
    { inputs: [aval("float32")], params: { axis: 0 }, message: /axis 0 is out of range for shape \[\]/ },
  ],
};
