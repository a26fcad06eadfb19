// Clusters → kernels: every cluster becomes the kernel description the generators lower further.
// Places in memory are asked for by node; `Buffers` knows them.
import type { DType } from "../ops/dtype.ts";
import type { Instruction, Kernel, MatrixOperand, Store } from "../kernels/kernel.ts";
import type { GraphNode } from "../ops/graph.ts";
import { type NodeOfKind, reducedAxes } from "../ops/kind.ts";
import { byKind, kindOf } from "../ops/registry.ts";
import { sizeOf } from "../ops/shape.ts";
import { BodyBuilder, type Leaf, type Place, registerType, type Resolve } from "./body.ts";
import { type Cluster, clusterMap } from "./fuse.ts";
import { piecesOf } from "./homes.ts";
import { type CompileBody, lowerLoop } from "./loop.ts";
import { coordinate, type IndexMap, isIdentity } from "./index-map.ts";
import { canonical } from "./store.ts";

/** Names of buffers, as the lowering sees them. */
export interface Buffers {
  /** Where a leaf or stored node lies (undefined: it is computed where it is read). */
  find(node: GraphNode): Place | undefined;
  /** Whether a root has memory: it is an output, or read outside its cluster. */
  written(node: GraphNode): boolean;
  /** Memory for a product that no one reads after its epilogue. */
  scratch(node: GraphNode): Place;
  /** Memory that the kernel of `node` needs while it runs. */
  workspace(node: GraphNode, dtype: DType, size: number): number;
  /** Whether piece `index` of a pad or concat is written by the kernel that computes it. */
  isInPlace(container: GraphNode, index: number): boolean;
}

/** Lowers one cluster. The kernels of the result are independent of each other. */
export function lowerCluster(cluster: Cluster, buffers: Buffers, compileBody: CompileBody): Kernel[] {
  return lowerPrimary(cluster, buffers, compileBody).filter((kernel) => !("domain" in kernel) || sizeOf(kernel.domain) > 0);
}

function lowerPrimary(cluster: Cluster, buffers: Buffers, compileBody: CompileBody): Kernel[] {
  const { kind, node } = byKind(cluster.primary);
  switch (kind) {
    case "leaf":
    case "elementwise":
    case "movement":
    case "lookup":
      return [lowerMap(cluster, buffers)];
    case "reduction":
      return [lowerReduction(cluster, node, buffers)];
    case "contraction":
      return [lowerProduct(cluster, node, buffers)];
    case "scatter":
      return [lowerScatter(node, buffers)];
    case "assembly":
      return lowerAssembly(node, buffers);
    case "loop":
      return [lowerLoop(cluster, buffers, compileBody)];
  }
}

function lowerScatter(node: NodeOfKind<"scatter">, buffers: Buffers): Kernel {
  const [indices, updates] = node.inputs as readonly [GraphNode, GraphNode];
  const at = (held: GraphNode): { buffer: number; offset: number } => {
    const { buffer, offset } = placeOf(held, buffers);
    return { buffer, offset };
  };
  return {
    kind: "scatterAdd", dtype: node.dtype, rows: node.params.rows, count: sizeOf(indices.shape), inner: sizeOf(node.shape.slice(1)),
    indices: at(indices), updates: at(updates), out: at(node),
  };
}

function placeOf(node: GraphNode, buffers: Buffers): Place {
  const place = buffers.find(node);
  if (place === undefined) throw new Error(`${node.op} was to be stored before it is read.`);
  return place;
}

/** Reads of stored values are loads, but for the cluster's own roots, which are in registers. */
function resolver(cluster: Cluster, buffers: Buffers, domain: readonly number[], accumulators: readonly GraphNode[]): Resolve {
  const own = new Set(cluster.roots);
  return (node, map): Leaf => {
    const index = accumulators.indexOf(node);
    if (index >= 0 && isIdentity(map, node.shape, domain)) return { kind: "accumulator", index };
    // A reshape of one of them leads to it: its memory is not written yet, if it has any.
    if (own.has(canonical(node))) return undefined;
    const place = buffers.find(node);
    return place && { kind: "memory", place };
  };
}

/** Body and stores of the roots that have memory. */
function epilogueOf(cluster: Cluster, domain: readonly number[], buffers: Buffers, accumulators: readonly GraphNode[]): {
  body: Instruction[]; stores: Store[];
} {
  const builder = new BodyBuilder(domain.length, resolver(cluster, buffers, domain, accumulators));
  const stores: Store[] = [];
  for (const root of cluster.roots) {
    if (!buffers.written(root)) continue;
    const map = clusterMap(root, domain);
    stores.push({ access: builder.access(root, placeOf(root, buffers), map), value: builder.value(root, map) });
  }
  return { body: builder.instructions, stores };
}

function lowerMap(cluster: Cluster, buffers: Buffers): Kernel {
  const domain = cluster.primary.shape;
  return { kind: "map", domain, ...epilogueOf(cluster, domain, buffers, []) };
}

/** All reductions of the cluster in one pass. */
function lowerReduction(cluster: Cluster, node: NodeOfKind<"reduction">, buffers: Buffers): Kernel {
  const axes = reducedAxes(node);
  const input = node.inputs[0]!;
  const domain = node.shape;
  const reduced = axes.map((axis) => input.shape[axis]!);
  const rank = domain.length + reduced.length;
  let kept = 0;
  const map = input.shape.map((_, axis) => {
    const position = axes.indexOf(axis);
    return coordinate(position >= 0 ? domain.length + position : kept++, rank);
  });
  const builder = new BodyBuilder(rank, resolver(cluster, buffers, [], []));
  const reductions = cluster.roots.filter((root) => kindOf(root) === "reduction") as NodeOfKind<"reduction">[];
  const accumulators = reductions.map(({ op, inputs: [folded] }) => ({ op, type: registerType(folded!.dtype), value: builder.value(folded!, map) }));
  const epilogue = epilogueOf(cluster, domain, buffers, reductions);
  return {
    kind: "reduce", domain, reduced, body: builder.instructions, accumulators,
    epilogue: epilogue.body, stores: epilogue.stores,
  };
}

function lowerProduct(cluster: Cluster, node: NodeOfKind<"contraction">, buffers: Buffers): Kernel {
  const [a, b] = node.inputs as readonly [GraphNode, GraphNode];
  const { transposeA, transposeB } = node.params;
  const batch = node.shape.slice(0, -2);
  const [m, n] = node.shape.slice(-2) as [number, number];
  const k = a.shape.at(transposeA ? -2 : -1)!;
  const operand = (input: GraphNode, transposed: boolean): MatrixOperand => {
    const rank = batch.length + 2;
    const map: IndexMap = input.shape.map((_, axis) =>
      coordinate(axis < batch.length ? axis : transposed ? batch.length + (rank - 1 - axis) : axis, rank));
    const builder = new BodyBuilder(rank, resolver(cluster, buffers, [], []));
    builder.value(input, map);
    return { body: builder.instructions };
  };
  // When only the product itself is wanted it accumulates where it is to stay, and there is no epilogue.
  const plain = cluster.roots.length === 1;
  const kept = plain || buffers.written(node);
  const { buffer, offset } = kept ? placeOf(node, buffers) : buffers.scratch(node);
  const { body, stores } = plain ? { body: [], stores: [] } : epilogueOf(cluster, node.shape, buffers, [node]);
  return {
    kind: "gemm", type: node.dtype === "float64" ? "float64" : "float32", batch, m, n, k,
    a: operand(a, transposeA), b: operand(b, transposeB),
    scratch: { buffer, offset }, kept,
    // The product is already in its place; storing it there again would be a copy onto itself.
    epilogue: body, stores: kept ? stores.filter(({ access }) => access.buffer !== buffer || access.offset !== offset) : stores,
  };
}

/** What is left to write of a pad or concat: the pieces that do not live in it, and the border. The regions are disjoint, so their order does not matter. */
function lowerAssembly(node: NodeOfKind<"assembly">, buffers: Buffers): Kernel[] {
  const whole = placeOf(node, buffers);
  const write = (begin: readonly number[], domain: readonly number[], value: (builder: BodyBuilder, map: IndexMap) => number): Kernel => {
    const rank = domain.length;
    const map = domain.map((_, axis) => coordinate(axis, rank));
    const builder = new BodyBuilder(rank, (input) => {
      const place = input === node ? undefined : buffers.find(input);
      return place && { kind: "memory", place };
    });
    const result = value(builder, map);
    const offset = begin.reduce((sum, start, axis) => sum + start * whole.strides[axis]!, whole.offset);
    const access = builder.access(node, { ...whole, offset }, map);
    return { kind: "map", domain, body: builder.instructions, stores: [{ access, value: result }] };
  };
  const copies = piecesOf(node).flatMap(({ input, begin }, index) =>
    buffers.isInPlace(node, index) ? [] : [write(begin, input.shape, (builder, map) => builder.value(input, map))]);
  if (node.op === "concat") return copies;
  const { value } = node.params;
  return [...copies, ...borderOf(node).map(({ begin, extents }) => write(begin, extents, (builder) => builder.constant(node.dtype, value)))];
}

/** The regions around the input of a pad, axis by axis. */
function borderOf(node: GraphNode<"pad">): { readonly begin: readonly number[]; readonly extents: readonly number[] }[] {
  const { before, after } = node.params;
  const inner = node.inputs[0]!.shape;
  const regions: { begin: readonly number[]; extents: readonly number[] }[] = [];
  const begin = node.shape.map(() => 0);
  const extents = [...node.shape];
  node.shape.forEach((extent, axis) => {
    for (const [start, width] of [[0, before[axis]!], [extent - after[axis]!, after[axis]!]] as const) {
      if (width > 0) regions.push({ begin: begin.with(axis, start), extents: extents.with(axis, width) });
    }
    begin[axis] = before[axis]!;
    extents[axis] = inner[axis]!;
  });
  return regions;
}
