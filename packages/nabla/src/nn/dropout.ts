// Dropout: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (JMLR 2014),
// in its inverted form: what is kept is scaled up in training, so evaluation does nothing.
import { requireOptions } from "../errors/arguments.ts";
import { ValueError } from "../errors/errors.ts";
import { advance, bernoulli } from "../random/distributions.ts";
import { type Key, nextKey } from "../random/key.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { Module } from "./module.ts";

/** Options of {@link dropout}. */
export interface DropoutOptions {
  /** What the masks are drawn from. Default: the next key of the default generator. */
  readonly key?: Key;
}

export class Dropout extends Module {
  readonly rate: number;
  /** Advanced by every forward pass in training: part of the model's state, so a resumed run draws the same masks. */
  readonly key: Variable;

  constructor(rate: number, options: DropoutOptions = {}) {
    super();
    requireOptions("dropout", options, { key: true }, "{ key: random.key(0) }");
    if (!(rate >= 0 && rate < 1)) throw new ValueError(`dropout: rate ${rate}.`, "Pass the share to drop, from 0 up to but not 1.");
    this.rate = rate;
    this.key = new Variable((options.key ?? nextKey()).tensor, { trainable: false, name: "key" });
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.rate === 0) return x;
    const { next, drawn } = advance(this.key);
    this.key.assign(next);
    const kept = bernoulli(drawn, 1 - this.rate, x.shape);
    return kept.where(x.div(1 - this.rate), 0);
  }
}

/**
 * In training, zeroes each element with probability `rate` and divides the others by 1 − rate; in evaluation, does nothing.
 *
 * @example
 * dropout(0.5).eval().forward(ones([2])).toArray(); // [1, 1]
 */
export function dropout(rate: number, options: DropoutOptions = {}): Dropout {
  return new Dropout(rate, options);
}
