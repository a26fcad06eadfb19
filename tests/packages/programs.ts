// What a user of the packages writes: the files of the project that they are tried in.

const xor = `const inputs = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
const targets = tensor([[0], [1], [1], [0]]);
const model = nn.sequential(nn.dense(2, 8, { key: random.key(1) }), nn.tanh(), nn.dense(8, 1, { key: random.key(2) }));
const step = train.step(model, optim.adam({ learningRate: 0.05 }), (net, x) => nn.binaryCrossEntropy(net.forward(x), targets));
`;

export const programs: Readonly<Record<string, string>> = {
  "train.mjs": `import { nn, optim, random, tensor, train } from "nabla";
import { dataset } from "nabla/data";
import { createStudy } from "@nabla/tune";
${xor}let loss = Infinity;
for (let i = 0; i < 300; i++) loss = (await (await step(inputs)).loss.data())[0];
const study = await createStudy({ direction: "minimize", seed: 1 });
await study.optimize((trial) => (trial.float("x", -1, 1) - 0.5) ** 2, { trials: 10 });
const set = dataset({ x: { data: new Float32Array([1, 2, 3, 4]), shape: [2] } });
console.log(loss < 0.1 && study.best.values[0] < 0.5 && set.length === 2 ? "learned" : \`did not learn: \${loss}\`);
process.exit(0);
`,
  "types.ts": `import { grad, nn, optim, random, scan, type Tensor, tensor, train } from "nabla";
import { dataset } from "nabla/data";
import { createStudy, space } from "@nabla/tune";
const model = nn.sequential(nn.dense(2, 8, { key: random.key(1) }), nn.tanh(), nn.dense(8, 1));
const set = dataset({ x: { data: new Float32Array([0, 0, 0, 1]), shape: [2] }, y: { data: new Float32Array([0, 1]), shape: [1] } });
const run = await train.fit(model, set, { loss: nn.binaryCrossEntropy, optimizer: optim.adam({ learningRate: 0.05 }), epochs: 2 });
const last: number = run.last.loss;
const gradient: { w: Tensor } = grad(({ w }: { w: Tensor }) => w.square().sum())({ w: tensor([1, 2]) });
const [total] = scan((t: Tensor, x: Tensor) => [t.add(x), t] as const, tensor(0), tensor([1, 2]));
const study = await createStudy({ direction: "minimize", space: space.object({ rate: space.float(0, 1) }) });
await study.optimize(({ params }) => params.rate, { trials: 2 });
export { gradient, last, total };
`,
  "page.mjs": `import { nn, optim, random, tensor, train } from "nabla";
${xor}document.title = String((await (await step(inputs)).loss.data())[0]);
`,
  "index.html": `<!doctype html><html lang="en"><title>nabla</title><script type="module" src="./page.mjs"></script></html>
`,
  "jest.test.mjs": `import { tensor } from "nabla";
test("a tensor", () => {
  expect(tensor([1, 2]).add(1).toArray()).toEqual([2, 3]);
});
`,
};
