// What shape rules ask of operands: each check throws naming the primitive, what it saw, and the fix.
// Strict: operands have equal shapes and dtypes; broadcasting and promotion belong to the tensor layer.
import { bytesPerElement, type DType, isFloating } from "./dtype.ts";
import { describe, DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import type { Aval, OpName } from "./graph.ts";
import { formatShape, sameShape, type Shape } from "./shape.ts";

/** A dtype there is. */
export function requireElementType(operation: string, dtype: DType): void {
  if (!Object.hasOwn(bytesPerElement, dtype)) throw new DTypeError(`${operation}: ${describe(dtype)} is no dtype.`, `Use ${Object.keys(bytesPerElement).join(", ")}.`);
}

/** A number that `dtype` holds. */
export function requireValue(op: OpName, value: number, dtype: DType): void {
  if (isFloating(dtype)) return;
  const [least, greatest] = dtype === "int32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, dtype === "uint8" ? 255 : 1];
  if (!Number.isInteger(value) || value < least || value > greatest) {
    throw new ValueError(`${op}: ${value} is not a value of ${dtype}.`, `Use an integer from ${least} to ${greatest}.`);
  }
}

/** float32 or float64. */
export function requireFloating(op: OpName, { dtype }: Aval): void {
  if (!isFloating(dtype)) throw new DTypeError(`${op}: takes float32 or float64, not ${dtype}.`, "Cast the operand first.");
}

/** float32, float64 or int32. */
export function requireSigned(op: OpName, { dtype }: Aval): void {
  if (dtype === "bool" || dtype === "uint8") throw new DTypeError(`${op}: takes float32, float64 or int32, not ${dtype}.`, "Cast the operand first.");
}

/** Anything but bool. */
export function requireNumber(op: OpName, { dtype }: Aval): void {
  if (dtype === "bool") throw new DTypeError(`${op}: takes numbers, not bool.`, "Cast the operand first, e.g. to int32.");
}

/** Exactly `expected`. */
export function requireDType(op: OpName, what: string, { dtype }: Aval, expected: DType): void {
  if (dtype !== expected) throw new DTypeError(`${op}: ${what} must be ${expected}, not ${dtype}.`, `Cast it to ${expected} first.`);
}

/** Equal shapes and dtypes. */
export function requireSame(op: OpName, a: Aval, b: Aval): void {
  if (a.dtype !== b.dtype) throw new DTypeError(`${op}: dtypes ${a.dtype} and ${b.dtype} differ.`, "Cast one of them first.");
  requireSameShape(op, a.shape, b.shape);
}

/** Equal shapes; names the axis. */
export function requireSameShape(op: OpName, a: Shape, b: Shape): void {
  if (sameShape(a, b)) return;
  const axis = a.length === b.length ? a.findIndex((extent, at) => extent !== b[at]) : -1;
  throw new ShapeError(
    `${op}: shapes ${formatShape(a)} and ${formatShape(b)} differ${axis < 0 ? " in rank" : `: axis ${axis} has ${a[axis]} and ${b[axis]}`}.`,
    "Broadcast or reshape one of them first.",
  );
}

/** Sizes that are integers from 0. */
export function requireShape(op: OpName, shape: Shape): void {
  const axis = shape.findIndex((extent) => !Number.isInteger(extent) || extent < 0);
  if (axis >= 0) throw new ShapeError(`${op}: shape ${formatShape(shape)} has ${shape[axis]} at axis ${axis}.`, "Sizes are integers from 0.");
}

/** An axis from 0 to rank − 1. */
export function requireAxis(op: OpName, axis: number, { shape }: Aval): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) {
    throw new ShapeError(`${op}: axis ${axis} is out of range for shape ${formatShape(shape)}.`, "Primitives take axes from 0 to rank − 1.");
  }
}

/** One entry an axis. */
export function requireEntries(op: OpName, name: string, list: readonly number[], { shape }: Aval): void {
  if (list.length !== shape.length) {
    throw new ShapeError(`${op}: ${name} has ${list.length} entries for shape ${formatShape(shape)}.`, "Give one an axis.");
  }
}
