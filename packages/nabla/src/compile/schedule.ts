// Scheduling: clusters → phases. A cluster runs in the first phase after everything it must wait for,
// so the fewest barriers separate the kernels.
import type { GraphNode } from "../ops/graph.ts";
import type { Cluster, Precedence } from "./fuse.ts";

/** Clusters of each phase; those of one phase are independent. */
export function schedule(clusters: readonly Cluster[], precedence: Precedence): Cluster[][] {
  const clusterOf = new Map<GraphNode, Cluster>();
  for (const cluster of clusters) for (const root of cluster.roots) clusterOf.set(root, cluster);
  const waiting = new Map<Cluster, number>(clusters.map((cluster) => [cluster, 0]));
  const followers = new Map<Cluster, Set<Cluster>>(clusters.map((cluster) => [cluster, new Set()]));
  for (const cluster of clusters) {
    for (const root of cluster.roots) {
      for (const next of precedence.after(root)) {
        const follower = clusterOf.get(next)!;
        const known = followers.get(cluster)!;
        if (follower !== cluster && !known.has(follower)) {
          known.add(follower);
          waiting.set(follower, waiting.get(follower)! + 1);
        }
      }
    }
  }
  const phases: Cluster[][] = [];
  let ready = clusters.filter((cluster) => waiting.get(cluster) === 0);
  while (ready.length > 0) {
    phases.push(ready);
    const next: Cluster[] = [];
    for (const cluster of ready) {
      for (const follower of followers.get(cluster)!) {
        const left = waiting.get(follower)! - 1;
        waiting.set(follower, left);
        if (left === 0) next.push(follower);
      }
    }
    ready = next;
  }
  return phases;
}
