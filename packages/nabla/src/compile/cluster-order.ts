// Clusters while they grow, and whether a root may join one without a circle.
// Every cluster has a level above those it must run after, so only the clusters between two levels need to be searched.
import type { GraphNode } from "../ops/graph.ts";
import type { Cluster } from "./fuse.ts";
import type { Precedence } from "./precedence.ts";

/** Clusters visited for one root before a join is refused: a bound on compile time, met by no usual graph. */
const SEARCH_LIMIT = 1000;

interface Place {
  level: number;
  /** The clusters that must run before and after. */
  readonly before: Set<Cluster>;
  readonly after: Set<Cluster>;
}

/** The clusters made so far. Roots are added in an order in which each comes after all that must run before it. */
export class ClusterOrder {
  readonly #precedence: Precedence;
  readonly #clusterOf = new Map<GraphNode, Cluster>();
  readonly #places = new Map<Cluster, Place>();

  constructor(precedence: Precedence) {
    this.#precedence = precedence;
  }

  clusterOf(root: GraphNode): Cluster | undefined {
    return this.#clusterOf.get(root);
  }

  /** Asks about joins of `roots`, which one kernel shall compute; all of them share one search limit. */
  joining(roots: readonly GraphNode[]): Joining {
    return new Joining(roots, this.#before(roots), (cluster) => this.#places.get(cluster)!);
  }

  /** Adds `roots` to `cluster`, which is new or which they may join. */
  add(roots: readonly GraphNode[], cluster: Cluster): void {
    let place = this.#places.get(cluster);
    if (place === undefined) this.#places.set(cluster, (place = { level: 0, before: new Set(), after: new Set() }));
    for (const other of this.#before(roots)) {
      if (other === cluster) continue;
      place.before.add(other);
      this.#places.get(other)!.after.add(cluster);
    }
    for (const root of roots) {
      cluster.roots.push(root);
      this.#clusterOf.set(root, cluster);
    }
    this.#raise(cluster);
  }

  #before(roots: readonly GraphNode[]): Set<Cluster> {
    const clusters = new Set<Cluster>();
    for (const root of roots) {
      for (const before of this.#precedence.before(root)) {
        const cluster = this.#clusterOf.get(before);
        if (cluster !== undefined) clusters.add(cluster);
      }
    }
    return clusters;
  }

  /** Lifts `cluster` above what runs before it, and what runs after it above it. */
  #raise(cluster: Cluster): void {
    const place = this.#places.get(cluster)!;
    for (const other of place.before) place.level = Math.max(place.level, this.#places.get(other)!.level + 1);
    const stack = [place];
    while (stack.length > 0) {
      const { level, after } = stack.pop()!;
      for (const next of after) {
        const above = this.#places.get(next)!;
        if (above.level > level) continue;
        above.level = level + 1;
        stack.push(above);
      }
    }
  }
}

/** Roots that look for a cluster. */
export class Joining {
  readonly roots: readonly GraphNode[];
  readonly #before: ReadonlySet<Cluster>;
  readonly #placeOf: (cluster: Cluster) => Place;
  #visits = 0;

  constructor(roots: readonly GraphNode[], before: ReadonlySet<Cluster>, placeOf: (cluster: Cluster) => Place) {
    this.roots = roots;
    this.#before = before;
    this.#placeOf = placeOf;
  }

  /** Whether nothing outside must run between the cluster and the roots, nor too much would have to move for them to be one. */
  mayJoin(cluster: Cluster): boolean {
    const { level } = this.#placeOf(cluster);
    let raised = level;
    const stack: Cluster[] = [];
    for (const other of this.#before) {
      if (other === cluster) continue;
      const { level: above } = this.#placeOf(other);
      raised = Math.max(raised, above + 1);
      if (above > level) stack.push(other);
    }
    return !this.#reach(stack, cluster, level) && (raised === level || this.#canRaise(cluster, raised));
  }

  /** As {@link mayJoin}, but nothing that runs after the cluster may be delayed. */
  mayJoinAtOnce(cluster: Cluster): boolean {
    const { level, after } = this.#placeOf(cluster);
    const delays = [...this.#before].some((other) => other !== cluster && this.#placeOf(other).level >= level);
    return (after.size === 0 || !delays) && this.mayJoin(cluster);
  }

  /** Whether one of `stack` must run after `cluster`. True also where the search takes too long. */
  #reach(stack: Cluster[], cluster: Cluster, level: number): boolean {
    const seen = new Set(stack);
    while (stack.length > 0) {
      for (const before of this.#placeOf(stack.pop()!).before) {
        if (before === cluster || ++this.#visits > SEARCH_LIMIT) return true;
        if (this.#placeOf(before).level <= level || seen.has(before)) continue;
        seen.add(before);
        stack.push(before);
      }
    }
    return false;
  }

  /** Whether few clusters move when `cluster` is lifted to `level`. */
  #canRaise(cluster: Cluster, level: number): boolean {
    const levels = new Map<Cluster, number>([[cluster, level]]);
    const stack = [cluster];
    while (stack.length > 0) {
      const below = stack.pop()!;
      const least = levels.get(below)! + 1;
      for (const next of this.#placeOf(below).after) {
        if (++this.#visits > SEARCH_LIMIT) return false;
        if ((levels.get(next) ?? this.#placeOf(next).level) >= least) continue;
        levels.set(next, least);
        stack.push(next);
      }
    }
    return true;
  }
}
