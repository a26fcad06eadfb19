// What the compiler does with each kind of primitive, in one place.
import type { GraphNode } from "../ops/graph.ts";
import type { Kind } from "../ops/kind.ts";
import { kindOf } from "../ops/registry.ts";

interface Treatment {
  /** A kernel of its own computes it, and it is stored; anything else is computed where it is read. */
  readonly ownKernel: boolean;
  /** Elementwise values may be computed by its kernel: after it (its epilogue), or beside it where it has no kernel of its own. */
  readonly joinable: boolean;
  /** Several of one pass over the same data may share a kernel. */
  readonly siblings: boolean;
  /** Of several kernels that an elementwise value could join, the lowest is best. */
  readonly preference: number;
}

const inPassing: Treatment = { ownKernel: false, joinable: true, siblings: false, preference: 2 };

const treatments: { readonly [K in Kind]: Treatment } = {
  leaf: inPassing,
  elementwise: inPassing,
  movement: inPassing,
  lookup: inPassing,
  reduction: { ownKernel: true, joinable: true, siblings: true, preference: 1 },
  contraction: { ownKernel: true, joinable: true, siblings: false, preference: 0 },
  scatter: { ownKernel: true, joinable: false, siblings: false, preference: 2 },
  loop: { ownKernel: true, joinable: false, siblings: false, preference: 2 },
  assembly: { ownKernel: true, joinable: false, siblings: false, preference: 2 },
};

export function treatmentOf(node: GraphNode): Treatment {
  return treatments[kindOf(node)];
}

export function hasOwnKernel(node: GraphNode): boolean {
  return treatmentOf(node).ownKernel;
}
