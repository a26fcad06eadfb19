// Scaler: an affine map of each feature, fixed before training. Data sets measure it: data/scaler.ts.
// It is a layer, so that it is saved with the model and prediction scales as training did.
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

  /** (x − offset) / scale. */
  forward(x: Tensor): Tensor {
    return x.sub(this.offset).div(this.scale);
  }

  /** Undoes {@link forward}: y · scale + offset. */
  inverse(y: Tensor): Tensor {
    return y.mul(this.scale).add(this.offset);
  }
}
