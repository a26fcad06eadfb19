// Module: a layer or a model is a plain class; its fields, in order, are its tree.
// Variables are state, modules nest, everything else (numbers, tensors, functions) is configuration.
import { describe, NablaError, ValueError } from "../errors/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { inForward, noteMode } from "../tensor/trace.ts";
import { Variable } from "../tensor/variable.ts";

/** A module from one tensor to one tensor: what {@link sequential} chains and `train.fit` trains. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor;
}

/**
 * Base class of layers and models.
 *
 * @example
 * class Scale extends Module {
 *   factor = new Variable(ones([1]));
 *   forward(x: Tensor) { return x.mul(this.factor); }
 * }
 * new Scale().parameters(); // { factor: … }
 */
export abstract class Module {
  #training = true;

  /** The mode: dropout and batch normalisation differ between training (true, the default) and evaluation. */
  get training(): boolean {
    noteMode(this, "get");
    return this.#training;
  }

  set training(value: boolean) {
    noteMode(this, "set");
    this.#training = value;
  }

  constructor() {
    // Made in a trace, it is in the mode that the trace puts it in.
    noteMode(this, "set");
    // Each instance's forward names itself in the errors that pass through it.
    const { forward } = this;
    const located = (...inputs: never[]): unknown => {
      try {
        if (inputs.length > 0 && inputs[0] === undefined) throw new ValueError("The input is undefined.", "Pass a tensor: does the batch have a field of this name?");
        return inForward(this, () => forward.apply(this, inputs));
      } catch (error) {
        if (error instanceof NablaError) prependPath(error, this);
        throw error;
      }
    };
    Object.defineProperty(this, "forward", { value: located, enumerable: false, writable: true, configurable: true });
  }

  abstract forward(...inputs: never[]): unknown;

  /** Trainable variables by dotted path, in field order; one that occurs twice has its first path. */
  parameters(): Record<string, Variable> {
    return Object.fromEntries(Object.entries(this.variables()).filter(([, variable]) => variable.trainable));
  }

  /** All variables, trainable or not (statistics, random keys), by dotted path in field order. */
  variables(): Record<string, Variable> {
    const found = new Map<Variable, string>();
    visit(this, "", new Set(), (path, value) => {
      if (value instanceof Variable && !found.has(value)) found.set(value, path);
    });
    return Object.fromEntries([...found].map(([variable, path]) => [path, variable]));
  }

  /** Every module of the tree by dotted path; this one has the path "". */
  modules(): Record<string, Module> {
    const found: [string, Module][] = [];
    visit(this, "", new Set(), (path, value) => {
      if (value instanceof Module) found.push([path, value]);
    });
    return Object.fromEntries(found);
  }

  /** Switches this module and all below to training. */
  train(): this {
    for (const module of Object.values(this.modules())) module.training = true;
    return this;
  }

  /** Switches this module and all below to evaluation. */
  eval(): this {
    for (const module of Object.values(this.modules())) module.training = false;
    return this;
  }
}

/** Throws {@link ValueError} on what is no module. */
export function requireModel(model: unknown): void {
  if (!(model instanceof Module)) {
    throw new ValueError(`The model is ${describe(model)}.`, "Pass a module, e.g. nn.sequential(nn.dense(4, 3)), or an instance of your own class that extends nn.Module.");
  }
}

/** Walks variables and modules under `value`, through arrays and plain records, each object once. */
function visit(value: unknown, path: string, seen: Set<object>, found: (path: string, value: Variable | Module) => void): void {
  if (typeof value !== "object" || value === null || seen.has(value)) return;
  if (value instanceof Variable || value instanceof Module) found(path, value);
  if (!(value instanceof Module || Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype)) return;
  seen.add(value);
  for (const [name, child] of Object.entries(value)) visit(child, path === "" ? name : `${path}.${name}`, seen, found);
}

/** The module an error has come up to, and the path from there to where it was thrown. */
const trails = new WeakMap<NablaError, { readonly module: Module; readonly path: string; readonly message: string }>();

function prependPath(error: NablaError, module: Module): void {
  const trail = trails.get(error);
  if (trail?.module === module) return;
  const { message } = trail ?? error;
  const step = trail === undefined ? "" : (Object.entries(module.modules()).find(([, below]) => below === trail.module)?.[0] ?? trail.module.constructor.name);
  const path = [step, trail?.path ?? ""].filter((part) => part !== "").join(".");
  trails.set(error, { module, path, message });
  error.message = `In ${module.constructor.name}${path === "" ? "" : `.${path}`}: ${message}`;
}
