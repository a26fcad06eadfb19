// Forward mode: tangents pushed through the graph beside the values.
import { type GraphNode, derivationOrder, inSegment } from "../ops/graph.ts";
import { ruleOf } from "../ops/registry.ts";
import { isScan, scanJvp, siblingsAmong } from "../ops/scan.ts";
import { NodeCopies, unitOf } from "./segment.ts";

/** Tangents of `outputs` from those of `inputs` (null = zero): the Jacobian-vector product, as nodes; null where it is zero. */
export function jvp(
  outputs: readonly GraphNode[],
  inputs: readonly GraphNode[],
  tangents: readonly (GraphNode | null)[],
): (GraphNode | null)[] {
  const known = new Map<GraphNode, GraphNode | null>(inputs.map((input, index) => [input, tangents[index] ?? null]));
  const copies = new NodeCopies();
  const order = derivationOrder(outputs, new Set(inputs));
  const siblings = siblingsAmong(order);
  for (const node of order) {
    if (known.has(node)) continue;
    const incoming = node.inputs.map((input) => known.get(input) ?? null);
    const rule = ruleOf(node).jvp;
    const moves = rule !== "none" && incoming.some((tangent) => tangent !== null);
    // The tangents of a segment are one again, with values of their own, so that a reverse pass over them keeps nothing inside either.
    const output = unitOf(node.segment) === undefined ? node : copies.add(node);
    const context = { inputs: output.inputs, output, params: node.params };
    const inCopy = <T>(body: () => T): T => inSegment(copies.segments.copyOf(node.segment), body);
    if (moves && isScan(node)) {
      const values = siblings.get(node)!;
      const copied = values.map((value) => (value === node ? output : unitOf(value.segment) === undefined ? value : copies.add(value)) as typeof node);
      const moved = inCopy(() => scanJvp(copied, incoming, jvp));
      values.forEach((value, index) => known.set(value, moved[index]!));
    } else {
      known.set(node, moves ? inCopy(() => rule(context, incoming, jvp)) : null);
    }
  }
  return outputs.map((output) => known.get(output) ?? null);
}
