// nabla's single kernels by the names of ../kernels.ts. A call leaves its result on the device.
import { compile, concat, grad, random, type Tensor, tensor } from "nabla";

const { key, normal, permutation, uniform } = random;

const draw = (shape: readonly number[], seed = 0): Tensor => uniform(key(seed), shape);
const indices = (count: number, below: number): Tensor =>
  tensor(Int32Array.from({ length: count }, (_, i) => ((Math.imul(i, 2654435761) >>> 8) % below)));

/** Calls of `f`, compiled, on the same inputs. */
function calls(f: (...inputs: Tensor[]) => Tensor | readonly Tensor[], ...inputs: readonly Tensor[]): () => void {
  const compiled = compile((...given: Tensor[]) => [f(...given)].flat());
  return () => compiled(...inputs).forEach((result) => result.dispose());
}

function layerNorm(x: Tensor, scale: Tensor, shift: Tensor): Tensor {
  const centred = x.sub(x.mean(-1, { keepDims: true }));
  return centred.div(centred.square().mean(-1, { keepDims: true }).add(1e-5).sqrt()).mul(scale).add(shift);
}

function batchNorm(x: Tensor, scale: Tensor, shift: Tensor): Tensor {
  const centred = x.sub(x.mean(0));
  return centred.div(centred.square().mean(0).add(1e-5).sqrt()).mul(scale).add(shift);
}

/** The result and the derivatives of its product with `weights` for all inputs. */
function withGradients(f: typeof layerNorm, weights: Tensor): (x: Tensor, scale: Tensor, shift: Tensor) => Tensor[] {
  const derivatives = grad((inputs: readonly [Tensor, Tensor, Tensor]) => f(...inputs).mul(weights).sum());
  return (x, scale, shift) => [f(x, scale, shift), ...derivatives([x, scale, shift])];
}

const embeddingGradient = (count: number, rows: number, inner: number): (() => void) =>
  calls((at, updates, table) => grad((x: Tensor) => x.gather(at).mul(updates).sum())(table), indices(count, rows), draw([count, inner]), draw([rows, inner], 1));

const works: Readonly<Record<string, () => () => void>> = {
  "flip 2048² axis 1": () => calls((x) => x.flip(1), draw([2048, 2048])),
  "transpose 2048²": () => calls((x) => x.T, draw([2048, 2048])),
  "permute 32×256×1024 → 1024×32×256": () => calls((x) => x.transpose([2, 0, 1]), draw([32, 256, 1024])),
  "take 1024×4096 axis 1, 4096 indices": () => calls((x, at) => x.take(at, 1), draw([1024, 4096]), indices(4096, 4096)),
  "concat of 64 × 4096": () => {
    const parts = Array.from({ length: 64 }, (_, seed) => draw([4096], seed));
    return calls((...xs) => concat(xs), ...parts);
  },
  "dot 1 M": () => calls((x, y) => x.matmul(y), draw([2 ** 20]), draw([2 ** 20], 1)),
  "matrix·vector 512²": () => calls((a, x) => a.matmul(x), draw([512, 512]), draw([512], 1)),
  "matrix·vector 4096²": () => calls((a, x) => a.matmul(x), draw([4096, 4096]), draw([4096], 1)),
  "vector·matrix 4096²": () => calls((a, x) => x.matmul(a), draw([4096, 4096]), draw([4096], 1)),
  "sum 3×10⁶ axis 1": () => calls((x) => x.sum(1), draw([3, 1e6])),
  "sum 10⁶×3 axis 0": () => calls((x) => x.sum(0), draw([1e6, 3])),
  "max 2048² axis 1": () => calls((x) => x.max(1), draw([2048, 2048])),
  "prod 2048² axis 1": () => calls((x) => x.prod(1), draw([2048, 2048])),
  "cumsum 1 M": () => calls((x) => x.cumsum(), draw([2 ** 20])),
  "cumsum 1024² axis 1": () => calls((x) => x.cumsum(1), draw([1024, 1024])),
  "cumsum 1024² axis 0": () => calls((x) => x.cumsum(0), draw([1024, 1024])),
  "softmax 64×50257": () => calls((x) => x.softmax(), draw([64, 50257])),
  "log softmax 64×50257": () => calls((x) => x.logSoftmax(), draw([64, 50257])),
  "layer norm 1024×768": () => calls(layerNorm, draw([1024, 768]), draw([768], 1), draw([768], 2)),
  "layer norm 1024×768 with gradients": () => calls(withGradients(layerNorm, draw([1024, 768], 3)), draw([1024, 768]), draw([768], 1), draw([768], 2)),
  "batch norm 1024×512": () => calls(batchNorm, draw([1024, 512]), draw([512], 1), draw([512], 2)),
  "batch norm 1024×512 with gradients": () => calls(withGradients(batchNorm, draw([1024, 512], 3)), draw([1024, 512]), draw([512], 1), draw([512], 2)),
  "uniform 10⁷": () => calls((k) => uniform(k, [1e7]), key(1).tensor),
  "normal 10⁷": () => calls((k) => normal(k, [1e7]), key(1).tensor),
  "permutation 60,000": () => () => void permutation(key(1), 60_000),
  "embedding gradient 65536 → 50000×1": () => embeddingGradient(65_536, 50_000, 1),
  "embedding gradient 8192 → 30000×64": () => embeddingGradient(8192, 30_000, 64),
};

/** A call of the kernel `name`, or undefined. */
export const kernelWork = (name: string): (() => void) | undefined => works[name]?.();
