// Scalers: features on one scale, so that none rules the gradient by its unit (LeCun et al., "Efficient BackProp", 1998, §4.3).
// A scaler is a layer without anything to train: at the front of a model it is saved with it, and prediction scales as training did.
import { requireOptions } from "../errors/arguments.ts";
import { ValueError } from "../errors/errors.ts";
import { sizeOf } from "../ops/shape.ts";
import { Scaler } from "../nn/scaler.ts";
import { tensor } from "../tensor/creation.ts";
import { type Column, dtypeOf, samplesOf } from "./column.ts";

/**
 * A layer that gives each feature of the column mean 0 and deviation 1; a constant one becomes 0.
 *
 * Features are the positions within a sample; what is measured is `data`, before any transform. Computed in float64.
 *
 * @example
 * const scaler = standardScaler({ data: new Float32Array([1, 10, 3, 30]), shape: [2] });
 * scaler.forward(tensor([[1, 10], [3, 50]])).toArray(); // [[-1, -1], [1, 3]]
 */
export function standardScaler(column: Column): Scaler {
  const { samples, size, data } = measured("standardScaler", column);
  const mean = new Float64Array(size), square = new Float64Array(size);
  data.forEach((value, i) => { mean[i % size]! += value / samples; });
  data.forEach((value, i) => { square[i % size]! += (value - mean[i % size]!) ** 2 / samples; });
  // What rounding of the mean leaves of a constant feature is no deviation.
  const scale = square.map((value, f) => (value <= (samples * mean[f]! * Number.EPSILON) ** 2 ? 1 : Math.sqrt(value)));
  return scaler(column, mean, scale);
}

/**
 * A layer that maps the range of each feature of the column to [low, high] (default [0, 1]); a constant one becomes low.
 *
 * @example
 * const scaler = minMaxScaler({ data: new Uint8Array([0, 3, 4]), shape: [] });
 * scaler.forward(tensor([0, 3, 4])).toArray(); // [0, 0.75, 1]
 */
export function minMaxScaler(column: Column, options: { readonly low?: number; readonly high?: number } = {}): Scaler {
  requireOptions("minMaxScaler", options, { low: true, high: true }, "{ low: -1, high: 1 }");
  const { low = 0, high = 1 } = options;
  if (!(low < high && high - low < Infinity)) throw new ValueError(`minMaxScaler: the range is [${low}, ${high}].`, "Pass a finite low below a finite high.");
  const { size, data } = measured("minMaxScaler", column);
  const least = new Float64Array(size).fill(Infinity), most = new Float64Array(size).fill(-Infinity);
  data.forEach((value, i) => {
    least[i % size] = Math.min(least[i % size]!, value);
    most[i % size] = Math.max(most[i % size]!, value);
  });
  const scale = most.map((value, f) => (value === least[f] ? 1 : (value - least[f]!) / (high - low)));
  return scaler(column, least.map((value, f) => value - low * scale[f]!), scale);
}

function scaler({ data, shape }: Column, offset: Float64Array, scale: Float64Array): Scaler {
  // float32 does not hold every int32.
  const dtype = ["float64", "int32"].includes(dtypeOf(data)) ? "float64" : "float32";
  return new Scaler(tensor(offset, { shape, dtype }), tensor(scale, { shape, dtype }));
}

function measured(name: string, column: Column): { readonly samples: number; readonly size: number; readonly data: Column["data"] } {
  const samples = samplesOf(name, column);
  if (samples === 0) throw new ValueError(`${name}: the column has no samples.`, "Pass the training data.");
  return { samples, size: sizeOf(column.shape), data: column.data };
}
