// nn: modules, layers, initialisers, losses.
// `import { nn } from "nabla"`.
export { type Layer, Module } from "./module.ts";
export { Activation, flatten, relu, sigmoid, softmax, softplus, tanh } from "./activations.ts";
export { BatchNorm, batchNorm, type BatchNormOptions } from "./batch-norm.ts";
export { Dense, dense, type DenseOptions } from "./dense.ts";
export { Dropout, dropout, type DropoutOptions } from "./dropout.ts";
export { LocalResponseNorm, localResponseNorm, type LocalResponseNormOptions } from "./local-response-norm.ts";
export { l1, l2 } from "./regularisers.ts";
export { Scaler } from "./scaler.ts";
export { Sequential, sequential } from "./sequential.ts";
export { constant, gaussian, glorotNormal, glorotUniform, heNormal, heUniform, type Initialiser, uniform, zeros } from "./initialisers.ts";
export { binaryCrossEntropy, crossEntropy, type Loss, meanSquaredError, requireLabels } from "./losses.ts";
