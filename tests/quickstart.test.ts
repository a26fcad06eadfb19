// The quickstart, and a layer and loop of one's own, run as a newcomer writes them, on a slice of MNIST to stay fast.
// Only what `mnist` gives is replaced.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "nabla";
import type * as Data from "nabla/data";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

vi.mock("nabla/data", async (original) => {
  const data = await original<typeof Data>();
  const mnist: typeof data.mnist = async (options) => {
    const { trainSet, testSet } = await data.mnist(options);
    return { trainSet: trainSet.slice(0, 4000), testSet: testSet.slice(0, 500) };
  };
  return { ...data, mnist };
});

const home = process.cwd();
let folder: string;
beforeAll(() => process.chdir((folder = mkdtempSync(join(tmpdir(), "nabla-quickstart-")))));
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

test("real data, progress bar, saved model", async () => {
  const { nn, optim, train, metrics, io } = await import("nabla");
  const { mnist } = await import("nabla/data");

  const { trainSet, testSet } = await mnist();
  const model = nn.sequential(nn.flatten(), nn.dense(784, 256), nn.relu(), nn.dropout(0.2), nn.dense(256, 10));
  const run = await train.fit(model, trainSet, {
    loss: nn.crossEntropy, optimizer: optim.adam({ learningRate: 1e-3 }),
    epochs: 5, batchSize: 128, validation: testSet, metrics: { accuracy: metrics.accuracy },
  });
  await io.save("mnist.safetensors", model);

  expect(run.last.validation!["accuracy"]!).toBeGreaterThan(0.88);
  expect(statSync("mnist.safetensors").size).toBeGreaterThan(4 * (784 * 256 + 256 * 10));
  const again = nn.sequential(nn.flatten(), nn.dense(784, 256), nn.relu(), nn.dropout(0.2), nn.dense(256, 10));
  await io.load("mnist.safetensors", again);
  expect((await train.evaluate(again, testSet, { metrics: { accuracy: metrics.accuracy } }))["accuracy"]).toBeCloseTo(run.last.validation!["accuracy"]!, 6);
});

test("your own layer and your own loop", async () => {
  const { nn, optim, train } = await import("nabla");
  const { mnist } = await import("nabla/data");

  class Residual extends nn.Module {
    dense1; dense2;
    constructor(features: number) { super();
      this.dense1 = nn.dense(features, features); this.dense2 = nn.dense(features, features); }
    forward(x: Tensor): Tensor { return this.dense2.forward(this.dense1.forward(x).relu()).add(x).relu(); }
  }
  const model = nn.sequential(nn.flatten(), nn.dense(784, 32), new Residual(32), nn.dense(32, 10));
  const optimizer = optim.adam();
  const loader = (await mnist()).trainSet.loader({ batchSize: 256, shuffle: true });
  const step = train.step(model, optimizer, (model, { images, labels }: { images: Tensor; labels: Tensor }) => nn.crossEntropy(model.forward(images), labels));
  const losses: number[] = [];
  for await (const batch of loader) { const { loss } = await step(batch); losses.push(loss.item()); }

  expect(losses.length).toBe(16);
  expect(losses.at(-1)!).toBeLessThan(losses[0]! / 1.5);
});
