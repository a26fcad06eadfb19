// nabla's side of the bench: the public API, as a user would write it.
// Threads come from NABLA_NUM_THREADS.
import { compile, defaultDevice, nn, optim, random, Tensor, tensor, train } from "nabla";
import { source } from "../../../packages/nabla/src/ops/build.ts";
import { evaluate } from "../../../packages/nabla/src/tensor/evaluate.ts";
import { Stage } from "../../../packages/nabla/src/tensor/stage.ts";
import { storageOf } from "../../../packages/nabla/src/tensor/storage.ts";
import { type Prepare, serve } from "./protocol.ts";

const { uniform, key } = random;

const prepare: Prepare = async (request) => {
  switch (request.work) {
    case "matmul": {
      const { m, n, k, transposeA = false, transposeB = false } = request;
      const a = uniform(key(0), transposeA ? [k, m] : [m, k]);
      const b = uniform(key(1), transposeB ? [n, k] : [k, n]);
      const product = compile((x: Tensor, y: Tensor) => (transposeA ? x.transpose() : x).matmul(transposeB ? y.transpose() : y));
      return () => product(a, b).dispose();
    }
    case "mlp": {
      const model = nn.sequential(nn.dense(784, 512), nn.relu(), nn.dense(512, 256), nn.relu(), nn.dense(256, 10));
      const step = train.step(model, optim.adam(), (m, { x, y }: { x: Tensor; y: Tensor }) => nn.crossEntropy(m.forward(x), y));
      const x = uniform(key(2), [request.batch, 784]);
      const y = tensor(Int32Array.from({ length: request.batch }, (_, i) => i % 10));
      return async () => {
        (await step({ x, y })).loss.dispose();
      };
    }
    case "tiny": {
      const model = nn.sequential(nn.dense(2, 8), nn.relu(), nn.dense(8, 1));
      const step = train.step(model, optim.adam(), (m, { x, y }: { x: Tensor; y: Tensor }) => nn.binaryCrossEntropy(m.forward(x), y));
      const x = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
      const y = tensor([[0], [1], [1], [0]]);
      return async () => {
        (await step({ x, y })).loss.dispose();
      };
    }
    case "elementwise": {
      const x = uniform(key(3), [request.size]);
      const f = compile((input: Tensor) => input.mul(1.5).add(0.25).relu());
      return () => f(x).dispose();
    }
    case "adam":
      return adamUpdate(request.size);
    default:
      return undefined;
  }
};

/** The update alone, in place, as a step runs it. */
function adamUpdate(size: number): () => void {
  const optimizer: optim.Optimizer = optim.adam();
  const parameter = uniform(key(4), [size]);
  const gradient = uniform(key(5), [size]);
  const state = optimizer.init(parameter);
  const hyper = Object.fromEntries(Object.entries(optimizer.hyper).map(([name, value]) => [name, tensor(value)]));
  const values = [parameter, ...Object.values(state), gradient, ...Object.values(hyper)];
  evaluate(values.map((value) => value.node));
  const inputs = values.map(({ shape, dtype }) => source({ shape, dtype }));
  const placeholders = inputs.map((node) => new Tensor(node));
  const names = Object.keys(state);
  const updated = optimizer.update(
    placeholders[1 + names.length]!, placeholders[0]!, Object.fromEntries(names.map((name, index) => [name, placeholders[1 + index]!])),
    Object.fromEntries(Object.keys(hyper).map((name, index) => [name, placeholders[2 + names.length + index]!])),
  );
  const outputs = [updated.parameter.node, ...names.map((name) => updated.state[name]!.node)];
  const stage = new Stage({ device: defaultDevice(), inputs, outputs, donate: outputs.map((_, index) => index) });
  const storages = values.map((value) => storageOf(value.node));
  return () => {
    stage.run(storages);
  };
}

await serve(prepare);
