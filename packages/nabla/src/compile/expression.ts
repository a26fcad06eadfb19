// The expression of a stored value: what its kernel reads, at which element, and how much it computes.
import type { GraphNode } from "../ops/graph.ts";
import { byKind } from "../ops/registry.ts";
import { sameShape } from "../ops/shape.ts";
import { weightOf } from "./body-size.ts";
import type { MovementNode } from "./index-map.ts";
import { hasOwnKernel } from "./kinds.ts";

/** Stored values and leaves a root's kernel reads, and whether each is read only at the element being computed. */
export type Reads = ReadonlyMap<GraphNode, boolean>;

/** What computing a root takes. */
export interface Expression {
  readonly reads: Reads;
  /** Rough instructions of its body. */
  readonly size: number;
}

/** Finds what the kernel of `root` reads and computes. */
export function expressionOf(root: GraphNode, stored: ReadonlySet<GraphNode>, leaves: ReadonlySet<GraphNode>): Expression {
  const reads = new Map<GraphNode, boolean>();
  // `here`: what is read is the very element that is computed, sizes of 1 aside.
  const visited: Record<"here" | "anywhere", Set<GraphNode>> = { here: new Set(), anywhere: new Set() };
  const stack: { readonly node: GraphNode; readonly here: boolean }[] = [];
  // Products, reductions and the like run over other coordinates than their output's.
  if (hasOwnKernel(root)) for (const input of root.inputs) stack.push({ node: input, here: false });
  else stack.push({ node: root, here: true });
  let size = 0;
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node, here } = next;
    const seen = visited[here ? "here" : "anywhere"];
    if (seen.has(node)) continue;
    seen.add(node);
    if (node !== root && (stored.has(node) || leaves.has(node))) {
      reads.set(node, (reads.get(node) ?? true) && here);
      size++;
    } else {
      size += weightOf(node);
      for (let index = node.inputs.length - 1; index >= 0; index--) {
        const input = node.inputs[index]!;
        stack.push({ node: input, here: here && keepsPlace(node, input) });
      }
    }
  }
  return { reads, size };
}

/** Whether an element of `node` is made of the same element of `input`. */
function keepsPlace(reader: GraphNode, input: GraphNode): boolean {
  const { kind, node } = byKind(reader);
  switch (kind) {
    case "elementwise":
      return true;
    case "movement":
      return movesNothing(node, input);
    case "leaf":
    case "lookup":
    case "reduction":
    case "contraction":
    case "scatter":
    case "assembly":
    case "loop":
      return false;
  }
}

function movesNothing(node: MovementNode, input: GraphNode): boolean {
  switch (node.op) {
    case "reshape":
    case "broadcast":
      return sameShape(node.shape.filter(isExtended), input.shape.filter(isExtended));
    case "after":
      return input === node.inputs[0];
    case "transpose":
    case "slice":
    case "flip":
      return false;
  }
}

const isExtended = (extent: number): boolean => extent !== 1;
