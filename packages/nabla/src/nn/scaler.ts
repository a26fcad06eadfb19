// Scaler: an affine map of each feature, fixed before training. Data sets measure it: data/scaler.ts.
// It is a layer, so that it is saved with the model and prediction scales as training did.
import { isFloating } from "../ops/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { Module } from "./module.ts";

export class Scaler extends Module {
  /** What is taken away and what is divided by, of the shape of a sample. */
  readonly offset: Variable;
  readonly scale: Variable;

  constructor(offset: Tensor, scale: Tensor) {
    super();
    this.offset = new Variable(offset, { name: "offset", trainable: false });
    this.scale = new Variable(scale, { name: "scale", trainable: false });
  }

  /** (x − offset) / scale; of integers in float32, which the difference is rounded to, not the integers. */
  forward(x: Tensor): Tensor {
    const scaled = x.sub(this.offset).div(this.scale);
    return isFloating(x.dtype) ? scaled : scaled.float();
  }

  /** Undoes {@link forward}: y · scale + offset, in the dtype of the offset. */
  inverse(y: Tensor): Tensor {
    return y.mul(this.scale).add(this.offset);
  }
}
