// Batching: the graph of one example rewritten for a stack of them, by each primitive's rule.
import { repeat } from "../ops/build.ts";
import { dependencies, type GraphNode, derivationOrder, inSegment } from "../ops/graph.ts";
import { ruleOf } from "../ops/registry.ts";
import { isScan, scanBatch, siblingsAmong } from "../ops/scan.ts";
import { SegmentCopies } from "./segment.ts";

/**
 * `outputs` with a leading axis of `size`, as functions of `stacked` in place of `inputs`: stacked[i] is inputs[i] with that axis.
 * What does not depend on `inputs` is shared; an output that does not is repeated.
 */
export function vmap(outputs: readonly GraphNode[], inputs: readonly GraphNode[], stacked: readonly GraphNode[], size: number): GraphNode[] {
  const rewritten = new Map<GraphNode, GraphNode>(inputs.map((input, index) => [input, stacked[index]!]));
  const segments = new SegmentCopies();
  const order = derivationOrder(outputs, new Set(inputs));
  const siblings = siblingsAmong(order);
  for (const node of order) {
    const { batch } = ruleOf(node);
    if (rewritten.has(node) || batch === "none" || !dependencies(node).some((input) => rewritten.has(input))) continue;
    const batched = node.inputs.map((input) => rewritten.has(input));
    const operands = node.inputs.map((input) => rewritten.get(input) ?? input);
    inSegment(segments.copyOf(node.segment), () => {
      if (!isScan(node)) rewritten.set(node, batch(operands, batched, node.params, size, vmap));
      else {
        const values = siblings.get(node)!;
        scanBatch(values, operands, batched, size, vmap).forEach((made, index) => rewritten.set(values[index]!, made));
      }
    });
  }
  return outputs.map((output) => rewritten.get(output) ?? repeat(output, size));
}
