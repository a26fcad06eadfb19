// Rows by computed indices: gather clamps what is out of range and scatterAdd drops it, and so do their derivatives,
// which are each the transpose of what they derive. In eager use tensor/indexing.ts refuses such indices.
import { repeat, restoreAxes, scalarLike } from "./broadcast.ts";
import { requireDType, requireShape, requireSigned } from "./check.ts";
import type { DType } from "./dtype.ts";
import { add, less, lessEqual, logicalAnd, maximum, minimum, mul, select } from "./elementwise.ts";
import { ShapeError } from "../errors/errors.ts";
import type { GraphNode } from "./graph.ts";
import { iota } from "./leaf.ts";
import { reshape, transpose } from "./movement.ts";
import { apply, correctlyRounded, type Rule, type Sample } from "./rule.ts";
import { aval, host, largest, spread } from "./sample.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "./shape.ts";

interface Lookup {
  readonly table: Shape;
  readonly indices: Shape;
  readonly dtype?: DType;
  readonly name?: string;
}

function gatherSample({ table, indices, dtype = "float32", name }: Lookup): Sample<"gather"> {
  return { inputs: [spread(dtype, table, 0, 9), spread("int32", indices, 0, table[0]!)], params: {}, ...(name === undefined ? {} : { name }) };
}

/** Rows of `x` at int32 `indices`, which are clamped. */
export function gather(x: GraphNode, indices: GraphNode): GraphNode<"gather"> {
  return apply(gatherRule, [x, indices], {});
}

export const gatherRule: Rule<"gather"> = {
  op: "gather",
  kind: "lookup",
  cost: 1,
  shape: ([x, indices]) => {
    requireDType("gather", "indices", indices!, "int32");
    if (x!.shape.length === 0) throw new ShapeError("gather: a scalar has no rows.", "Reshape it to [1].");
    if (x!.shape[0] === 0 && sizeOf(indices!.shape) > 0) throw new ShapeError(`gather: ${formatShape(x!.shape)} has no rows to take.`, "Gather from at least one row.");
    return { shape: [...indices!.shape, ...x!.shape.slice(1)], dtype: x!.dtype };
  },
  reference: ([x, indices], _, out) => {
    const rows = x!.shape[0]!;
    const inner = sizeOf(x!.shape.slice(1));
    for (let i = 0; i < indices!.data.length; i++) {
      const row = Math.min(Math.max(indices!.data[i]!, 0), rows - 1);
      for (let j = 0; j < inner; j++) out.data[i * inner + j] = x!.data[row * inner + j]!;
    }
  },
  roundingError: correctlyRounded,
  vjp: ({ inputs: [x, indices] }, cotangent) => [scatterAdd(clamped(indices!, x!.shape[0]!), cotangent, x!.shape[0]!), null],
  jvp: ({ inputs }, [tangent]) => gather(tangent!, inputs[1]!),
  batch: (inputs, [batchedX, batchedIndices], _, size) => {
    const [x, indices] = inputs as readonly [GraphNode, GraphNode];
    if (!batchedX) return gather(x, indices);
    const rest = x.shape.slice(2);
    const rows = x.shape[1]!;
    if (batchedIndices) return gather(reshape(x, [size * rows, ...rest]), inOwnTable(clamped(indices, rows), rows));
    const taken = gather(moveAxis(x, 0, 1), indices);
    return moveAxis(taken, indices.shape.length, 0);
  },
  samples: () => [
    gatherSample({ table: [5, 3], indices: [4] }),
    gatherSample({ table: [7], indices: [3], name: "scalars" }),
    gatherSample({ table: [17, 5], indices: [3, 7], name: "two index axes, odd sizes" }),
    gatherSample({ table: [3, 2, 5], indices: [2], name: "matrices" }),
    gatherSample({ table: [4, 3], indices: [], name: "one row" }),
    gatherSample({ table: [1, 1], indices: [1], name: "one element" }),
    gatherSample({ table: [3, 2], indices: [0], name: "no indices" }),
    gatherSample({ table: [0, 2], indices: [0], name: "empty" }),
    { inputs: [spread("float32", [3, 2], 0, 9), host("int32", [5], [2, 0, 2, 2, 1])], params: {}, name: "repeated rows" },
    { inputs: [spread("float32", [3, 2], 0, 9), host("int32", [4], [-1, 3, 2147483647, -2147483648])], params: {}, name: "clamps" },
    ...(["float64", "int32", "uint8", "bool"] as const).map((dtype) => gatherSample({ table: [5, 3], indices: [4], dtype, name: dtype })),
  ],
  errors: [
    { inputs: [aval("float32", 3), aval("float32", 2)], params: {}, message: /indices must be int32, not float32/ },
    { inputs: [aval("float32"), aval("int32", 2)], params: {}, message: /a scalar has no rows/ },
    { inputs: [aval("float32", 0, 2), aval("int32", 2)], params: {}, message: /\[0, 2\] has no rows to take/ },
  ],
};

function scatterSample(indices: Shape, rest: Shape, rows: number, dtype: DType, name?: string): Sample<"scatterAdd"> {
  return {
    inputs: [spread("int32", indices, 0, rows), spread(dtype, [...indices, ...rest], -9, 9, 1)],
    params: { rows }, ...(name === undefined ? {} : { name }),
  };
}

/** Sums `updates` into `rows` rows; indices outside are dropped. */
export function scatterAdd(indices: GraphNode, updates: GraphNode, rows: number): GraphNode<"scatterAdd"> {
  return apply(scatterAddRule, [indices, updates], { rows });
}

export const scatterAddRule: Rule<"scatterAdd"> = {
  op: "scatterAdd",
  kind: "scatter",
  cost: 1,
  shape: ([indices, updates], { rows }) => {
    requireDType("scatterAdd", "indices", indices!, "int32");
    requireSigned("scatterAdd", updates!);
    requireShape("scatterAdd", [rows]);
    const rank = indices!.shape.length;
    if (!sameShape(indices!.shape, updates!.shape.slice(0, rank))) {
      throw new ShapeError(`scatterAdd: indices ${formatShape(indices!.shape)} are not the leading axes of updates ${formatShape(updates!.shape)}.`, "One row of updates an index.");
    }
    return { shape: [rows, ...updates!.shape.slice(rank)], dtype: updates!.dtype };
  },
  reference: ([indices, updates], { rows }, out) => {
    const inner = sizeOf(out.shape.slice(1));
    const totals = new Float64Array(out.data.length);
    for (let i = 0; i < indices!.data.length; i++) {
      const row = indices!.data[i]!;
      if (row < 0 || row >= rows) continue;
      for (let j = 0; j < inner; j++) totals[row * inner + j]! += updates!.data[i * inner + j]!;
    }
    out.data.set(totals);
  },
  roundingError: {
    relative: 1,
    absolute: ([, updates]) => sizeOf(updates!.shape) * largest(updates!),
  },
  vjp: ({ inputs: [indices, updates], params: { rows } }, cotangent) => {
    if (rows === 0) return [null, scalarLike(0, updates!)];
    const taken = gather(cotangent, indices!);
    const trailing = taken.shape.map((_, axis) => axis).slice(indices!.shape.length);
    const kept = inRange(indices!, rows);
    const mask = trailing.length === 0 ? kept : restoreAxes(kept, trailing, taken.shape);
    return [null, select(mask, taken, scalarLike(0, taken))];
  },
  jvp: ({ inputs: [indices], params: { rows } }, [, tangent]) => scatterAdd(indices!, tangent!, rows),
  batch: (inputs, [batchedIndices, batchedUpdates], { rows }, size) => {
    const [indices, updates] = inputs as readonly [GraphNode, GraphNode];
    if (!batchedIndices) {
      const summed = scatterAdd(indices, moveAxis(updates, 0, indices.shape.length), rows);
      return moveAxis(summed, 1, 0);
    }
    const own = inOwnTable(indices, rows);
    const outside = select(inRange(indices, rows), own, scalarLike(-1, own));
    const stacked = scatterAdd(outside, batchedUpdates ? updates : repeat(updates, size), size * rows);
    return reshape(stacked, [size, rows, ...stacked.shape.slice(1)]);
  },
  samples: () => [
    scatterSample([4], [3], 5, "float32"),
    scatterSample([17], [], 3, "float32", "scalars, rows meet often"),
    scatterSample([3, 7], [5], 4, "float32", "two index axes, odd sizes"),
    scatterSample([5], [2, 3], 2, "float32", "matrices"),
    scatterSample([], [3], 2, "float32", "one row"),
    scatterSample([0], [2], 3, "float32", "no updates"),
    { inputs: [host("int32", [0], []), host("float32", [0, 2], [])], params: { rows: 0 }, name: "no rows" },
    { inputs: [host("int32", [5], [-1, 3, 0, 2147483647, 2]), spread("float32", [5, 2], 1, 9)], params: { rows: 3 }, name: "drops what is outside" },
    { inputs: [host("int32", [3], [1, 1, 1]), host("int32", [3], [2147483647, 1, 5])], params: { rows: 2 }, name: "int32 wraps" },
    scatterSample([5], [3], 4, "float64", "float64"),
  ],
  errors: [
    { inputs: [aval("float32", 2), aval("float32", 2)], params: { rows: 3 }, message: /indices must be int32/ },
    { inputs: [aval("int32", 2), aval("float32", 3, 2)], params: { rows: 3 }, message: /indices \[2\] are not the leading axes of updates \[3, 2\]/ },
    { inputs: [aval("int32", 2), aval("float32", 2)], params: { rows: -1 }, message: /has -1 at axis 0/ },
    { inputs: [aval("int32", 2), aval("uint8", 2)], params: { rows: 1 }, message: /not uint8/ },
  ],
};

/** `x` with axis `from` at place `to`, the others in their order. */
function moveAxis(x: GraphNode, from: number, to: number): GraphNode {
  const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== from);
  return transpose(x, others.toSpliced(to, 0, from));
}

/** Indices into a stack of tables of `rows` rows, each into the table of its batch element (axis 0). */
function inOwnTable(indices: GraphNode, rows: number): GraphNode {
  const table = iota(indices.shape, 0);
  return add(indices, mul(table, scalarLike(rows, table)));
}

function clamped(indices: GraphNode, rows: number): GraphNode {
  return minimum(maximum(indices, scalarLike(0, indices)), scalarLike(Math.max(rows - 1, 0), indices));
}

function inRange(indices: GraphNode, rows: number): GraphNode {
  return logicalAnd(lessEqual(scalarLike(0, indices), indices), less(indices, scalarLike(rows, indices)));
}
