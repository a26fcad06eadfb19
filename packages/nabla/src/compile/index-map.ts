// Index maps: where an element of a node sits as an affine function of a kernel's coordinates.
// Movement operations become changes of the map, so they cost nothing at run time.
import type { GraphNode } from "../ops/graph.ts";
import type { NodeOfKind } from "../ops/kind.ts";
import { kindOf } from "../ops/registry.ts";
import { rowMajorStrides, type Shape } from "../ops/shape.ts";

/** offset + Σ strides[d]·coordinate[d]. */
export interface Affine {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** One affine function for each axis of a node. */
export type IndexMap = readonly Affine[];

/** Σ map[axis]·weight[axis]: the flat index under row-major `weights`. */
export function flatten(map: IndexMap, weights: readonly number[], rank: number): Affine {
  const strides = new Array<number>(rank).fill(0);
  let offset = 0;
  map.forEach((affine, axis) => {
    const weight = weights[axis]!;
    offset += affine.offset * weight;
    for (let d = 0; d < rank; d++) strides[d]! += affine.strides[d]! * weight;
  });
  return { offset, strides };
}

function zero(rank: number): Affine {
  return { offset: 0, strides: new Array<number>(rank).fill(0) };
}

/** The coordinate `dimension` itself. */
export function coordinate(dimension: number, rank: number): Affine {
  const strides = new Array<number>(rank).fill(0);
  strides[dimension] = 1;
  return { offset: 0, strides };
}

/** Matches the axes of `shape` to the dimensions of `domain` in order, sizes 1 left out; undefined when they differ. */
export function identityMap(shape: Shape, domain: Shape): IndexMap | undefined {
  let dimension = 0;
  const map: Affine[] = [];
  for (const extent of shape) {
    if (extent === 1) {
      map.push(zero(domain.length));
      continue;
    }
    while (dimension < domain.length && domain[dimension] === 1) dimension++;
    if (domain[dimension] !== extent) return undefined;
    map.push(coordinate(dimension++, domain.length));
  }
  while (dimension < domain.length && domain[dimension] === 1) dimension++;
  return dimension === domain.length ? map : undefined;
}

/** Whether `map` is what {@link identityMap} gives for `shape`: the kernel reads exactly the element it is at. */
export function isIdentity(map: IndexMap, shape: Shape, domain: Shape): boolean {
  const identity = identityMap(shape, domain);
  return identity !== undefined && map.every((affine, axis) => shape[axis] === 1 || sameAffine(affine, identity[axis]!, domain));
}

function sameAffine(a: Affine, b: Affine, domain: Shape): boolean {
  return a.offset === b.offset && a.strides.every((stride, d) => domain[d] === 1 || stride === b.strides[d]);
}

export function mapKey(map: IndexMap): string {
  return map.map((affine) => `${affine.offset}:${affine.strides.join(",")}`).join("|");
}

/**
 * Reshape as index arithmetic: the input's map from the output's, or undefined when an input axis
 * would need division (several output axes are fine, several input axes of one output axis are not).
 */
export function reshapeMap(input: Shape, output: Shape, map: IndexMap, rank: number): IndexMap | undefined {
  const result: Affine[] = [];
  let axisOut = 0;
  for (let axisIn = 0; axisIn < input.length; axisIn++) {
    const extent = input[axisIn]!;
    if (extent === 1) {
      result.push(zero(rank));
      continue;
    }
    let product = 1;
    const first = axisOut;
    while (product < extent && axisOut < output.length) product *= output[axisOut++]!;
    if (product !== extent) return undefined;
    const group = output.slice(first, axisOut);
    result.push(flatten(map.slice(first, axisOut), rowMajorStrides(group), rank));
  }
  return result;
}

/** Whether {@link reshapeMap} exists: no division is needed. */
export function isAffineReshape(input: Shape, output: Shape): boolean {
  const map = output.map(() => zero(0));
  return reshapeMap(input, output, map, 0) !== undefined;
}

/** A node that only moves elements, one input element for each output element. */
export type MovementNode = NodeOfKind<"movement">;

export function isMovement(node: GraphNode): node is MovementNode {
  return kindOf(node) === "movement";
}

/** The map of a movement's input from the map of its output; undefined for a reshape that needs division. */
export function inputMap(node: MovementNode, map: IndexMap, rank: number): IndexMap | undefined {
  const input = node.inputs[0]!;
  switch (node.op) {
    case "transpose": {
      const result = new Array<Affine>(map.length);
      node.params.permutation.forEach((from, axis) => {
        result[from] = map[axis]!;
      });
      return result;
    }
    case "broadcast":
      return map.map((affine, axis) => (input.shape[axis] === 1 ? zero(rank) : affine));
    case "slice":
      return map.map(({ offset, strides }, axis) => {
        const step = node.params.step[axis]!;
        return { offset: node.params.begin[axis]! + step * offset, strides: strides.map((stride) => stride * step) };
      });
    case "flip":
      return map.map(({ offset, strides }, axis) =>
        node.params.axes.includes(axis)
          ? { offset: node.shape[axis]! - 1 - offset, strides: strides.map((stride) => (stride === 0 ? 0 : -stride)) }
          : { offset, strides });
    case "after":
      return map;
    case "reshape":
      return reshapeMap(input.shape, node.shape, map, rank);
  }
}
