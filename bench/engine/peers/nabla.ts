// nabla's side of the bench: the public API, as a user would write it.
// Threads come from NABLA_NUM_THREADS.
import { compile, defaultDevice, nn, optim, random, Tensor, tensor, train } from "nabla";
import { source } from "../../../packages/nabla/src/ops/build.ts";
import { evaluate } from "../../../packages/nabla/src/tensor/evaluate.ts";
import { Stage } from "../../../packages/nabla/src/tensor/stage.ts";
import { storageOf } from "../../../packages/nabla/src/tensor/storage.ts";
import { kernelWork } from "./kernels.ts";
import { functionCalls } from "./elementwise.ts";
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
    case "elementwise":
      return inPlace([uniform(key(3), [request.size])], ([x]) => [x!.mul(1.5).add(0.25).relu()]);
    case "adam":
      return adamUpdate(request.size);
    case "kernel":
      return kernelWork(request.name);
    case "function":
      return functionCalls(request.name);
    default:
      return undefined;
  }
};

/** The optimizer's update alone, as a step runs it. */
function adamUpdate(size: number): () => void {
  const optimizer: optim.Optimizer = optim.adam();
  const parameter = uniform(key(4), [size]);
  const initial = optimizer.init(parameter);
  const stateNames = Object.keys(initial);
  const hyperNames = Object.keys(optimizer.hyper);
  const values = [parameter, ...Object.values(initial), uniform(key(5), [size]), ...hyperNames.map((name) => tensor(optimizer.hyper[name] as number))];
  return inPlace(values, (inputs) => {
    const named = (names: readonly string[], from: number): Record<string, Tensor> => Object.fromEntries(names.map((name, index) => [name, inputs[from + index]!]));
    const state = named(stateNames, 1);
    const gradient = inputs[1 + stateNames.length]!;
    const updated = optimizer.update(gradient, inputs[0]!, state, named(hyperNames, 2 + stateNames.length));
    return [updated.parameter, ...stateNames.map((name) => updated.state[name]!)];
  });
}

/** A call of `f` whose results take over the first inputs' memory, as in a step. */
function inPlace(values: readonly Tensor[], f: (inputs: readonly Tensor[]) => readonly Tensor[]): () => void {
  evaluate(values.map((value) => value.node));
  const inputs = values.map(({ shape, dtype }) => source({ shape, dtype }));
  const outputs = f(inputs.map((node) => new Tensor(node))).map((result) => result.node);
  const stage = new Stage({ device: defaultDevice(), inputs, outputs, donate: outputs.map((_, index) => index) });
  const storages = values.map((value) => storageOf(value.node));
  return () => {
    stage.run(storages);
  };
}

await serve(prepare);
