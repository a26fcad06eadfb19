// train: compiled steps, training loops, evaluation.
// `import { train } from "nabla"`.
export { DivergenceError } from "./divergence.ts";
export { type Epoch, epochs, type Progress, type TrainOptions } from "./epochs.ts";
export { evaluate, type EvaluateOptions, predict } from "./evaluate.ts";
export { fit, type FitOptions, type Run } from "./fit.ts";
export type { MeasureOptions, Measures } from "./measures.ts";
export { step, type Step, type StepResult } from "./step.ts";
