// Reverse mode: one walk from the outputs back, adding up cotangents.
// The derivative is a graph like any other, so it can be differentiated again.
import { sumOf } from "../ops/build.ts";
import { isFloating } from "../ops/dtype.ts";
import { dependencies, derivationOrder, type GraphNode, inSegment, type Segment } from "../ops/graph.ts";
import { ruleOf } from "../ops/registry.ts";
import { isScan, scanVjp, siblingsAmong } from "../ops/scan.ts";
import { recompute, unitOf } from "./segment.ts";

/**
 * Cotangents of `inputs` from those of `outputs` (null = zero): the vector-Jacobian product, as nodes.
 * An input that no output depends on differentiably gets null. Inputs may lie inside the graph.
 */
export function vjp(
  outputs: readonly GraphNode[],
  inputs: readonly GraphNode[],
  cotangents: readonly (GraphNode | null)[],
): (GraphNode | null)[] {
  const path = differentiablePath(outputs, inputs);
  const pending = new Map<GraphNode, GraphNode>();
  const accumulate = (node: GraphNode, cotangent: GraphNode | null): void => {
    if (cotangent === null || !path.has(node)) return;
    pending.set(node, sumOf([pending.get(node) ?? null, cotangent])!);
  };
  outputs.forEach((output, index) => accumulate(output, cotangents[index] ?? null));
  // A segment that one of the inputs lies in is differentiated as it is.
  const dissolved = new Set(inputs.map((input) => unitOf(input.segment)));
  const passed = new Set<Segment>();
  const siblings = siblingsAmong(path);
  for (const node of [...path].reverse()) {
    const segment = unitOf(node.segment);
    if (segment !== undefined && !dissolved.has(segment)) {
      // Its nodes are neighbours in the order: at the last of them all cotangents from outside have arrived.
      if (!passed.has(segment)) backThrough(segment, path, pending, accumulate);
      passed.add(segment);
      continue;
    }
    if (isScan(node)) {
      // At the first of the siblings the cotangents of all have arrived.
      const values = siblings.get(node)!.filter((value) => pending.has(value));
      if (siblings.get(node)![0] !== node || values.length === 0) continue;
      const parts = scanVjp(values, values.map((value) => pending.get(value)!), node.inputs.map((input) => path.has(input)), vjp);
      node.inputs.forEach((input, index) => accumulate(input, parts[index]!));
      continue;
    }
    const cotangent = pending.get(node);
    const rule = ruleOf(node).vjp;
    if (cotangent === undefined || rule === "none" || !node.inputs.some((input) => path.has(input))) continue;
    const parts = rule({ inputs: node.inputs, output: node, params: node.params }, cotangent, vjp);
    node.inputs.forEach((input, index) => accumulate(input, parts[index]!));
  }
  return inputs.map((input) => pending.get(input) ?? null);
}

/** Whether a derivative leads from one of `outputs` to one of `inputs`. */
export function reaches(outputs: readonly GraphNode[], inputs: readonly GraphNode[]): boolean {
  if (outputs.length === 0 || inputs.length === 0) return false;
  const path = differentiablePath(outputs, inputs);
  return outputs.some((output) => path.has(output));
}

/** Passes the cotangents of what leaves `segment` back to what enters it, through a computation of its own. */
function backThrough(
  segment: Segment,
  path: ReadonlySet<GraphNode>,
  pending: ReadonlyMap<GraphNode, GraphNode>,
  accumulate: (node: GraphNode, cotangent: GraphNode | null) => void,
): void {
  const leaving = [...pending].filter(([node]) => unitOf(node.segment) === segment);
  const cotangents = leaving.map(([, cotangent]) => cotangent);
  const again = recompute(segment, leaving.map(([node]) => node), cotangents);
  const entering = [...again.entering].filter(([node]) => path.has(node));
  const parts = inSegment(again.segment, () => vjp(again.outputs, entering.map(([, copy]) => copy), cotangents));
  entering.forEach(([node], index) => accumulate(node, parts[index]!));
}

/** The floating nodes between `inputs` and `outputs` that a derivative passes through, inputs before users. */
function differentiablePath(outputs: readonly GraphNode[], inputs: readonly GraphNode[]): Set<GraphNode> {
  const wanted = new Set(inputs);
  const path = new Set<GraphNode>();
  for (const node of derivationOrder(outputs)) {
    if (!isFloating(node.dtype)) continue;
    const passes = ruleOf(node).vjp !== "none" && dependencies(node).some((input) => path.has(input));
    if (passes || wanted.has(node)) path.add(node);
  }
  return path;
}
