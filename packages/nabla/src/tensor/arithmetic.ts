// Elementwise operations as a person means them: operands promote and broadcast before the primitive sees them.
// A JS number is a scalar of the other operand's dtype.
import { type DType, isFloating, promote } from "../ops/dtype.ts";
import * as ops from "../ops/build.ts";
import { DTypeError, ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { broadcastShapes } from "../ops/shape.ts";
import { broadcastTo, MovementMethods } from "./movement.ts";
import type { Tensor } from "./tensor.ts";
import { nodeOf } from "./value.ts";

/** A node, or a number that takes the dtype of what it meets. */
export type NodeOperand = GraphNode | number;

/** A tensor, or a number that takes the dtype of the tensor it meets. */
export type Operand = Tensor | number;

export function operand(operation: string, value: Operand): NodeOperand {
  return typeof value === "number" ? value : nodeOf(operation, value);
}

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

/** Both operands in one shape and dtype. */
export function pair(operation: string, a: GraphNode, b: NodeOperand, dtype?: DType): [GraphNode, GraphNode] {
  const right = typeof b === "number" ? scalar(operation, b, dtype ?? a.dtype) : b;
  const type = dtype ?? promote(a.dtype, right.dtype);
  const shape = broadcastShapes(operation, a.shape, right.shape);
  return [broadcastTo(cast(a, type), shape), broadcastTo(cast(right, type), shape)];
}

/** As `pair`, in at least uint8: truth values count in int32. */
export function arithmeticPair(operation: string, a: GraphNode, b: NodeOperand): [GraphNode, GraphNode] {
  const [left, right] = pair(operation, a, b);
  return left.dtype === "bool" ? [cast(left, "int32"), cast(right, "int32")] : [left, right];
}

/** As `pair`, in a floating dtype: float32 when both are integers. */
export function floatingPair(operation: string, a: GraphNode, b: NodeOperand): [GraphNode, GraphNode] {
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

/** Powers up to this are products, which err by half a unit in the last place for each factor but the first. */
const MOST_MULTIPLIED = 8;

/** x^count by repeated squaring. */
function repeatedProduct(x: GraphNode, count: number): GraphNode {
  if (count === 1) return x;
  const root = repeatedProduct(square(x), Math.floor(count / 2));
  return count % 2 === 0 ? root : mul(root, x);
}

export function pow(a: GraphNode, b: NodeOperand): GraphNode {
  if (b === 2) return square(a);
  if (typeof b === "number" && Number.isInteger(b) && Math.abs(b) <= MOST_MULTIPLIED && b !== 0) {
    const x = floating(a);
    return repeatedProduct(b > 0 ? x : ops.div(ops.scalarLike(1, x), x), Math.abs(b));
  }
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

function signed(x: GraphNode): GraphNode {
  return x.dtype === "bool" || x.dtype === "uint8" ? cast(x, "int32") : x;
}

export function floor(x: GraphNode): GraphNode {
  return isFloating(x.dtype) ? ops.floor(x) : x;
}

/** Adding and taking away a number this large leaves no digits after the point, and rounds as IEEE 754 does. */
const NO_FRACTION = { float32: 2 ** 23, float64: 2 ** 52 } as const;

/** To the nearest integer, halves to the even one. */
export function round(x: GraphNode): GraphNode {
  if (x.dtype !== "float32" && x.dtype !== "float64") return x;
  const limit = ops.scalarLike(NO_FRACTION[x.dtype], x);
  const large = ops.select(ops.less(x, ops.scalarLike(0, x)), ops.neg(limit), limit);
  const sum = ops.sub(ops.add(x, large), large);
  const zero = ops.scalarLike(0, x);
  // A rounded −0.2 is −0.
  const rounded = ops.select(ops.equal(sum, zero), ops.mul(x, zero), sum);
  return ops.stopGradient(ops.select(ops.less(ops.abs(x), limit), rounded, x));
}

export function ceil(x: GraphNode): GraphNode {
  return isFloating(x.dtype) ? ops.neg(ops.floor(ops.neg(x))) : x;
}

export function trunc(x: GraphNode): GraphNode {
  return isFloating(x.dtype) ? ops.mul(ops.sign(x), ops.floor(ops.abs(x))) : x;
}

/** x − ⌊x / y⌋·y: the remainder that has the sign of y. */
export function mod(a: GraphNode, b: NodeOperand): GraphNode {
  const [x, y] = arithmeticPair("mod", a, b);
  if (isFloating(x.dtype)) return ops.sub(x, ops.mul(ops.floor(ops.div(x, y)), y));
  // Integers divide toward zero, so the remainder has the sign of x.
  const rest = ops.sub(x, ops.mul(ops.div(x, y), y));
  const zero = ops.scalarLike(0, x);
  const across = ops.logicalNot(ops.equal(ops.less(rest, zero), ops.less(y, zero)));
  return ops.select(ops.logicalAnd(across, ops.logicalNot(ops.equal(rest, zero))), ops.add(rest, y), rest);
}

/** Methods of {@link Tensor} that compute element by element. */
export abstract class ArithmeticMethods extends MovementMethods {
  /**
   * this + other.
   *
   * @example
   * tensor([1, 2]).add(10).toArray(); // [11, 12]
   */
  add(other: Operand): Tensor {
    return this.result(add(this.node, operand("add", other)));
  }

  /**
   * this − other.
   *
   * @example
   * tensor([1, 2]).sub(1).toArray(); // [0, 1]
   */
  sub(other: Operand): Tensor {
    return this.result(sub(this.node, operand("sub", other)));
  }

  /**
   * this · other, element by element.
   *
   * @example
   * tensor([1, 2]).mul(tensor([[1], [2]])).toArray(); // [[1, 2], [2, 4]]
   */
  mul(other: Operand): Tensor {
    return this.result(mul(this.node, operand("mul", other)));
  }

  /**
   * this / other; integers divide as float32.
   *
   * @example
   * tensor([1, 3], { dtype: "int32" }).div(2).toArray(); // [0.5, 1.5]
   */
  div(other: Operand): Tensor {
    return this.result(div(this.node, operand("div", other)));
  }

  /**
   * this to the power of other; integers are taken as float32, but for a power of 2. Constant integer powers up to 8 are products.
   *
   * @example
   * tensor([2, 3]).pow(2).toArray(); // [4, 9]
   */
  pow(other: Operand): Tensor {
    return this.result(pow(this.node, operand("pow", other)));
  }

  /**
   * The remainder of this / other that has the sign of other, as NumPy and Python have it.
   *
   * @example
   * tensor([5, -5]).mod(3).toArray(); // [2, 1]
   */
  mod(other: Operand): Tensor {
    return this.result(mod(this.node, operand("mod", other)));
  }

  /**
   * The larger of the two; NaN where either is.
   *
   * @example
   * tensor([1, 5]).maximum(3).toArray(); // [3, 5]
   */
  maximum(other: Operand): Tensor {
    return this.result(maximum(this.node, operand("maximum", other)));
  }

  /**
   * The smaller of the two; NaN where either is.
   *
   * @example
   * tensor([1, 5]).minimum(3).toArray(); // [1, 3]
   */
  minimum(other: Operand): Tensor {
    return this.result(minimum(this.node, operand("minimum", other)));
  }

  /**
   * Limited to [low, high].
   *
   * @example
   * tensor([-1, 0.5, 2]).clip(0, 1).toArray(); // [0, 0.5, 1]
   */
  clip(low: number, high: number): Tensor {
    return this.result(clip(this.node, low, high));
  }

  /**
   * −x.
   *
   * @example
   * tensor([1, -2]).neg().toArray(); // [-1, 2]
   */
  neg(): Tensor {
    return this.result(ops.neg(signed(this.node)));
  }

  /**
   * |x|.
   *
   * @example
   * tensor([1, -2]).abs().toArray(); // [1, 2]
   */
  abs(): Tensor {
    return this.result(ops.abs(signed(this.node)));
  }

  /**
   * −1, 0 or 1.
   *
   * @example
   * tensor([3, -2]).sign().toArray(); // [1, -1]
   */
  sign(): Tensor {
    return this.result(ops.sign(signed(this.node)));
  }

  /**
   * The largest integer not above.
   *
   * @example
   * tensor([1.5, -1.5]).floor().toArray(); // [1, -2]
   */
  floor(): Tensor {
    return this.result(floor(this.node));
  }

  /**
   * The smallest integer not below.
   *
   * @example
   * tensor([1.5, -1.5]).ceil().toArray(); // [2, -1]
   */
  ceil(): Tensor {
    return this.result(ceil(this.node));
  }

  /**
   * The nearest integer; halves go to the even one.
   *
   * @example
   * tensor([0.5, 1.5, -2.6]).round().toArray(); // [0, 2, -3]
   */
  round(): Tensor {
    return this.result(round(this.node));
  }

  /**
   * The integer part: rounded toward zero.
   *
   * @example
   * tensor([1.7, -1.7]).trunc().toArray(); // [1, -1]
   */
  trunc(): Tensor {
    return this.result(trunc(this.node));
  }

  /**
   * 1 / x.
   *
   * @example
   * tensor([2, 4]).reciprocal().toArray(); // [0.5, 0.25]
   */
  reciprocal(): Tensor {
    const x = floating(this.node);
    return this.result(ops.div(ops.scalarLike(1, x), x));
  }

  /**
   * x².
   *
   * @example
   * tensor([1, -2]).square().toArray(); // [1, 4]
   */
  square(): Tensor {
    return this.result(square(this.node));
  }

  /**
   * √x.
   *
   * @example
   * tensor([4, 9]).sqrt().toArray(); // [2, 3]
   */
  sqrt(): Tensor {
    return this.result(ops.sqrt(floating(this.node)));
  }

  /**
   * eˣ.
   *
   * @example
   * tensor([0]).exp().toArray(); // [1]
   */
  exp(): Tensor {
    return this.result(ops.exp(floating(this.node)));
  }

  /**
   * eˣ − 1, exact near 0, where exp().sub(1) rounds x away.
   *
   * @example
   * tensor([1e-10]).expm1().toArray(); // [1.00000001…
   */
  expm1(): Tensor {
    return this.result(ops.expm1(floating(this.node)));
  }

  /**
   * Natural logarithm.
   *
   * @example
   * tensor([1]).log().toArray(); // [0]
   */
  log(): Tensor {
    return this.result(ops.log(floating(this.node)));
  }

  /**
   * log(1 + x), exact near 0, where add(1).log() rounds x away.
   *
   * @example
   * tensor([1e-10]).log1p().toArray(); // [1.00000001…
   */
  log1p(): Tensor {
    return this.result(ops.log1p(floating(this.node)));
  }

  /**
   * Sine of x in radians.
   *
   * @example
   * tensor([0]).sin().toArray(); // [0]
   */
  sin(): Tensor {
    return this.result(ops.sin(floating(this.node)));
  }

  /**
   * Cosine of x in radians.
   *
   * @example
   * tensor([0]).cos().toArray(); // [1]
   */
  cos(): Tensor {
    return this.result(ops.cos(floating(this.node)));
  }

  /**
   * Hyperbolic tangent.
   *
   * @example
   * tensor([0]).tanh().toArray(); // [0]
   */
  tanh(): Tensor {
    return this.result(ops.tanh(floating(this.node)));
  }

  /**
   * 1 / (1 + e⁻ˣ).
   *
   * @example
   * tensor([0]).sigmoid().toArray(); // [0.5]
   */
  sigmoid(): Tensor {
    return this.result(ops.sigmoid(floating(this.node)));
  }

  /**
   * max(x, 0); its derivative at 0 is 0.
   *
   * @example
   * tensor([-1, 2]).relu().toArray(); // [0, 2]
   */
  relu(): Tensor {
    return this.result(ops.relu(signed(this.node)));
  }

  /**
   * log(1 + eˣ), without overflow and with its tail: e⁻²⁰ at −20. Its derivative is the sigmoid.
   *
   * @example
   * tensor([0], { dtype: "float64" }).softplus().item(); // 0.6931…
   */
  softplus(): Tensor {
    return this.result(ops.softplus(floating(this.node)));
  }

  // ── dtype ──

  /**
   * Converted to `dtype`; to int32 it truncates toward zero and saturates, NaN becoming 0; uint8 is the low byte of that.
   *
   * @example
   * tensor([1.7, -1.7]).cast("int32").toArray(); // [1, -1]
   */
  cast(dtype: DType): Tensor {
    return this.result(cast(this.node, dtype));
  }

  /**
   * Cast to float32.
   *
   * @example
   * tensor([true]).float().dtype; // "float32"
   */
  float(): Tensor {
    return this.cast("float32");
  }

  /**
   * Cast to float64.
   *
   * @example
   * tensor([1]).double().dtype; // "float64"
   */
  double(): Tensor {
    return this.cast("float64");
  }

  /**
   * Cast to int32.
   *
   * @example
   * tensor([1.9]).int().toArray(); // [1]
   */
  int(): Tensor {
    return this.cast("int32");
  }

  /**
   * Cast to bool: not zero.
   *
   * @example
   * tensor([0, 3]).bool().toArray(); // [0, 1]
   */
  bool(): Tensor {
    return this.cast("bool");
  }
}
