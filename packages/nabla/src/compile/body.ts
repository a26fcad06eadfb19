// Kernel bodies: an expression of the graph written as scalar instructions over a kernel's coordinates.
// What is stored elsewhere is loaded; everything between is computed in registers, once.
import type { Access, Instruction, RegisterType } from "../kernels/kernel.ts";
import type { DType } from "../ops/dtype.ts";
import { type BinaryOp, binaryRules, type UnaryOp, unaryRules } from "../ops/elementwise.ts";
import type { AnyNode, GraphNode } from "../ops/graph.ts";
import type { NodeOfKind } from "../ops/kind.ts";
import { byKind } from "../ops/registry.ts";
import { rowMajorStrides } from "../ops/shape.ts";
import { isContiguous } from "./homes.ts";
import { coordinate, flatten, type IndexMap, inputMap, isMovement, mapKey, type MovementNode } from "./index-map.ts";

/** The register a dtype is computed in. */
export function registerType(dtype: DType): RegisterType {
  return dtype === "uint8" ? "int32" : dtype;
}

/** Where a node's elements lie: element `index` at offset + Σ strides[axis]·index[axis] of a buffer. */
export interface Place {
  readonly buffer: number;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** What a body finds when it reaches a node: its place in memory, an accumulator, or nothing (compute it). */
export type Leaf =
  | { readonly kind: "memory"; readonly place: Place }
  | { readonly kind: "accumulator"; readonly index: number }
  | undefined;

/** Resolves a node read through `map`. */
export type Resolve = (node: GraphNode, map: IndexMap) => Leaf;

type UnaryNode = Extract<AnyNode, { op: UnaryOp }>;
type BinaryNode = Extract<AnyNode, { op: BinaryOp }>;
const isUnary = (node: AnyNode): node is UnaryNode => Object.hasOwn(unaryRules, node.op);
const isBinary = (node: AnyNode): node is BinaryNode => Object.hasOwn(binaryRules, node.op);

/** Builds one body; the same expression is written once. */
export class BodyBuilder {
  readonly instructions: Instruction[] = [];
  readonly #rank: number;
  readonly #resolve: Resolve;
  readonly #values = new Map<string, number>();
  readonly #written = new Map<string, number>();

  constructor(rank: number, resolve: Resolve) {
    this.#rank = rank;
    this.#resolve = resolve;
  }

  /** The instruction that holds the element of `node` at `map`. */
  value(node: GraphNode, map: IndexMap): number {
    const key = `${node.id}@${mapKey(map)}`;
    let value = this.#values.get(key);
    if (value === undefined) {
      value = this.#build(node, map);
      this.#values.set(key, value);
    }
    return value;
  }

  /** The same value everywhere. */
  constant(dtype: DType, value: number): number {
    return this.#emit({ op: "constant", type: registerType(dtype), value });
  }

  /** The access to the element of `node` at `map`. */
  access(node: GraphNode, place: Place, map: IndexMap): Access {
    const { offset, strides } = flatten(map, place.strides, this.#rank);
    return { buffer: place.buffer, dtype: node.dtype, offset: place.offset + offset, strides };
  }

  #emit(instruction: Instruction): number {
    const key = keyOf(instruction);
    let index = this.#written.get(key);
    if (index === undefined) {
      index = this.instructions.push(instruction) - 1;
      this.#written.set(key, index);
    }
    return index;
  }

  #build(wanted: GraphNode, map: IndexMap): number {
    const type = registerType(wanted.dtype);
    const leaf = this.#resolve(wanted, map);
    if (leaf?.kind === "memory") return this.#emit({ op: "load", type, access: this.access(wanted, leaf.place, map) });
    if (leaf?.kind === "accumulator") return this.#emit({ op: "accumulator", type, index: leaf.index });
    const { kind, node } = byKind(wanted);
    switch (kind) {
      case "leaf":
        return this.#leaf(node, map);
      case "elementwise":
        return this.#elementwise(node, map);
      case "movement":
        return this.#move(node, map);
      case "lookup":
        return node.op === "gather" ? this.#gather(node, map) : this.#randomBits(node, map);
      case "reduction":
      case "contraction":
      case "scatter":
      case "assembly":
      case "loop":
        throw new Error(`${node.op} has no scalar body: it must be stored before it is read.`);
    }
  }

  #leaf(node: NodeOfKind<"leaf">, map: IndexMap): number {
    switch (node.op) {
      case "constant":
        return this.#emit({ op: "constant", type: registerType(node.dtype), value: node.params.value });
      case "iota":
        return this.#emit({ op: "index", type: "int32", ...map[node.params.axis]! });
      case "source":
        throw new Error("A source has no scalar body: it is bound to a buffer.");
    }
  }

  #elementwise(node: NodeOfKind<"elementwise">, map: IndexMap): number {
    const type = registerType(node.dtype);
    const input = (index: number): number => this.value(node.inputs[index]!, map);
    if (isUnary(node)) return this.#wrapped(node.dtype, { op: node.op, type, a: input(0) });
    if (isBinary(node)) return this.#wrapped(node.dtype, { op: node.op, type, a: input(0), b: input(1) });
    switch (node.op) {
      case "stopGradient":
        return input(0);
      case "cast":
        return this.#cast(node.inputs[0]!.dtype, node.dtype, input(0));
      case "select":
        return this.#emit({ op: "select", type, condition: input(0), a: input(1), b: input(2) });
    }
  }

  #randomBits(node: GraphNode<"randomBits">, map: IndexMap): number {
    const counter = this.#emit({ op: "index", type: "int32", ...flatten(map, rowMajorStrides(node.shape), this.#rank) });
    const key = node.inputs[0]!;
    const word = (index: number): number => this.value(key, [{ offset: index, strides: new Array<number>(this.#rank).fill(0) }]);
    return this.#emit({ op: "randomBits", type: "int32", k0: word(0), k1: word(1), counter });
  }

  #move(node: MovementNode, map: IndexMap): number {
    const input = node.inputs[0]!;
    const moved = inputMap(node, map, this.#rank);
    if (moved !== undefined) return this.value(input, moved);
    // A reshape that needs division is free on a stored input: both are row-major over the same elements.
    const leaf = this.#resolve(input, []);
    if (leaf?.kind !== "memory" || !isContiguous(input.shape, leaf.place.strides)) throw new Error("A reshape that merges axes must read a contiguous value.");
    const place = { ...leaf.place, strides: rowMajorStrides(node.shape) };
    return this.#emit({ op: "load", type: registerType(node.dtype), access: this.access(node, place, map) });
  }

  #gather(node: GraphNode<"gather">, map: IndexMap): number {
    const [table, indices] = node.inputs as readonly [GraphNode, GraphNode];
    const row = this.value(indices, map.slice(0, indices.shape.length));
    // The row is one more coordinate, behind the others, while the table is sought behind its views.
    const rank = this.#rank + 1;
    let view: IndexMap = [coordinate(this.#rank, rank), ...map.slice(indices.shape.length).map(({ offset, strides }) => ({ offset, strides: [...strides, 0] }))];
    let held = table;
    let leaf = this.#resolve(held, []);
    while (leaf === undefined && isMovement(held)) {
      const moved = inputMap(held, view, rank);
      if (moved === undefined) break;
      view = moved;
      held = held.inputs[0]!;
      leaf = this.#resolve(held, []);
    }
    if (leaf?.kind !== "memory") throw new Error("gather must read a stored table.");
    const { buffer, offset, strides } = leaf.place;
    const place = flatten(view, strides, rank);
    const access: Access = {
      buffer, dtype: table.dtype, offset: offset + place.offset, strides: place.strides.slice(0, -1),
      indirect: { row, stride: place.strides.at(-1)!, rows: table.shape[0]! },
    };
    return this.#emit({ op: "load", type: registerType(node.dtype), access });
  }

  #cast(from: DType, to: DType, a: number): number {
    if (to === "uint8" && from !== "bool") return this.#emit({ op: "cast", type: "int32", a, wrap: "uint8" });
    return registerType(from) === registerType(to) ? a : this.#emit({ op: "cast", type: registerType(to), a });
  }

  /** uint8 is computed in int32 and keeps its low byte. */
  #wrapped(dtype: DType, instruction: Instruction): number {
    const value = this.#emit(instruction);
    return dtype === "uint8" ? this.#emit({ op: "cast", type: "int32", a: value, wrap: "uint8" }) : value;
  }
}

const isScalar = (instruction: Instruction): instruction is Extract<Instruction, { op: UnaryOp | BinaryOp }> =>
  Object.hasOwn(unaryRules, instruction.op) || Object.hasOwn(binaryRules, instruction.op);

/** Text that two instructions share exactly when they compute the same. */
function keyOf(instruction: Instruction): string {
  const { op, type } = instruction;
  if (isScalar(instruction)) return `${op} ${type}:${instruction.a}${"b" in instruction ? `,${instruction.b}` : ""}`;
  switch (instruction.op) {
    case "load": {
      const { buffer, offset, strides, indirect } = instruction.access;
      return `${type}@${buffer}+${offset}:${strides.join()}${indirect === undefined ? "" : `[${indirect.row}*${indirect.stride}<${indirect.rows}`}`;
    }
    case "constant":
      return `${type}=${Object.is(instruction.value, -0) ? "-0" : instruction.value}`;
    case "index":
      return `i${instruction.offset}:${instruction.strides.join()}`;
    case "accumulator":
      return `a${instruction.index}`;
    case "select":
      return `?${type}:${instruction.condition},${instruction.a},${instruction.b}`;
    case "cast":
      return `${type}<${instruction.a}${instruction.wrap ?? ""}`;
    case "randomBits":
      return `r${instruction.k0},${instruction.k1},${instruction.counter}`;
  }
}
