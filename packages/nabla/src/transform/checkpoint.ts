// checkpoint: memory for time. The values inside a function are given up after the forward pass and computed again in the
// backward pass (Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost", 2016).
import { requireFunction } from "../errors/arguments.ts";
import { ValueError } from "../errors/errors.ts";
import { currentSegment, inSegment } from "../ops/graph.ts";

/**
 * `f` with the same values and derivatives, whose intermediate results are computed again in the backward pass instead of
 * being kept for it.
 *
 * Wrap the blocks of a deep network: memory then holds what passes between blocks and the inside of one of them, for one
 * more forward pass of time. Checkpoints may nest. `f` may close over tensors and modules; random draws repeat themselves.
 * Throws {@link ValueError} when `f` returns a promise.
 *
 * Source: Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost" (2016).
 *
 * @example
 * const block = checkpoint((x: Tensor) => x.sin().exp().square());
 * block(tensor([0])).toArray(); // [1]
 * grad((x: Tensor) => block(x).sum())(tensor([0])).toArray(); // [2]
 */
export function checkpoint<A extends readonly unknown[], R>(f: (...inputs: A) => R): (...inputs: A) => R {
  requireFunction("checkpoint", f);
  return (...inputs) =>
    inSegment({ parent: currentSegment() }, () => {
      const result = f(...inputs);
      if (result instanceof Promise) throw new ValueError("checkpoint: the function returned a promise.", "Compute with tensors synchronously, and read values outside.");
      return result;
    });
}
