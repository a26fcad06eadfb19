// What scalers must give: the mean, deviation or range that they promise, also of constant features, in the model and out of it.
import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { ShapeError, ValueError } from "../errors/errors.ts";
import * as nn from "../nn/index.ts";
import * as optim from "../optim/index.ts";
import { step } from "../train/step.ts";
import { tensor } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { dataset } from "./dataset.ts";
import { minMaxScaler, standardScaler } from "./scaler.ts";

/** Three features: plain, far from zero, constant at a number that sums inexactly. */
const rows = Array.from({ length: 31 }, (_, i) => [Math.sin(i), 1e6 + (i % 7), 0.1]);
const column = { data: Float64Array.from(rows.flat()), shape: [3] };

onEveryDevice("scalers", () => {
  test("standardScaler: mean 0 and deviation 1 of each feature, 0 of a constant one", () => {
    const scaled = standardScaler(column).forward(tensor(rows, { dtype: "float64" }));
    expect(scaled.mean(0).abs().max().item()).toBeLessThan(1e-9);
    expect(scaled.std(0).toArray()).toEqual([expect.closeTo(1, 9), expect.closeTo(1, 9), expect.closeTo(0, 9)]);
  });

  test("minMaxScaler: the range asked for, its start for a constant feature", () => {
    const scaled = minMaxScaler(column, { low: -1, high: 3 }).forward(tensor(rows, { dtype: "float64" }));
    expect(scaled.min(0).toArray()).toEqual([expect.closeTo(-1, 9), expect.closeTo(-1, 9), expect.closeTo(-1, 9)]);
    expect(scaled.max(0).toArray()).toEqual([expect.closeTo(3, 9), expect.closeTo(3, 9), expect.closeTo(-1, 9)]);
  });

  test("integers that float32 does not tell apart", () => {
    const seconds = Int32Array.from({ length: 61 }, (_, i) => 1_764_000_000 + i);
    const standard = standardScaler({ data: seconds, shape: [] });
    const scaled = standard.forward(tensor(seconds));
    expect(scaled.dtype).toBe("float32");
    expect([scaled.mean().item(), scaled.std().item()]).toEqual([expect.closeTo(0, 5), expect.closeTo(1, 5)]);
    expect([...standard.inverse(scaled).round().int().dataSync()]).toEqual([...seconds]);
    const ranged = minMaxScaler({ data: seconds, shape: [] }).forward(tensor(seconds));
    expect([ranged.min().item(), ranged.max().item()]).toEqual([0, 1]);
  });

  test("inverse undoes", () => {
    for (const scaler of [standardScaler(column), minMaxScaler(column, { low: -1 })]) {
      const x = tensor(rows, { dtype: "float64" });
      expect(scaler.inverse(scaler.forward(x)).sub(x).abs().max().item()).toBeLessThan(1e-9);
    }
  });

  test("is part of a model's state but not trained", async () => {
    const bytes = { data: Uint8Array.from([0, 100, 200, 50, 255, 0]), shape: [2] };
    const model = nn.sequential(standardScaler(bytes), nn.dense(2, 1));
    expect(Object.keys(model.variables())).toEqual(["layers.0.offset", "layers.0.scale", "layers.1.weight", "layers.1.bias"]);
    expect(Object.keys(model.parameters())).toEqual(["layers.1.weight", "layers.1.bias"]);
    const before = model.variables()["layers.0.scale"]!.toArray();
    const train = step(model, optim.sgd({ learningRate: 0.1 }), (m, { x }: { x: Tensor }) => m.forward(x).square().mean());
    await train({ x: tensor(bytes.data, { shape: [3, 2] }) });
    expect(model.variables()["layers.0.scale"]!.toArray()).toEqual(before);
  });

  test("scales the column of a set", async () => {
    const data = Float32Array.from([1, 2, 3, 6]);
    const scaler = minMaxScaler({ data, shape: [] });
    const set = dataset({ x: { data, shape: [], transform: (values) => scaler.forward(values) } });
    for await (const { x } of set.loader({ batchSize: 4 })) expect([...(await x.data())].sort((a, b) => a - b)).toEqual([0, expect.closeTo(0.2), expect.closeTo(0.4), 1]);
  });

  test("bad columns and ranges are named", () => {
    expect(() => standardScaler({ data: Float32Array.from([1, NaN]), shape: [2] })).toThrow(/"standardScaler" holds NaN in sample 0, position 1/);
    expect(() => standardScaler({ data: new Float32Array(5), shape: [2] })).toThrow(ShapeError);
    expect(() => minMaxScaler({ data: new Float32Array(0), shape: [2] })).toThrow(/minMaxScaler: the column has no samples/);
    for (const wrong of [{ low: 1 }, { high: NaN }, { low: -Infinity }]) expect(() => minMaxScaler(column, wrong)).toThrow(ValueError);
  });
});
