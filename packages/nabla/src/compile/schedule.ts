// Scheduling: clusters → phases. A cluster runs in the first phase after everything it must wait for,
// so the fewest barriers separate the kernels.
import type { GraphNode } from "../ops/graph.ts";
import type { Cluster } from "./fuse.ts";
import type { Precedence } from "./precedence.ts";

/**
 * Clusters of each phase; those of one phase are independent. Where `mayOverlap(before, after)` for all that `after` waits for in a
 * cluster, both may run in one phase.
 */
export function schedule(clusters: readonly Cluster[], precedence: Precedence, mayOverlap: (before: GraphNode, after: GraphNode) => boolean): Cluster[][] {
  const clusterOf = new Map<GraphNode, Cluster>();
  for (const cluster of clusters) for (const root of cluster.roots) clusterOf.set(root, cluster);
  const waiting = new Map<Cluster, number>(clusters.map((cluster) => [cluster, 0]));
  /** The clusters that wait for one, and how many phases later they may run at the earliest. */
  const followers = new Map<Cluster, Map<Cluster, number>>(clusters.map((cluster) => [cluster, new Map()]));
  for (const cluster of clusters) {
    const known = followers.get(cluster)!;
    for (const root of cluster.roots) {
      for (const next of precedence.after(root)) {
        const follower = clusterOf.get(next)!;
        if (follower === cluster) continue;
        const distance = known.get(follower);
        if (distance === undefined) waiting.set(follower, waiting.get(follower)! + 1);
        if (distance !== 1) known.set(follower, mayOverlap(root, next) ? 0 : 1);
      }
    }
  }
  const phaseOf = new Map<Cluster, number>();
  const phases: Cluster[][] = [];
  const ready = clusters.filter((cluster) => waiting.get(cluster) === 0);
  for (const cluster of ready) {
    const phase = phaseOf.get(cluster) ?? 0;
    (phases[phase] ??= []).push(cluster);
    for (const [follower, distance] of followers.get(cluster)!) {
      phaseOf.set(follower, Math.max(phaseOf.get(follower) ?? 0, phase + distance));
      const left = waiting.get(follower)! - 1;
      waiting.set(follower, left);
      if (left === 0) ready.push(follower);
    }
  }
  return phases;
}
