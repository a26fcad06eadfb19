// Nested JavaScript arrays ↔ flat row-major data, with every way to be malformed named.
// Numbers are stored as their dtype says or refused: nothing is silently truncated.
import { type DType, hostArray, type TypedArray } from "../ops/dtype.ts";
import { describe, DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../ops/shape.ts";

/** A number or boolean, or arrays of arrays of them, all of one shape. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** What `toArray` returns: numbers (bool as 0 and 1) nested as the shape says. */
export type NestedNumbers = number | NestedNumbers[];

/** The shape of a nested array; throws {@link ShapeError} where it is ragged. */
export function shapeOfNested(values: NestedArray): number[] {
  const shape: number[] = [];
  for (let level: NestedArray | undefined = values; isArray(level); level = level[0]) shape.push(level.length);
  return shape;
}

function isArray(value: NestedArray | undefined): value is readonly NestedArray[] {
  return Array.isArray(value);
}

/** bool if all leaves are booleans, otherwise float32. */
export function dtypeOfNested(values: NestedArray): DType {
  let first: NestedArray | undefined = values;
  while (isArray(first)) first = first[0];
  return typeof first === "boolean" ? "bool" : "float32";
}

/** Flattens `values` into `dtype`. */
export function flattenNested(values: NestedArray, shape: Shape, dtype: DType): TypedArray {
  const data = hostArray(dtype, sizeOf(shape));
  const range = integerRange[dtype];
  const position: number[] = [];
  let next = 0;
  const visit = (value: NestedArray | undefined, axis: number): void => {
    if (axis === shape.length) {
      if (typeof value !== "number" && typeof value !== "boolean") throw notANumber(value, pathOf(position), shape);
      const element = Number(value);
      if (range !== undefined) requireInteger(element, dtype, range, position);
      data[next++] = element;
      return;
    }
    if (!isArray(value) || value.length !== shape[axis]) {
      const found = isArray(value) ? `has ${value.length} entries` : `is ${describe(value)}`;
      throw new ShapeError(
        `tensor: ragged array: values${pathOf(position.slice(0, axis))} ${found} where ${shape[axis]} were expected (shape ${formatShape(shape)}).`,
        "Make all rows of an axis equally long.",
      );
    }
    for (let index = 0; index < value.length; index++) {
      position[axis] = index;
      visit(value[index], axis + 1);
    }
  };
  visit(values, 0);
  return data;
}

/** `[2][0]`. */
function pathOf(position: readonly number[]): string {
  return position.map((index) => `[${index}]`).join("");
}

function notANumber(value: unknown, path: string, shape: Shape): Error {
  return Array.isArray(value)
    ? new ShapeError(`tensor: ragged array: values${path} is an array where a number was expected (shape ${formatShape(shape)}).`, "Nest all entries equally deep.")
    : new DTypeError(`tensor: values${path} is ${describe(value)}.`, "Pass numbers or booleans.");
}

/** The integers a dtype holds; floating dtypes hold every number. */
const integerRange: { readonly [D in DType]?: readonly [least: number, greatest: number] } = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint8: [0, 255],
  bool: [0, 1],
};

function requireInteger(value: number, dtype: DType, [least, greatest]: readonly [number, number], position: readonly number[]): void {
  if (!Number.isInteger(value) || value < least || value > greatest) {
    throw new ValueError(`tensor: values${pathOf(position)} is ${value}, which ${dtype} cannot hold.`, `Pass integers from ${least} to ${greatest}, or another dtype.`);
  }
}

/** Typed data as `dtype`, checked where the conversion could lose a value. */
export function convertData(data: ArrayLike<number>, dtype: DType): TypedArray {
  const converted = hostArray(dtype, data.length);
  const range = integerRange[dtype];
  for (let index = 0; index < data.length; index++) {
    if (range !== undefined) requireInteger(data[index]!, dtype, range, [index]);
    converted[index] = data[index]!;
  }
  return converted;
}

/** Nests flat data as `shape` says. */
export function nest(data: TypedArray, shape: Shape): NestedNumbers {
  let next = 0;
  const build = (axis: number): NestedNumbers =>
    axis === shape.length ? data[next++]! : Array.from({ length: shape[axis]! }, () => build(axis + 1));
  return build(0);
}
