// Homes: a stored value that is a piece of a padded or concatenated one lives inside it.
// The kernel that computes the piece writes it there, and nothing is copied.
import { type AnyNode, type GraphNode, topologicalOrder } from "../ops/graph.ts";
import type { NodeOfKind } from "../ops/kind.ts";
import { byKind, kindOf } from "../ops/registry.ts";
import { rowMajorStrides, type Shape } from "../ops/shape.ts";
import { coordinate, flatten, isAffineReshape, isMovement, reshapeMap } from "./index-map.ts";

/** Where element `index` of a value lies in the memory of `container`: at offset + Σ strides[axis]·index[axis]. */
export interface Home {
  readonly container: GraphNode;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** What the choice needs to know of the graph. */
export interface HomeFacts {
  /** Stored nodes, inputs before users. */
  readonly roots: readonly GraphNode[];
  readonly stored: ReadonlySet<GraphNode>;
  readonly leaves: readonly GraphNode[];
  /** Slot of each output; the slot of a leaf means that the output overwrites it. */
  readonly outputs: ReadonlyMap<GraphNode, number>;
  readonly consumers: ReadonlyMap<GraphNode, readonly GraphNode[]>;
}

/** An input of a pad or concat, and where it begins. */
export interface Piece {
  readonly input: GraphNode;
  readonly begin: readonly number[];
}

/** What an assembly is put together from. */
export function piecesOf(node: NodeOfKind<"assembly">): readonly Piece[] {
  if (node.op === "pad") return [{ input: node.inputs[0]!, begin: node.params.before }];
  const { axis } = node.params;
  let start = 0;
  return node.inputs.map((input) => {
    const begin = node.shape.map(() => 0).with(axis, start);
    start += input.shape[axis]!;
    return { input, begin };
  });
}

/** The homes of a program's values. */
export class Homes {
  readonly #homes = new Map<GraphNode, Home>();
  /** Values by the container they are directly part of. */
  readonly #members = new Map<GraphNode, Set<GraphNode>>();
  /** Indices of the pieces of each container that need no copy. */
  readonly #inPlace = new Map<GraphNode, Set<number>>();
  /** Stored values that the copied pieces of each container read. */
  readonly #copied = new Map<GraphNode, Set<GraphNode>>();

  constructor(facts: HomeFacts) {
    // Outer containers first: what lives in an inner one then lives in the outer one, too.
    for (const root of facts.roots.toReversed()) {
      const { kind, node } = byKind(root);
      if (kind === "assembly") this.#furnish(node, piecesOf(node), facts);
    }
  }

  #furnish(container: GraphNode, pieces: readonly Piece[], facts: HomeFacts): void {
    const members = new Set<GraphNode>();
    const inPlace = new Set<number>();
    const copied = new Set<GraphNode>();
    const overwrites = (facts.outputs.get(container) ?? Infinity) < facts.leaves.length;
    const whole = this.#homes.get(container) ?? { container, offset: 0, strides: rowMajorStrides(container.shape) };
    pieces.forEach(({ input, begin }, index) => {
      const offset = begin.reduce((sum, start, axis) => sum + start * whole.strides[axis]!, whole.offset);
      const placed = overwrites ? undefined : settle(input, { ...whole, offset }, facts);
      if (placed === undefined || this.#homes.has(placed.node)) {
        for (const node of topologicalOrder([input], facts.stored)) if (facts.stored.has(node)) copied.add(node);
        return;
      }
      this.#homes.set(placed.node, placed.home);
      members.add(placed.node);
      inPlace.add(index);
    });
    this.#members.set(container, members);
    this.#inPlace.set(container, inPlace);
    this.#copied.set(container, copied);
  }

  /** Undefined where `node` has memory of its own, or none. */
  of(node: GraphNode): Home | undefined {
    return this.#homes.get(node);
  }

  /** Values that live in `container`, at any depth. */
  residents(container: GraphNode): readonly GraphNode[] {
    const inside = [...(this.#members.get(container) ?? [])];
    for (const member of inside) inside.push(...(this.#members.get(member) ?? []));
    return inside;
  }

  /** Whether piece `index` of a pad or concat is written by the kernel that computes it. */
  isInPlace(container: GraphNode, index: number): boolean {
    return this.#inPlace.get(container)?.has(index) === true;
  }

  /** Whether `before` is a piece of `after` that needs no copy: then one phase may write both. */
  isPart(before: GraphNode, after: GraphNode): boolean {
    return this.#members.get(after)?.has(before) === true && !this.#copied.get(after)!.has(before);
  }
}

/** The stored value behind `input` and its home, if it can be written where `input` lies. */
function settle(input: GraphNode, at: Home, facts: HomeFacts): { readonly node: GraphNode; readonly home: Home } | undefined {
  let node = input as AnyNode;
  let { strides } = at;
  while (!facts.stored.has(node)) {
    const below = node.inputs[0]!;
    if (node.op === "transpose") {
      const moved = new Array<number>(strides.length);
      node.params.permutation.forEach((from, axis) => (moved[from] = strides[axis]!));
      strides = moved;
    } else if (node.op === "reshape") {
      const reshaped = reshapedStrides(node.shape, below.shape, strides);
      if (reshaped === undefined) return undefined;
      strides = reshaped;
    } else if (node.op !== "after") {
      return undefined;
    }
    node = below as AnyNode;
  }
  if (facts.outputs.has(node) || (!isContiguous(node.shape, strides) && needsContiguous(node, facts))) return undefined;
  return { node, home: { ...at, strides } };
}

/** Strides of the elements of `to` where `from`, a reshape of it, has `strides`. */
function reshapedStrides(from: Shape, to: Shape, strides: readonly number[]): readonly number[] | undefined {
  if (isContiguous(from, strides)) return rowMajorStrides(to);
  const map = reshapeMap(from, to, to.map((_, axis) => coordinate(axis, to.length)), to.length);
  return map && flatten(map, strides, to.length).strides;
}

/** Whether `strides` are those of a row-major array, where they matter. */
export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  const own = rowMajorStrides(shape);
  return shape.every((extent, axis) => extent === 1 || strides[axis] === own[axis]);
}

/** Products accumulate, scatters add, and loops write in an array without gaps. */
function writesRows(node: GraphNode): boolean {
  const kind = kindOf(node);
  return kind === "contraction" || kind === "scatter" || kind === "loop";
}

/** Whether the kernel of `node` reads arrays without gaps only. */
function readsRows(node: GraphNode): boolean {
  const kind = kindOf(node);
  return kind === "scatter" || kind === "loop";
}

/** Whether the kernel of `node`, or one that reads it, takes its elements to be row-major. */
function needsContiguous(node: GraphNode, { consumers }: HomeFacts): boolean {
  if (writesRows(node)) return true;
  // The value and its views.
  const views = new Set([node]);
  for (const view of views) {
    for (const reader of consumers.get(view) ?? []) {
      if (readsRows(reader) || (reader.op === "reshape" && !isAffineReshape(view.shape, reader.shape))) return true;
      if (isMovement(reader)) views.add(reader);
    }
  }
  return false;
}
