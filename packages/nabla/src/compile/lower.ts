// Clusters → kernels: every cluster becomes the kernel description the generators lower further.
// Buffers are named by the node they hold; plan.ts gives them their place.
import type { Instruction, Kernel, MatrixOperand, ReduceOp, Store } from "../kernels/kernel.ts";
import type { AnyNode, GraphNode } from "../ops/graph.ts";
import type { NodeOfKind } from "../ops/kind.ts";
import { byKind } from "../ops/registry.ts";
import { rowMajorStrides, sizeOf } from "../ops/shape.ts";
import { BodyBuilder, type Leaf, registerType, type Resolve } from "./body.ts";
import { type Cluster, clusterMap } from "./fuse.ts";
import { coordinate, type IndexMap, isIdentity } from "./index-map.ts";
import { canonical } from "./store.ts";

/** Names of buffers, as the lowering sees them. */
export interface Buffers {
  /** The buffer that holds a leaf or stored node (undefined: it is computed where it is read). */
  find(node: GraphNode): number | undefined;
  /** Whether a root has memory: it is an output, or read outside its cluster. */
  written(node: GraphNode): boolean;
  /** Memory for a product that no one reads after its epilogue. */
  scratch(node: GraphNode): number;
}

/** Lowers one cluster. The kernels of the result are independent of each other. */
export function lowerCluster(cluster: Cluster, buffers: Buffers): Kernel[] {
  return lowerPrimary(cluster, buffers).filter((kernel) => !("domain" in kernel) || sizeOf(kernel.domain) > 0);
}

function lowerPrimary(cluster: Cluster, buffers: Buffers): Kernel[] {
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
      return node.op === "pad" ? lowerPad(node, buffers) : lowerConcat(node, buffers);
  }
}

function lowerScatter(node: NodeOfKind<"scatter">, buffers: Buffers): Kernel {
  const [indices, updates] = node.inputs as readonly [GraphNode, GraphNode];
  const at = (held: GraphNode): { buffer: number; offset: number } => ({ buffer: bufferOf(held, buffers), offset: 0 });
  return {
    kind: "scatterAdd", dtype: node.dtype, rows: node.params.rows, count: sizeOf(indices.shape), inner: sizeOf(node.shape.slice(1)),
    indices: at(indices), updates: at(updates), out: at(node),
  };
}

function bufferOf(node: GraphNode, buffers: Buffers): number {
  const buffer = buffers.find(node);
  if (buffer === undefined) throw new Error(`${node.op} was to be stored before it is read.`);
  return buffer;
}

/** Reads of stored values are loads, but for the cluster's own roots, which are in registers. */
function resolver(cluster: Cluster, buffers: Buffers, domain: readonly number[], accumulator: GraphNode | undefined): Resolve {
  const own = new Set(cluster.roots);
  return (node, map): Leaf => {
    if (node === accumulator && isIdentity(map, node.shape, domain)) return { kind: "accumulator", index: 0 };
    // A reshape of one of them leads to it: its memory is not written yet, if it has any.
    if (own.has(canonical(node))) return undefined;
    const buffer = buffers.find(node);
    return buffer === undefined ? undefined : { kind: "buffer", buffer };
  };
}

/** Bodies and stores of the roots that are not the accumulator itself. */
function epilogueOf(cluster: Cluster, domain: readonly number[], buffers: Buffers, accumulator: GraphNode | undefined): {
  body: Instruction[]; stores: Store[];
} {
  const builder = new BodyBuilder(domain.length, resolver(cluster, buffers, domain, accumulator));
  const stores: Store[] = [];
  for (const root of cluster.roots) {
    if (!buffers.written(root)) continue;
    const map = clusterMap(root, domain);
    stores.push({ access: builder.access(root, bufferOf(root, buffers), map), value: builder.value(root, map) });
  }
  return { body: builder.instructions, stores };
}

function lowerMap(cluster: Cluster, buffers: Buffers): Kernel {
  const domain = cluster.primary.shape;
  return { kind: "map", domain, ...epilogueOf(cluster, domain, buffers, undefined) };
}

function lowerReduction(cluster: Cluster, node: NodeOfKind<"reduction">, buffers: Buffers): Kernel {
  const op: ReduceOp = node.op;
  const axes = node.op === "argmax" ? [node.params.axis] : node.params.axes;
  const input = node.inputs[0]!;
  const domain = node.shape;
  const reduced = axes.map((axis) => input.shape[axis]!);
  const rank = domain.length + reduced.length;
  let kept = 0;
  const map = input.shape.map((_, axis) => {
    const position = axes.indexOf(axis);
    return coordinate(position >= 0 ? domain.length + position : kept++, rank);
  });
  const builder = new BodyBuilder(rank, resolver(cluster, buffers, [], undefined));
  const value = builder.value(input, map);
  const epilogue = epilogueOf(cluster, domain, buffers, node);
  return {
    kind: "reduce", domain, reduced, body: builder.instructions,
    accumulators: [{ op, type: registerType(op === "argmax" ? input.dtype : node.dtype), value }],
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
    const builder = new BodyBuilder(rank, resolver(cluster, buffers, [], undefined));
    builder.value(input, map);
    return { body: builder.instructions };
  };
  // When only the product itself is wanted it accumulates where it is to stay, and there is no epilogue.
  const plain = cluster.roots.length === 1;
  const kept = plain || buffers.written(node);
  const { body, stores } = plain ? { body: [], stores: [] } : epilogueOf(cluster, node.shape, buffers, node);
  return {
    kind: "gemm", type: node.dtype === "float64" ? "float64" : "float32", batch, m, n, k,
    a: operand(a, transposeA), b: operand(b, transposeB),
    scratch: kept ? bufferOf(node, buffers) : buffers.scratch(node), kept,
    // The product is already in its own buffer; storing it there again would be a copy onto itself.
    epilogue: body, stores: stores.filter((store) => store.access.buffer !== buffers.find(node)),
  };
}

/** A region of a row-major buffer, written by a body over the region's own coordinates. */
function piece(node: GraphNode, buffer: number, begin: readonly number[], extents: readonly number[], write: (builder: BodyBuilder, map: IndexMap) => number, buffers: Buffers): Kernel {
  const rank = extents.length;
  const map = extents.map((_, axis) => coordinate(axis, rank));
  const builder = new BodyBuilder(rank, (input) => {
    const found = input === node ? undefined : buffers.find(input);
    return found === undefined ? undefined : { kind: "buffer", buffer: found };
  });
  const value = write(builder, map);
  const strides = rowMajorStrides(node.shape);
  const offset = begin.reduce((sum, start, axis) => sum + start * strides[axis]!, 0);
  return { kind: "map", domain: extents, body: builder.instructions, stores: [{ access: { buffer, dtype: node.dtype, offset, strides }, value }] };
}

function lowerConcat(node: Extract<AnyNode, { op: "concat" }>, buffers: Buffers): Kernel[] {
  const buffer = bufferOf(node, buffers);
  let start = 0;
  return node.inputs.map((input) => {
    const begin = node.shape.map((_, axis) => (axis === node.params.axis ? start : 0));
    start += input.shape[node.params.axis]!;
    return piece(node, buffer, begin, input.shape, (builder, map) => builder.value(input, map), buffers);
  });
}

/** The interior and, axis by axis, the slabs around it: disjoint, so their order does not matter. */
function lowerPad(node: Extract<AnyNode, { op: "pad" }>, buffers: Buffers): Kernel[] {
  const buffer = bufferOf(node, buffers);
  const input = node.inputs[0]!;
  const { before, after, value } = node.params;
  const kernels = [piece(node, buffer, before, input.shape, (builder, map) => builder.value(input, map), buffers)];
  const begin = node.shape.map(() => 0);
  const extents = [...node.shape];
  node.shape.forEach((extent, axis) => {
    const slab = (start: number, length: number): void => {
      if (length === 0) return;
      const slabBegin = begin.with(axis, start);
      kernels.push(piece(node, buffer, slabBegin, extents.with(axis, length), (builder) => builder.constant(node.dtype, value), buffers));
    };
    slab(0, before[axis]!);
    slab(extent - after[axis]!, after[axis]!);
    begin[axis] = before[axis]!;
    extents[axis] = input.shape[axis]!;
  });
  return kernels;
}
