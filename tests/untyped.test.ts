// What callers without types get wrong: always a typed error that says what came and what belongs there.
import { compile, grad, hessian, NablaError, nn, optim, random, tensor, train, valueAndGrad, ValueError, Variable, vmap } from "nabla";
import { dataset } from "nabla/data";
import { inspect } from "node:util";
import { expect, test } from "vitest";

const model = nn.sequential(nn.dense(2, 3));
const set = dataset({ x: { data: new Float32Array(8), shape: [2] }, y: { data: new Int32Array(4), shape: [] } });

const calls: readonly (readonly [expected: string, call: () => unknown])[] = [
  ["sgd: the options are undefined. Pass an object, e.g. sgd({ learningRate: 0.01 }).", () => optim.sgd(undefined as never)],
  ["sgd: learningRate is undefined.", () => optim.sgd({} as never)],
  ["adam: the options are 0.001. Pass an object, e.g. adam({ learningRate: 0.001 }).", () => optim.adam(1e-3 as never)],
  ["adamW: the options are null.", () => optim.adamW(null as never)],
  ["The optimizer is undefined. Pass one, e.g. optim.adam().", () => optim.clipByNorm(undefined as never, 1)],
  ["cosine: the options are undefined. Pass an object, e.g. { steps: 1000 }.", () => optim.cosine(1e-3, undefined as never)],
  ["warmUp: the options are 100.", () => optim.warmUp(1e-3, 100 as never)],
  ["fit: the options are undefined. Pass an object, e.g. { optimizer: optim.adam() }.", () => train.fit(model, set, undefined as never)],
  ["The optimizer is undefined.", () => train.fit(model, set, {} as never)],
  ["fit: the data set is a Tensor. Pass a Dataset, e.g. `(await mnist()).trainSet` or `dataset({ x: …, y: … })`, with inputs and targets, then the options.", () => train.fit(model, tensor([1]) as never, tensor([1]) as never)],
  ["predict: the data set is a Tensor. Pass a Dataset, e.g. `dataset({ x: … })`; for one tensor, call model.eval().forward(x).", () => train.predict(model, tensor([1]) as never)],
  ["evaluate: the data set is undefined.", () => train.evaluate(model, undefined as never)],
  ['adam: there is no option "lr". Did you mean "learningRate"?', () => optim.adam({ lr: 1e-3 } as never)],
  ['adamW: there is no option "weight_decay". Did you mean "weightDecay"?', () => optim.adamW({ weight_decay: 1e-3 } as never)],
  ['rmsprop: there is no option "eps". Did you mean "epsilon"?', () => optim.rmsprop({ eps: 1e-3 } as never)],
  ['cosine: there is no option "stpes". Did you mean "steps"?', () => optim.cosine(1, { stpes: 10 } as never)],
  ['sgd: there is no option "zzz". The options are learningRate, momentum, nesterov, weightDecay.', () => optim.sgd({ learningRate: 1, zzz: 1 } as never)],
  ['fit: there is no option "batch_size". Did you mean "batchSize"?', () => train.fit(model, set, { optimizer: optim.adam(), batch_size: 3 } as never)],
  ['epochs: there is no option "epoch". Did you mean "epochs"?', () => train.epochs(model, set, { optimizer: optim.adam(), epoch: 3 } as never)],
  ['evaluate: there is no option "metric". Did you mean "metrics"?', () => train.evaluate(model, set, { metric: {} } as never)],
  ['loader: there is no option "batch". Did you mean "batchSize"?', () => set.loader({ batch: 3 } as never)],
  ['dense: there is no option "useBias". Did you mean "bias"?', () => nn.dense(1, 1, { useBias: false } as never)],
  ['dropout: there is no option "seed".', () => nn.dropout(0.5, { seed: 1 } as never)],
  ['tensor: there is no option "dytpe". Did you mean "dtype"?', () => tensor([1], { dytpe: "int32" } as never)],
  ['random.normal: there is no option "std". The options are mean, deviation, dtype.', () => random.normal(random.key(0), [1], { std: 1 } as never)],
  ['Variable: there is no option "requiresGrad".', () => new Variable(tensor([1]), { requiresGrad: false } as never)],
  ["epochs: the options are undefined.", () => train.epochs(model, set, undefined as never).next()],
  ["The model is an object with forward. Pass a module", () => train.fit({ forward: () => tensor(0) } as never, set, { optimizer: optim.adam() })],
  ["The model is undefined. Pass a module", () => train.step(undefined as never, optim.adam(), () => tensor(0))],
  ["The optimizer is 0.1.", () => train.step(model, 0.1 as never, () => tensor(0))],
  ["step: the function is undefined. Pass a function, e.g. (model, { images, labels })", () => train.step(model, optim.adam(), undefined as never)],
  ["dataset: the columns are undefined. Pass an object, e.g. { x: { data, shape }", () => dataset(undefined as never)],
  ["dataset: the columns are an array.", () => dataset([] as never)],
  ["the key is undefined. Pass random.key(seed)", () => random.uniform(undefined as never, [2])],
  ["the key is 0.", () => random.normal(0 as never, [2])],
  ["grad: the function is 1. Pass a function, e.g. (x) => x.square().sum().", () => grad(1 as never)],
  ["valueAndGrad: the function is undefined.", () => valueAndGrad(undefined as never)],
  ["vmap: the function is undefined.", () => vmap(undefined as never)],
  ["hessian: the function is a Tensor.", () => hessian(tensor([1]) as never)],
  ["compile: the function is an object with nothing in it.", () => compile({} as never)],
];

test.each(calls)("%s", async (expected, call) => {
  const failure = await Promise.resolve().then(call).then(() => undefined, (error: unknown) => error);
  expect(failure).toBeInstanceOf(NablaError);
  expect((failure as NablaError).message).toContain(expected);
});

test("a fix is said once, wherever an error is printed", () => {
  for (const { text } of [{ text: inspect(new ValueError("It is wrong.", "Mend it.")) }, { text: String(new ValueError("It is wrong.", "Mend it.")) }]) expect(text.split("Mend it.").length).toBe(2);
  expect(new ValueError("It is wrong.", "Mend it.").fix).toBe("Mend it.");
});
