// Primitives that move elements without computing. All are linear: jvp applies the movement to the tangent,
// vjp applies its transpose (reshape back, inverse permutation, pad for slice, slice for pad).
import { requireAxis, requireEntries, requireShape, requireValue } from "./check.ts";
import { ShapeError } from "../errors/errors.ts";
import type { GraphNode } from "./graph.ts";
import { apply, correctlyRounded, type Rule, type Sample } from "./rule.ts";
import { aval, inEveryDType, spread } from "./sample.ts";
import { formatShape, rowMajorStrides, type Shape, sizeOf } from "./shape.ts";
import { walk } from "./strided.ts";

const zeros = (shape: Shape): number[] => shape.map(() => 0);

function reshapeSample(from: Shape, to: Shape, name?: string): Sample<"reshape"> {
  return { inputs: [spread("float32", from, -3, 3)], params: { shape: to }, ...(name === undefined ? {} : { name }) };
}

export function reshape(x: GraphNode, shape: Shape): GraphNode<"reshape"> {
  return apply(reshapeRule, [x], { shape });
}

export const reshapeRule: Rule<"reshape"> = {
  op: "reshape",
  kind: "movement",
  cost: 0,
  shape: ([x], { shape }) => {
    requireShape("reshape", shape);
    if (sizeOf(shape) !== sizeOf(x!.shape)) {
      throw new ShapeError(
        `reshape: ${formatShape(x!.shape)} (${sizeOf(x!.shape)} elements) does not fit ${formatShape(shape)} (${sizeOf(shape)}).`,
        "The number of elements must stay the same.",
      );
    }
    return { shape, dtype: x!.dtype };
  },
  reference: ([x], _, out) => out.data.set(x!.data),
  roundingError: correctlyRounded,
  vjp: ({ inputs: [x] }, cotangent) => [reshape(cotangent, x!.shape)],
  jvp: ({ params }, [tangent]) => reshape(tangent!, params.shape),
  batch: ([x], _, { shape }, size) => reshape(x!, [size, ...shape]),
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

/** Output axis i is input axis permutation[i]. */
export function transpose(x: GraphNode, permutation: readonly number[]): GraphNode<"transpose"> {
  return apply(transposeRule, [x], { permutation });
}

export const transposeRule: Rule<"transpose"> = {
  op: "transpose",
  kind: "movement",
  cost: 0,
  shape: ([x], { permutation }) => {
    const isPermutation = permutation.length === x!.shape.length && x!.shape.every((_, axis) => permutation.includes(axis));
    if (!isPermutation) {
      throw new ShapeError(`transpose: [${permutation.join(", ")}] is not a permutation of the axes of ${formatShape(x!.shape)}.`, "Name each axis once.");
    }
    return { shape: permutation.map((axis) => x!.shape[axis]!), dtype: x!.dtype };
  },
  reference: ([x], { permutation }, out) => {
    const strides = rowMajorStrides(x!.shape);
    const from = { offset: 0, strides: permutation.map((axis) => strides[axis]!) };
    walk(out.shape, from, { offset: 0, strides: rowMajorStrides(out.shape) }, (i, o) => (out.data[o] = x!.data[i]!));
  },
  roundingError: correctlyRounded,
  vjp: ({ params: { permutation } }, cotangent) => [transpose(cotangent, inverse(permutation))],
  jvp: ({ params }, [tangent]) => transpose(tangent!, params.permutation),
  batch: ([x], _, { permutation }) => transpose(x!, [0, ...permutation.map((axis) => axis + 1)]),
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

interface SliceRange {
  readonly begin: readonly number[];
  readonly end: readonly number[];
  readonly step: readonly number[];
}

function sliceSample(shape: Shape, { begin, end, step }: SliceRange, name?: string): Sample<"slice"> {
  return { inputs: [spread("float32", shape, -3, 3)], params: { begin, end, step }, ...(name === undefined ? {} : { name }) };
}

/** begin ≤ index < end, every `step`-th, one entry an axis; steps are 1 by default. */
export function slice(x: GraphNode, begin: readonly number[], end: readonly number[], step?: readonly number[]): GraphNode<"slice"> {
  return apply(sliceRule, [x], { begin, end, step: step ?? x.shape.map(() => 1) });
}

export const sliceRule: Rule<"slice"> = {
  op: "slice",
  kind: "movement",
  cost: 0,
  shape: ([x], { begin, end, step }) => {
    requireEntries("slice", "begin", begin, x!);
    requireEntries("slice", "end", end, x!);
    requireEntries("slice", "step", step, x!);
    const shape = x!.shape.map((extent, axis) => {
      const [from, to, by] = [begin[axis]!, end[axis]!, step[axis]!];
      if (![from, to, by].every(Number.isInteger) || from < 0 || to < from || to > extent || by < 1) {
        throw new ShapeError(`slice: ${from} to ${to} by ${by} does not lie in axis ${axis} of ${formatShape(x!.shape)}.`, "0 ≤ begin ≤ end ≤ size and step ≥ 1.");
      }
      return Math.ceil((to - from) / by);
    });
    return { shape, dtype: x!.dtype };
  },
  reference: ([x], { begin, step }, out) => {
    const strides = rowMajorStrides(x!.shape);
    const from = { offset: begin.reduce((offset, index, axis) => offset + index * strides[axis]!, 0), strides: strides.map((stride, axis) => stride * step[axis]!) };
    walk(out.shape, from, { offset: 0, strides: rowMajorStrides(out.shape) }, (i, o) => (out.data[o] = x!.data[i]!));
  },
  roundingError: correctlyRounded,
  vjp: ({ inputs: [x], params: { begin, step } }, cotangent) => {
    const spaced = spacedOut(cotangent, step);
    const after = x!.shape.map((extent, axis) => extent - begin[axis]! - spaced.shape[axis]!);
    return [pad(spaced, begin, after)];
  },
  jvp: ({ params: { begin, end, step } }, [tangent]) => slice(tangent!, begin, end, step),
  batch: ([x], _, { begin, end, step }, size) => slice(x!, [0, ...begin], [size, ...end], [1, ...step]),
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
    const split = reshape(node, node.shape.toSpliced(axis + 1, 0, 1));
    const after = zeros(split.shape).with(axis + 1, by - 1);
    const merged = reshape(pad(split, zeros(split.shape), after), node.shape.with(axis, extent * by));
    return slice(merged, zeros(merged.shape), merged.shape.with(axis, (extent - 1) * by + 1));
  }, x);
}

function flipSample(shape: Shape, axes: readonly number[], name?: string): Sample<"flip"> {
  return { inputs: [spread("float32", shape, -3, 3)], params: { axes }, ...(name === undefined ? {} : { name }) };
}

/** The entries of `axes`, ascending, in reverse. */
export function flip(x: GraphNode, axes: readonly number[]): GraphNode<"flip"> {
  return apply(flipRule, [x], { axes });
}

export const flipRule: Rule<"flip"> = {
  op: "flip",
  kind: "movement",
  cost: 0,
  shape: ([x], { axes }) => {
    axes.forEach((axis, index) => {
      requireAxis("flip", axis, x!);
      if (index > 0 && axis <= axes[index - 1]!) throw new ShapeError(`flip: axes [${axes.join(", ")}] are not ascending and distinct.`, "Sort them and name each once.");
    });
    return { shape: x!.shape, dtype: x!.dtype };
  },
  reference: ([x], { axes }, out) => {
    const strides = rowMajorStrides(x!.shape);
    const from = {
      offset: axes.reduce((offset, axis) => offset + Math.max(0, x!.shape[axis]! - 1) * strides[axis]!, 0),
      strides: strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride)),
    };
    walk(out.shape, from, { offset: 0, strides }, (i, o) => (out.data[o] = x!.data[i]!));
  },
  roundingError: correctlyRounded,
  vjp: ({ params: { axes } }, cotangent) => [flip(cotangent, axes)],
  jvp: ({ params: { axes } }, [tangent]) => flip(tangent!, axes),
  batch: ([x], _, { axes }) => flip(x!, axes.map((axis) => axis + 1)),
  samples: () => [
    flipSample([5], [0]),
    flipSample([3, 37], [1], "the last axis, an odd size"),
    flipSample([7, 16], [0], "an outer axis"),
    flipSample([3, 5, 8], [0, 2], "two axes apart"),
    flipSample([4, 33], [0, 1], "all axes"),
    flipSample([3, 1], [1], "an axis of size 1"),
    flipSample([2, 3], [], "no axis"),
    flipSample([], [], "scalar"),
    flipSample([0, 3], [0, 1], "empty"),
    ...inEveryDType((dtype): Sample<"flip"> => ({ inputs: [spread(dtype, [3, 19], 0, 9)], params: { axes: [1] } })),
  ],
  errors: [
    { inputs: [aval("float32", 2, 3)], params: { axes: [2] }, message: /axis 2 is out of range for shape \[2, 3\]/ },
    { inputs: [aval("float32", 2, 3)], params: { axes: [1, 0] }, message: /\[1, 0\] are not ascending/ },
  ],
};

function padSample(shape: Shape, before: readonly number[], after: readonly number[], value: number, name?: string): Sample<"pad"> {
  return { inputs: [spread("float32", shape, -3, 3)], params: { before, after, value }, ...(name === undefined ? {} : { name }) };
}

/** `value` (0 by default) around `x`, one width an axis. */
export function pad(x: GraphNode, before: readonly number[], after: readonly number[], value = 0): GraphNode<"pad"> {
  return apply(padRule, [x], { before, after, value });
}

export const padRule: Rule<"pad"> = {
  op: "pad",
  kind: "assembly",
  cost: 1,
  shape: ([x], { before, after, value }) => {
    requireValue("pad", value, x!.dtype);
    requireEntries("pad", "before", before, x!);
    requireEntries("pad", "after", after, x!);
    for (const width of [...before, ...after]) {
      if (!Number.isInteger(width) || width < 0) throw new ShapeError(`pad: ${width} is not a width.`, "Widths are integers from 0; slice removes elements.");
    }
    return { shape: x!.shape.map((extent, axis) => before[axis]! + extent + after[axis]!), dtype: x!.dtype };
  },
  reference: ([x], { before, value }, out) => {
    out.data.fill(value);
    const strides = rowMajorStrides(out.shape);
    const into = { offset: before.reduce((offset, width, axis) => offset + width * strides[axis]!, 0), strides };
    walk(x!.shape, { offset: 0, strides: rowMajorStrides(x!.shape) }, into, (i, o) => (out.data[o] = x!.data[i]!));
  },
  roundingError: correctlyRounded,
  vjp: ({ inputs: [x], params: { before } }, cotangent) => [slice(cotangent, before, before.map((width, axis) => width + x!.shape[axis]!))],
  jvp: ({ params: { before, after } }, [tangent]) => pad(tangent!, before, after),
  batch: ([x], _, { before, after, value }) => pad(x!, [0, ...before], [0, ...after], value),
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
    { inputs: [aval("uint8", 3)], params: { before: [1], after: [1], value: 300 }, message: /pad: 300 is not a value of uint8/ },
  ],
};
