// One builder a primitive, all in one import: checks its operands, infers the output and returns the node.
// Nothing is implied: shapes and dtypes match, axes are resolved, and a node is always a new one.
export { after } from "./after.ts";
export { alignBatch, broadcast, repeat, restoreAxes, scalarLike, sum } from "./broadcast.ts";
export { concat } from "./concat.ts";
export { matmul } from "./contraction.ts";
export * from "./elementwise.ts";
export { gather, scatterAdd } from "./indexing.ts";
export { constant, iota, source } from "./leaf.ts";
export { flip, pad, reshape, slice, transpose } from "./movement.ts";
export { randomBits } from "./random.ts";
export { argmax, max } from "./reduce.ts";
export { node } from "./registry.ts";
export { scan } from "./scan.ts";
