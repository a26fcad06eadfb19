// compile: a function of tensors traced once per shape, then run as one program.
// Variables that it reads are inputs of the program, wherever they come from, and those that it assigns are outputs.
import { functionPrograms, ProgramCache } from "../devices/cache.ts";
import { requireFunction } from "../errors/arguments.ts";
import type { DType } from "../ops/dtype.ts";
import { ValueError } from "../errors/errors.ts";
import type { Shape } from "../ops/shape.ts";
import * as ops from "../ops/build.ts";
import { evaluate } from "../tensor/evaluate.ts";
import { flatten, type Flattened, type Parameterised, type Tree, type TreeOf } from "../tensor/pytree.ts";
import { Stage } from "../tensor/stage.ts";
import { defaultDevice, sourceOf, storageOf } from "../tensor/storage.ts";
import { Tensor } from "../tensor/tensor.ts";
import { isTransforming, type Moded, Staging } from "../tensor/trace.ts";
import type { Variable } from "../tensor/variable.ts";

interface Compiled {
  /** The modes that the trace found modules in that are no arguments. */
  readonly modes: ReadonlyMap<Moded, boolean>;
  readonly stage: Stage;
  readonly outputs: readonly { readonly shape: Shape; readonly dtype: DType }[];
  /** The inputs beside the arguments' tensors: a place among the variables of the arguments, or a variable that is closed over. */
  readonly variables: readonly (number | Variable)[];
  /** Which of them the function assigns; their new values follow the outputs. */
  readonly assigned: readonly number[];
  readonly rebuild: (values: readonly Tensor[]) => unknown;
}

/**
 * Compiles `f`: the first call with new shapes traces it and builds one program, later calls run that.
 *
 * `f` must compute with tensors only: it sees placeholders, so reading a value inside throws {@link LifetimeError}, and side
 * effects happen once, but for assignments to variables, which happen at every call. Variables and the modes of modules are
 * followed, whether they are arguments or closed over: each call takes them as they are. Tensors that `f` closes over are taken
 * as they are at the first call. Where `f` throws, its assignments have not happened. Inside another transform (`grad`, `vmap`,
 * `compile`, `train.step`) the compiled function is `f` itself, a part of what that computes.
 *
 * @example
 * const distance = compile((a: Tensor, b: Tensor) => a.sub(b).square().sum().sqrt());
 * distance(tensor([3, 0]), tensor([0, 4])).item(); // 5
 *
 * @example
 * const energy = compile((x: Tensor) => x.square().sum());
 * grad((x: Tensor) => energy(x))(tensor([2])).toArray(); // [4]
 */
export function compile<A extends readonly Tree[], R extends Tree>(f: (...inputs: A) => R): (...inputs: A) => TreeOf<R, Tensor> {
  requireFunction("compile", f);
  const programs = new ProgramCache<string, Compiled>(functionPrograms, ({ stage }) => stage.dispose());
  /** Modules that `f` closes over, whose modes it has asked for. */
  const closedOver: Moded[] = [];
  const keyOf = (args: Arguments, found: ReadonlyMap<Moded, boolean> = new Map()): string =>
    args.key + closedOver.map((module) => ((found.get(module) ?? module.training) ? "t" : "e")).join("");
  return (...inputs: A): TreeOf<R, Tensor> => {
    if (isTransforming()) {
      const { leaves, rebuild } = resultOf(f(...inputs));
      return rebuild(leaves.map(({ tensor }) => new Tensor(tensor.node))) as TreeOf<R, Tensor>;
    }
    const args = new Arguments(inputs);
    let compiled = programs.get(keyOf(args));
    if (compiled === undefined) {
      compiled = trace(f, args);
      for (const module of compiled.modes.keys()) if (!closedOver.includes(module)) closedOver.push(module);
      programs.set(keyOf(args, compiled.modes), compiled);
    }
    const variables = compiled.variables.map((variable) => (typeof variable === "number" ? args.variables[variable]! : variable));
    const values = [...args.tensors, ...variables].map((tensor) => tensor.node);
    evaluate(values);
    const storages = compiled.stage.run(values.map(storageOf));
    const results = compiled.outputs.map(({ shape, dtype }, index) => new Tensor(sourceOf(storages[index]!, shape, dtype)));
    compiled.assigned.forEach((position, index) => {
      const variable = variables[position]!;
      variable.bind(sourceOf(storages[results.length + index]!, variable.shape, variable.dtype));
    });
    return compiled.rebuild(results) as TreeOf<R, Tensor>;
  };
}

/** The arguments of a call, taken apart. */
class Arguments {
  /** Those that are inputs; the parameters of modules are inputs where the function reads them. */
  readonly tensors: readonly Tensor[];
  readonly modules: readonly Parameterised[];
  /** The modules' variables. */
  readonly variables: readonly Variable[];
  /** Text that calls share exactly when one program serves both: shapes, dtypes and structure, and which modules and variables in which modes. */
  readonly key: string;
  readonly #trees: readonly Flattened<Tree>[];

  constructor(values: readonly Tree[]) {
    this.#trees = values.map((value) => flatten(value));
    this.tensors = this.#trees.flatMap(({ leaves }) => leaves.filter(({ parameter }) => parameter === undefined).map(({ tensor }) => tensor));
    this.modules = this.#trees.flatMap(({ modules }) => modules);
    this.variables = this.modules.flatMap((module) => Object.values(module.variables?.() ?? module.parameters()));
    this.key = [
      ...this.#trees.map(({ leaves }) => leaves.map(({ path, tensor, parameter }) => (parameter === undefined ? `${path}:${tensor.dtype}${tensor.shape.join(",")}` : path)).join("|")),
      // Another module may compute something else with variables of the same shapes.
      ...this.modules.map((module) => `#${identityOf(module)}${Object.values(module.modules?.() ?? {}).map(({ training }) => (training ? "t" : "e")).join("")}`),
      this.variables.map(identityOf).join(","),
    ].join(";");
  }

  /** The arguments with other tensors, and the modules as they are. */
  withTensors(tensors: readonly Tensor[]): Tree[] {
    const rest = tensors.values();
    return this.#trees.map(({ leaves, restore }) => restore(leaves.map(({ parameter }) => parameter ?? rest.next().value!)));
  }
}

const identities = new WeakMap<object, number>();
let identified = 0;

function identityOf(object: object): number {
  let identity = identities.get(object);
  if (identity === undefined) identities.set(object, (identity = identified++));
  return identity;
}

function resultOf<R>(result: R): Flattened<R> {
  const value: unknown = result;
  if (value === undefined) throw new ValueError("The compiled function returned nothing.", "Return the tensors to compute.");
  return flatten(result);
}

function trace<A extends readonly Tree[], R extends Tree>(f: (...inputs: A) => R, args: Arguments): Compiled {
  const placeholders = args.tensors.map(({ shape, dtype }) => ops.source({ shape, dtype }));
  const staging = new Staging();
  return staging.run(() => {
    const values = args.withTensors(placeholders.map((node) => new Tensor(node)));
    const { leaves, rebuild } = resultOf(f(...(values as readonly Tree[] as A)));
    const outputs = leaves.map(({ tensor }) => tensor.node);
    const assigned = staging.assigned();
    const stage = new Stage({
      device: defaultDevice(),
      inputs: [...placeholders, ...staging.inputs],
      outputs: [...outputs, ...assigned.map((position) => staging.variables[position]!.held)],
      donate: [],
    });
    const own = new Map(args.variables.map((variable, place) => [variable, place]));
    const below = new Set(args.modules.flatMap((module) => Object.values(module.modules?.() ?? {})));
    return {
      modes: new Map([...staging.modes].filter(([module]) => !below.has(module))),
      stage,
      outputs: outputs.map(({ shape, dtype }) => ({ shape, dtype })),
      variables: staging.variables.map((variable) => own.get(variable) ?? variable),
      assigned,
      rebuild,
    };
  });
}
