// One training run, the same in Node and in the page: a dense network on made-up digits, from seeded weights.
import { deviceReport, nn, optim, random, tensor, type Tensor, train } from "nabla";

export interface Training {
  /** Of every step. */
  readonly losses: readonly number[];
  readonly milliseconds: number;
  readonly synchronous: boolean;
  readonly threadsReady: number;
}

const pixels = 784;
const classes = 10;
const batchSize = 128;

/** Images of class c are noise plus a bright band that c places. */
function batch(index: number): { images: Tensor; labels: Tensor } {
  let state = index + 1;
  const images = new Float32Array(batchSize * pixels);
  const labels = new Int32Array(batchSize);
  for (let row = 0; row < batchSize; row++) {
    const label = (row * 7 + index) % classes;
    labels[row] = label;
    for (let pixel = 0; pixel < pixels; pixel++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      const noise = (state >>> 8) / 2 ** 24;
      images[row * pixels + pixel] = Math.floor(pixel / 78) === label ? 0.3 + 0.7 * noise : 0.5 * noise;
    }
  }
  return { images: tensor(images, { shape: [batchSize, pixels] }), labels: tensor(labels) };
}

export async function trainOnMadeUpDigits(steps: number): Promise<Training> {
  random.seed(1);
  const model = nn.sequential(nn.dense(pixels, 256), nn.relu(), nn.dense(256, classes));
  const step = train.step(model, optim.adam({ learningRate: 1e-3 }), (network, { images, labels }: { images: Tensor; labels: Tensor }) =>
    nn.crossEntropy(network.forward(images), labels),
  );
  const batches = Array.from({ length: 8 }, (_, index) => batch(index));
  const begin = performance.now();
  const losses: number[] = [];
  for (let index = 0; index < steps; index++) {
    const { loss } = await step(batches[index % batches.length]!);
    losses.push((await loss.data())[0]!);
  }
  const milliseconds = performance.now() - begin;
  const { synchronous, threadsReady } = await deviceReport();
  return { losses, milliseconds, synchronous, threadsReady };
}
