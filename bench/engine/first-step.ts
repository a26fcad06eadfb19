// One process, one number: milliseconds from building the MLP to the end of its first step.
// Loading the library is not counted, making the device and compiling are.
import { nn, optim, tensor, type Tensor, train, zeros } from "nabla";

const start = performance.now();
const model = nn.sequential(nn.dense(784, 512), nn.relu(), nn.dense(512, 256), nn.relu(), nn.dense(256, 10));
const step = train.step(model, optim.adam(), (m, { x, y }: { x: Tensor; y: Tensor }) => nn.crossEntropy(m.forward(x), y));
const { loss } = await step({ x: zeros([128, 784]), y: tensor(new Int32Array(128)) });
await loss.data();
console.log(performance.now() - start);
