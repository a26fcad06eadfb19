// Shape and dtype of every primitive's output, and what it refuses.
// Strict: operands have equal shapes and dtypes; broadcasting and promotion belong to the tensor layer.
import { type DType, isFloating } from "./dtype.ts";
import { DTypeError, ShapeError, ValueError } from "./errors.ts";
import type { Aval, OpName, OpParams } from "./graph.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "./shape.ts";

type Infer<P extends OpName> = (inputs: readonly Aval[], params: OpParams[P]) => Aval;
/** A rule without parameters. */
type PlainInfer = (inputs: readonly Aval[]) => Aval;

const INT32_RANGE = 2 ** 31;

function requireFloating(op: OpName, { dtype }: Aval): void {
  if (!isFloating(dtype)) throw new DTypeError(`${op}: takes float32 or float64, not ${dtype}.`, "Cast the operand first.");
}

function requireSigned(op: OpName, { dtype }: Aval): void {
  if (dtype === "bool" || dtype === "uint8") throw new DTypeError(`${op}: takes float32, float64 or int32, not ${dtype}.`, "Cast the operand first.");
}

function requireNumber(op: OpName, { dtype }: Aval): void {
  if (dtype === "bool") throw new DTypeError(`${op}: takes numbers, not bool.`, "Cast the operand first, e.g. to int32.");
}

function requireDType(op: OpName, what: string, { dtype }: Aval, expected: DType): void {
  if (dtype !== expected) throw new DTypeError(`${op}: ${what} must be ${expected}, not ${dtype}.`, `Cast it to ${expected} first.`);
}

function requireSame(op: OpName, a: Aval, b: Aval): void {
  if (a.dtype !== b.dtype) throw new DTypeError(`${op}: dtypes ${a.dtype} and ${b.dtype} differ.`, "Cast one of them first.");
  requireSameShape(op, a.shape, b.shape);
}

function requireSameShape(op: OpName, a: Shape, b: Shape): void {
  if (sameShape(a, b)) return;
  const axis = a.length === b.length ? a.findIndex((extent, at) => extent !== b[at]) : -1;
  throw new ShapeError(
    `${op}: shapes ${formatShape(a)} and ${formatShape(b)} differ${axis < 0 ? " in rank" : `: axis ${axis} has ${a[axis]} and ${b[axis]}`}.`,
    "Broadcast or reshape one of them first.",
  );
}

function requireShape(op: OpName, shape: Shape): void {
  const axis = shape.findIndex((extent) => !Number.isInteger(extent) || extent < 0);
  if (axis >= 0) throw new ShapeError(`${op}: shape ${formatShape(shape)} has ${shape[axis]} at axis ${axis}.`, "Sizes are integers from 0.");
}

function requireAxis(op: OpName, axis: number, { shape }: Aval): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) {
    throw new ShapeError(`${op}: axis ${axis} is out of range for shape ${formatShape(shape)}.`, "Primitives take axes from 0 to rank − 1.");
  }
}

function requireEntries(op: OpName, name: string, list: readonly number[], { shape }: Aval): void {
  if (list.length !== shape.length) {
    throw new ShapeError(`${op}: ${name} has ${list.length} entries for shape ${formatShape(shape)}.`, "Give one an axis.");
  }
}

type Check = (op: OpName, operand: Aval) => void;

const like = ({ shape, dtype }: Aval): Aval => ({ shape, dtype });
const anything: Check = () => {};

function unary(op: OpName, check: Check): PlainInfer {
  return ([x]) => {
    check(op, x!);
    return like(x!);
  };
}

function binary(op: OpName, check: Check): PlainInfer {
  return ([a, b]) => {
    requireSame(op, a!, b!);
    check(op, a!);
    return like(a!);
  };
}

function comparison(op: OpName): PlainInfer {
  return ([a, b]) => {
    requireSame(op, a!, b!);
    return { shape: a!.shape, dtype: "bool" };
  };
}

function logical(op: OpName): PlainInfer {
  return (inputs) => {
    for (const input of inputs) requireDType(op, "an operand", input, "bool");
    if (inputs.length === 2) requireSameShape(op, inputs[0]!.shape, inputs[1]!.shape);
    return like(inputs[0]!);
  };
}

function reduction(op: "sum" | "max"): (inputs: readonly Aval[], params: OpParams["sum"]) => Aval {
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

/** The shape rule of every primitive: the output, or ShapeError, DTypeError or ValueError naming the primitive. */
export const infer: { readonly [P in OpName]: Infer<P> } = {
  source: (_, { shape, dtype }) => {
    requireShape("source", shape);
    return { shape, dtype };
  },
  constant: (_, { value, dtype }) => {
    const least = dtype === "int32" ? -INT32_RANGE : 0;
    const greatest = dtype === "int32" ? INT32_RANGE - 1 : dtype === "uint8" ? 255 : 1;
    if (!isFloating(dtype) && (!Number.isInteger(value) || value < least || value > greatest)) {
      throw new ValueError(`constant: ${value} is not a value of ${dtype}.`, `Use an integer from ${least} to ${greatest}.`);
    }
    return { shape: [], dtype };
  },
  iota: (_, { shape, axis }) => {
    requireShape("iota", shape);
    requireAxis("iota", axis, { shape, dtype: "int32" });
    return { shape, dtype: "int32" };
  },

  neg: unary("neg", requireSigned),
  abs: unary("abs", requireSigned),
  sign: unary("sign", requireSigned),
  floor: unary("floor", requireFloating),
  exp: unary("exp", requireFloating),
  log: unary("log", requireFloating),
  sqrt: unary("sqrt", requireFloating),
  sin: unary("sin", requireFloating),
  cos: unary("cos", requireFloating),
  tanh: unary("tanh", requireFloating),
  sigmoid: unary("sigmoid", requireFloating),
  relu: unary("relu", requireSigned),
  logicalNot: logical("logicalNot"),
  cast: ([x], { dtype }) => ({ shape: x!.shape, dtype }),
  stopGradient: unary("stopGradient", anything),
  after: ([x]) => like(x!),

  add: binary("add", requireNumber),
  sub: binary("sub", requireNumber),
  mul: binary("mul", requireNumber),
  div: binary("div", requireNumber),
  pow: binary("pow", requireFloating),
  maximum: binary("maximum", requireNumber),
  minimum: binary("minimum", requireNumber),
  equal: comparison("equal"),
  less: comparison("less"),
  lessEqual: comparison("lessEqual"),
  logicalAnd: logical("logicalAnd"),
  logicalOr: logical("logicalOr"),
  select: ([condition, a, b]) => {
    requireDType("select", "the condition", condition!, "bool");
    requireSame("select", a!, b!);
    requireSameShape("select", condition!.shape, a!.shape);
    return like(a!);
  },

  reshape: ([x], { shape }) => {
    requireShape("reshape", shape);
    if (sizeOf(shape) !== sizeOf(x!.shape)) {
      throw new ShapeError(
        `reshape: ${formatShape(x!.shape)} (${sizeOf(x!.shape)} elements) does not fit ${formatShape(shape)} (${sizeOf(shape)}).`,
        "The number of elements must stay the same.",
      );
    }
    return { shape, dtype: x!.dtype };
  },
  transpose: ([x], { permutation }) => {
    const isPermutation = permutation.length === x!.shape.length && x!.shape.every((_, axis) => permutation.includes(axis));
    if (!isPermutation) {
      throw new ShapeError(`transpose: [${permutation.join(", ")}] is not a permutation of the axes of ${formatShape(x!.shape)}.`, "Name each axis once.");
    }
    return { shape: permutation.map((axis) => x!.shape[axis]!), dtype: x!.dtype };
  },
  broadcast: ([x], { shape }) => {
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
  slice: ([x], { begin, end, step }) => {
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
  pad: ([x], { before, after }) => {
    requireEntries("pad", "before", before, x!);
    requireEntries("pad", "after", after, x!);
    for (const width of [...before, ...after]) {
      if (!Number.isInteger(width) || width < 0) throw new ShapeError(`pad: ${width} is not a width.`, "Widths are integers from 0; slice removes elements.");
    }
    return { shape: x!.shape.map((extent, axis) => before[axis]! + extent + after[axis]!), dtype: x!.dtype };
  },
  concat: (inputs, { axis }) => {
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

  sum: reduction("sum"),
  max: reduction("max"),
  argmax: ([x], { axis }) => {
    requireSigned("argmax", x!);
    requireAxis("argmax", axis, x!);
    if (x!.shape[axis] === 0) throw new ShapeError(`argmax: axis ${axis} of ${formatShape(x!.shape)} is empty.`, "The maximum of nothing has no place.");
    return { shape: x!.shape.toSpliced(axis, 1), dtype: "int32" };
  },

  matmul: ([a, b], { transposeA, transposeB }) => {
    requireFloating("matmul", a!);
    if (a!.dtype !== b!.dtype) throw new DTypeError(`matmul: dtypes ${a!.dtype} and ${b!.dtype} differ.`, "Cast one of them first.");
    const shapes = `${formatShape(a!.shape)}${transposeA ? "ᵀ" : ""} × ${formatShape(b!.shape)}${transposeB ? "ᵀ" : ""}`;
    if (a!.shape.length < 2 || a!.shape.length !== b!.shape.length) throw new ShapeError(`matmul: ${shapes}: both need the same rank, 2 or more.`, "Reshape or broadcast first.");
    const batch = a!.shape.slice(0, -2);
    if (!sameShape(batch, b!.shape.slice(0, -2))) throw new ShapeError(`matmul: ${shapes}: the batch axes differ.`, "Broadcast one of them first.");
    const [m, k] = matrixSizes(a!.shape, transposeA);
    const [kb, n] = matrixSizes(b!.shape, transposeB);
    if (k !== kb) throw new ShapeError(`matmul: ${shapes}: the inner sizes ${k} and ${kb} differ.`, "Columns of the left must equal rows of the right.");
    return { shape: [...batch, m, n], dtype: a!.dtype };
  },

  gather: ([x, indices]) => {
    requireDType("gather", "indices", indices!, "int32");
    if (x!.shape.length === 0) throw new ShapeError("gather: a scalar has no rows.", "Reshape it to [1].");
    if (x!.shape[0] === 0 && sizeOf(indices!.shape) > 0) throw new ShapeError(`gather: ${formatShape(x!.shape)} has no rows to take.`, "Gather from at least one row.");
    return { shape: [...indices!.shape, ...x!.shape.slice(1)], dtype: x!.dtype };
  },
  scatterAdd: ([indices, updates], { rows }) => {
    requireDType("scatterAdd", "indices", indices!, "int32");
    requireSigned("scatterAdd", updates!);
    requireShape("scatterAdd", [rows]);
    const rank = indices!.shape.length;
    if (!sameShape(indices!.shape, updates!.shape.slice(0, rank))) {
      throw new ShapeError(`scatterAdd: indices ${formatShape(indices!.shape)} are not the leading axes of updates ${formatShape(updates!.shape)}.`, "One row of updates an index.");
    }
    return { shape: [rows, ...updates!.shape.slice(rank)], dtype: updates!.dtype };
  },

  randomBits: ([key], { shape }) => {
    requireDType("randomBits", "the key", key!, "int32");
    if (!sameShape(key!.shape, [2])) throw new ShapeError(`randomBits: the key has shape ${formatShape(key!.shape)}.`, "A key is two words: [2].");
    requireShape("randomBits", shape);
    return { shape, dtype: "int32" };
  },
};

/** Rows and columns of a stored matrix as the product reads it. */
function matrixSizes(shape: Shape, transposed: boolean): [rows: number, columns: number] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}
