// Time of the compiler over the size of the graph, from nodes to kernels: `node --conditions=nabla-source bench/engine/compile-time.ts`
// Each family doubles; "growth" is the exponent between neighbours, 1 where time is linear. Best of three.
import { compileProgram, type CompileRequest } from "../../packages/nabla/src/compile/index.ts";
import { source } from "../../packages/nabla/src/ops/build.ts";
import type { GraphNode } from "../../packages/nabla/src/ops/graph.ts";
import { Tensor } from "../../packages/nabla/src/tensor/tensor.ts";
import { vjp } from "../../packages/nabla/src/transform/reverse.ts";

const input = (...shape: number[]): Tensor => new Tensor(source({ shape, dtype: "float32" }));
const nodes = (tensors: readonly Tensor[]): GraphNode[] => tensors.map((tensor) => tensor.node);

/** Adam on `parameters` for `loss`, each state updated in place. */
function training(loss: Tensor, parameters: readonly Tensor[], data: readonly Tensor[]): CompileRequest {
  const rate = input();
  const gradients = vjp([loss.node], nodes(parameters), [loss.mul(0).add(1).node]).map((node) => new Tensor(node!));
  const states: Tensor[] = [];
  const updates: Tensor[] = [];
  parameters.forEach((parameter, index) => {
    const [m, v] = [input(...parameter.shape), input(...parameter.shape)];
    const gradient = gradients[index]!;
    const m2 = m.mul(0.9).add(gradient.mul(0.1));
    const v2 = v.mul(0.999).add(gradient.square().mul(0.001));
    states.push(parameter, m, v);
    updates.push(parameter.sub(m2.mul(rate).div(v2.sqrt().add(1e-8))), m2, v2);
  });
  return { inputs: nodes([...states, rate, ...data]), outputs: nodes([...updates, loss]), donate: states.map((_, index) => index) };
}

function mlp(layers: number): CompileRequest {
  const x = input(32, 64);
  const parameters: Tensor[] = [];
  let hidden = x;
  for (let layer = 0; layer < layers; layer++) {
    const [w, b] = [input(64, 64), input(64)];
    parameters.push(w, b);
    hidden = hidden.matmul(w).add(b).relu();
  }
  return training(hidden.square().mean(), parameters, [x]);
}

/** Four products with the input and four with the state, each step. */
function lstm(steps: number): CompileRequest {
  const size = 32;
  const x = input(16, steps, size);
  const gates = Array.from({ length: 4 }, () => ({ w: input(size, size), u: input(size, size), b: input(size) }));
  let [h, c] = [input(16, size), input(16, size)];
  const start = [h, c];
  for (let step = 0; step < steps; step++) {
    const now = x.slice([0, 16], [step, step + 1]).reshape([16, size]);
    const [i, f, g, o] = gates.map(({ w, u, b }) => now.matmul(w).add(h.matmul(u)).add(b)) as [Tensor, Tensor, Tensor, Tensor];
    c = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()));
    h = o.sigmoid().mul(c.tanh());
  }
  return training(h.square().mean(), gates.flatMap(({ w, u, b }) => [w, u, b]), [x, ...start]);
}

/** Every value wanted, and all made from one array and a small one each. */
function sharedLeaf(roots: number): CompileRequest {
  const x = input(128);
  const others = Array.from({ length: roots }, () => input(128));
  return { inputs: nodes([x, ...others]), outputs: nodes(others.map((other) => x.mul(other).tanh())), donate: [] };
}

/** One hidden layer with many heads, whose losses are summed. */
function heads(count: number): CompileRequest {
  const x = input(32, 64);
  const w = input(64, 64);
  const hidden = x.matmul(w).relu();
  const tails = Array.from({ length: count }, () => input(64, 8));
  const loss = tails.map((tail) => hidden.matmul(tail).tanh().square().mean()).reduce((a, b) => a.add(b));
  return training(loss, [w, ...tails], [x]);
}

function chain(length: number): CompileRequest {
  const x = input(64);
  let y = x;
  for (let i = 0; i < length; i++) y = y.mul(0.999).add(x);
  return { inputs: [x.node], outputs: nodes([y]), donate: [] };
}

/** A running total of means, as an epoch's losses are added up. */
function total(length: number): CompileRequest {
  const values = Array.from({ length }, () => input(2));
  return { inputs: nodes(values), outputs: nodes([values.map((value) => value.mean()).reduce((a, b) => a.add(b))]), donate: [] };
}

/** A chain whose every value is kept, and differentiated. */
function recurrence(steps: number): CompileRequest {
  const [w, x] = [input(64), input(64)];
  let y = x;
  const seen: Tensor[] = [];
  for (let step = 0; step < steps; step++) {
    y = y.mul(w).tanh();
    seen.push(y);
  }
  const loss = seen.map((each) => each.square().sum()).reduce((a, b) => a.add(b));
  return training(loss, [w], [x]);
}

const families: readonly (readonly [name: string, make: (size: number) => CompileRequest, sizes: readonly number[]])[] = [
  ["MLP step, layers", mlp, [25, 50, 100, 200]],
  ["LSTM step, four products, steps", lstm, [10, 20, 40]],
  ["roots that share a leaf", sharedLeaf, [250, 500, 1000, 2000]],
  ["heads on one layer", heads, [64, 128, 256, 512]],
  ["elementwise chain", chain, [6_250, 12_500, 25_000, 50_000]],
  ["sum of means", total, [1_250, 2_500, 5_000, 10_000]],
  ["tanh recurrence, every value kept", recurrence, [100, 200, 400, 800]],
];

const only = process.argv[2];
for (const [name, make, sizes] of families) {
  if (only !== undefined && !name.includes(only)) continue;
  let last: number | undefined;
  for (const size of sizes) {
    const request = make(size);
    const times = Array.from({ length: 3 }, () => {
      const begin = performance.now();
      compileProgram(request);
      return performance.now() - begin;
    });
    const best = Math.min(...times);
    const growth = last === undefined ? "" : `growth ${Math.log2(best / last).toFixed(2)}`;
    const { kernels, phases, arenaBytes } = compileProgram(request);
    console.log(`${name.padEnd(34)} ${String(size).padStart(6)} ${best.toFixed(1).padStart(9)} ms  ${String(kernels.length).padStart(6)} kernels ${String(phases.length).padStart(5)} phases ${String(arenaBytes).padStart(9)} bytes  ${growth}`);
    last = best;
  }
}
