// Segments: the parts of a graph that checkpoint() marked, seen from where a transform runs.
// A derivative computes the values of a segment again, from what enters it, once the cotangents of what leaves it are known.
import { boundedOrder, currentSegment, GraphNode, inSegment, type Segment } from "../ops/graph.ts";
import { after } from "../ops/build.ts";

/** Whether the transform runs inside `segment`, so that it is no unit to it. */
function isOpen(segment: Segment | undefined): boolean {
  let open = currentSegment();
  while (open !== undefined && open !== segment) open = open.parent;
  return open === segment;
}

/** The outermost segment around `segment`, itself included, that the transform does not run in. */
export function unitOf(segment: Segment | undefined): Segment | undefined {
  let unit = segment;
  if (isOpen(unit)) return undefined;
  while (!isOpen(unit!.parent)) unit = unit!.parent;
  return unit;
}

/** Fresh segments that lie in each other as those they are made for; the outermost lie where the transform runs. */
export class SegmentCopies {
  readonly #copies = new Map<Segment, Segment>();
  readonly #home = currentSegment();

  copyOf(segment: Segment | undefined): Segment | undefined {
    if (segment === undefined || isOpen(segment)) return this.#home;
    let copy = this.#copies.get(segment);
    if (copy === undefined) this.#copies.set(segment, (copy = { parent: this.copyOf(segment.parent) }));
    return copy;
  }
}

/** Nodes made again, in segments of their own. */
export class NodeCopies {
  readonly segments: SegmentCopies = new SegmentCopies();
  readonly #copies = new Map<GraphNode, GraphNode>();

  /** What stands for `node` in the copies. */
  of(node: GraphNode): GraphNode {
    return this.#copies.get(node) ?? node;
  }

  /** Lets copies made from here on read `stand` where their originals read `node`. */
  replace(node: GraphNode, stand: GraphNode): void {
    this.#copies.set(node, stand);
  }

  /** Makes `node` again, from what stands for its inputs. */
  add(node: GraphNode): GraphNode {
    if (node.inputs.length === 0) return node;
    const inputs = node.inputs.map((input) => this.of(input));
    const copy = inSegment(this.segments.copyOf(node.segment), () => new GraphNode(node.op, inputs, node.params, node));
    this.#copies.set(node, copy);
    return copy;
  }
}

/** A segment computed again. */
export interface Recomputed {
  readonly segment: Segment;
  readonly outputs: readonly GraphNode[];
  /** What enters it, and what stands for that in the repeated computation. */
  readonly entering: ReadonlyMap<GraphNode, GraphNode>;
}

/** Computes `outputs` of `segment` again, from what enters it, once `cotangents` are known. */
export function recompute(segment: Segment, outputs: readonly GraphNode[], cotangents: readonly GraphNode[]): Recomputed {
  const copies = new NodeCopies();
  const entering = new Map<GraphNode, GraphNode>();
  const belongs = (node: GraphNode): boolean => unitOf(node.segment) === segment;
  for (const node of boundedOrder(outputs, belongs)) {
    if (belongs(node)) copies.add(node);
    else {
      const stand = after(node, cotangents);
      entering.set(node, stand);
      copies.replace(node, stand);
    }
  }
  return { segment: copies.segments.copyOf(segment)!, outputs: outputs.map((output) => copies.of(output)), entering };
}
