// jax-js side of the bench (its wasm backend; Node gives it one thread). Every call consumes its arguments, hence `.ref`.
import { defaultDevice, init, jit, nn, numpy as np, random, valueAndGrad } from "@jax-js/jax";
import { type Prepare, serve } from "./protocol.ts";

await init("wasm");
defaultDevice("wasm");

type Arrays = np.Array[];

function parameters(sizes: readonly number[]): Arrays {
  return sizes.slice(1).flatMap((out, i) => [
    random.uniform(random.key(i), [sizes[i]!, out], { minval: -0.05, maxval: 0.05 }),
    np.zeros([out]),
  ]);
}

function logits(weights: Arrays, x: np.Array): np.Array {
  let h = x;
  for (let i = 0; i < weights.length; i += 2) {
    const z = np.matmul(h, weights[i]!).add(weights[i + 1]!);
    h = i + 2 < weights.length ? nn.relu(z) : z;
  }
  return h;
}

const prepare: Prepare = async (request) => {
  if (request.threads !== 1) return undefined;
  switch (request.work) {
    case "matmul": {
      const { m, n, k, transposeA = false, transposeB = false } = request;
      const a = random.uniform(random.key(0), transposeA ? [k, m] : [m, k]);
      const b = random.uniform(random.key(1), transposeB ? [n, k] : [k, n]);
      const product = jit((x: np.Array, y: np.Array) =>
        np.matmul(transposeA ? np.transpose(x) : x, transposeB ? np.transpose(y) : y));
      return async () => {
        const c = product(a.ref, b.ref);
        await c.blockUntilReady();
        c.dispose();
      };
    }
    case "mlp": {
      // Value and gradient only: jax-js has no compiled optimizer step.
      const x = random.uniform(random.key(2), [request.batch, 784]);
      const labels = nn.oneHot(np.array(Array.from({ length: request.batch }, (_, i) => i % 10), { dtype: np.int32 }), 10);
      const weights = parameters([784, 512, 256, 10]);
      const gradient = jit(valueAndGrad((w: Arrays, input: np.Array, target: np.Array) =>
        nn.logSoftmax(logits(w, input)).mul(target).sum().mul(-1 / request.batch)));
      return async () => {
        const [loss, grads] = gradient(weights.map((w) => w.ref), x.ref, labels.ref) as [np.Array, Arrays];
        await loss.blockUntilReady();
        for (const g of grads) {
          await g.blockUntilReady();
          g.dispose();
        }
        loss.dispose();
      };
    }
    case "elementwise": {
      const x = random.uniform(random.key(3), [request.size]);
      const f = jit((input: np.Array) => nn.relu(input.mul(1.5).add(0.25)));
      return async () => {
        const y = f(x.ref);
        await y.blockUntilReady();
        y.dispose();
      };
    }
    default:
      return undefined;
  }
};

await serve(prepare);
