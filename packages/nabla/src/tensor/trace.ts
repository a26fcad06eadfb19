// What becomes of variables while a transform (compile, grad, vmap, a training step) runs a function.
// One rule: variables are followed, assignments happen or are refused, and an exception leaves every variable as it was.
import * as ops from "../ops/build.ts";
import { ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape } from "../ops/shape.ts";
import type { Variable } from "./variable.ts";

/** What is told while a function runs inside a transform. */
export interface Watch {
  /** `variable` is read. */
  read?(variable: Variable): void;
  /** `variable` takes `value`; throws where it may not. */
  assign?(variable: Variable, value: GraphNode): void;
  /** The numbers of `node` are read. */
  numbers?(node: GraphNode): void;
  /** The mode of `module` is asked for, or set. */
  mode?(module: Moded, access: "get" | "set"): void;
}

/** What is in training or in evaluation. */
export interface Moded {
  training: boolean;
}

/** A transform in progress. */
interface Scope {
  readonly outer: Scope | undefined;
  readonly watch: Watch;
  /** What each variable stood for before it was first changed in the scope. */
  readonly before: Map<Variable, GraphNode>;
}

let innermost: Scope | undefined;

/** Whether a transform is running a function: what is computed now may have to be differentiated, batched or compiled. */
export function isTransforming(): boolean {
  return innermost !== undefined;
}

/** Runs `body` as the function of a transform. Where it throws, the variables that it changed are what they were. */
export function inTransform<T>(watch: Watch, body: () => T): T {
  const scope: Scope = { outer: innermost, watch, before: new Map() };
  innermost = scope;
  try {
    const result = body();
    for (const [variable, node] of scope.before) remember(scope.outer, variable, node);
    return result;
  } catch (error) {
    restore(scope);
    throw error;
  } finally {
    innermost = scope.outer;
  }
}

/** Runs `body` for what it returns: the variables that it changed are what they were afterwards. */
export function rehearse<T>(watch: Watch, body: () => T): T {
  return inTransform(watch, () => {
    const scope = innermost!;
    const result = body();
    restore(scope);
    return result;
  });
}

/** Runs `body` while `variables` stand for `nodes`. Afterwards each is what it was, or what `body` assigned to it. */
export function substituted<T>(variables: readonly Variable[], nodes: readonly GraphNode[], body: () => T): T {
  return inTransform({}, () => {
    const before = variables.map((variable) => variable.node);
    variables.forEach((variable, index) => stand(variable, nodes[index]!));
    const result = body();
    variables.forEach((variable, index) => {
      if (variable.held === nodes[index]) variable.bind(before[index]!);
    });
    return result;
  });
}

/** Lets `variable` stand for `node` until the innermost scope changes it or fails. */
function stand(variable: Variable, node: GraphNode): void {
  remember(innermost, variable, variable.held);
  variable.bind(node);
}

function remember(scope: Scope | undefined, variable: Variable, node: GraphNode): void {
  if (scope !== undefined && !scope.before.has(variable)) scope.before.set(variable, node);
}

function restore(scope: Scope): void {
  for (const [variable, node] of scope.before) variable.bind(node);
  scope.before.clear();
}

function tell(say: (watch: Watch) => void): void {
  for (let scope = innermost; scope !== undefined; scope = scope.outer) say(scope.watch);
}

/** Called by a variable before it is read. @internal */
export function noteRead(variable: Variable): void {
  if (innermost !== undefined) tell((watch) => watch.read?.(variable));
}

/** Called by a variable before it takes `value`. @internal */
export function noteAssignment(variable: Variable, value: GraphNode): void {
  if (innermost === undefined) return;
  tell((watch) => watch.assign?.(variable, value));
  remember(innermost, variable, variable.held);
}

/** Called by a tensor whose numbers are read. @internal */
export function noteNumbers(node: GraphNode): void {
  if (innermost !== undefined) tell((watch) => watch.numbers?.(node));
}

/** Called by a module whose mode is asked for or set. @internal */
export function noteMode(module: Moded, access: "get" | "set"): void {
  if (innermost !== undefined) tell((watch) => watch.mode?.(module, access));
}

/** Modules whose forward is running, the innermost last. */
const running: object[] = [];

/** Runs `body`, a part of `module`'s forward. */
export function inForward<T>(module: object, body: () => T): T {
  running.push(module);
  try {
    return body();
  } finally {
    running.pop();
  }
}

/**
 * Throws {@link ValueError} where the forward of one of `modules` reads a trainable variable that is not `listed`: it would be
 * neither trained nor saved. The error names the module, since it passes through its forward.
 */
export function requireListed(variable: Variable, listed: ReadonlySet<Variable>, modules: ReadonlySet<object>): void {
  if (!variable.trainable || listed.has(variable) || !running.some((module) => modules.has(module))) return;
  const name = variable.name === undefined ? "" : ` "${variable.name}"`;
  throw new ValueError(
    `forward reads a trainable variable${name} of shape ${formatShape(variable.shape)} that is not among the model's parameters, so it would be neither trained nor saved.`,
    "Make it a public field in the constructor (not #private, in a Map or made later), or give it { trainable: false }.",
  );
}

/**
 * A function that becomes a program. A variable that it reads is an input, one that it assigns an output, wherever the function
 * has it from; afterwards all of them are what they were.
 */
export class Staging {
  /** In the order of their first use. */
  readonly variables: Variable[] = [];
  /** What each stands for in the trace. */
  readonly inputs: GraphNode[] = [];
  /** The modes that the function found modules in. */
  readonly modes: Map<Moded, boolean> = new Map();
  readonly #known = new Set<object>();
  readonly #onInput: (variable: Variable) => void;

  /** `onInput` is told of each variable that becomes an input. */
  constructor(onInput: (variable: Variable) => void = () => undefined) {
    this.#onInput = onInput;
  }

  run<T>(body: () => T): T {
    return rehearse({
      read: (variable) => this.add(variable),
      assign: (variable) => this.add(variable),
      mode: (module, access) => {
        if (this.#known.has(module)) return;
        this.#known.add(module);
        if (access === "get") this.modes.set(module, module.training);
      },
    }, body);
  }

  /** Makes `variable` an input; only while the function runs. */
  add(variable: Variable): void {
    if (this.#known.has(variable)) return;
    this.#known.add(variable);
    // One that the function has made of its inputs has no value outside.
    if (variable.isTraced) return;
    this.#onInput(variable);
    const input = ops.source(variable.held);
    this.variables.push(variable);
    this.inputs.push(input);
    outermostStand(variable, input);
  }

  /** Positions of the variables that the function has assigned; only while it runs. */
  assigned(): number[] {
    return this.variables.map((_, position) => position).filter((position) => this.variables[position]!.held !== this.inputs[position]);
  }
}

/** As {@link stand}, for all of the outermost scope: an inner one that fails keeps it. */
function outermostStand(variable: Variable, node: GraphNode): void {
  let scope = innermost!;
  while (scope.outer !== undefined) scope = scope.outer;
  remember(scope, variable, variable.held);
  variable.bind(node);
}
