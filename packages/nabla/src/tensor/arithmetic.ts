// Elementwise operations as a person means them: operands promote and broadcast before the primitive sees them.
// A JS number is a scalar of the other operand's dtype.
import { type DType, isFloating, promote } from "../ops/dtype.ts";
import * as ops from "../ops/build.ts";
import { DTypeError, ValueError } from "../ops/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { broadcastShapes } from "../ops/shape.ts";
import { broadcastTo } from "./movement.ts";

/** A node, or a number that takes the dtype of what it meets. */
export type NodeOperand = GraphNode | number;

/** `value` as a scalar that meets a tensor of `dtype`: beside bool it is an int32. */
export function scalar(operation: string, value: number, dtype: DType): GraphNode {
  const type = dtype === "bool" ? "int32" : dtype;
  if (!isFloating(type)) {
    const [least, greatest] = type === "uint8" ? [0, 255] : [-(2 ** 31), 2 ** 31 - 1];
    if (!Number.isInteger(value) || value < least || value > greatest) {
      throw new DTypeError(`${operation}: ${value} is not a value of ${type}, the dtype of the tensor it meets.`, "Cast the tensor first, e.g. with float().");
    }
  }
  return ops.constant(value, type);
}

function pair(operation: string, a: GraphNode, b: NodeOperand, dtype?: DType): [GraphNode, GraphNode] {
  const right = typeof b === "number" ? scalar(operation, b, dtype ?? a.dtype) : b;
  const type = dtype ?? promote(a.dtype, right.dtype);
  const shape = broadcastShapes(operation, a.shape, right.shape);
  return [broadcastTo(cast(a, type), shape), broadcastTo(cast(right, type), shape)];
}

/** As `pair`, in at least int32: arithmetic on truth values and bytes that would not fit is not what anyone means. */
function arithmeticPair(operation: string, a: GraphNode, b: NodeOperand): [GraphNode, GraphNode] {
  const [left, right] = pair(operation, a, b);
  return left.dtype === "bool" ? [cast(left, "int32"), cast(right, "int32")] : [left, right];
}

/** As `pair`, in a floating dtype: float32 when both are integers. */
function floatingPair(operation: string, a: GraphNode, b: NodeOperand): [GraphNode, GraphNode] {
  const types = promote(floatingType(a.dtype), typeof b === "number" ? "bool" : b.dtype);
  return pair(operation, a, b, types);
}

function floatingType(dtype: DType): DType {
  return isFloating(dtype) ? dtype : "float32";
}

/** `x` in a floating dtype: integers and truth values become float32. */
export function floating(x: GraphNode): GraphNode {
  return cast(x, floatingType(x.dtype));
}

export function cast(x: GraphNode, dtype: DType): GraphNode {
  return x.dtype === dtype ? x : ops.cast(x, dtype);
}

export function add(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.add(...arithmeticPair("add", a, b));
}

export function sub(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.sub(...arithmeticPair("sub", a, b));
}

export function mul(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.mul(...arithmeticPair("mul", a, b));
}

export function div(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.div(...floatingPair("div", a, b));
}

export function pow(a: GraphNode, b: NodeOperand): GraphNode {
  if (b === 2) return square(a);
  return ops.pow(...floatingPair("pow", a, b));
}

export function maximum(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.maximum(...arithmeticPair("maximum", a, b));
}

export function minimum(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.minimum(...arithmeticPair("minimum", a, b));
}

export function clip(x: GraphNode, low: number, high: number): GraphNode {
  if (!(low <= high)) throw new ValueError(`clip: the lower bound ${low} is above the upper bound ${high}.`, "Pass them as clip(low, high).");
  return minimum(maximum(x, low), high);
}

export function square(x: GraphNode): GraphNode {
  return mul(x, x);
}

export function neg(x: GraphNode): GraphNode {
  return ops.neg(signed(x));
}

export function abs(x: GraphNode): GraphNode {
  return ops.abs(signed(x));
}

export function sign(x: GraphNode): GraphNode {
  return ops.sign(signed(x));
}

function signed(x: GraphNode): GraphNode {
  return x.dtype === "bool" || x.dtype === "uint8" ? cast(x, "int32") : x;
}

export function relu(x: GraphNode): GraphNode {
  return ops.relu(signed(x));
}

export function floor(x: GraphNode): GraphNode {
  return isFloating(x.dtype) ? ops.floor(x) : x;
}

export const exp = (x: GraphNode): GraphNode => ops.exp(floating(x));
export const log = (x: GraphNode): GraphNode => ops.log(floating(x));
export const sqrt = (x: GraphNode): GraphNode => ops.sqrt(floating(x));
export const sin = (x: GraphNode): GraphNode => ops.sin(floating(x));
export const cos = (x: GraphNode): GraphNode => ops.cos(floating(x));
export const tanh = (x: GraphNode): GraphNode => ops.tanh(floating(x));
export const sigmoid = (x: GraphNode): GraphNode => ops.sigmoid(floating(x));

/** log(1 + eˣ) without overflow: max(x, 0) + log(1 + e^−|x|). */
export function softplus(x: GraphNode): GraphNode {
  const value = floating(x);
  return add(ops.relu(value), ops.log(add(ops.exp(ops.neg(ops.abs(value))), 1)));
}

/** Compared in the wider dtype of the two; a fraction beside an integer tensor compares as float32. */
function comparable(operation: string, a: GraphNode, b: NodeOperand): [GraphNode, GraphNode] {
  return typeof b === "number" && !Number.isInteger(b) ? floatingPair(operation, a, b) : arithmeticPair(operation, a, b);
}

export function equal(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.equal(...comparable("equal", a, b));
}

export function notEqual(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.logicalNot(ops.equal(...comparable("notEqual", a, b)));
}

export function less(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.less(...comparable("less", a, b));
}

export function lessEqual(a: GraphNode, b: NodeOperand): GraphNode {
  return ops.lessEqual(...comparable("lessEqual", a, b));
}

export function greater(a: GraphNode, b: NodeOperand): GraphNode {
  const [left, right] = comparable("greater", a, b);
  return ops.less(right, left);
}

export function greaterEqual(a: GraphNode, b: NodeOperand): GraphNode {
  const [left, right] = comparable("greaterEqual", a, b);
  return ops.lessEqual(right, left);
}

export function logicalAnd(a: GraphNode, b: GraphNode): GraphNode {
  return ops.logicalAnd(...pair("logicalAnd", cast(a, "bool"), cast(b, "bool")));
}

export function logicalOr(a: GraphNode, b: GraphNode): GraphNode {
  return ops.logicalOr(...pair("logicalOr", cast(a, "bool"), cast(b, "bool")));
}

export function logicalNot(x: GraphNode): GraphNode {
  return ops.logicalNot(cast(x, "bool"));
}

/** `condition ? a : b`, element by element; all three broadcast. */
export function where(condition: GraphNode, a: GraphNode, b: NodeOperand): GraphNode {
  const [left, right] = pair("where", a, b);
  const shape = broadcastShapes("where", condition.shape, left.shape);
  return ops.select(broadcastTo(cast(condition, "bool"), shape), broadcastTo(left, shape), broadcastTo(right, shape));
}
