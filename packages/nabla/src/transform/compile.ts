// compile: a function of tensors traced once per shape, then run as one program.
// Modules may be arguments: their variables are inputs, and those that the function assigns are outputs.
import { functionPrograms, ProgramCache } from "../devices/cache.ts";
import { requireFunction } from "../errors/arguments.ts";
import type { DType } from "../ops/dtype.ts";
import { ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import type { Shape } from "../ops/shape.ts";
import * as ops from "../ops/build.ts";
import { evaluate } from "../tensor/evaluate.ts";
import { flatten, isParameterised, type Parameterised, type Tree, type TreeOf } from "../tensor/pytree.ts";
import { Stage } from "../tensor/stage.ts";
import { defaultDevice, sourceOf, storageOf } from "../tensor/storage.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";

interface Compiled {
  readonly stage: Stage;
  readonly outputs: readonly { readonly shape: Shape; readonly dtype: DType }[];
  /** Which of the arguments' tensors are variables that the function assigns; their new values follow the outputs. */
  readonly assigned: readonly number[];
  readonly rebuild: (values: readonly Tensor[]) => unknown;
}

/**
 * Compiles `f`: the first call with new shapes traces it and builds one program, later calls run that.
 *
 * `f` must compute with tensors only: it sees placeholders, so reading a value inside throws {@link LifetimeError}, and side
 * effects happen once, but for assignments to variables of modules among the arguments (running statistics, dropout's keys),
 * which happen at every call. Tensors it closes over are taken as they are at the first call.
 *
 * @example
 * const distance = compile((a: Tensor, b: Tensor) => a.sub(b).square().sum().sqrt());
 * distance(tensor([3, 0]), tensor([0, 4])).item(); // 5
 */
export function compile<A extends readonly Tree[], R extends Tree>(f: (...inputs: A) => R): (...inputs: A) => TreeOf<R, Tensor> {
  requireFunction("compile", f);
  const programs = new ProgramCache<string, Compiled>(functionPrograms, ({ stage }) => stage.dispose());
  return (...inputs: A): TreeOf<R, Tensor> => {
    const trees = inputs.map(argumentOf);
    const tensors = trees.flatMap((tree) => tree.tensors);
    evaluate(tensors.map((tensor) => tensor.node));
    const key = trees.map((tree) => tree.key).join(";");
    let compiled = programs.get(key);
    if (compiled === undefined) programs.set(key, (compiled = trace(f, trees)));
    const storages = compiled.stage.run(tensors.map((tensor) => storageOf(tensor.node)));
    const results = compiled.outputs.map(({ shape, dtype }, index) => new Tensor(sourceOf(storages[index]!, shape, dtype)));
    const variables = trees.flatMap((tree) => tree.variables);
    compiled.assigned.forEach((position, index) => {
      const variable = variables[position]!;
      variable.bind(sourceOf(storages[results.length + index]!, variable.shape, variable.dtype));
    });
    return compiled.rebuild(results) as TreeOf<R, Tensor>;
  };
}

/** An argument taken apart, and how to call `f` with placeholders in its place. */
interface Argument {
  readonly tensors: readonly Tensor[];
  readonly key: string;
  /** The tensors again where they are a module's variables, which `f` may assign. */
  readonly variables: readonly (Variable | undefined)[];
  /** Runs `body` with the argument standing for `nodes`. */
  substitute<T>(nodes: readonly GraphNode[], body: (value: Tree) => T): T;
}

function argumentOf(value: Tree): Argument {
  if (isParameterised(value)) return moduleArgument(value);
  const flat = flatten(value);
  const tensors = flat.leaves.map((leaf) => leaf.tensor);
  return {
    tensors,
    variables: tensors.map(() => undefined),
    key: flat.leaves.map(({ path, tensor }) => `${path}:${tensor.dtype}${tensor.shape.join(",")}`).join("|"),
    substitute: (nodes, body) => body(flat.restore(nodes.map((node) => new Tensor(node)))),
  };
}

function moduleArgument(module: Parameterised): Argument {
  const variables = variablesOf(module);
  return {
    tensors: variables,
    variables,
    // Another module may compute something else with variables of the same shapes.
    key: `#${identityOf(module)}${modesOf(module)}${variables.map((variable) => `${variable.dtype}${variable.shape.join(",")}`).join("|")}`,
    substitute: (nodes, body) => bound(variables, nodes, () => body(module)),
  };
}

const identities = new WeakMap<Parameterised, number>();
let modulesSeen = 0;

function identityOf(module: Parameterised): number {
  let identity = identities.get(module);
  if (identity === undefined) identities.set(module, (identity = modulesSeen++));
  return identity;
}

/** Training or evaluation, of each module below. */
function modesOf(module: Parameterised): string {
  if (!("modules" in module && typeof module.modules === "function")) return "";
  const modules = Object.values(module.modules() as Record<string, { readonly training: boolean }>);
  return modules.map(({ training }) => (training ? "t" : "e")).join("");
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
  const inputs = placeholders.flat();
  const variables = trees.flatMap((tree) => tree.variables);
  const call = (index: number, values: readonly Tree[]): Compiled => {
    const tree = trees[index];
    if (tree !== undefined) return tree.substitute(placeholders[index]!, (value) => call(index + 1, [...values, value]));
    const result = f(...(values as A));
    if (result === undefined) throw new ValueError("The compiled function returned nothing.", "Return the tensors to compute.");
    const { leaves, rebuild } = flatten(result);
    const outputs = leaves.map((leaf) => leaf.tensor.node);
    // A module passed twice stands for its last placeholders.
    const assigned = inputs.map((_, position) => position).filter((position) => {
      const variable = variables[position];
      return variable !== undefined && variables.lastIndexOf(variable) === position && variable.node !== inputs[position];
    });
    const stage = new Stage({ device: defaultDevice(), inputs, outputs: [...outputs, ...assigned.map((position) => variables[position]!.node)], donate: [] });
    return { stage, outputs: outputs.map(({ shape, dtype }) => ({ shape, dtype })), assigned, rebuild };
  };
  return call(0, []);
}
