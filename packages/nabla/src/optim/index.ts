// optim: optimizers, what wraps them, and schedules of their hyper-parameters.
// `import { optim } from "nabla"`.
export { adadelta, type AdadeltaOptions } from "./adadelta.ts";
export { adagrad, type AdagradOptions } from "./adagrad.ts";
export { adam, type AdamOptions, adamW } from "./adam.ts";
export { clipByNorm, clipByValue } from "./clip.ts";
export type { HyperParameter, Optimizer, Schedule, Update } from "./optimizer.ts";
export { rmsprop, type RmspropOptions } from "./rmsprop.ts";
export { cosine, exponential, milestones, stepDecay, warmUp } from "./schedules.ts";
export { sgd, type SgdOptions } from "./sgd.ts";
