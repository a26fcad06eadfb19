// The typed builder: `space.object({ lr: space.float(1e-5, 1e-1, { log: true }) })` is a tree whose TypeScript
// type is inferred; it flattens to a SearchSpace and turns assignments back into typed values.
import { SpaceError } from "../errors/errors.ts";
import {
  categoricalDistribution, floatDistribution, intDistribution, internalWidth, ordinalDistribution, permutationDistribution, simplexDistribution,
  subsetDistribution, toExternal, type Distribution, type FloatOptions, type IntOptions, type ParameterValue, type Scalar, type SubsetOptions,
} from "./distribution.ts";
import { checkComponents, checkParameterName } from "./names.ts";
import { SearchSpace, type Assignment, type Condition, type InputConstraint, type ParameterSpec, type ParameterValues } from "./space.ts";

declare const valueType: unique symbol;

/** One parameter whose value has type T. */
export interface Parameter<T> { readonly node: "parameter"; readonly distribution: Distribution; readonly [valueType]?: T }
/** A choice of which each alternative has parameters of its own. */
export interface Branches<B extends Readonly<Record<string, Fields>>> { readonly node: "branches"; readonly branches: B }
/** The parameters of an object space, by name. */
export type Fields = { readonly [name: string]: SpaceNode };
/** A parameter, or a choice with parameters in its branches. */
export type SpaceNode = Parameter<unknown> | Branches<Readonly<Record<string, Fields>>> | ObjectSpace<Fields>;

/** The type of the value a node stands for; matched by structure, for ObjectSpace mentions it in its own methods. */
export type Infer<N> =
  N extends { readonly node: "object"; readonly fields: infer F } ? InferFields<F>
  : N extends { readonly node: "branches"; readonly branches: infer B } ? { [K in keyof B & string]: { readonly kind: K } & InferFields<B[K]> }[keyof B & string]
  : N extends Parameter<infer T> ? T : never;
/** The type of an object of nodes. */
export type InferFields<F> = { readonly [K in keyof F]: Infer<F[K]> };

/** A search space with named fields; the root of every typed space. */
export class ObjectSpace<F extends Fields> {
  readonly node = "object";
  /** What it was made of. */
  readonly fields: F;
  private readonly inputConstraints: readonly InputConstraint[];
  private flat: SearchSpace | null = null;

  constructor(fields: F, inputConstraints: readonly InputConstraint[] = []) {
    checkFields(fields);
    this.fields = fields;
    this.inputConstraints = inputConstraints;
  }

  /** Only configurations for which `test` is true are evaluated. */
  where(test: (value: InferFields<F>) => boolean): ObjectSpace<F> {
    const predicate: InputConstraint = { kind: "predicate", test: (assignment) => test(this.assemble(assignment)) };
    return new ObjectSpace(this.fields, [...this.inputConstraints, predicate]);
  }

  /** Only configurations with Σ coefficient · parameter ≤ bound are evaluated; names are flat, e.g. `"x"` or `"layer.width"`. */
  atMost(coefficients: Readonly<Record<string, number>>, bound: number): ObjectSpace<F> {
    const linear: InputConstraint = { kind: "linear", coefficients: new Map(Object.entries(coefficients)), bound };
    return new ObjectSpace(this.fields, [...this.inputConstraints, linear]);
  }

  /** The flat form; nested names are joined by dots, a branch `opt` → `sgd` names its fields `opt.sgd.*`. */
  get search(): SearchSpace {
    if (this.flat === null) {
      const specs: ParameterSpec[] = [];
      collect(this.fields, "", null, specs);
      if (specs.length === 0) throw new SpaceError("the space has no parameters; add at least one, or use a define-by-run objective.");
      checkNames(specs);
      this.flat = new SearchSpace(specs, this.inputConstraints);
    }
    return this.flat;
  }

  /** The typed value of an assignment. */
  assemble(assignment: Assignment): InferFields<F> {
    return assembleFields(this.fields, "", assignment) as InferFields<F>;
  }

  /** Flat external values of a typed value of which parts may be missing. */
  flatten(value: Readonly<Record<string, unknown>>): ParameterValues {
    const flat: Record<string, ParameterValue> = {};
    flattenFields(this.fields, "", value, flat);
    return flat;
  }
}

/** Names of parameters and of branches, each a part of a flat name. */
function checkFields(fields: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(fields)) {
    checkParameterName(name);
    if (name.includes(".")) throw new SpaceError(`the name "${name}" contains a dot; dots separate nested names.`);
  }
}

/** Flat names, which are longer than their parts. */
function checkNames(specs: readonly ParameterSpec[]): void {
  const widths = new Map<string, number>();
  for (const { name, distribution } of specs) {
    checkParameterName(name);
    checkComponents(name, internalWidth(distribution), (other) => widths.get(other));
    widths.set(name, internalWidth(distribution));
  }
}

function parameter<T>(distribution: Distribution): Parameter<T> {
  return { node: "parameter", distribution };
}

function choice<const C extends readonly Scalar[]>(choices: C): Parameter<C[number]>;
function choice<const B extends Readonly<Record<string, Fields>>>(branches: B): Branches<B>;
function choice(choices: readonly Scalar[] | Readonly<Record<string, Fields>>): SpaceNode {
  if (Array.isArray(choices)) return parameter(categoricalDistribution(choices));
  const branches = choices as Readonly<Record<string, Fields>>;
  if (Object.keys(branches).length === 0) throw new SpaceError("a choice needs at least one branch.");
  checkFields(branches);
  for (const [branch, fields] of Object.entries(branches)) {
    checkFields(fields);
    if ("kind" in fields) throw new SpaceError(`the branch "${branch}" has a parameter "kind", which is where a value says its branch; rename it.`);
  }
  return { node: "branches", branches };
}

/**
 * Builders of typed search spaces.
 *
 * @example
 * const net = space.object({
 *   layers: space.int(1, 4),
 *   optimizer: space.choice({ sgd: { momentum: space.float(0, 0.99) }, adam: {} }),
 * }).where(({ layers, optimizer }) => layers < 3 || optimizer.kind === "adam");
 * net.search.parameters.map(({ name }) => name); // ["layers","optimizer","optimizer.sgd.momentum"]
 */
export const space: {
  object<const F extends Fields>(fields: F): ObjectSpace<F>;
  float(low: number, high: number, options?: FloatOptions): Parameter<number>;
  int(low: number, high: number, options?: IntOptions): Parameter<number>;
  /** One of a list, or one of several branches: `{ sgd: { momentum }, adam: {} }` gives `{ kind: "sgd", momentum } | { kind: "adam" }`. */
  choice: typeof choice;
  ordinal<const C extends readonly Scalar[]>(choices: C): Parameter<C[number]>;
  subset<const C extends readonly Scalar[]>(choices: C, options?: SubsetOptions): Parameter<readonly C[number][]>;
  permutation<const C extends readonly Scalar[]>(items: C): Parameter<readonly C[number][]>;
  /** `size` non-negative weights that sum to 1. */
  simplex(size: number): Parameter<readonly number[]>;
} = {
  object: (fields) => new ObjectSpace(fields),
  float: (low, high, options) => parameter(floatDistribution(low, high, options)),
  int: (low, high, options) => parameter(intDistribution(low, high, options)),
  choice,
  ordinal: (choices) => parameter(ordinalDistribution(choices)),
  subset: (choices, options) => parameter(subsetDistribution(choices, options)),
  permutation: (items) => parameter(permutationDistribution(items)),
  simplex: (size) => parameter(simplexDistribution(size)),
};

function collect(fields: Fields, prefix: string, condition: Condition | null, specs: ParameterSpec[]): void {
  for (const [key, node] of Object.entries(fields)) {
    const name = prefix + key;
    if (node.node === "parameter") specs.push({ name, distribution: node.distribution, condition });
    else if (node.node === "object") collect(node.fields, `${name}.`, condition, specs);
    else {
      const branches = Object.entries(node.branches);
      specs.push({ name, distribution: categoricalDistribution(branches.map(([branch]) => branch)), condition });
      branches.forEach(([branch, branchFields], i) => collect(branchFields, `${name}.${branch}.`, { parameter: name, choice: i }, specs));
    }
  }
}

function assembleFields(fields: Fields, prefix: string, assignment: Assignment): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [key, node] of Object.entries(fields)) {
    const name = prefix + key;
    if (node.node === "object") { value[key] = assembleFields(node.fields, `${name}.`, assignment); continue; }
    const internal = assignment.get(name);
    if (internal === undefined) throw new SpaceError(`the parameter "${name}" has no value.`);
    if (node.node === "parameter") value[key] = toExternal(node.distribution, internal);
    else {
      const kind = Object.keys(node.branches)[Number(internal)]!;
      value[key] = { kind, ...assembleFields(node.branches[kind]!, `${name}.${kind}.`, assignment) };
    }
  }
  return value;
}

function flattenFields(fields: Fields, prefix: string, value: Readonly<Record<string, unknown>>, flat: Record<string, ParameterValue>): void {
  for (const [key, given] of Object.entries(value)) {
    const node = fields[key];
    const name = prefix + key;
    if (node === undefined) throw new SpaceError(`the space has no parameter "${name}"; it has ${Object.keys(fields).map((k) => prefix + k).join(", ")}.`);
    if (node.node === "parameter") flat[name] = given as ParameterValue;
    else if (!isRecord(given)) throw new SpaceError(`"${name}" must be an object with ${node.node === "object" ? "its parameters" : '"kind" and the parameters of that branch'}, not ${JSON.stringify(given)}.`);
    else if (node.node === "object") flattenFields(node.fields, `${name}.`, given, flat);
    else {
      const { kind, ...rest } = given;
      const branch = typeof kind === "string" ? node.branches[kind] : undefined;
      if (typeof kind !== "string" || branch === undefined) throw new SpaceError(`"${name}.kind" must be one of ${Object.keys(node.branches).join(", ")}, not ${JSON.stringify(kind)}.`);
      flat[name] = kind;
      flattenFields(branch, `${name}.${kind}.`, rest, flat);
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
