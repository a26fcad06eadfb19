// Which values get memory: what a kernel cannot compute in passing, and what is dearer to compute twice than to store.
// Everything else is inlined into the kernels that read it.
import { type AnyNode, dependencies, type GraphNode, type OpName } from "../ops/graph.ts";
import { sizeOf } from "../ops/shape.ts";
import { isAffineReshape, isMovement } from "./index-map.ts";

/** The stored nodes, and for each node the stored nodes whose kernels read it. */
export interface Storing {
  readonly stored: ReadonlySet<GraphNode>;
  readonly users: ReadonlyMap<GraphNode, ReadonlySet<GraphNode>>;
  /** Rough instructions an element, were nothing but kernels' results stored. */
  readonly cost: ReadonlyMap<GraphNode, number>;
}

/** Primitives with a kernel of their own. */
const kernelOps: ReadonlySet<OpName> = new Set<OpName>(["matmul", "sum", "max", "argmax", "scatterAdd", "pad", "concat"]);

export function hasOwnKernel(node: GraphNode): boolean {
  return kernelOps.has(node.op);
}

/** Rough instructions an element; loads and simple arithmetic are 1. */
const costs: Partial<Record<OpName, number>> = {
  div: 4, sqrt: 4, exp: 12, log: 12, tanh: 14, sigmoid: 14, pow: 24, sin: 16, cos: 16, randomBits: 110,
  reshape: 0, transpose: 0, broadcast: 0, slice: 0, constant: 0, stopGradient: 0, after: 0, iota: 0,
};

/** A value read by several kernels is stored when computing it again costs more than this. */
const RECOMPUTE_LIMIT = 5;
/** A value repeated along a broadcast is stored when it costs at least this … */
const BROADCAST_COST = 8;
/** … and is repeated at least this often. */
const BROADCAST_REPEAT = 4;

/** The node whose row-major elements `node` has: reshapes and waiting are free. */
export function canonical(node: GraphNode): GraphNode {
  let current = node;
  while ((current.op === "reshape" || current.op === "after") && current.storage === undefined) current = current.inputs[0]!;
  return current;
}

/** Decides what is stored. `order` is topological, `leaves` are bound at run time, `outputs` must be stored. */
export function chooseStored(order: readonly GraphNode[], leaves: ReadonlySet<GraphNode>, outputs: readonly GraphNode[]): Storing {
  const cost = inlineCosts(order, leaves);
  const stored = new Set<GraphNode>(outputs);
  const users = new Map<GraphNode, Set<GraphNode>>(order.map((node) => [node, new Set()]));
  const force = (node: GraphNode): void => {
    const target = canonical(node);
    if (!leaves.has(target)) stored.add(target);
  };
  // A strided view of a stored value serves as well as the value.
  const forceView = (node: GraphNode): void => {
    let target = node;
    while (!leaves.has(target) && isMovement(target)) {
      const input = target.inputs[0]!;
      if (target.op === "reshape" && !isAffineReshape(input.shape, target.shape)) return force(input);
      target = input;
    }
    force(target);
  };
  for (let index = order.length - 1; index >= 0; index--) {
    const node = order[index] as AnyNode;
    if (leaves.has(node)) continue;
    const readers = users.get(node)!;
    if (hasOwnKernel(node) || worthStoring(node, readers, cost.get(node)!)) stored.add(node);
    const owners = stored.has(node) ? [node] : readers;
    for (const input of dependencies(node)) for (const owner of owners) users.get(input)!.add(owner);
    switch (node.op) {
      case "matmul":
        node.inputs.forEach(forceView);
        break;
      case "scatterAdd":
        node.inputs.forEach(force);
        break;
      case "gather":
        force(node.inputs[0]!);
        break;
      case "reshape":
        if (!isAffineReshape(node.inputs[0]!.shape, node.shape)) force(node.inputs[0]!);
        break;
      case "broadcast": {
        const input = node.inputs[0]!;
        if (cost.get(input)! >= BROADCAST_COST && sizeOf(node.shape) >= BROADCAST_REPEAT * sizeOf(input.shape)) forceView(input);
        break;
      }
    }
  }
  return { stored, users, cost };
}

function inlineCosts(order: readonly GraphNode[], leaves: ReadonlySet<GraphNode>): Map<GraphNode, number> {
  const cost = new Map<GraphNode, number>();
  for (const node of order) {
    if (leaves.has(node) || hasOwnKernel(node)) {
      cost.set(node, 1);
    } else {
      let total = costs[node.op] ?? 1;
      for (const input of dependencies(node)) total += cost.get(input)!;
      cost.set(node, total);
    }
  }
  return cost;
}

function worthStoring(node: GraphNode, readers: ReadonlySet<GraphNode>, cost: number): boolean {
  if (isMovement(node) || readers.size < 2 || cost <= RECOMPUTE_LIMIT) return false;
  // Elementwise kernels over the same elements become one kernel, which computes the value once.
  const size = sizeOf(node.shape);
  return [...readers].some((reader) => hasOwnKernel(reader) || sizeOf(reader.shape) !== size);
}
