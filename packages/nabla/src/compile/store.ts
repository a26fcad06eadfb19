// Which values get memory: what a kernel cannot compute in passing, and what is dearer to compute twice than to store.
// Everything else is inlined into the kernels that read it.
import { dependencies, type GraphNode } from "../ops/graph.ts";
import { byKind, ruleOf } from "../ops/registry.ts";
import { sizeOf } from "../ops/shape.ts";
import { cutExpressions } from "./body-size.ts";
import { isAffineReshape, isMovement, type MovementNode } from "./index-map.ts";
import { hasOwnKernel, treatmentOf } from "./kinds.ts";

/** The stored nodes, and for each node the stored nodes whose kernels read it. */
export interface Storing {
  readonly stored: ReadonlySet<GraphNode>;
  readonly users: ReadonlyMap<GraphNode, ReadonlySet<GraphNode>>;
  /** Rough instructions an element, were nothing but what must be stored. */
  readonly cost: ReadonlyMap<GraphNode, number>;
}

/** A value read by several kernels is stored when computing it again costs more than this. */
const RECOMPUTE_LIMIT = 5;
/** A value repeated along a broadcast is stored when it costs at least this … */
const BROADCAST_COST = 8;
/** … or this, where the kernel before it can store it in its epilogue … */
const BROADCAST_EPILOGUE_COST = 3;
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
  const cuts = cutExpressions(order, leaves, new Set(outputs));
  const { cost, repeated } = inlineCosts(order, leaves, cuts);
  const stored = new Set<GraphNode>([...outputs, ...cuts]);
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
  const forceMoved = (node: MovementNode): void => {
    const input = node.inputs[0]!;
    switch (node.op) {
      case "reshape":
        if (!isAffineReshape(input.shape, node.shape)) force(input);
        return;
      case "broadcast":
        if (repeated.has(node)) forceView(input);
        return;
      case "transpose":
      case "slice":
      case "flip":
      case "after":
        return;
    }
  };
  const forceInputs = (reader: GraphNode): void => {
    const { kind, node } = byKind(reader);
    switch (kind) {
      case "contraction":
        return node.inputs.forEach(forceView);
      case "scatter":
      case "loop":
        return node.inputs.forEach(force);
      case "movement":
        return forceMoved(node);
      case "lookup":
        if (node.op === "gather") forceView(node.inputs[0]!);
        return;
      case "leaf":
      case "elementwise":
      case "reduction":
      case "assembly":
        return;
    }
  };
  for (let index = order.length - 1; index >= 0; index--) {
    const node = order[index]!;
    if (leaves.has(node)) continue;
    const readers = users.get(node)!;
    if (hasOwnKernel(node) || worthStoring(node, readers, cost.get(node)!)) stored.add(node);
    const owners = stored.has(node) ? [node] : readers;
    for (const input of dependencies(node)) for (const owner of owners) users.get(input)!.add(owner);
    forceInputs(node);
  }
  return { stored, users, cost };
}

/** What an element costs where it is read, and the broadcasts whose input is stored. */
function inlineCosts(order: readonly GraphNode[], leaves: ReadonlySet<GraphNode>, cuts: ReadonlySet<GraphNode>): {
  readonly cost: Map<GraphNode, number>; readonly repeated: Set<GraphNode>;
} {
  const cost = new Map<GraphNode, number>();
  const repeated = new Set<GraphNode>();
  /** Values that a kernel of their own size can compute after its own. */
  const inEpilogue = new Set<GraphNode>();
  for (const node of order) {
    if (leaves.has(node) || cuts.has(node) || hasOwnKernel(node)) {
      cost.set(node, 1);
      if (!leaves.has(node) && treatmentOf(node).joinable) inEpilogue.add(node);
      continue;
    }
    const inputs = dependencies(node);
    const size = sizeOf(node.shape);
    if (node.op === "broadcast" && size >= BROADCAST_REPEAT * sizeOf(inputs[0]!.shape)
      && cost.get(inputs[0]!)! >= (inEpilogue.has(inputs[0]!) ? BROADCAST_EPILOGUE_COST : BROADCAST_COST)) {
      repeated.add(node);
      cost.set(node, 1);
      continue;
    }
    let total = ruleOf(node).cost;
    for (const input of inputs) {
      total += cost.get(input)!;
      if (inEpilogue.has(input) && sizeOf(input.shape) === size) inEpilogue.add(node);
    }
    cost.set(node, total);
  }
  return { cost, repeated };
}

function worthStoring(node: GraphNode, readers: ReadonlySet<GraphNode>, cost: number): boolean {
  if (isMovement(node) || readers.size < 2 || cost <= RECOMPUTE_LIMIT) return false;
  // Elementwise kernels over the same elements become one kernel, which computes the value once.
  const size = sizeOf(node.shape);
  return [...readers].some((reader) => hasOwnKernel(reader) || sizeOf(reader.shape) !== size);
}
