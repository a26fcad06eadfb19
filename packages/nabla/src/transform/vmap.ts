// vmap: a function of one example becomes a function of a batch of them, without a loop.
// The function is traced on one example; every primitive knows its batched form.
import { requireFunction } from "../errors/arguments.ts";
import * as ops from "../ops/build.ts";
import { ShapeError, ValueError } from "../errors/errors.ts";
import { type GraphNode, topologicalOrder } from "../ops/graph.ts";
import { normaliseAxis } from "../ops/shape.ts";
import { eye } from "../tensor/creation.ts";
import { transpose } from "../tensor/movement.ts";
import { flatten, type Leaf, type TreeOf } from "../tensor/pytree.ts";
import { Tensor } from "../tensor/tensor.ts";
import { inTransform, substituted } from "../tensor/trace.ts";
import type { Variable } from "../tensor/variable.ts";
import { vmap as batchNodes } from "./batch.ts";
import { grad, jvp } from "./derivatives.ts";

/** For each argument the axis that is mapped over, or null for one that all examples share. */
export type MappedAxes<A extends readonly unknown[]> = { readonly [I in keyof A]: number | null };

/**
 * `f` over a batch: arguments gain an axis (default the first of each), and results have it as axis 0.
 *
 * Reading a value inside `f` throws {@link LifetimeError}. An assignment to a variable happens once for the batch; where the value
 * depends on the example it throws {@link ValueError}. Of a module that is mapped over, every parameter has the axis: an ensemble.
 *
 * @example
 * const distances = vmap((a: Tensor, b: Tensor) => a.sub(b).square().sum(), [0, null]);
 * distances(tensor([[1, 0], [0, 3]]), tensor([0, 0])).toArray(); // [1, 9]
 */
export function vmap<A extends readonly unknown[], R>(f: (...inputs: A) => R, axes?: MappedAxes<A>): (...inputs: A) => TreeOf<R, Tensor> {
  requireFunction("vmap", f);
  return (...inputs) => {
    const mapped = inputs.map((input, index) => {
      const axis: number | null = axes === undefined ? 0 : (axes[index] ?? null);
      return axis === null ? undefined : { axis, tree: flatten(input) };
    });
    const leaves = mapped.flatMap((entry) => (entry === undefined ? [] : entry.tree.leaves.map((leaf) => mappedLeaf(leaf, entry.axis))));
    const size = commonSize(leaves);
    const examples = leaves.map(({ node }) => ops.source({ shape: node.shape.slice(1), dtype: node.dtype }));
    const parameters = leaves.flatMap(({ parameter }, index) => (parameter === undefined ? [] : [{ parameter, example: examples[index]! }]));
    let taken = 0;
    const values: readonly unknown[] = mapped.map((entry, index) => {
      if (entry === undefined) return inputs[index];
      const own = examples.slice(taken, (taken += entry.tree.leaves.length));
      return entry.tree.restore(own.map((node) => new Tensor(node)));
    });
    const output = inTransform({ assign: (variable, value) => requireShared(variable, value, examples) }, () =>
      substituted(parameters.map(({ parameter }) => parameter), parameters.map(({ example }) => example), () => flatten(f(...(values as A)))));
    const nodes = batchNodes(output.leaves.map(({ tensor }) => tensor.node), examples, leaves.map(({ node }) => node), size);
    return output.rebuild(nodes.map((node) => new Tensor(node)));
  };
}

/** Throws {@link ValueError} where an example would give a variable a value of its own. */
function requireShared(variable: Variable, value: GraphNode, examples: readonly GraphNode[]): void {
  const order = topologicalOrder([value]);
  if (!examples.some((example) => order.includes(example))) return;
  throw new ValueError(`vmap: a variable${variable.name === undefined ? "" : ` "${variable.name}"`} is assigned a value that depends on the example.`, "Return it and assign outside what the batch makes of it, or switch the module to evaluation with eval().");
}

interface MappedLeaf {
  readonly path: string;
  readonly parameter: Variable | undefined;
  /** With the mapped axis first. */
  readonly node: GraphNode;
}

function mappedLeaf({ path, tensor, parameter }: Leaf, axis: number): MappedLeaf {
  const at = normaliseAxis("vmap", axis, tensor.rank);
  const others = tensor.shape.map((_, other) => other).filter((other) => other !== at);
  return { path, parameter, node: transpose(tensor.node, [at, ...others]) };
}

function commonSize(leaves: readonly MappedLeaf[]): number {
  const [first] = leaves;
  if (first === undefined) throw new ValueError("vmap: no tensor is mapped.", "Give at least one argument an axis.");
  const size = first.node.shape[0]!;
  const different = leaves.find(({ node }) => node.shape[0] !== size);
  if (different !== undefined) {
    throw new ShapeError(`vmap: the mapped axes have ${size} and ${different.node.shape[0]} entries (${different.path === "" ? "a tensor" : `"${different.path}"`}).`, "Map over axes of one size.");
  }
  return size;
}

/**
 * The second derivatives of a scalar function of one tensor, [...x.shape, ...x.shape]: forward over reverse mode, one batch of
 * directions.
 *
 * @example
 * hessian((x: Tensor) => x.pow(3).sum())(tensor([1, 2])).toArray(); // [[6, 0], [0, 12]]
 */
export function hessian(f: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  requireFunction("hessian", f);
  return (x) => {
    if (x.dtype !== "float32" && x.dtype !== "float64") throw new ValueError(`hessian: x is ${x.dtype}.`, "Cast it with float().");
    const directions = eye(x.size, x.size, x.dtype).reshape([x.size, ...x.shape]);
    const column = (direction: Tensor): Tensor => jvp(grad(f), [x], [direction])[1];
    return vmap(column)(directions).reshape([...x.shape, ...x.shape]);
  };
}
