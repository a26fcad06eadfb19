// Means over every number of rows from 129 to 149, one and two in a program: what is left over after whole groups of vectors
// must not depend on how the engine's compiler pairs vectors.
import { expect, test } from "vitest";
import { crossEntropy } from "../../packages/nabla/src/nn/index.ts";
import { accuracy } from "../../packages/nabla/src/metrics/index.ts";
import { key, normal } from "../../packages/nabla/src/random/index.ts";
import { tensor } from "../../packages/nabla/src/tensor/creation.ts";
import type { Tensor } from "../../packages/nabla/src/tensor/tensor.ts";
import { compile } from "../../packages/nabla/src/transform/compile.ts";
import { onEveryDevice } from "../devices.ts";

onEveryDevice("means over rows", () => {
  test("are right for every remainder", () => {
    const both = compile((x: Tensor, y: Tensor) => ({ loss: crossEntropy(x, y), accuracy: accuracy(x, y) }));
    const one = compile((x: Tensor, y: Tensor) => crossEntropy(x, y));
    for (let rows = 129; rows <= 149; rows++) {
      const labels = Int32Array.from({ length: rows }, (_, row) => (row * 7) % 10);
      const x = normal(key(0), [rows, 10]);
      const values = x.dataSync();
      let [loss, right] = [0, 0];
      labels.forEach((label, row) => {
        const logits = Array.from(values.subarray(10 * row, 10 * row + 10));
        const largest = Math.max(...logits);
        loss += largest + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - largest), 0)) - logits[label]!;
        right += logits.indexOf(largest) === label ? 1 : 0;
      });
      const y = tensor(labels);
      const measured = both(x, y);
      expect(measured.loss.item(), `${rows} rows`).toBeCloseTo(loss / rows, 5);
      expect(measured.accuracy.item(), `${rows} rows`).toBeCloseTo(right / rows, 5);
      expect(one(x, y).item(), `${rows} rows`).toBeCloseTo(loss / rows, 5);
    }
  });
});
