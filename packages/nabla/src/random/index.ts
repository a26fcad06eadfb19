// random: keys and distributions.
// `import { random } from "nabla"`.
export { type KeyLike, foldIn, Key, key, nextKey, seed, split } from "./key.ts";
export { bernoulli, bits, normal, type NormalOptions, permutation, uniform, type UniformOptions } from "./distributions.ts";
