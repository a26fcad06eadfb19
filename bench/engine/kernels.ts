// Rows of single kernels: movement, reductions, products with a vector, scatter, random numbers.
// What each name computes is in peers/kernels.ts and peers/kernels.py.
import type { Row } from "./row.ts";

const kernel = (name: string, threads = 1): Row => ({
  name, request: { work: "kernel", name }, threads, figure: (seconds) => seconds * 1e6, unit: "µs",
});

const names = [
  "flip 2048² axis 1", "transpose 2048²", "permute 32×256×1024 → 1024×32×256", "take 1024×4096 axis 1, 4096 indices", "concat of 64 × 4096",
  "dot 1 M", "matrix·vector 512²", "matrix·vector 4096²", "vector·matrix 4096²",
  "sum 3×10⁶ axis 1", "sum 10⁶×3 axis 0", "max 2048² axis 1", "prod 2048² axis 1", "cumsum 1 M", "cumsum 1024² axis 1", "cumsum 1024² axis 0",
  "softmax 64×50257", "log softmax 64×50257", "layer norm 1024×768", "layer norm 1024×768 with gradients", "batch norm 1024×512", "batch norm 1024×512 with gradients",
  "uniform 10⁷", "normal 10⁷", "permutation 60,000",
  "embedding gradient 65536 → 50000×1", "embedding gradient 8192 → 30000×64",
];

export const kernelRows: readonly Row[] = [
  ...names.map((name) => kernel(name)),
  ...["flip 2048² axis 1", "transpose 2048²", "dot 1 M", "cumsum 1 M", "embedding gradient 65536 → 50000×1", "embedding gradient 8192 → 30000×64"].map((name) => kernel(name, 2)),
];
