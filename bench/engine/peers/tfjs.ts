// tfjs side of the bench; the argument names the backend, "wasm" or "cpu".
import { createRequire } from "node:module";
import { dirname } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { type Prepare, serve } from "./protocol.ts";

const backend = process.argv[2] ?? "wasm";
if (backend === "wasm") {
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"))}/`);
}
await tf.setBackend(backend);
await tf.ready();

function perceptron(sizes: readonly number[]): { readonly variables: tf.Variable[]; readonly forward: (x: tf.Tensor2D) => tf.Tensor2D } {
  const layers = sizes.slice(1).map((out, i) => {
    const inputs = sizes[i]!;
    return [tf.variable(tf.randomUniform([inputs, out], -0.05, 0.05)), tf.variable(tf.zeros([out]))] as const;
  });
  const forward = (x: tf.Tensor2D): tf.Tensor2D => layers.reduce((h: tf.Tensor2D, [w, b], i) => {
    const z = tf.add(tf.matMul(h, w as tf.Tensor2D), b) as tf.Tensor2D;
    return i + 1 < layers.length ? tf.relu(z) : z;
  }, x);
  return { variables: layers.flat(), forward };
}

function training(sizes: readonly number[], x: tf.Tensor2D, loss: (y: tf.Tensor2D) => tf.Scalar): () => Promise<void> {
  const { forward } = perceptron(sizes);
  const optimizer = tf.train.adam(1e-3);
  return async () => {
    const value = optimizer.minimize(() => loss(forward(x)), true)!;
    await value.data();
    value.dispose();
  };
}

const prepare: Prepare = async (request) => {
  if (request.threads !== 1) return undefined;
  switch (request.work) {
    case "matmul": {
      const { m, n, k, transposeA = false, transposeB = false } = request;
      // The plain JavaScript backend takes minutes for the larger products.
      if (backend === "cpu" && m * n * k > 2 ** 27) return undefined;
      const a = tf.randomUniform<tf.Rank.R2>(transposeA ? [k, m] : [m, k]);
      const b = tf.randomUniform<tf.Rank.R2>(transposeB ? [n, k] : [k, n]);
      return async () => {
        const c = tf.matMul(a, b, transposeA, transposeB);
        if (backend === "cpu") await c.data();
        c.dispose();
      };
    }
    case "mlp": {
      const labels = tf.oneHot(tf.randomUniform([request.batch], 0, 10, "int32"), 10);
      return training([784, 512, 256, 10], tf.randomUniform([request.batch, 784]), (y) => tf.losses.softmaxCrossEntropy(labels, y));
    }
    case "tiny": {
      const x = tf.tensor2d([[0, 0], [0, 1], [1, 0], [1, 1]]);
      const targets = tf.tensor2d([[0], [1], [1], [0]]);
      return training([2, 8, 1], x, (y) => tf.losses.sigmoidCrossEntropy(targets, y));
    }
    case "elementwise": {
      const x = tf.randomUniform([request.size]);
      return () => tf.tidy(() => { tf.relu(tf.add(tf.mul(x, 1.5), 0.25)); });
    }
    default:
      return undefined;
  }
};

await serve(prepare);
