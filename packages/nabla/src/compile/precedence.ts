// What must run before what: producers before readers, and readers of a donated buffer before its writer.
import type { GraphNode } from "../ops/graph.ts";

/** Edges "must run before" between roots. */
export class Precedence {
  readonly #after = new Map<GraphNode, Set<GraphNode>>();
  readonly #before = new Map<GraphNode, Set<GraphNode>>();

  add(before: GraphNode, after: GraphNode): void {
    append(this.#after, before, after);
    append(this.#before, after, before);
  }

  /** The roots that `root` must run before, itself aside. */
  after(root: GraphNode): Iterable<GraphNode> {
    return this.#after.get(root) ?? [];
  }

  /** The roots that must run before `root`, itself aside. */
  before(root: GraphNode): Iterable<GraphNode> {
    return this.#before.get(root) ?? [];
  }

  /**
   * The circles among `roots`: each holds all roots that must run both before and after each other, or one that must run before itself.
   * Strongly connected components: Tarjan, "Depth-first search and linear graph algorithms" (1972), with a stack of its own.
   */
  circles(roots: readonly GraphNode[]): GraphNode[][] {
    const index = new Map<GraphNode, number>();
    const low = new Map<GraphNode, number>();
    const open = new Set<GraphNode>();
    const pending: GraphNode[] = [];
    const circles: GraphNode[][] = [];
    const path: { readonly root: GraphNode; readonly rest: Iterator<GraphNode> }[] = [];
    const enter = (root: GraphNode): void => {
      index.set(root, index.size);
      low.set(root, index.get(root)!);
      open.add(root);
      pending.push(root);
      path.push({ root, rest: this.after(root)[Symbol.iterator]() });
    };
    const lower = (root: GraphNode, to: number): void => void low.set(root, Math.min(low.get(root)!, to));
    for (const start of roots) {
      if (!index.has(start)) enter(start);
      while (path.length > 0) {
        const { root, rest } = path.at(-1)!;
        const next = rest.next();
        if (next.done !== true) {
          if (!index.has(next.value)) enter(next.value);
          else if (open.has(next.value)) lower(root, index.get(next.value)!);
          continue;
        }
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) lower(parent.root, low.get(root)!);
        if (low.get(root) !== index.get(root)) continue;
        const component = pending.splice(pending.lastIndexOf(root));
        for (const member of component) open.delete(member);
        if (component.length > 1 || this.#after.get(root)?.has(root) === true) circles.push(component);
      }
    }
    return circles;
  }
}

function append(edges: Map<GraphNode, Set<GraphNode>>, from: GraphNode, to: GraphNode): void {
  const known = edges.get(from);
  if (known === undefined) edges.set(from, new Set([to]));
  else known.add(to);
}
