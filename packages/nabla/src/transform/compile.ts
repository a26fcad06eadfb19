// compile: a function of tensors traced once per shape, then run as one program.
// Modules may be arguments: their variables are inputs, so the program follows them when they change.
import { ValueError } from "../ops/errors.ts";
import { type GraphNode } from "../ops/graph.ts";
import * as ops from "../ops/build.ts";
import { evaluate } from "../tensor/evaluate.ts";
import { flatten, isParameterised, type Parameterised, type Tree, type TreeOf } from "../tensor/pytree.ts";
import { Stage } from "../tensor/stage.ts";
import { defaultDevice, sourceOf, storageOf } from "../tensor/storage.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";

/** Programs kept for one function; the least recently used goes first. */
const PROGRAMS_LIMIT = 32;

interface Compiled {
  readonly stage: Stage;
  readonly outputs: readonly GraphNode[];
  readonly rebuild: (values: readonly Tensor[]) => unknown;
}

/**
 * Compiles `f`: the first call with new shapes traces it and builds one program, later calls run that.
 *
 * `f` must compute with tensors only: it sees placeholders, so reading a value inside throws {@link LifetimeError}, and side
 * effects happen once. Tensors it closes over are taken as they are at the first call.
 *
 * @example
 * const distance = compile((a: Tensor, b: Tensor) => a.sub(b).square().sum().sqrt());
 * distance(tensor([3, 0]), tensor([0, 4])).item(); // 5
 */
export function compile<A extends readonly Tree[], R extends Tree>(f: (...inputs: A) => R): (...inputs: A) => TreeOf<R, Tensor> {
  const programs = new Map<string, Compiled>();
  return (...inputs: A): TreeOf<R, Tensor> => {
    const trees = inputs.map(argumentOf);
    const tensors = trees.flatMap((tree) => tree.tensors);
    evaluate(tensors.map((tensor) => tensor.node));
    const key = trees.map((tree) => tree.key).join(";");
    const compiled = programs.get(key) ?? trace(f, trees);
    programs.delete(key);
    programs.set(key, compiled);
    if (programs.size > PROGRAMS_LIMIT) {
      const [oldest, victim] = programs.entries().next().value!;
      programs.delete(oldest);
      victim.stage.dispose();
    }
    const storages = compiled.stage.run(tensors.map((tensor) => storageOf(tensor.node)));
    const results = storages.map((storage, index) => {
      const { shape, dtype } = compiled.outputs[index]!;
      return new Tensor(sourceOf(storage, shape, dtype));
    });
    return compiled.rebuild(results) as TreeOf<R, Tensor>;
  };
}

/** An argument taken apart, and how to call `f` with placeholders in its place. */
interface Argument {
  readonly tensors: readonly Tensor[];
  readonly key: string;
  /** Runs `body` with the argument standing for `nodes`. */
  substitute<T>(nodes: readonly GraphNode[], body: (value: Tree) => T): T;
}

function argumentOf(value: Tree): Argument {
  if (isParameterised(value)) return moduleArgument(value);
  const flat = flatten(value);
  const tensors = flat.leaves.map((leaf) => leaf.tensor);
  return {
    tensors,
    key: flat.leaves.map(({ path, tensor }) => `${path}:${tensor.dtype}${tensor.shape.join(",")}`).join("|"),
    substitute: (nodes, body) => body(flat.restore(nodes.map((node) => new Tensor(node)))),
  };
}

function moduleArgument(module: Parameterised): Argument {
  const variables = variablesOf(module);
  const mode = "training" in module ? String(module.training) : "";
  return {
    tensors: variables,
    key: `${mode}${variables.map((variable) => `${variable.dtype}${variable.shape.join(",")}`).join("|")}`,
    substitute: (nodes, body) => bound(variables, nodes, () => body(module)),
  };
}

function variablesOf(module: Parameterised): Variable[] {
  const all = "variables" in module && typeof module.variables === "function" ? (module.variables() as Record<string, Variable>) : module.parameters();
  return Object.values(all);
}

/** Runs `body` while `variables` stand for `nodes`; afterwards they are as they were, whatever happens. */
export function bound<T>(variables: readonly Variable[], nodes: readonly GraphNode[], body: () => T): T {
  const before = variables.map((variable) => variable.node);
  try {
    variables.forEach((variable, index) => variable.bind(nodes[index]!));
    return body();
  } finally {
    variables.forEach((variable, index) => variable.bind(before[index]!));
  }
}

function trace<A extends readonly Tree[], R extends Tree>(f: (...inputs: A) => R, trees: readonly Argument[]): Compiled {
  const placeholders = trees.map((tree) => tree.tensors.map(({ shape, dtype }) => ops.source({ shape, dtype })));
  const call = (index: number, values: readonly Tree[]): R => {
    const tree = trees[index];
    return tree === undefined ? f(...(values as A)) : tree.substitute(placeholders[index]!, (value) => call(index + 1, [...values, value]));
  };
  const result = call(0, []);
  if (result === undefined) throw new ValueError("The compiled function returned nothing.", "Return the tensors to compute.");
  const flat = flatten(result);
  const outputs = flat.leaves.map((leaf) => leaf.tensor.node);
  const stage = new Stage({ device: defaultDevice(), inputs: placeholders.flat(), outputs, donate: [] });
  return { stage, outputs, rebuild: (values) => flat.rebuild(values) };
}
