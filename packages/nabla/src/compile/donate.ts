// Outputs and donated buffers: which outputs are written over the input whose buffer they take, and which wait for it as copies.
import { GraphNode } from "../ops/graph.ts";
import { sameShape, sizeOf } from "../ops/shape.ts";
import { KERNEL_LIMIT } from "./body-size.ts";
import { hasOwnKernel } from "./kinds.ts";
import { Precedence } from "./precedence.ts";
import { analyse, inPlaceOutputs, precedenceOf, type Stage } from "./stage.ts";
import { canonical } from "./store.ts";

/** An output that is an input, is given twice, or cannot be written in place becomes a copy. */
export function stageOutputs(inputs: readonly GraphNode[], outputs: readonly GraphNode[], slotOf: readonly number[]): Stage {
  const leaves = new Set(inputs);
  const targets = new Map<GraphNode, number>();
  outputs.forEach((output, index) => {
    const node = canonical(output);
    targets.set(leaves.has(node) || targets.has(node) ? copyOf(node) : node, slotOf[index]!);
  });
  const stage = analyse(inputs, targets, []);
  const { refused, together } = settle(stage);
  if (refused.size === 0) return { ...stage, together };
  for (const node of refused) {
    targets.set(copyOf(node), targets.get(node)!);
    targets.delete(node);
  }
  const again = analyse(inputs, targets, [...refused]);
  return { ...again, together: new Map([...again.together, ...together]) };
}

/** Which in-place outputs must become copies, and which must share a kernel, so that no circle is left in what must run before what. */
function settle(stage: Stage): { readonly refused: ReadonlySet<GraphNode>; readonly together: ReadonlyMap<GraphNode, readonly GraphNode[]> } {
  const updates = new Map(inPlaceOutputs(stage).map(({ node, leaf }) => [node, leaf]));
  const refused = new Set<GraphNode>();
  for (const [node, leaf] of updates) if (!writableInPlace(node, leaf, stage)) refused.add(node);
  const together = new Map(stage.together);
  for (;;) {
    const circles = circlesOf({ ...stage, together }, refused);
    if (circles.length === 0) return { refused, together };
    for (const circle of circles) {
      const inside = new Set(circle);
      const written = [...updates.keys()].filter((node) => inside.has(node) && !refused.has(node));
      if (canShareKernel(circle, new Set(written.map((node) => updates.get(node)!)), stage)) {
        for (const root of circle) together.set(root, circle);
      } else {
        refused.add(written[0]!);
      }
    }
  }
}

/** The circles in what must run before what, where the values of a loop run together. */
function circlesOf(stage: Stage, refused: ReadonlySet<GraphNode>): GraphNode[][] {
  const first = (root: GraphNode): GraphNode => stage.together.get(root)?.[0] ?? root;
  const precedence = precedenceOf(stage, refused);
  const contracted = new Precedence();
  for (const root of stage.roots) {
    for (const next of precedence.after(root)) if (first(root) !== first(next)) contracted.add(first(root), first(next));
  }
  return contracted.circles(stage.roots).map((circle) => circle.flatMap((root) => stage.together.get(root) ?? [root]));
}

/**
 * Updates that read each other's old values can only be written in place by one kernel, which has read an element of all
 * of them before it writes one. They must be elementwise over the same elements. Nothing runs in between: it would be in the circle.
 */
function canShareKernel(circle: readonly GraphNode[], overwritten: ReadonlySet<GraphNode>, { expressions }: Stage): boolean {
  const inside = new Set(circle);
  let size = 0;
  return circle.every((root) => {
    const expression = expressions.get(root)!;
    size += expression.size;
    return size <= KERNEL_LIMIT && !hasOwnKernel(root) && sameShape(root.shape, circle[0]!.shape)
      && [...expression.reads].every(([node, here]) => here || !(inside.has(node) || overwritten.has(node)));
  });
}

function copyOf(node: GraphNode): GraphNode {
  return new GraphNode("stopGradient", [node], {}, node);
}

/** Whether the writer reads the old value, if at all, only at the element it writes. Other readers must be able to go first, too. */
function writableInPlace(node: GraphNode, leaf: GraphNode, stage: Stage): boolean {
  const own = stage.expressions.get(node)!.reads.get(leaf);
  if (sizeOf(node.shape) !== sizeOf(leaf.shape) || node.dtype !== leaf.dtype) return false;
  if (own === false || (hasOwnKernel(node) && own !== undefined)) return false;
  return own === undefined || sameShape(node.shape, leaf.shape);
}
