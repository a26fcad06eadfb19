// Dense: every output is a weighted sum of every input, plus a bias.
import { positiveInteger, requireNumber, requireOptions } from "../errors/arguments.ts";
import { ShapeError } from "../errors/errors.ts";
import { formatShape } from "../ops/shape.ts";
import { type KeyLike, nextKey } from "../random/key.ts";
import { zeros } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { glorotUniform, type Initialiser } from "./initialisers.ts";
import { Module } from "./module.ts";

/** Options of {@link dense}. */
export interface DenseOptions {
  /** Adds a bias, beginning at 0. Default true. */
  readonly bias?: boolean;
  /** How the weight begins. Default Glorot uniform. */
  readonly init?: Initialiser;
  /** What the weight is drawn from. Default: the next key of the default generator. */
  readonly key?: KeyLike;
}

export class Dense extends Module {
  /** [inputs, outputs]. */
  readonly weight: Variable;
  /** [outputs]. */
  readonly bias: Variable | undefined;

  constructor(inputs: number, outputs: number, options: DenseOptions = {}) {
    super();
    requireOptions("dense", options, { bias: true, init: true, key: true }, "{ bias: false }");
    for (const [name, size] of [["inputs", inputs], ["outputs", outputs]] as const) {
      requireNumber("dense", name, size, positiveInteger);
    }
    const { bias = true, init = glorotUniform, key = nextKey() } = options;
    this.weight = new Variable(init(key, [inputs, outputs]), { name: "weight" });
    this.bias = bias ? new Variable(zeros([outputs]), { name: "bias" }) : undefined;
  }

  forward(x: Tensor): Tensor {
    const [inputs, outputs] = this.weight.shape;
    if (x.shape.at(-1) !== inputs) {
      throw new ShapeError(
        `dense(${inputs}, ${outputs}): the input has shape ${formatShape(x.shape)}, its last axis is not ${inputs}.`,
        x.rank > 2 ? `Put flatten() before the layer, or make its inputs ${x.shape.at(-1)}.` : `Make the layer's inputs ${x.shape.at(-1) ?? "match"}, or the data's last axis ${inputs}.`,
      );
    }
    const product = x.matmul(this.weight);
    return this.bias === undefined ? product : product.add(this.bias);
  }
}

/**
 * x·W + b: [..., inputs] → [..., outputs], with `weight` [inputs, outputs] and `bias` [outputs].
 *
 * @example
 * dense(784, 10).forward(zeros([32, 784])).shape; // [32, 10]
 */
export function dense(inputs: number, outputs: number, options: DenseOptions = {}): Dense {
  return new Dense(inputs, outputs, options);
}
