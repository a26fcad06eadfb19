// Derivatives of functions of tensors: gradients, vector-Jacobian and Jacobian-vector products, of any order.
// A function is run once on tracked copies of its arguments; what it closes over is constant. A derivative is zero where the
// result does not depend on an argument, never where the way to it was lost: that is an error.
import { requireFunction } from "../errors/arguments.ts";
import * as ops from "../ops/build.ts";
import { isFloating } from "../ops/dtype.ts";
import { DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape, sameShape } from "../ops/shape.ts";
import { zerosLike } from "../tensor/creation.ts";
import { evaluate, isTraced } from "../tensor/evaluate.ts";
import { alias } from "../tensor/movement.ts";
import { flatten, type Flattened, type Leaf, type TreeOf } from "../tensor/pytree.ts";
import { Tensor } from "../tensor/tensor.ts";
import { inTransform, isTransforming, requireListed, substituted, type Watch } from "../tensor/trace.ts";
import { Endings } from "./endings.ts";
import { jvp as forwardNodes } from "./forward.ts";
import { vjp as reverseNodes } from "./reverse.ts";

/** Runs `body`; the outermost transform computes what it returns in one program, unless a function is being traced. */
function transform<R>(body: () => { readonly value: R; readonly nodes: readonly GraphNode[] }): R {
  const isOutermost = !isTransforming();
  return inTransform({}, () => {
    const { value, nodes } = body();
    if (isOutermost && !isTraced(...nodes)) {
      // Nobody differentiates the results any more: their history may go.
      for (const node of nodes) node.tracked = false;
      evaluate(nodes);
    }
    return value;
  });
}

/** An argument with tracked nodes in place of its tensors. */
class Tracked<T> {
  readonly leaves: readonly Leaf[];
  readonly nodes: readonly GraphNode[];
  readonly #operation: string;
  readonly #flat: Flattened<T>;
  /** What the nodes stand for. */
  readonly #originals: readonly GraphNode[];
  readonly #endings = new Endings();

  constructor(operation: string, argument: T) {
    this.#operation = operation;
    this.#flat = flatten(argument);
    this.leaves = this.#flat.leaves;
    this.#originals = this.leaves.map((leaf) => {
      if (!isFloating(leaf.tensor.dtype)) {
        throw new DTypeError(`${operation}: ${named(leaf)} is ${leaf.tensor.dtype}, which has no derivatives.`, "Cast it with float(), or pass it as a later argument or in the closure.");
      }
      const twin = leaf.parameter && this.leaves.find(({ parameter }) => parameter === leaf.parameter);
      if (twin !== undefined && twin !== leaf) throw new ValueError(`${operation}: ${named(leaf)} and ${named(twin)} are one variable.`, "Pass the modules that share it as fields of one module.");
      return leaf.tensor.node;
    });
    this.nodes = this.#originals.map((original) => {
      const node = alias(original);
      node.tracked = true;
      return node;
    });
  }

  rebuild<U>(values: readonly U[]): TreeOf<T, U> {
    return this.#flat.rebuild(values);
  }

  /** Runs `body` with the argument standing for the nodes. */
  call<R>(body: (argument: T) => R): R {
    const { modules } = this.#flat;
    const listed = new Set(modules.flatMap((module) => Object.values(module.variables?.() ?? module.parameters())));
    const below = new Set(modules.flatMap((module) => Object.values(module.modules?.() ?? {})));
    const parameters = this.leaves.flatMap(({ parameter }, index) => (parameter === undefined ? [] : [{ parameter, node: this.nodes[index]! }]));
    const argument = this.#flat.restore(this.nodes.map((node) => new Tensor(node)));
    const watch: Watch = { read: (variable) => requireListed(variable, listed, below) };
    return inTransform(watch, () => inTransform(this.#endings, () =>
      substituted(parameters.map(({ parameter }) => parameter), parameters.map(({ node }) => node), () => body(argument))));
  }

  /** The gradients as tensors, zeros where `outputs` do not depend on a leaf. */
  gradients(nodes: readonly (GraphNode | null)[], outputs: readonly GraphNode[]): Tensor[] {
    this.requireIndependent(outputs, (index) => nodes[index] === null);
    return this.leaves.map(({ tensor }, index) => derivative(nodes[index], tensor));
  }

  /** Throws {@link GradientError} where `outputs` do depend on a leaf that they have no derivative by. */
  requireIndependent(outputs: readonly GraphNode[], hasNone: (index: number) => boolean): void {
    const inputs = this.leaves.map((leaf, index) => ({ name: named(leaf), node: this.nodes[index]!, original: this.#originals[index]! }));
    this.#endings.requireIndependent(this.#operation, outputs, inputs.filter((_, index) => hasNone(index)));
  }
}

function named({ path }: Leaf): string {
  return path === "" ? "the argument" : `"${path}"`;
}

function requireScalar(operation: string, value: unknown): Tensor {
  if (!(value instanceof Tensor)) throw new ValueError(`${operation}: the function returned ${value instanceof Promise ? "a promise" : "no tensor"}.`, "Return a scalar tensor, synchronously.");
  if (value.rank !== 0) throw new ShapeError(`${operation}: the function returned shape ${formatShape(value.shape)}, not a scalar.`, "Reduce it, e.g. with sum() or mean(), or use vjp.");
  if (!isFloating(value.dtype)) throw new DTypeError(`${operation}: the function returned ${value.dtype}.`, "Return a float32 or float64 scalar.");
  return value;
}

/** A derivative as a tensor: zeros where there is none. */
function derivative(node: GraphNode | null | undefined, like: Tensor): Tensor {
  return node === null || node === undefined ? zerosLike(like) : new Tensor(node);
}

/**
 * The function that gives the value of `f` and its gradient with respect to the first argument: a tensor, a tree of tensors,
 * or a module, whose gradient is a record by the paths of its trainable variables.
 *
 * `f` must return a scalar. Throws {@link DTypeError} where a tensor of the first argument is not floating.
 *
 * @example
 * const [value, gradient] = valueAndGrad((w: Tensor) => w.square().sum())(tensor([1, 2]));
 * value.item(); // 5
 * gradient.toArray(); // [2, 4]
 */
export function valueAndGrad<T, Rest extends readonly unknown[]>(f: (x: T, ...rest: Rest) => Tensor): (x: T, ...rest: Rest) => [value: Tensor, gradient: TreeOf<T, Tensor>] {
  requireFunction("valueAndGrad", f);
  return (x, ...rest) => differentiate("valueAndGrad", f, x, rest);
}

/**
 * The gradient of `f` with respect to its first argument, see {@link valueAndGrad}; apply it again for higher orders.
 *
 * @example
 * const f = (x: Tensor) => x.pow(3);
 * grad(grad(f))(tensor(2)).item(); // 12
 */
export function grad<T, Rest extends readonly unknown[]>(f: (x: T, ...rest: Rest) => Tensor): (x: T, ...rest: Rest) => TreeOf<T, Tensor> {
  requireFunction("grad", f);
  return (x, ...rest) => differentiate("grad", f, x, rest)[1];
}

function differentiate<T, Rest extends readonly unknown[]>(operation: string, f: (x: T, ...rest: Rest) => Tensor, x: T, rest: Rest): [Tensor, TreeOf<T, Tensor>] {
  return transform(() => {
    const argument = new Tracked(operation, x);
    const value = requireScalar(operation, argument.call((tracked) => f(tracked, ...rest)));
    const gradients = argument.gradients(reverseNodes([value.node], argument.nodes, [ops.constant(1, value.dtype)]), [value.node]);
    return { value: [value, argument.rebuild(gradients)], nodes: [value.node, ...gradients.map((gradient) => gradient.node)] };
  });
}

/** Tensors in the structure of each of the arguments `A`. */
export type Tangents<A extends readonly unknown[]> = { [I in keyof A]: TreeOf<A[I], Tensor> };

/**
 * The value of `f` at `primals`, and the function from a cotangent of the value to those of the primals.
 *
 * @example
 * const [value, pullback] = vjp((x: Tensor) => x.square(), [tensor([1, 2])]);
 * pullback(tensor([1, 10]))[0].toArray(); // [2, 40]
 */
export function vjp<A extends readonly unknown[], R>(f: (...primals: A) => R, primals: A): [value: R, pullback: (cotangent: TreeOf<R, Tensor>) => Tangents<A>] {
  requireFunction("vjp", f);
  const argument = new Tracked<readonly unknown[]>("vjp", primals);
  const value = argument.call((tracked) => f(...(tracked as A)));
  const output = flatten(value);
  const outputs = output.leaves.map(({ tensor }) => tensor.node);
  const pullback = (cotangent: TreeOf<R, Tensor>): Tangents<A> =>
    transform(() => {
      const cotangents = matching("vjp", "cotangent", flatten(cotangent).leaves, output.leaves);
      const gradients = argument.gradients(reverseNodes(outputs, argument.nodes, cotangents), outputs);
      return { value: argument.rebuild(gradients) as Tangents<A>, nodes: gradients.map((gradient) => gradient.node) };
    });
  return [value, pullback];
}

/**
 * The value of `f` at `primals`, and its derivative along `tangents`: forward mode, one pass however many outputs.
 *
 * @example
 * const [value, tangent] = jvp((x: Tensor) => x.square(), [tensor([1, 2])], [tensor([1, 0])]);
 * tangent.toArray(); // [2, 0]
 */
export function jvp<A extends readonly unknown[], R>(f: (...primals: A) => R, primals: A, tangents: Tangents<A>): [value: R, tangent: TreeOf<R, Tensor>] {
  requireFunction("jvp", f);
  return transform(() => {
    const argument = new Tracked<readonly unknown[]>("jvp", primals);
    const directions = matching("jvp", "tangent", flatten(tangents).leaves, argument.leaves);
    const value = argument.call((tracked) => f(...(tracked as A)));
    const output = flatten(value);
    const outputs = output.leaves.map(({ tensor }) => tensor.node);
    const nodes = forwardNodes(outputs, argument.nodes, directions);
    if (nodes.every((node) => node === null)) argument.requireIndependent(outputs, () => true);
    const results = output.leaves.map(({ tensor }, index) => derivative(nodes[index], tensor));
    return { value: [value, output.rebuild(results)], nodes: [...outputs, ...results.map((result) => result.node)] };
  });
}

/** The nodes of `given`, which must be shaped as `expected`. */
function matching(operation: string, what: string, given: readonly Leaf[], expected: readonly Leaf[]): GraphNode[] {
  if (given.length !== expected.length) throw new ShapeError(`${operation}: ${given.length} ${what}s for ${expected.length} tensors.`, "Pass one for each, in the same structure.");
  return given.map(({ tensor, path }, index) => {
    const { shape, dtype } = expected[index]!.tensor;
    if (!sameShape(tensor.shape, shape)) {
      throw new ShapeError(`${operation}: the ${what}${path === "" ? "" : ` "${path}"`} has shape ${formatShape(tensor.shape)}, its tensor ${formatShape(shape)}.`, "Shapes must be equal.");
    }
    return tensor.cast(dtype).node;
  });
}
