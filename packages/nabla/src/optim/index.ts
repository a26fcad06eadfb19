// optim: optimizers.
// `import { optim } from "nabla"`.
export { adam, type AdamOptions } from "./adam.ts";
export type { Optimizer, Update } from "./optimizer.ts";
export { sgd, type SgdOptions } from "./sgd.ts";
