// Joining clusters and finding circles, against searches of the whole graph.
import fc from "fast-check";
import { expect, test } from "vitest";
import { source } from "../ops/build.ts";
import type { GraphNode } from "../ops/graph.ts";
import { ClusterOrder } from "./cluster-order.ts";
import type { Cluster } from "./fuse.ts";
import { planArena } from "./plan.ts";
import { Precedence } from "./precedence.ts";

/** Edges from smaller to larger numbers, or any. */
const graph = (ascending: boolean): fc.Arbitrary<{ readonly size: number; readonly edges: readonly (readonly [number, number])[] }> =>
  fc.integer({ min: 1, max: 24 }).chain((size) => fc.record({
    size: fc.constant(size),
    edges: fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 2 * size })
      .map((pairs) => (ascending ? pairs.filter(([a, b]) => a !== b).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const) : pairs)),
  }));

const makeRoots = (size: number): GraphNode[] => Array.from({ length: size }, () => source({ shape: [], dtype: "float32" }));

function precedenceOf(roots: readonly GraphNode[], edges: readonly (readonly [number, number])[]): Precedence {
  const precedence = new Precedence();
  for (const [before, after] of edges) precedence.add(roots[before]!, roots[after]!);
  return precedence;
}

/** What is reached from `start` through at least one edge. */
function reached<T>(start: T, next: (from: T) => Iterable<T>): Set<T> {
  const seen = new Set<T>();
  const stack = [start];
  while (stack.length > 0) {
    for (const to of next(stack.pop()!)) {
      if (seen.has(to)) continue;
      seen.add(to);
      stack.push(to);
    }
  }
  return seen;
}

test("a root may join a cluster exactly when no circle of clusters comes of it", () => {
  fc.assert(fc.property(graph(true), fc.infiniteStream(fc.nat(5)), ({ size, edges }, choices) => {
    const roots = makeRoots(size);
    const order = new ClusterOrder(precedenceOf(roots, edges));
    const clusters: Cluster[] = [];
    const home = new Map<number, Cluster>();
    const circular = (number: number, cluster: Cluster): boolean => {
      const homes = new Map([...home, [number, cluster]]);
      const after = (from: Cluster): Cluster[] => edges.flatMap(([a, b]) => {
        const [before, to] = [homes.get(a), homes.get(b)];
        return before === from && to !== undefined && to !== from ? [to] : [];
      });
      return reached(cluster, after).has(cluster);
    };
    roots.forEach((root, number) => {
      const asked = order.joining([root]);
      const allowed = clusters.filter((cluster) => {
        const may = asked.mayJoin(cluster);
        expect(may).toBe(!circular(number, cluster));
        return may;
      });
      const choice = choices.next().value!;
      let cluster = choice === 0 ? undefined : allowed[choice % Math.max(1, allowed.length)];
      if (cluster === undefined) clusters.push((cluster = { primary: root, roots: [] }));
      order.add([root], cluster);
      home.set(number, cluster);
    });
  }));
});

test("circles are the roots that must run both before and after each other", () => {
  fc.assert(fc.property(graph(false), ({ size, edges }) => {
    const roots = makeRoots(size);
    const precedence = precedenceOf(roots, edges);
    const found = new Map(precedence.circles(roots).flatMap((circle) => circle.map((root) => [root, new Set(circle)] as const)));
    for (const root of roots) {
      const after = reached(root, (from) => precedence.after(from));
      const circle = roots.filter((other) => after.has(other) && reached(other, (from) => precedence.after(from)).has(root));
      expect(found.get(root) ?? new Set()).toEqual(new Set(circle));
    }
  }));
});

test("temporaries that are alive together lie apart, in an arena no larger than its last byte", () => {
  const lifetime = fc.record({ bytes: fc.integer({ min: 1, max: 300 }), first: fc.nat(9), length: fc.nat(4) });
  fc.assert(fc.property(fc.array(lifetime, { maxLength: 20 }), (values) => {
    const lifetimes = values.map(({ bytes, first, length }) => ({ bytes, first, last: first + length }));
    const { offsets, bytes } = planArena(lifetimes);
    lifetimes.forEach((a, i) => {
      expect(offsets[i]! % 64).toBe(0);
      expect(offsets[i]! + a.bytes).toBeLessThanOrEqual(bytes);
      lifetimes.forEach((b, j) => {
        if (i >= j || a.first > b.last || b.first > a.last) return;
        expect(offsets[i]! + a.bytes <= offsets[j]! || offsets[j]! + b.bytes <= offsets[i]!).toBe(true);
      });
    });
  }));
});
