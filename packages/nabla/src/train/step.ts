// train.step: forward, backward and update as one compiled program that updates the model in place.
// State (parameters, statistics, random keys, the optimizer's memory) never leaves the device.
import * as ops from "../ops/build.ts";
import { DTypeError, ShapeError, ValueError } from "../ops/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape } from "../ops/shape.ts";
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
  readonly results: readonly { readonly name: string; readonly node: GraphNode }[];
}

/**
 * A training step: `loss` maps the model and a batch to a scalar, or to a record with a scalar `loss` and further tensors.
 *
 * The first call for each batch shape traces `loss`, appends its gradient and the update, and compiles them into one program;
 * later calls copy the batch and run it. Throws {@link ShapeError} when the loss is not a scalar.
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

class Trainer<M extends Module, B extends Tree> {
  readonly device = defaultDevice();
  readonly optimizerState: Record<string, Variable>;
  readonly #model: M;
  readonly #optimizer: Optimizer;
  readonly #loss: (model: M, batch: B) => Tensor | StepResult;
  /** The model's variables, then the optimizer's. */
  readonly #variables: readonly Variable[];
  readonly #trainable: readonly { readonly path: string; readonly variable: Variable }[];
  readonly #modules: readonly Module[];
  readonly #hyperNames: readonly string[];
  readonly #hyperDType: "float32" | "float64";
  /** Hyper-parameters on the device, and the values written there. */
  readonly #hyper: readonly { readonly name: string; readonly storage: DeviceStorage; written: number }[];
  readonly #programs = new Map<string, Compiled>();

  constructor(model: M, optimizer: Optimizer, loss: (model: M, batch: B) => Tensor | StepResult) {
    this.#model = model;
    this.#optimizer = optimizer;
    this.#loss = loss;
    this.#trainable = Object.entries(model.parameters()).map(([path, variable]) => ({ path, variable }));
    if (this.#trainable.length === 0) {
      throw new ValueError(`${model.constructor.name} has no trainable parameters.`, "Layers must be fields of the module (or in arrays or records that are) to be found.");
    }
    this.optimizerState = {};
    for (const { path, variable } of this.#trainable) {
      for (const [name, initial] of Object.entries(optimizer.init(variable))) {
        this.optimizerState[`${path}.${name}`] = new Variable(initial, { trainable: false, name: `${path}.${name}` });
      }
    }
    this.#variables = [...Object.values(model.variables()), ...Object.values(this.optimizerState)];
    this.#modules = Object.values(model.modules());
    this.#hyperNames = Object.keys(optimizer.hyper);
    this.#hyperDType = this.#trainable.some(({ variable }) => variable.dtype === "float64") ? "float64" : "float32";
    this.#hyper = this.#hyperNames.map((name) => ({
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
    const storages = compiled.stage.run([...state, ...this.#hyper.map(({ storage }) => storage), ...nodes.map(storageOf)]);
    for (const index of compiled.changed) {
      const variable = this.#variables[index]!;
      const storage = state[index]!;
      storage.version++;
      variable.bind(sourceOf(storage, variable.shape, variable.dtype));
    }
    const results: Record<string, Tensor> = {};
    compiled.results.forEach(({ name, node }, index) => {
      results[name] = new Tensor(sourceOf(storages[index]!, node.shape, node.dtype));
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
      const returned = this.#loss(this.#model, batchOf(inputs.map((node) => new Tensor(node))));
      const results = returned instanceof Tensor ? { loss: returned } : returned;
      this.#update(requireScalar(results.loss), hyper);
      const changed = this.#variables.map((_, index) => index).filter((index) => this.#variables[index]!.node !== state[index]);
      const named = Object.entries(results).map(([name, tensor]) => ({ name, node: tensor.node }));
      const stage = new Stage({
        device: this.device,
        inputs: [...state, ...hyper, ...inputs],
        outputs: [...changed.map((index) => this.#variables[index]!.node), ...named.map(({ node }) => node)],
        donate: [...changed, ...named.map(() => undefined)],
      });
      return { stage, changed, results: named.map(({ name, node }) => ({ name, node: ops.source(node) })) };
    });
  }

  /** Binds every trainable variable and its optimizer state to their values after the update. */
  #update(loss: GraphNode, hyperNodes: readonly GraphNode[]): void {
    const parameters = this.#trainable.map(({ variable }) => variable.node);
    const gradients = vjp([loss], parameters, [ops.scalarLike(1, loss)]);
    const hyper = Object.fromEntries(this.#hyperNames.map((name, index) => [name, new Tensor(hyperNodes[index]!)]));
    this.#trainable.forEach(({ path, variable }, index) => {
      const gradient = gradients[index];
      // A parameter the loss does not depend on is left as it is.
      if (gradient === null || gradient === undefined) return;
      const names = Object.keys(this.optimizerState).filter((name) => name.startsWith(`${path}.`) && !name.slice(path.length + 1).includes("."));
      const own = Object.fromEntries(names.map((name) => [name.slice(path.length + 1), this.optimizerState[name]!]));
      const { parameter, state } = this.#optimizer.update(new Tensor(gradient), variable, own, hyper);
      for (const [name, value] of Object.entries(state)) this.optimizerState[`${path}.${name}`]!.bind(value.node);
      variable.bind(parameter.node);
    });
  }
}

function requireScalar(loss: Tensor): GraphNode {
  if (loss.rank !== 0) throw new ShapeError(`The loss has shape ${formatShape(loss.shape)}.`, "Reduce it to a scalar, e.g. with mean().");
  if (loss.dtype !== "float32" && loss.dtype !== "float64") throw new DTypeError(`The loss is ${loss.dtype}.`, "Compute it in float32 or float64.");
  return loss.node;
}
