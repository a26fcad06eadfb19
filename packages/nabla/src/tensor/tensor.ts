// Tensor: the value a person holds, a thin wrapper over a node of the graph.
// Nothing is computed until a value is read; tensors are never consumed by what is done with them.
import * as ops from "../ops/build.ts";
import { isFloating } from "../ops/dtype.ts";
import type { GraphNode } from "../ops/graph.ts";
import { evaluate, isTraced } from "./evaluate.ts";
import { IndexingMethods } from "./indexing.ts";
import * as movement from "./movement.ts";
import { nodeOf } from "./value.ts";

/**
 * An n-dimensional array: a lazy value with a shape and a dtype.
 *
 * Operations follow NumPy: shapes broadcast, dtypes promote (bool < uint8 < int32 < float32 < float64), a JS number takes
 * the tensor's dtype. Made by {@link tensor}, {@link zeros} and the like.
 *
 * The methods live with what they do, each kind a layer of the class: movement.ts, arithmetic.ts, comparison.ts, reduction.ts,
 * contraction.ts, indexing.ts; reading and lifetime are in value.ts.
 *
 * @example
 * tensor([[1, 2], [3, 4]]).mul(10).sum(0).toArray(); // [40, 60]
 */
export class Tensor extends IndexingMethods {
  /** An operation that changes nothing still gives a tensor that is disposed independently. @internal */
  protected override result(node: GraphNode): Tensor {
    return new Tensor(node === this.node ? movement.alias(node) : node);
  }

  /**
   * The same value, through which no derivative is taken.
   *
   * @example
   * grad((x: Tensor) => x.mul(x.stopGradient()))(tensor(3)).item(); // 3
   */
  stopGradient(): Tensor {
    return this.result(isFloating(this.dtype) ? ops.stopGradient(this.node) : this.node);
  }

  /**
   * A copy with memory of its own, made at once: a step that updates a variable in place leaves it alone.
   *
   * @example
   * tensor([1, 2]).clone().toArray(); // [1, 2]
   */
  clone(): Tensor {
    const node = movement.alias(this.node);
    if (!isTraced(node)) evaluate([node]);
    return new Tensor(node);
  }
}

/**
 * Joined along an existing axis (default 0); dtypes promote.
 *
 * @example
 * concat([tensor([1, 2]), tensor([3])]).toArray(); // [1, 2, 3]
 */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  return owned(tensors, movement.concat(tensors.map((each) => nodeOf("concat", each)), axis));
}

/**
 * Joined along a new axis (default 0); dtypes promote.
 *
 * @example
 * stack([tensor([1, 2]), tensor([3, 4])]).toArray(); // [[1, 2], [3, 4]]
 */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return owned(tensors, movement.stack(tensors.map((each) => nodeOf("stack", each)), axis));
}

function owned(operands: readonly Tensor[], node: GraphNode): Tensor {
  return new Tensor(operands.some((each) => each.node === node) ? movement.alias(node) : node);
}
