// Forward mode: tangents pushed through the graph beside the values.
import { type GraphNode, derivationOrder } from "../ops/graph.ts";
import { ruleOf } from "../ops/registry.ts";

/** Tangents of `outputs` from those of `inputs` (null = zero): the Jacobian-vector product, as nodes; null where it is zero. */
export function jvp(
  outputs: readonly GraphNode[],
  inputs: readonly GraphNode[],
  tangents: readonly (GraphNode | null)[],
): (GraphNode | null)[] {
  const known = new Map<GraphNode, GraphNode | null>(inputs.map((input, index) => [input, tangents[index] ?? null]));
  for (const node of derivationOrder(outputs, new Set(inputs))) {
    if (known.has(node)) continue;
    const incoming = node.inputs.map((input) => known.get(input) ?? null);
    const rule = ruleOf(node).jvp;
    const moves = rule !== "none" && incoming.some((tangent) => tangent !== null);
    known.set(node, moves ? rule({ inputs: node.inputs, output: node, params: node.params }, incoming) : null);
  }
  return outputs.map((output) => known.get(output) ?? null);
}
