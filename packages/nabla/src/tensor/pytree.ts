// Trees of tensors: arrays and records nested as the program likes, flattened to a list and back.
// A module is a tree too, or a part of one: its leaves are its trainable variables, named by their dotted path.
import { describe, ValueError } from "../errors/errors.ts";
import { Tensor } from "./tensor.ts";
import type { Moded } from "./trace.ts";
import type { Variable } from "./variable.ts";

/** What has named parameters: a module. As a tree it stands for the record of them. */
export interface Parameterised {
  parameters(): Record<string, Variable>;
  /** All of its state, where it has more than parameters. */
  variables?(): Record<string, Variable>;
  /** Itself and the modules below, where it has any. */
  modules?(): Record<string, Moded>;
}

/** A tensor, a module, or arrays and records of them. */
export type Tree = Tensor | Parameterised | readonly Tree[] | { readonly [name: string]: Tree };

/** The tree `T` with `Leaf` for each tensor: a module becomes a record from parameter paths. */
export type TreeOf<T, Leaf> = [Tree] extends [T]
  ? LeafTree<Leaf>
  : T extends Tensor
    ? Leaf
    : T extends Parameterised
      ? Record<string, Leaf>
      : T extends readonly unknown[] | object
        ? { -readonly [K in keyof T]: TreeOf<T[K], Leaf> }
        : never;

/** A tree of which only the leaves are known. */
export type LeafTree<Leaf> = Leaf | readonly LeafTree<Leaf>[] | { readonly [name: string]: LeafTree<Leaf> };

/** A leaf and where it is, e.g. `layers[0].weight`. */
export interface Leaf {
  readonly path: string;
  readonly tensor: Tensor;
  /** The tensor again, where it is a parameter of a module in the tree. */
  readonly parameter: Variable | undefined;
}

/** A tree taken apart: `rebuild` puts values in place of the leaves, in order. */
export interface Flattened<T> {
  readonly leaves: readonly Leaf[];
  readonly modules: readonly Parameterised[];
  /** The tree with other tensors for leaves. Modules are in it as they are: let their parameters stand for the tensors meanwhile. */
  restore(tensors: readonly Tensor[]): T;
  rebuild<U>(values: readonly U[]): TreeOf<T, U>;
}

type Structure =
  | { readonly kind: "leaf" }
  | { readonly kind: "array"; readonly children: readonly Structure[] }
  | { readonly kind: "record"; readonly keys: readonly string[]; readonly children: readonly Structure[]; readonly module: Parameterised | undefined };

export function isParameterised(value: unknown): value is Parameterised {
  return typeof value === "object" && value !== null && "parameters" in value && typeof value.parameters === "function";
}

/**
 * The tensors of a tree in order, with their paths; throws {@link ValueError} on anything that is no tree.
 *
 * @example
 * flatten({ w: ones([2]), b: [zeros([1])] }).leaves.map((leaf) => leaf.path); // ["w", "b[0]"]
 */
export function flatten<T>(tree: T): Flattened<T> {
  const leaves: Leaf[] = [];
  const structure = collect(tree, "", leaves);
  return {
    leaves,
    modules: modulesIn(structure),
    restore: (tensors) => build(structure, tensors.values(), true) as T,
    rebuild<U>(values: readonly U[]): TreeOf<T, U> {
      if (values.length !== leaves.length) throw new ValueError(`A tree of ${leaves.length} tensors cannot take ${values.length} values.`, "Pass one value a leaf.");
      return build(structure, values.values(), false) as TreeOf<T, U>;
    },
  };
}

function collect(value: unknown, path: string, leaves: Leaf[]): Structure {
  if (value instanceof Tensor) {
    leaves.push({ path, tensor: value, parameter: undefined });
    return { kind: "leaf" };
  }
  if (Array.isArray(value)) {
    return { kind: "array", children: value.map((child: unknown, index) => collect(child, `${path}[${index}]`, leaves)) };
  }
  const below = (key: string): string => (path === "" ? key : `${path}.${key}`);
  if (isParameterised(value)) {
    const parameters = Object.entries(value.parameters());
    for (const [key, variable] of parameters) leaves.push({ path: below(key), tensor: variable, parameter: variable });
    return { kind: "record", module: value, keys: parameters.map(([key]) => key), children: parameters.map(() => ({ kind: "leaf" })) };
  }
  if (isPlainRecord(value)) {
    const keys = Object.keys(value);
    return { kind: "record", module: undefined, keys, children: keys.map((key) => collect(value[key], below(key), leaves)) };
  }
  throw new ValueError(`${path === "" ? "The value" : `"${path}"`} is ${describe(value)}, not a tensor.`, "A tree holds tensors, modules, and arrays and records of them.");
}

function modulesIn(structure: Structure): Parameterised[] {
  if (structure.kind === "leaf") return [];
  return structure.kind === "record" && structure.module !== undefined ? [structure.module] : structure.children.flatMap(modulesIn);
}

function isPlainRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The tree of `values`; a module is itself where `keepModules`, otherwise the record of its parameters' values. */
function build(structure: Structure, values: Iterator<unknown>, keepModules: boolean): unknown {
  switch (structure.kind) {
    case "leaf":
      return values.next().value;
    case "array":
      return structure.children.map((child) => build(child, values, keepModules));
    case "record": {
      const children = structure.children.map((child) => build(child, values, keepModules));
      if (keepModules && structure.module !== undefined) return structure.module;
      return Object.fromEntries(children.map((child, index) => [structure.keys[index], child]));
    }
  }
}

/**
 * Applies `f` to every tensor of a tree.
 *
 * @example
 * map({ w: ones([2]) }, (t) => t.shape); // { w: [2] }
 */
export function map<T, U>(tree: T, f: (tensor: Tensor, path: string) => U): TreeOf<T, U> {
  const { leaves, rebuild } = flatten(tree);
  return rebuild(leaves.map((leaf) => f(leaf.tensor, leaf.path)));
}
