// How large the body of a kernel may grow. An expression that would pass the limit is cut: its largest part is stored.
// Generated functions stay within what WebAssembly and V8 take, and walks of one expression are bounded.
import { dependencies, type GraphNode } from "../ops/graph.ts";
import { kindOf, ruleOf } from "../ops/registry.ts";
import { isMovement } from "./index-map.ts";
import { hasOwnKernel } from "./kinds.ts";
import { fillValue } from "./simplify.ts";

/** Rough instructions of one value's expression. */
const EXPRESSION_LIMIT = 512;
/** Rough instructions of a kernel that computes several values. */
export const KERNEL_LIMIT: number = 2 * EXPRESSION_LIMIT;

/** The instructions that `node` itself adds to a body that computes it. */
export function weightOf(node: GraphNode): number {
  return Math.max(1, ruleOf(node).cost);
}

/** The values to store, so that no expression between stored values and leaves passes the limit. `order` is topological. */
export function cutExpressions(order: readonly GraphNode[], leaves: ReadonlySet<GraphNode>, stored: ReadonlySet<GraphNode>): Set<GraphNode> {
  const cuts = new Set<GraphNode>();
  const isLoaded = (node: GraphNode): boolean => leaves.has(node) || stored.has(node) || cuts.has(node) || hasOwnKernel(node) || fillValue(node) !== undefined;
  // Upper bounds: what is read twice is counted twice.
  const sizes = new Map<GraphNode, number>();
  const sizeWhereRead = (node: GraphNode): number => (isLoaded(node) ? 1 : sizes.get(node)!);
  for (const node of order) {
    if (leaves.has(node) || hasOwnKernel(node)) continue;
    let size = weightOf(node);
    for (const input of dependencies(node)) size += sizeWhereRead(input);
    if (size > EXPRESSION_LIMIT) {
      size = countInstructions(node, isLoaded);
      while (size > EXPRESSION_LIMIT) {
        cuts.add(largestPart(node, isLoaded));
        size = countInstructions(node, isLoaded);
      }
    }
    sizes.set(node, size);
  }
  return cuts;
}

/** The value behind the input of `node` that takes the most instructions. */
function largestPart(node: GraphNode, isLoaded: (node: GraphNode) => boolean): GraphNode {
  let largest: GraphNode | undefined;
  let most = -1;
  for (const input of dependencies(node)) {
    const size = isLoaded(input) ? -1 : countInstructions(input, isLoaded);
    if (size > most) [largest, most] = [input, size];
  }
  let origin = largest!;
  while (isMovement(origin) && !isLoaded(origin.inputs[0]!)) origin = origin.inputs[0]!;
  return isMovement(origin) ? largest! : origin;
}

/** More than a count can meet: each has an instruction. */
const PLACES = 2 * EXPRESSION_LIMIT;

/** Instructions of a body that computes `node`, once for each place a value is read at; counting stops above the limit. */
function countInstructions(node: GraphNode, isLoaded: (node: GraphNode) => boolean): number {
  // A place is numbered by the movements that lead to it: two slices of a value read it at two places.
  const places = new Map<number, number>();
  const seen = new Set<number>();
  const stack: { readonly node: GraphNode; readonly place: number }[] = [{ node, place: 0 }];
  let count = 0;
  while (stack.length > 0 && count <= EXPRESSION_LIMIT) {
    const next = stack.pop()!;
    const key = next.node.id * PLACES + next.place;
    if (seen.has(key)) continue;
    seen.add(key);
    if (next.node !== node && isLoaded(next.node)) {
      count++;
      continue;
    }
    count += weightOf(next.node);
    let { place } = next;
    if (kindOf(next.node) !== "elementwise") {
      place = places.get(key) ?? places.size + 1;
      places.set(key, place);
    }
    for (const input of dependencies(next.node)) stack.push({ node: input, place });
  }
  return count;
}
