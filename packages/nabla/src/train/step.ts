// train.step: forward, backward and update as one compiled program that updates the model in place.
// State (parameters, statistics, random keys, the optimizer's memory) never leaves the device.
import * as ops from "../ops/build.ts";
import { type DType, isFloating } from "../ops/dtype.ts";
import { DTypeError, ShapeError, ValueError } from "../ops/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape, type Shape } from "../ops/shape.ts";
import type { Module } from "../nn/module.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { evaluate } from "../tensor/evaluate.ts";
import { flatten, type Tree } from "../tensor/pytree.ts";
import { Stage } from "../tensor/stage.ts";
import { bytesOf, defaultDevice, DeviceStorage, sourceOf, storageOf } from "../tensor/storage.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { bound } from "../transform/compile.ts";
import { vjp } from "../transform/reverse.ts";
import { breathe } from "./breathe.ts";

/** What a step returns: the loss, and whatever else its function returned. */
export type StepResult = { readonly loss: Tensor } & Readonly<Record<string, Tensor>>;

/** A compiled training step. */
export interface Step<B extends Tree, R extends StepResult> {
  /** Takes one step on a batch. */
  (batch: B): Promise<R>;
  /** The optimizer's memory by dotted path, e.g. `0.weight.mean`: save it beside the model to resume. */
  readonly optimizerState: Readonly<Record<string, Variable>>;
}

interface Compiled {
  readonly stage: Stage;
  /** Indices of the state variables that the step changes, in the order of the donated outputs. */
  readonly changed: readonly number[];
  readonly results: readonly { readonly name: string; readonly shape: Shape; readonly dtype: DType }[];
}

/**
 * A training step: `loss` maps the model and a batch to a scalar, or to a record with a scalar `loss` and further tensors.
 *
 * The first call for each batch shape traces `loss`, appends its gradient and the update, and compiles them into one program;
 * later calls copy the batch and run it. A step whose loss is not finite changes nothing. Throws {@link ShapeError} when the
 * loss is not a scalar; a `loss` that throws leaves the model as it was.
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
  const run = async (batch: B): Promise<StepResult> => {
    const results = trainer.run(batch);
    await breathe(trainer.device);
    return results;
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
  /** Hyper-parameters on the device, and the values written there. */
  readonly #hyper: readonly { readonly name: string; readonly storage: DeviceStorage; written: number }[];
  readonly #hyperDType: "float32" | "float64";
  readonly #programs = new Map<string, Compiled>();

  constructor(model: M, optimizer: Optimizer, loss: (model: M, batch: B) => Tensor | StepResult) {
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
    this.optimizerState = Object.fromEntries(
      this.#trainable.flatMap(({ path, state }) => Object.entries(state).map(([name, variable]) => [`${path}.${name}`, variable])),
    );
    this.#variables = [...own, ...Object.values(this.optimizerState)];
    this.#modules = Object.values(model.modules());
    this.#hyperDType = this.#trainable.some(({ variable }) => variable.dtype === "float64") ? "float64" : "float32";
    this.#hyper = Object.keys(optimizer.hyper).map((name) => ({
      name, storage: new DeviceStorage(this.device, bytesOf({ shape: [], dtype: this.#hyperDType })), written: NaN,
    }));
    evaluate(this.#variables.map((variable) => variable.node));
  }

  run(batch: B): StepResult {
    const { leaves, restore } = flatten(batch);
    const nodes = leaves.map(({ tensor }) => tensor.node);
    evaluate(nodes);
    let key = "";
    for (const module of this.#modules) key += module.training ? "t" : "e";
    for (const { path, tensor } of leaves) key += `|${path}:${tensor.dtype}${tensor.shape.join(",")}`;
    let compiled = this.#programs.get(key);
    if (compiled === undefined) {
      compiled = this.#trace(restore, nodes);
      this.#programs.set(key, compiled);
    }
    this.#writeHyper();
    const state = this.#variables.map((variable) => storageOf(variable.node));
    const inputs = nodes.map(storageOf);
    inputs.forEach((storage, index) => {
      if (state.includes(storage)) throw new ValueError(`The batch's "${leaves[index]!.path}" is a variable that the step updates.`, "Use it inside the loss function through the model, or pass a clone().");
    });
    const storages = compiled.stage.run([...state, ...this.#hyper.map(({ storage }) => storage), ...inputs]);
    for (const index of compiled.changed) {
      const variable = this.#variables[index]!;
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

  #writeHyper(): void {
    for (const hyper of this.#hyper) {
      const value = this.#optimizer.hyper[hyper.name]!;
      if (value === hyper.written) continue;
      this.device.write(hyper.storage.buffer, this.#hyperDType === "float64" ? Float64Array.of(value) : Float32Array.of(value));
      hyper.written = value;
    }
  }

  #trace(batchOf: (values: readonly Tensor[]) => B, batch: readonly GraphNode[]): Compiled {
    const state = this.#variables.map(({ shape, dtype }) => ops.source({ shape, dtype }));
    const hyper = this.#hyper.map(() => ops.source({ shape: [], dtype: this.#hyperDType }));
    const inputs = batch.map(({ shape, dtype }) => ops.source({ shape, dtype }));
    return bound(this.#variables, state, () => {
      const results = resultsOf(this.#loss(this.#model, batchOf(inputs.map((node) => new Tensor(node)))));
      const loss = requireScalar(results.loss);
      // Taken now: a variable among them is still what the function saw.
      const outputs = Object.values(results).map(({ node }) => node);
      this.#update(loss, state, hyper);
      const changed = this.#variables.map((_, index) => index).filter((index) => this.#variables[index]!.node !== state[index]);
      this.#keepUnlessFinite(loss, changed, state);
      const stage = new Stage({
        device: this.device,
        inputs: [...state, ...hyper, ...inputs],
        outputs: [...changed.map((index) => this.#variables[index]!.node), ...outputs],
        donate: [...changed, ...outputs.map(() => undefined)],
      });
      return { stage, changed, results: Object.entries(results).map(([name, { shape, dtype }]) => ({ name, shape, dtype })) };
    });
  }

  /** Gives every trainable variable and its optimizer state their values after the update. */
  #update(loss: GraphNode, state: readonly GraphNode[], hyperNodes: readonly GraphNode[]): void {
    const gradients = vjp([loss], this.#trainable.map(({ position }) => state[position]!), [ops.scalarLike(1, loss)]);
    this.#trainable.forEach(({ variable, state: own }, index) => {
      const gradient = gradients[index];
      // A parameter the loss does not depend on is left as it is.
      if (gradient === null || gradient === undefined) return;
      const hyper = Object.fromEntries(this.#hyper.map(({ name }, at) => [name, new Tensor(hyperNodes[at]!).cast(variable.dtype)]));
      const updated = this.#optimizer.update(new Tensor(gradient), variable, own, hyper);
      for (const [name, value] of Object.entries(updated.state)) own[name]!.assign(value);
      variable.assign(updated.parameter);
    });
  }

  /** Where the loss is not finite the state stays as it was: what made it so can still be looked at. */
  #keepUnlessFinite(loss: GraphNode, changed: readonly number[], state: readonly GraphNode[]): void {
    const finite = new Tensor(loss).sub(new Tensor(loss)).equal(0);
    for (const index of changed) {
      const variable = this.#variables[index]!;
      variable.assign(finite.where(variable, new Tensor(state[index]!)));
    }
  }
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
