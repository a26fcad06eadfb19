// compile: graph → Program, in passes: simplify → store → fuse → schedule → lower → plan.
// A program depends on the graph's structure only; it holds no tensor alive.
import type { Program, ProgramBuffer } from "../devices/device.ts";
import type { Kernel } from "../kernels/kernel.ts";
import { bytesPerElement, type DType } from "../ops/dtype.ts";
import { dependencies, GraphNode, topologicalOrder } from "../ops/graph.ts";
import { siblingsAmong } from "../ops/scan.ts";
import { rowMajorStrides, sameShape, sizeOf } from "../ops/shape.ts";
import { type Cluster, fuse, Precedence, readsOf, type Reads } from "./fuse.ts";
import { Homes, isContiguous } from "./homes.ts";
import { isMovement } from "./index-map.ts";
import { hasOwnKernel } from "./kinds.ts";
import type { Place } from "./body.ts";
import { type Buffers, lowerCluster } from "./lower.ts";
import { type Lifetime, planArena } from "./plan.ts";
import { schedule } from "./schedule.ts";
import { simplify } from "./simplify.ts";
import { canonical, chooseStored } from "./store.ts";

/** A graph to compile. */
export interface CompileRequest {
  /** Nodes bound at run time, in slot order; nothing above them is computed. */
  readonly inputs: readonly GraphNode[];
  readonly outputs: readonly GraphNode[];
  /** donate[i]: the input slot whose buffer output i takes over (updated in place); undefined or absent: a buffer of its own. */
  readonly donate: readonly (number | undefined)[];
}

/** Compiles a request. Slots: one for each input, then one for each output that is not donated. */
export function compileProgram(request: CompileRequest): Program {
  const graph = simplify(request.inputs, request.outputs);
  let slots = graph.inputs.length;
  const slotOf = graph.outputs.map((_, index) => request.donate[index] ?? slots++);
  const { stage, clusters, precedence } = fuseStoring(stageOutputs(graph.inputs, graph.outputs, slotOf));
  const { kernels, phases, buffers, arenaBytes } = lower(stage, clusters, precedence);
  return {
    buffers, kernels, phases, arenaBytes, slots,
    graph: {
      inputs: graph.inputs.map((node, slot) => ({ node, slot })),
      outputs: graph.outputs.map((node, index) => ({ node, slot: slotOf[index]! })),
    },
  };
}

/** The graph with every output a node of its own, and where those live. */
interface Stage {
  readonly leaves: readonly GraphNode[];
  /** Slot of each output node; the slot of a leaf means that the output overwrites it. */
  readonly outputs: ReadonlyMap<GraphNode, number>;
  /** Values stored whatever they cost: they wait until everything has read what they will overwrite, or two kernels share them. */
  readonly held: readonly GraphNode[];
  readonly stored: ReadonlySet<GraphNode>;
  readonly users: ReadonlyMap<GraphNode, ReadonlySet<GraphNode>>;
  readonly roots: readonly GraphNode[];
  readonly reads: ReadonlyMap<GraphNode, Reads>;
  /** Rough instructions an element, were nothing but kernels' results stored. */
  readonly cost: ReadonlyMap<GraphNode, number>;
  /** Roots that one kernel must produce, by each of them. */
  readonly together: ReadonlyMap<GraphNode, readonly GraphNode[]>;
  /** The roots whose kernels read a stored value or a leaf. */
  readonly readers: ReadonlyMap<GraphNode, readonly GraphNode[]>;
  /** The nodes that take a node as input. */
  readonly consumers: ReadonlyMap<GraphNode, readonly GraphNode[]>;
}

/** An output that is an input, is given twice, or cannot be written in place becomes a copy. */
function stageOutputs(inputs: readonly GraphNode[], outputs: readonly GraphNode[], slotOf: readonly number[]): Stage {
  const leaves = new Set(inputs);
  const targets = new Map<GraphNode, number>();
  outputs.forEach((output, index) => {
    const node = canonical(output);
    targets.set(leaves.has(node) || targets.has(node) ? copyOf(node) : node, slotOf[index]!);
  });
  const held: GraphNode[] = [];
  let stage = analyse(inputs, targets, held);
  for (;;) {
    const precedence = precedenceOf(stage);
    const refused = inPlaceOutputs(stage).filter(({ node, leaf }) => !writableInPlace(node, leaf, stage) || precedence.reaches(node, node));
    const [first] = refused;
    if (first === undefined) return stage;
    const circles: GraphNode[][] = [];
    for (const { node, leaf } of refused) {
      if (stage.together.has(node) || !writableInPlace(node, leaf, stage) || circles.some((circle) => circle.includes(node))) continue;
      const circle = precedence.circle(node);
      if (canShareKernel(circle, stage)) circles.push(circle);
    }
    if (circles.length > 0) {
      stage = { ...stage, together: new Map([...stage.together, ...circles.flatMap((circle) => circle.map((root) => [root, circle] as const))]) };
      continue;
    }
    const { node } = first;
    targets.set(copyOf(node), targets.get(node)!);
    targets.delete(node);
    held.push(node);
    stage = analyse(inputs, targets, held);
  }
}

/**
 * Updates that read each other's old values can only be written in place by one kernel, which has read an element of all
 * of them before it writes one. They must be elementwise over the same elements, with nothing in between.
 */
function canShareKernel(roots: readonly GraphNode[], stage: Stage): boolean {
  const overwritten = new Map(inPlaceOutputs(stage).map(({ node, leaf }) => [node, leaf]));
  const inside = new Set(roots);
  return roots.every((root) => {
    const reads = stage.reads.get(root)!;
    return !hasOwnKernel(root) && sameShape(root.shape, roots[0]!.shape)
      && roots.every((other) => (reads.get(other) ?? true) && (reads.get(overwritten.get(other) ?? other) ?? true));
  }) && !precedenceOf({ ...stage, together: new Map(roots.map((root) => [root, roots])) }).returnsTo(inside);
}

function copyOf(node: GraphNode): GraphNode {
  return new GraphNode("stopGradient", [node], {}, node);
}

function analyse(inputs: readonly GraphNode[], outputs: ReadonlyMap<GraphNode, number>, held: readonly GraphNode[]): Stage {
  const leaves = new Set(inputs);
  const order = topologicalOrder([...outputs.keys()], leaves);
  const { stored, users, cost } = chooseStored(order, leaves, [...outputs.keys(), ...held]);
  const roots = order.filter((node) => stored.has(node));
  const reads = new Map(roots.map((root) => [root, readsOf(root, stored, leaves)]));
  const readers = new Map<GraphNode, GraphNode[]>();
  for (const [root, nodes] of reads) {
    for (const node of nodes.keys()) {
      const known = readers.get(node);
      if (known === undefined) readers.set(node, [root]);
      else known.push(root);
    }
  }
  // One kernel gives all values of a loop.
  const together = siblingsAmong(roots);
  const consumers = new Map<GraphNode, GraphNode[]>(order.map((node) => [node, []]));
  for (const node of order) for (const input of dependencies(node)) consumers.get(input)!.push(node);
  return { leaves: inputs, outputs, held, stored, users, cost, roots, reads, readers, consumers, together };
}

/** The outputs that take over an input's buffer. */
function inPlaceOutputs(stage: Stage): { readonly node: GraphNode; readonly leaf: GraphNode }[] {
  return [...stage.outputs].flatMap(([node, slot]) => {
    const leaf = stage.leaves[slot];
    return leaf === undefined ? [] : [{ node, leaf }];
  });
}

/** Whether the writer reads the old value, if at all, only at the element it writes. Other readers must be able to go first, too. */
function writableInPlace(node: GraphNode, leaf: GraphNode, stage: Stage): boolean {
  const own = stage.reads.get(node)!.get(leaf);
  if (sizeOf(node.shape) !== sizeOf(leaf.shape) || node.dtype !== leaf.dtype) return false;
  if (own === false || (hasOwnKernel(node) && own !== undefined)) return false;
  return own === undefined || sameShape(node.shape, leaf.shape);
}

/** What must run before what: producers before readers, and readers of a donated buffer before its writer. */
function precedenceOf(stage: Stage): Precedence {
  const precedence = new Precedence();
  for (const root of stage.roots) {
    for (const read of stage.reads.get(root)!.keys()) if (stage.stored.has(read)) precedence.add(read, root);
  }
  for (const { node, leaf } of inPlaceOutputs(stage)) {
    const mates = stage.together.get(node);
    for (const reader of stage.readers.get(leaf) ?? []) {
      if (reader !== node && mates?.includes(reader) !== true) precedence.add(reader, node);
    }
  }
  return precedence;
}

/** A value that two kernels compute is stored after all when it costs more than this. */
const SHARED_LIMIT = 20;

interface Fused {
  readonly stage: Stage;
  readonly clusters: readonly Cluster[];
  readonly precedence: Precedence;
}

/** Fuses; a dear value that two kernels turn out to compute is stored after all, and the rest fused anew. */
function fuseStoring(stage: Stage): Fused {
  const precedence = precedenceOf(stage);
  const overwrites = new Map(inPlaceOutputs(stage).map(({ node, leaf }) => [node, leaf]));
  const clusters = fuse(stage.roots, { reads: stage.reads, precedence, overwrites, together: stage.together });
  const clusterOf = new Map(clusters.flatMap((cluster) => cluster.roots.map((root) => [root, cluster] as const)));
  const twice = [...stage.users].filter(([node, users]) =>
    !stage.stored.has(node) && stage.cost.get(node)! > SHARED_LIMIT && !isMovement(node) && new Set([...users].map((user) => clusterOf.get(user))).size > 1);
  if (twice.length === 0) return { stage, clusters, precedence };
  // The last of a chain is enough: what it is made of is then computed once, on the way.
  const among = new Set(twice.map(([node]) => node));
  const last = [...among].filter((node) => !stage.consumers.get(node)!.some((consumer) => among.has(consumer)));
  const again = analyse(stage.leaves, stage.outputs, [...stage.held, ...last]);
  return fuseStoring({ ...again, together: new Map([...again.together, ...stage.together]) });
}

function lower(stage: Stage, clusters: readonly Cluster[], precedence: Precedence): Pick<Program, "kernels" | "phases" | "buffers" | "arenaBytes"> {
  const homes = new Homes(stage);
  const phasesOfClusters = schedule(clusters, precedence, (before, after) => homes.isPart(before, after));
  const naming = new Naming(stage, homes, clusters, phasesOfClusters);
  const kernels: Kernel[] = [];
  const phases = phasesOfClusters
    .map((phase) => phase.flatMap((cluster) => lowerCluster(cluster, naming, compileProgram).map((kernel) => kernels.push(kernel) - 1)))
    .filter((phase) => phase.length > 0);
  return { kernels, phases, ...naming.place() };
}

/** Numbers the program's buffers as the lowering asks for them, and places them at the end. */
class Naming implements Buffers {
  readonly #stage: Stage;
  readonly #homes: Homes;
  readonly #clusterOf = new Map<GraphNode, Cluster>();
  readonly #phaseOf = new Map<Cluster, number>();
  readonly #numbers = new Map<GraphNode, number>();
  readonly #scratch = new Map<GraphNode, number>();
  /** What each buffer holds; a scratch buffer serves the kernel of `node` for one phase. */
  readonly #holds: { readonly node: GraphNode; readonly dtype: DType; readonly size: number; readonly scratch: boolean }[] = [];
  readonly #slots: ReadonlyMap<GraphNode, number>;

  constructor(stage: Stage, homes: Homes, clusters: readonly Cluster[], phases: readonly (readonly Cluster[])[]) {
    this.#stage = stage;
    this.#homes = homes;
    this.#slots = new Map([...stage.leaves.map((leaf, slot) => [leaf, slot] as const), ...stage.outputs]);
    for (const cluster of clusters) for (const root of cluster.roots) this.#clusterOf.set(root, cluster);
    phases.forEach((phase, index) => phase.forEach((cluster) => this.#phaseOf.set(cluster, index)));
  }

  find(node: GraphNode): Place | undefined {
    // A reshape of a stored value is the same memory.
    const whole = this.#isStored(node) ? node : canonical(node);
    if (!this.#isStored(whole)) return undefined;
    const home = this.#homes.of(whole);
    if (whole === node) {
      return home === undefined
        ? { buffer: this.#bufferOf(node), offset: 0, strides: rowMajorStrides(node.shape) }
        : { buffer: this.#bufferOf(home.container), offset: home.offset, strides: home.strides };
    }
    if (home !== undefined && !isContiguous(whole.shape, home.strides)) return undefined;
    return { buffer: this.#bufferOf(home?.container ?? whole), offset: home?.offset ?? 0, strides: rowMajorStrides(node.shape) };
  }

  #isStored(node: GraphNode): boolean {
    return this.#slots.has(node) || (this.#stage.stored.has(node) && this.written(node));
  }

  /** The buffer of a stored value that lives in no other. */
  #bufferOf(node: GraphNode): number {
    const known = this.#numbers.get(node);
    if (known !== undefined) return known;
    const slot = this.#slots.get(node);
    const overwritten = slot === undefined ? undefined : this.#stage.leaves[slot];
    if (overwritten !== undefined && overwritten !== node) return this.#bufferOf(overwritten);
    const number = this.#holds.push({ node, dtype: node.dtype, size: sizeOf(node.shape), scratch: false }) - 1;
    this.#numbers.set(node, number);
    return number;
  }

  isInPlace(container: GraphNode, index: number): boolean {
    return this.#homes.isInPlace(container, index);
  }

  written(node: GraphNode): boolean {
    if (this.#stage.outputs.has(node)) return true;
    const home = this.#clusterOf.get(node);
    return [...this.#stage.users.get(node)!].some((user) => this.#clusterOf.get(user) !== home);
  }

  scratch(node: GraphNode): Place {
    // A result of the epilogue will do, unless the epilogue reads what it overwrites, or it has gaps.
    for (const root of this.#clusterOf.get(node)!.roots) {
      if (root === node || !this.written(root) || root.dtype !== node.dtype || this.#slots.get(root)! < this.#stage.leaves.length) continue;
      const place = this.find(root)!;
      if (isContiguous(root.shape, place.strides)) return place;
    }
    let number = this.#scratch.get(node);
    if (number === undefined) {
      number = this.workspace(node, node.dtype, sizeOf(node.shape));
      this.#scratch.set(node, number);
    }
    return { buffer: number, offset: 0, strides: rowMajorStrides(node.shape) };
  }

  workspace(node: GraphNode, dtype: DType, size: number): number {
    return this.#holds.push({ node, dtype, size, scratch: true }) - 1;
  }

  place(): { buffers: ProgramBuffer[]; arenaBytes: number } {
    const lifetimes: Lifetime[] = [];
    const arenaIndex = this.#holds.map(({ node, dtype, size, scratch }) => {
      if (!scratch && this.#slots.has(node)) return undefined;
      const lifetime = scratch ? { first: this.#phase(node), last: this.#phase(node) } : this.#lifetime(node);
      return lifetimes.push({ bytes: size * bytesPerElement[dtype], ...lifetime }) - 1;
    });
    const { offsets, bytes } = planArena(lifetimes);
    const buffers = this.#holds.map(({ node, dtype, size }, index): ProgramBuffer => {
      const arena = arenaIndex[index];
      return {
        dtype,
        size,
        place: arena === undefined ? { kind: "bound", slot: this.#slots.get(node)! } : { kind: "arena", offset: offsets[arena]! },
      };
    });
    return { buffers, arenaBytes: bytes };
  }

  /** The phases in which `node`, or what lives in it, is written or read. */
  #lifetime(node: GraphNode): { first: number; last: number } {
    let first = Infinity;
    let last = 0;
    for (const held of [node, ...this.#homes.residents(node)]) {
      const written = this.#phase(held);
      first = Math.min(first, written);
      last = Math.max(last, written);
      for (const user of this.#stage.users.get(held)!) last = Math.max(last, this.#phase(user));
    }
    return { first, last };
  }

  #phase(node: GraphNode): number {
    return this.#phaseOf.get(this.#clusterOf.get(node)!)!;
  }
}
