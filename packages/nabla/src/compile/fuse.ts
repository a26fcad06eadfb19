// Fusion: stored values that one kernel can produce together become one cluster.
// Elementwise values join the product or reduction they read (its epilogue), or the elementwise kernel whose data they share.
import type { GraphNode } from "../ops/graph.ts";
import { reducedAxes } from "../ops/kind.ts";
import { byKind } from "../ops/registry.ts";
import { sizeOf } from "../ops/shape.ts";
import { KERNEL_LIMIT } from "./body-size.ts";
import { ClusterOrder } from "./cluster-order.ts";
import type { Expression } from "./expression.ts";
import { type IndexMap, identityMap } from "./index-map.ts";
import { hasOwnKernel, treatmentOf } from "./kinds.ts";
import type { Precedence } from "./precedence.ts";

/** The stored nodes one kernel (for pad and concat: one group of kernels) produces. */
export interface Cluster {
  /** The product, reduction, scatter, pad or concat, or the first elementwise root. */
  readonly primary: GraphNode;
  readonly roots: GraphNode[];
}

/** What fusion needs to know of the roots. */
export interface RootFacts {
  readonly expressions: ReadonlyMap<GraphNode, Expression>;
  readonly precedence: Precedence;
  /** The leaf whose buffer a root overwrites. */
  readonly overwrites: ReadonlyMap<GraphNode, GraphNode>;
  /** Roots that one kernel must produce, by each of them. */
  readonly together: ReadonlyMap<GraphNode, readonly GraphNode[]>;
}

/** Groups `roots` (in topological order) into clusters. */
export function fuse(roots: readonly GraphNode[], facts: RootFacts): Cluster[] {
  const order = new ClusterOrder(facts.precedence);
  const members = new Members(facts);
  const clusters: Cluster[] = [];
  for (const joining of executionOrder(roots, facts)) {
    const home = joining.some(hasOwnKernel) ? findSiblings(joining, order, members) : findHome(joining, order, members, facts);
    const cluster = home ?? { primary: joining[0]!, roots: [] };
    if (home === undefined) clusters.push(cluster);
    order.add(joining, cluster);
    members.add(joining, cluster);
  }
  return clusters;
}

/** The roots, each with those one kernel must produce with it: what must run first comes first, and otherwise in the order given. */
function executionOrder(roots: readonly GraphNode[], { precedence, together }: RootFacts): (readonly GraphNode[])[] {
  const units: (readonly GraphNode[])[] = [];
  const done = new Set<GraphNode>();
  const stack: { readonly unit: readonly GraphNode[]; readonly before: Iterator<GraphNode> }[] = [];
  const enter = (root: GraphNode): void => {
    const unit = together.get(root) ?? [root];
    for (const each of unit) done.add(each);
    stack.push({ unit, before: unit.flatMap((each) => [...precedence.before(each)])[Symbol.iterator]() });
  };
  for (const root of roots) {
    if (!done.has(root)) enter(root);
    while (stack.length > 0) {
      const next = stack.at(-1)!.before.next();
      if (next.done === true) units.push(stack.pop()!.unit);
      else if (!done.has(next.value)) enter(next.value);
    }
  }
  return units;
}

/** The best cluster for `joining`: the product one of them reads in place, a reduction, then elementwise kernels that share data. */
function findHome(joining: readonly GraphNode[], order: ClusterOrder, members: Members, facts: RootFacts): Cluster | undefined {
  const root = joining[0]!;
  const producers = new Set<Cluster>();
  for (const node of facts.expressions.get(root)!.reads.keys()) {
    const cluster = order.clusterOf(node);
    if (cluster !== undefined) producers.add(cluster);
  }
  const producing = [...producers].sort((a, b) => treatmentOf(a.primary).preference - treatmentOf(b.primary).preference);
  const ask = order.joining(joining);
  const isHome = (cluster: Cluster): boolean => joining.every((each) => fits(each, cluster, order, facts)) && members.fit(joining, cluster) && ask.mayJoin(cluster);
  return producing.find(isHome) ?? members.sharing(root).find((cluster) => !producers.has(cluster) && isHome(cluster));
}

/** A kernel whose pass over the same data can compute one more reduction. */
function findSiblings(joining: readonly GraphNode[], order: ClusterOrder, members: Members): Cluster | undefined {
  const [root] = joining;
  if (joining.length > 1 || !treatmentOf(root!).siblings) return undefined;
  const ask = order.joining(joining);
  return members.sharing(root!).find((cluster) => members.fit(joining, cluster) && ask.mayJoinAtOnce(cluster));
}

/** Whether `root` can be computed at each element of the cluster's kernel, as far as its coordinates go. */
function fits(root: GraphNode, { primary }: Cluster, order: ClusterOrder, { expressions }: RootFacts): boolean {
  if (!treatmentOf(primary).joinable || identityMap(root.shape, primary.shape) === undefined) return false;
  return !hasOwnKernel(primary) || [...expressions.get(root)!.reads.keys()].some((node) => order.clusterOf(node)?.primary === primary);
}

/** What the roots of a cluster read, write and compute. */
interface Contents {
  readonly reads: Map<GraphNode, boolean>;
  readonly overwritten: Set<GraphNode>;
  /** Its number, ascending. */
  readonly number: number;
  size: number;
  /** How many roots have a kernel of their own. */
  passes: number;
}

/** Reductions of one kernel: each has registers of its own. */
const SIBLINGS_LIMIT = 4;

/** Clusters of one domain that share data, tried for a root: a bound on compile time. */
const SHARING_TRIED = 8;

class Members {
  readonly #facts: RootFacts;
  readonly #contents = new Map<Cluster, Contents>();
  /** Elementwise clusters, and reductions, by what they read and the elements they run over. */
  readonly #readers = new Map<GraphNode, Map<string, Cluster[]>>();

  constructor(facts: RootFacts) {
    this.#facts = facts;
  }

  add(joining: readonly GraphNode[], cluster: Cluster): void {
    const { expressions, overwrites } = this.#facts;
    let contents = this.#contents.get(cluster);
    if (contents === undefined) {
      contents = { reads: new Map(), overwritten: new Set(), number: this.#contents.size, size: 0, passes: 0 };
      this.#contents.set(cluster, contents);
    }
    for (const root of joining) {
      const { reads, size } = expressions.get(root)!;
      contents.size += size;
      if (hasOwnKernel(root)) contents.passes++;
      const runsOverAll = hasOwnKernel(root) === hasOwnKernel(cluster.primary);
      const leaf = overwrites.get(root);
      if (leaf !== undefined) contents.overwritten.add(leaf);
      for (const [node, here] of reads) {
        if (runsOverAll && !contents.reads.has(node)) this.#index(node, cluster);
        contents.reads.set(node, (contents.reads.get(node) ?? true) && here);
      }
    }
  }

  #index(node: GraphNode, cluster: Cluster): void {
    let byDomain = this.#readers.get(node);
    if (byDomain === undefined) this.#readers.set(node, (byDomain = new Map()));
    const key = domainKey(cluster.primary);
    const known = byDomain.get(key);
    if (known === undefined) byDomain.set(key, [cluster]);
    else known.push(cluster);
  }

  /** In one kernel an element may only depend on what is computed, or overwritten, at that very element; and a body has its limit. */
  fit(joining: readonly GraphNode[], cluster: Cluster): boolean {
    const { expressions, overwrites } = this.#facts;
    const contents = this.#contents.get(cluster)!;
    const roots = new Set(cluster.roots);
    let { size, passes } = contents;
    for (const root of joining) {
      if (hasOwnKernel(root)) passes++;
      const expression = expressions.get(root)!;
      size += expression.size;
      for (const [node, here] of expression.reads) if (!here && (roots.has(node) || contents.overwritten.has(node))) return false;
      const leaf = overwrites.get(root);
      if (leaf !== undefined && contents.reads.get(leaf) === false) return false;
    }
    return size <= KERNEL_LIMIT && passes <= SIBLINGS_LIMIT;
  }

  /** Clusters over the elements of `root` that read what it reads, the latest first. */
  sharing(root: GraphNode): Cluster[] {
    const key = domainKey(root);
    // Scalars (hyper-parameters) are read by all sorts of kernels; sharing one is no reason to join, but for other scalars.
    // A reduction would not save enough with less than half of its data.
    const least = hasOwnKernel(root) ? sizeOf(root.inputs[0]!.shape) / 2 : sizeOf(root.shape) === 1 ? 1 : 2;
    const found = new Set<Cluster>();
    for (const node of this.#facts.expressions.get(root)!.reads.keys()) {
      if (sizeOf(node.shape) < least) continue;
      for (const cluster of this.#readers.get(node)?.get(key)?.slice(-SHARING_TRIED) ?? []) found.add(cluster);
    }
    return [...found].sort((a, b) => this.#contents.get(b)!.number - this.#contents.get(a)!.number).slice(0, SHARING_TRIED);
  }
}

/** Text that two elementwise values, or two reductions, share exactly when one kernel can run over the elements of both. */
function domainKey(root: GraphNode): string {
  const { kind, node } = byKind(root);
  if (kind !== "reduction") return node.shape.filter((extent) => extent !== 1).join();
  const [input] = node.inputs;
  return `${input!.dtype} ${input!.shape.join()} over ${reducedAxes(node).join()}`;
}

/** The identity map of `node` over the cluster's coordinates; fusion made sure that it exists. */
export function clusterMap(node: GraphNode, domain: readonly number[]): IndexMap {
  const map = identityMap(node.shape, domain);
  if (map === undefined) throw new Error(`[${node.shape.join(", ")}] is not an elementwise image of [${domain.join(", ")}].`);
  return map;
}
