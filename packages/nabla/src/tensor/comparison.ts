// Comparison, logic and choice. Their results are bool tensors, which count as 0 and 1 in arithmetic.
import * as ops from "../ops/build.ts";
import { isFloating } from "../ops/dtype.ts";
import type { BinaryOp, UnaryOp } from "../ops/elementwise.ts";
import type { GraphNode } from "../ops/graph.ts";
import { broadcastShapes } from "../ops/shape.ts";
import { add, ArithmeticMethods, arithmeticPair, cast, floatingPair, mul, type NodeOperand, type Operand, operand, pair } from "./arithmetic.ts";
import { broadcastTo } from "./movement.ts";
import type { Tensor } from "./tensor.ts";
import { nodeOf } from "./value.ts";

/** Options of {@link Tensor.isClose}. */
export interface CloseOptions {
  /** Relative to the other value. Default 1e-5. */
  readonly relative?: number;
  /** Default 1e-8. */
  readonly absolute?: number;
}

/** Compared in the wider dtype of the two; integers beside a number that their dtype does not hold compare in float64, which holds both. */
function comparable(operation: string, a: GraphNode, b: NodeOperand): [GraphNode, GraphNode] {
  const held = typeof b !== "number" || isFloating(a.dtype) || b === (a.dtype === "uint8" ? b & 255 : b | 0);
  return held ? arithmeticPair(operation, a, b) : pair(operation, a, b, "float64");
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

export function isFinite(x: GraphNode): GraphNode {
  return isFloating(x.dtype) ? less(ops.abs(x), Infinity) : equal(x, x);
}

/** |a − b| ≤ absolute + relative·|b|; infinities are close to themselves alone, NaN to nothing. */
function isClose(a: GraphNode, b: NodeOperand, relative: number, absolute: number): GraphNode {
  const [x, y] = floatingPair("isClose", a, b);
  const within = lessEqual(ops.abs(ops.sub(x, y)), add(mul(ops.abs(y), relative), absolute));
  return ops.logicalOr(ops.equal(x, y), ops.logicalAnd(isFinite(y), within));
}

/** Every elementwise primitive is a method of the same name. */
type ElementwiseMethods = { readonly [P in UnaryOp]: () => Tensor } & { readonly [P in BinaryOp]: (other: Tensor) => Tensor };

/** Methods of {@link Tensor} that compare and choose. */
export abstract class ComparisonMethods extends ArithmeticMethods implements ElementwiseMethods {
  /**
   * this = other.
   *
   * @example
   * tensor([1, 2]).equal(2).toArray(); // [0, 1]
   */
  equal(other: Operand): Tensor {
    return this.result(equal(this.node, operand("equal", other)));
  }

  /**
   * this ≠ other.
   *
   * @example
   * tensor([1, 2]).notEqual(2).toArray(); // [1, 0]
   */
  notEqual(other: Operand): Tensor {
    return this.result(notEqual(this.node, operand("notEqual", other)));
  }

  /**
   * this < other.
   *
   * @example
   * tensor([1, 2]).less(2).toArray(); // [1, 0]
   */
  less(other: Operand): Tensor {
    return this.result(less(this.node, operand("less", other)));
  }

  /**
   * this ≤ other.
   *
   * @example
   * tensor([1, 2]).lessEqual(2).toArray(); // [1, 1]
   */
  lessEqual(other: Operand): Tensor {
    return this.result(lessEqual(this.node, operand("lessEqual", other)));
  }

  /**
   * this > other.
   *
   * @example
   * tensor([1, 2]).greater(1).toArray(); // [0, 1]
   */
  greater(other: Operand): Tensor {
    return this.result(greater(this.node, operand("greater", other)));
  }

  /**
   * this ≥ other.
   *
   * @example
   * tensor([1, 2]).greaterEqual(1).toArray(); // [1, 1]
   */
  greaterEqual(other: Operand): Tensor {
    return this.result(greaterEqual(this.node, operand("greaterEqual", other)));
  }

  /**
   * Not a number.
   *
   * @example
   * tensor([1, NaN]).isNaN().toArray(); // [0, 1]
   */
  isNaN(): Tensor {
    return this.result(notEqual(this.node, this.node));
  }

  /**
   * Neither infinite nor NaN.
   *
   * @example
   * tensor([1, Infinity, NaN]).isFinite().toArray(); // [1, 0, 0]
   */
  isFinite(): Tensor {
    return this.result(isFinite(this.node));
  }

  /**
   * |this − other| ≤ absolute + relative · |other|; equal infinities are close, NaN is close to nothing.
   *
   * @example
   * tensor([1, 2]).isClose(tensor([1.000001, 2.1])).toArray(); // [1, 0]
   */
  isClose(other: Operand, { relative = 1e-5, absolute = 1e-8 }: CloseOptions = {}): Tensor {
    return this.result(isClose(this.node, operand("isClose", other), relative, absolute));
  }

  /**
   * Both are not zero.
   *
   * @example
   * tensor([true, true]).logicalAnd(tensor([true, false])).toArray(); // [1, 0]
   */
  logicalAnd(other: Tensor): Tensor {
    return this.result(logicalAnd(this.node, nodeOf("logicalAnd", other)));
  }

  /**
   * Either is not zero.
   *
   * @example
   * tensor([true, false]).logicalOr(tensor([false, false])).toArray(); // [1, 0]
   */
  logicalOr(other: Tensor): Tensor {
    return this.result(logicalOr(this.node, nodeOf("logicalOr", other)));
  }

  /**
   * Zero.
   *
   * @example
   * tensor([true, false]).logicalNot().toArray(); // [0, 1]
   */
  logicalNot(): Tensor {
    return this.result(logicalNot(this.node));
  }

  /**
   * `a` where this is true, otherwise `b`; all three broadcast.
   *
   * @example
   * tensor([true, false]).where(tensor([1, 2]), 0).toArray(); // [1, 0]
   */
  where(a: Tensor, b: Operand): Tensor {
    return this.result(where(this.node, nodeOf("where", a), operand("where", b)));
  }
}
