// train.step: forward, backward and update as one compiled program that updates the model in place.
// State (parameters, statistics, random keys, the optimizer's memory, the count of steps) never leaves the device.
import * as ops from "../ops/build.ts";
import { functionPrograms, ProgramCache } from "../devices/cache.ts";
import { requireFunction } from "../errors/arguments.ts";
import { type DType, isFloating } from "../ops/dtype.ts";
import { DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape, type Shape } from "../ops/shape.ts";
import { type Recipe, recipeOf } from "../data/loader.ts";
import { type Module, requireModel } from "../nn/module.ts";
import { type Optimizer, requireOptimizer, type Schedule } from "../optim/optimizer.ts";
import { zeros } from "../tensor/creation.ts";
import { evaluate } from "../tensor/evaluate.ts";
import { flatten, type Tree } from "../tensor/pytree.ts";
import { Stage } from "../tensor/stage.ts";
import { bytesOf, defaultDevice, DeviceStorage, sourceOf, storageOf } from "../tensor/storage.ts";
import { Tensor } from "../tensor/tensor.ts";
import { inTransform, isTransforming, type Moded, requireListed, Staging } from "../tensor/trace.ts";
import { Variable } from "../tensor/variable.ts";
import { Endings } from "../transform/endings.ts";
import { vjp } from "../transform/reverse.ts";
import { breathe } from "./breathe.ts";

/** What a step returns: the loss, and whatever else its function returned. */
export type StepResult = { readonly loss: Tensor } & Readonly<Record<string, Tensor>>;

/** A compiled training step. */
export interface Step<B extends Tree, R extends StepResult> {
  /** Takes one step on a batch. */
  (batch: B): Promise<R>;
  /** The optimizer's memory by dotted path, e.g. `0.weight.mean`, and `step` where it has schedules: save it beside the model to resume. */
  readonly optimizerState: Readonly<Record<string, Variable>>;
}

interface Compiled {
  readonly stage: Stage;
  /** The state: the trainer's own variables, then those that the loss has from elsewhere. */
  readonly variables: readonly Variable[];
  /** The modes that the trace found. */
  readonly modes: ReadonlyMap<Moded, boolean>;
  /** Indices of the variables that the step changes, in the order of the donated outputs. */
  readonly changed: readonly number[];
  readonly results: readonly { readonly name: string; readonly shape: Shape; readonly dtype: DType }[];
}

/** What a traced loss was computed from. */
interface TraceOfLoss {
  /** The placeholders of the variables, and what these were before. */
  readonly state: readonly GraphNode[];
  readonly before: readonly GraphNode[];
  /** The placeholders of hyper-parameters. */
  readonly hyper: readonly GraphNode[];
  readonly endings: Endings;
}

/**
 * A training step: `loss` maps the model and a batch to a scalar, or to a record with a scalar `loss` and further tensors.
 *
 * The first call for each batch shape traces `loss`, appends its gradient and the update, and compiles them into one program;
 * later calls run it; the programs of the 32 shapes used last are kept. A loader's batch is gathered and transformed inside the
 * program. A step whose loss is not finite changes nothing.
 *
 * Variables that `loss` closes over are read as they are at each step, and its assignments to them happen at each step. Throws
 * {@link ShapeError} when the loss is not a scalar, {@link ValueError} when a module's forward reads a trainable variable that the
 * model does not list; a `loss` that throws leaves every variable as it was.
 *
 * @example
 * const model = nn.dense(2, 1);
 * const step = train.step(model, optim.sgd({ learningRate: 0.1 }), (m, { x, y }: { x: Tensor; y: Tensor }) =>
 *   nn.meanSquaredError(m.forward(x), y));
 * const { loss } = await step({ x: ones([4, 2]), y: zeros([4, 1]) });
 */
export function step<M extends Module, B extends Tree = Record<string, Tensor>>(model: M, optimizer: Optimizer, loss: (model: M, batch: B) => Tensor): Step<B, { readonly loss: Tensor }>;
export function step<M extends Module, B extends Tree = Record<string, Tensor>, R extends StepResult = StepResult>(model: M, optimizer: Optimizer, loss: (model: M, batch: B) => R): Step<B, R>;
export function step<M extends Module, B extends Tree = Record<string, Tensor>>(model: M, optimizer: Optimizer, loss: (model: M, batch: B) => Tensor | StepResult): Step<B, StepResult> {
  const trainer = new Trainer(model, optimizer, loss);
  const take = async (batch: B): Promise<StepResult> => {
    const results = trainer.run(batch);
    await breathe(trainer.device);
    return results;
  };
  const run = (batch: B): Promise<StepResult> => {
    // Thrown at once: nobody awaits inside such a function.
    if (isTransforming()) {
      throw new ValueError("step: a training step inside a function that grad, vmap, compile or another step runs.", "Take it outside; optimizer.update, made of tensor operations, is an update to compile or differentiate through.");
    }
    return take(batch);
  };
  return Object.assign(run, { optimizerState: trainer.optimizerState });
}

/** A trainable variable, its place among the step's variables, and what the optimizer keeps for it. */
interface Trainable {
  readonly path: string;
  readonly variable: Variable;
  readonly position: number;
  readonly state: Readonly<Record<string, Variable>>;
}

class Trainer<M extends Module, B extends Tree> {
  readonly device = defaultDevice();
  readonly optimizerState: Readonly<Record<string, Variable>>;
  readonly #model: M;
  readonly #optimizer: Optimizer;
  readonly #loss: (model: M, batch: B) => Tensor | StepResult;
  /** The model's variables, then the optimizer's. */
  readonly #variables: readonly Variable[];
  readonly #trainable: readonly Trainable[];
  readonly #modules: readonly Module[];
  /** The model's modules, and those whose mode the loss has asked for besides. */
  readonly #moded: Moded[];
  /** Hyper-parameters that are numbers, on the device, and the values written there. */
  readonly #hyper: readonly { readonly name: string; readonly storage: DeviceStorage; written: number }[];
  readonly #schedules: readonly { readonly name: string; readonly schedule: Schedule }[];
  /** Steps taken, int32: what schedules are computed from; absent where there are none. */
  readonly #count: Variable | undefined;
  readonly #hyperDType: "float32" | "float64";
  readonly #programs = new ProgramCache<string, Compiled>(functionPrograms, ({ stage }) => stage.dispose());

  constructor(model: M, optimizer: Optimizer, loss: (model: M, batch: B) => Tensor | StepResult) {
    requireModel(model);
    requireOptimizer(optimizer);
    requireFunction("step", loss, "(model, { images, labels }) => nn.crossEntropy(model.forward(images), labels)");
    this.#model = model;
    this.#optimizer = optimizer;
    this.#loss = loss;
    const own = Object.values(model.variables());
    this.#trainable = Object.entries(model.parameters()).map(([path, variable]) => ({
      path, variable, position: own.indexOf(variable), state: initialState(optimizer, path, variable),
    }));
    if (this.#trainable.length === 0) {
      throw new ValueError(`${model.constructor.name} has no trainable parameters.`, "Layers must be fields of the module (or in arrays or records that are) to be found.");
    }
    const hyper = Object.entries(optimizer.hyper);
    this.#schedules = hyper.flatMap(([name, value]) => (typeof value === "function" ? [{ name, schedule: value }] : []));
    this.#count = this.#schedules.length === 0 ? undefined : new Variable(zeros([], "int32"), { trainable: false, name: "step" });
    this.optimizerState = Object.fromEntries([
      ...this.#trainable.flatMap(({ path, state }) => Object.entries(state).map(([name, variable]) => [`${path}.${name}`, variable] as const)),
      ...(this.#count === undefined ? [] : [["step", this.#count] as const]),
    ]);
    this.#variables = [...own, ...Object.values(this.optimizerState)];
    this.#modules = Object.values(model.modules());
    this.#moded = [...this.#modules];
    this.#hyperDType = this.#trainable.some(({ variable }) => variable.dtype === "float64") ? "float64" : "float32";
    this.#hyper = hyper.filter(([, value]) => typeof value === "number").map(([name]) => ({
      name, storage: new DeviceStorage(this.device, bytesOf({ shape: [], dtype: this.#hyperDType })), written: NaN,
    }));
    evaluate(this.#variables.map((variable) => variable.node));
  }

  run(batch: B): StepResult {
    const { leaves, restore } = flatten(batch);
    const recipes = leaves.map(({ tensor }) => recipeOf(tensor) ?? asItIs(tensor));
    const inputs = recipes.map((recipe) => recipe.inputs.map((input) => input.node));
    evaluate(inputs.flat());
    let shapes = "";
    leaves.forEach(({ path }, leaf) => {
      shapes += `|${path}:${recipes[leaf]!.key}`;
      for (const { dtype, shape } of inputs[leaf]!) shapes += `:${dtype}${shape.join(",")}`;
    });
    let compiled = this.#programs.get(`${this.#modes()}${shapes}`);
    if (compiled === undefined) {
      compiled = this.#trace(restore, recipes, inputs);
      this.#programs.set(`${this.#modes(compiled.modes)}${shapes}`, compiled);
    }
    this.#writeHyper();
    evaluate(compiled.variables.slice(this.#variables.length).map((variable) => variable.node));
    const state = compiled.variables.map((variable) => storageOf(variable.node));
    const batchStorages = inputs.flatMap((nodes, leaf) => nodes.map((node) => {
      const storage = storageOf(node);
      if (compiled.changed.some((index) => state[index] === storage)) throw new ValueError(`The batch's "${leaves[leaf]!.path}" is a variable that the step updates.`, "Use it inside the loss function through the model, or pass a clone().");
      return storage;
    }));
    const storages = compiled.stage.run([...state, ...this.#hyper.map(({ storage }) => storage), ...batchStorages]);
    for (const index of compiled.changed) {
      const variable = compiled.variables[index]!;
      const storage = state[index]!;
      storage.version++;
      variable.bind(sourceOf(storage, variable.shape, variable.dtype));
    }
    const results: Record<string, Tensor> = {};
    compiled.results.forEach(({ name, shape, dtype }, index) => {
      results[name] = new Tensor(sourceOf(storages[index]!, shape, dtype));
    });
    return results as StepResult;
  }

  /** The mode of every module that matters, as `found` says or as it is now. */
  #modes(found: ReadonlyMap<Moded, boolean> = new Map()): string {
    let modes = "";
    for (const module of found.keys()) if (!this.#moded.includes(module)) this.#moded.push(module);
    for (const module of this.#moded) modes += (found.get(module) ?? module.training) ? "t" : "e";
    return modes;
  }

  #writeHyper(): void {
    for (const hyper of this.#hyper) {
      const value = this.#optimizer.hyper[hyper.name] as number;
      if (value === hyper.written) continue;
      this.device.write(hyper.storage.buffer, this.#hyperDType === "float64" ? Float64Array.of(value) : Float32Array.of(value));
      hyper.written = value;
    }
  }

  #trace(batchOf: (values: readonly Tensor[]) => B, recipes: readonly Recipe[], batch: readonly (readonly GraphNode[])[]): Compiled {
    const hyper = this.#hyper.map(() => ops.source({ shape: [], dtype: this.#hyperDType }));
    const inputs = batch.map((nodes) => nodes.map(({ shape, dtype }) => ops.source({ shape, dtype })));
    const own = new Set(this.#variables);
    const modules = new Set<Moded>(this.#modules);
    const before = this.#variables.map((variable) => variable.held);
    const staging = new Staging((variable) => requireListed(variable, own, modules));
    return staging.run(() => {
      for (const variable of this.#variables) staging.add(variable);
      const values = recipes.map(({ make }, leaf) => make(inputs[leaf]!.map((node) => new Tensor(node))));
      const endings = new Endings();
      const results = resultsOf(inTransform(endings, () => this.#loss(this.#model, batchOf(values))));
      const loss = requireScalar(results.loss);
      // Taken now: a variable among them is still what the function saw.
      const outputs = Object.values(results).map(({ node }) => node);
      this.#update(loss, { state: staging.inputs, before, hyper, endings });
      const changed = staging.assigned();
      const { variables, inputs: state } = staging;
      keepUnlessFinite(loss, changed.map((index) => ({ variable: variables[index]!, before: state[index]! })));
      const stage = new Stage({
        device: this.device,
        inputs: [...state, ...hyper, ...inputs.flat()],
        outputs: [...changed.map((index) => variables[index]!.held), ...outputs],
        donate: [...changed, ...outputs.map(() => undefined)],
      });
      return {
        stage, variables, changed, modes: staging.modes,
        results: Object.entries(results).map(([name, { shape, dtype }]) => ({ name, shape, dtype })),
      };
    });
  }

  /** Gives every trainable variable and its optimizer state their values after the update. */
  #update(loss: GraphNode, { state, before, hyper: hyperNodes, endings }: TraceOfLoss): void {
    const gradients = vjp([loss], this.#trainable.map(({ position }) => state[position]!), [ops.scalarLike(1, loss)]);
    const without = this.#trainable.filter((_, index) => gradients[index] === null);
    endings.requireIndependent("step", [loss], without.map(({ path, position }) => ({ name: `"${path}"`, node: state[position]!, original: before[position]! })));
    // A parameter the loss does not depend on is left as it is.
    const reached = this.#trainable.flatMap((trainable, index) => {
      const gradient = gradients[index];
      return gradient === null || gradient === undefined ? [] : [{ ...trainable, gradient: new Tensor(gradient) }];
    });
    const hyper = this.#hyperTensors(hyperNodes);
    const raw = reached.map(({ gradient }) => gradient);
    const prepared = this.#optimizer.gradients?.(raw, hyper) ?? raw;
    reached.forEach(({ variable, state: own }, index) => {
      const inOwnDType = Object.fromEntries(Object.entries(hyper).map(([name, value]) => [name, value.cast(variable.dtype)]));
      const updated = this.#optimizer.update(prepared[index]!, variable, own, inOwnDType);
      for (const [name, value] of Object.entries(updated.state)) own[name]!.assign(value);
      variable.assign(updated.parameter);
    });
    this.#count?.assign(this.#count.add(1));
  }

  #hyperTensors(nodes: readonly GraphNode[]): Record<string, Tensor> {
    const hyper = Object.fromEntries(this.#hyper.map(({ name }, index) => [name, new Tensor(nodes[index]!)]));
    const steps = this.#count?.double();
    for (const { name, schedule } of this.#schedules) {
      const value = schedule(steps!);
      if (value.rank !== 0) throw new ShapeError(`The schedule of ${this.#optimizer.name}'s ${name} gave shape ${formatShape(value.shape)}.`, "Give a scalar for a scalar.");
      hyper[name] = value.cast(this.#hyperDType);
    }
    return hyper;
  }
}

/** Where the loss is not finite the state stays as it was: what made it so can still be looked at. */
function keepUnlessFinite(loss: GraphNode, changed: readonly { readonly variable: Variable; readonly before: GraphNode }[]): void {
  const finite = new Tensor(loss).sub(new Tensor(loss)).equal(0);
  for (const { variable, before } of changed) variable.assign(finite.where(variable, new Tensor(before)));
}

/** The recipe of what is given as a value. */
function asItIs(tensor: Tensor): Recipe {
  return { key: "", inputs: [tensor], make: ([value]) => value! };
}

function initialState(optimizer: Optimizer, path: string, variable: Variable): Record<string, Variable> {
  return Object.fromEntries(
    Object.entries(optimizer.init(variable)).map(([name, initial]) => [name, new Variable(initial, { trainable: false, name: `${path}.${name}` })]),
  );
}

/** What the loss function returned, as a record. */
function resultsOf(returned: unknown): StepResult {
  if (returned instanceof Tensor) return { loss: returned };
  if (typeof returned !== "object" || returned === null || !("loss" in returned)) {
    throw new ValueError(
      returned instanceof Promise ? "The loss function is async." : "The loss function returned no loss.",
      "Return the loss as a scalar tensor, or a record of tensors with it as `loss`, without awaiting anything.",
    );
  }
  for (const [name, value] of Object.entries(returned)) {
    if (!(value instanceof Tensor)) throw new ValueError(`The loss function returned a ${typeof value} as "${name}".`, "A step returns tensors only.");
  }
  return returned as StepResult;
}

function requireScalar(loss: Tensor): GraphNode {
  if (loss.rank !== 0) throw new ShapeError(`The loss has shape ${formatShape(loss.shape)}.`, "Reduce it to a scalar, e.g. with mean().");
  if (!isFloating(loss.dtype)) throw new DTypeError(`The loss is ${loss.dtype}.`, "Compute it in float32 or float64.");
  return loss.node;
}
