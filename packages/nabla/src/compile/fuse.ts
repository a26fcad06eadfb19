// Fusion: stored values that one kernel can produce together become one cluster.
// Elementwise values join the product or reduction they read (its epilogue), or the elementwise kernel whose data they share.
import type { GraphNode } from "../ops/graph.ts";
import { byKind } from "../ops/registry.ts";
import { sameShape, sizeOf } from "../ops/shape.ts";
import { type IndexMap, identityMap, type MovementNode } from "./index-map.ts";
import { hasOwnKernel, treatmentOf } from "./kinds.ts";

/** The stored nodes one kernel (for pad and concat: one group of kernels) produces. */
export interface Cluster {
  /** The product, reduction, scatter, pad or concat, or the first elementwise root. */
  readonly primary: GraphNode;
  readonly roots: GraphNode[];
}

/** Stored values and leaves a root's kernel reads, and whether each is read only at the element being computed. */
export type Reads = ReadonlyMap<GraphNode, boolean>;

/** Finds what the kernel of `root` reads. */
export function readsOf(root: GraphNode, stored: ReadonlySet<GraphNode>, leaves: ReadonlySet<GraphNode>): Reads {
  const reads = new Map<GraphNode, boolean>();
  const visited: Record<"here" | "anywhere", Set<GraphNode>> = { here: new Set(), anywhere: new Set() };
  // `here`: what is read is the very element that is computed, sizes of 1 aside.
  const visit = (node: GraphNode, here: boolean): void => {
    const seen = visited[here ? "here" : "anywhere"];
    if (seen.has(node)) return;
    seen.add(node);
    if (node !== root && (stored.has(node) || leaves.has(node))) reads.set(node, (reads.get(node) ?? true) && here);
    else for (const input of node.inputs) visit(input, here && keepsPlace(node, input));
  };
  // Products, reductions and the like run over other coordinates than their output's.
  if (hasOwnKernel(root)) for (const input of root.inputs) visit(input, false);
  else visit(root, true);
  return reads;
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
      return false;
  }
}

const isExtended = (extent: number): boolean => extent !== 1;

/** Edges "must run before" between roots: data, and readers of a donated buffer before its writer. */
export class Precedence {
  readonly #after = new Map<GraphNode, Set<GraphNode>>();

  add(before: GraphNode, after: GraphNode): void {
    let set = this.#after.get(before);
    if (set === undefined) this.#after.set(before, (set = new Set()));
    set.add(after);
  }

  after(root: GraphNode): Iterable<GraphNode> {
    return this.#after.get(root) ?? [];
  }

  /** The roots that must run both after `root` and before it, itself included; none where there is no such circle. */
  circle(root: GraphNode): GraphNode[] {
    const after = this.#reachable([root]);
    return after.has(root) ? [...after].filter((other) => this.reaches(other, root)) : [];
  }

  /** Whether something outside `inside` must run after one of them and before another. */
  returnsTo(inside: ReadonlySet<GraphNode>): boolean {
    const outside = [...inside].flatMap((root) => [...this.after(root)]).filter((root) => !inside.has(root));
    const after = this.#reachable(outside);
    return [...inside].some((root) => after.has(root));
  }

  #reachable(from: readonly GraphNode[]): Set<GraphNode> {
    const seen = new Set<GraphNode>();
    const stack = [...from];
    while (stack.length > 0) {
      for (const next of this.after(stack.pop()!)) {
        if (!seen.has(next)) {
          seen.add(next);
          stack.push(next);
        }
      }
    }
    return seen;
  }

  /** Whether `to` must run after `from`. */
  reaches(from: GraphNode, to: GraphNode): boolean {
    return this.#reachable([from]).has(to);
  }
}

/** What fusion needs to know of the roots. */
export interface RootFacts {
  readonly reads: ReadonlyMap<GraphNode, Reads>;
  readonly precedence: Precedence;
  /** The leaf whose buffer a root overwrites. */
  readonly overwrites: ReadonlyMap<GraphNode, GraphNode>;
  /** Roots that one kernel must produce, by each of them. */
  readonly together: ReadonlyMap<GraphNode, readonly GraphNode[]>;
}

/** Groups `roots` (in topological order) into clusters. */
export function fuse(roots: readonly GraphNode[], facts: RootFacts): Cluster[] {
  const { reads, precedence } = facts;
  const clusterOf = new Map<GraphNode, Cluster>();
  const clusters: Cluster[] = [];
  for (const root of roots) {
    if (clusterOf.has(root)) continue;
    const joining = facts.together.get(root) ?? [root];
    const home = hasOwnKernel(root) ? undefined : candidates(root, clusters, clusterOf, reads).find(
      (cluster) => joining.every((each) => fits(each, cluster, facts)) && !separated(joining, cluster, clusterOf, precedence),
    );
    const cluster = home ?? { primary: root, roots: [] };
    if (home === undefined) clusters.push(cluster);
    for (const each of joining) {
      cluster.roots.push(each);
      clusterOf.set(each, cluster);
    }
  }
  return clusters;
}

/** Clusters worth joining, best first: a product read in place, a reduction, then elementwise kernels that share data. */
function candidates(
  root: GraphNode, clusters: readonly Cluster[], clusterOf: ReadonlyMap<GraphNode, Cluster>, reads: ReadonlyMap<GraphNode, Reads>,
): Cluster[] {
  const own = reads.get(root)!;
  const producers = new Set<Cluster>();
  for (const node of own.keys()) {
    const cluster = clusterOf.get(node);
    if (cluster !== undefined) producers.add(cluster);
  }
  const producing = [...producers].sort((a, b) => treatmentOf(a.primary).preference - treatmentOf(b.primary).preference);
  // Scalars (hyper-parameters) are read by all sorts of kernels; sharing one is no reason to join, but for other scalars.
  const scalar = sizeOf(root.shape) === 1;
  const sharing = clusters.filter(
    (cluster) => !producers.has(cluster) && cluster.roots.some((other) => [...reads.get(other)!.keys()].some((node) => (sizeOf(node.shape) > 1 || scalar) && own.has(node))),
  );
  return [...producing, ...sharing.reverse()];
}

/** Whether `root` can be computed at each element of the cluster's kernel. */
function fits(root: GraphNode, cluster: Cluster, { reads, overwrites }: RootFacts): boolean {
  const { primary } = cluster;
  if (!treatmentOf(primary).joinable) return false;
  if (identityMap(root.shape, primary.shape) === undefined) return false;
  const readByRoot = reads.get(root)!;
  // In one kernel an element may only depend on what is computed, or overwritten, at that very element.
  const inPlace = (reader: Reads, writer: GraphNode): boolean => {
    const overwritten = overwrites.get(writer);
    return (reader.get(writer) ?? true) && (overwritten === undefined || (reader.get(overwritten) ?? true));
  };
  return cluster.roots.every((member) => inPlace(readByRoot, member) && inPlace(reads.get(member)!, root)) && (!hasOwnKernel(primary) || cluster.roots.some((member) => readByRoot.has(member)));
}

/** Whether something outside must run between `joining` and the cluster, so that joining would make a cycle. */
function separated(joining: readonly GraphNode[], cluster: Cluster, clusterOf: ReadonlyMap<GraphNode, Cluster>, precedence: Precedence): boolean {
  const inside = new Set<GraphNode>([...cluster.roots, ...joining]);
  const stack: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  const leave = (from: GraphNode): void => {
    for (const next of precedence.after(from)) {
      if (!inside.has(next) && !seen.has(next)) {
        // What runs after one root of another cluster runs after its kernel, so all of its roots count.
        for (const mate of clusterOf.get(next)?.roots ?? [next]) {
          if (!seen.has(mate)) {
            seen.add(mate);
            stack.push(mate);
          }
        }
      }
    }
  };
  inside.forEach(leave);
  while (stack.length > 0) {
    const node = stack.pop()!;
    for (const next of precedence.after(node)) if (inside.has(next)) return true;
    leave(node);
  }
  return false;
}

/** The identity map of `node` over the cluster's coordinates; fusion made sure that it exists. */
export function clusterMap(node: GraphNode, domain: readonly number[]): IndexMap {
  const map = identityMap(node.shape, domain);
  if (map === undefined) throw new Error(`[${node.shape.join(", ")}] is not an elementwise image of [${domain.join(", ")}].`);
  return map;
}
