// compile: graph → Program, in passes: simplify → store → fuse → schedule → lower → plan.
// A program depends on the graph's structure only; it holds no tensor alive.
import type { Program, ProgramBuffer } from "../devices/device.ts";
import type { Kernel } from "../kernels/kernel.ts";
import { bytesPerElement, type DType } from "../ops/dtype.ts";
import { dependencies, type GraphNode } from "../ops/graph.ts";
import { rowMajorStrides, sizeOf } from "../ops/shape.ts";
import { stageOutputs } from "./donate.ts";
import { type Cluster, fuse } from "./fuse.ts";
import { Homes, isContiguous } from "./homes.ts";
import { isMovement } from "./index-map.ts";
import type { Place } from "./body.ts";
import { type Buffers, lowerCluster } from "./lower.ts";
import { type Lifetime, planArena } from "./plan.ts";
import type { Precedence } from "./precedence.ts";
import { schedule } from "./schedule.ts";
import { simplify } from "./simplify.ts";
import { analyse, inPlaceOutputs, precedenceOf, type Stage } from "./stage.ts";
import { canonical } from "./store.ts";

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

/** A value that two kernels compute is stored after all when it costs more than this. */
const SHARED_LIMIT = 20;
/** Times that fusing is done anew for them. */
const ROUNDS = 8;

interface Fused {
  readonly stage: Stage;
  readonly clusters: readonly Cluster[];
  readonly precedence: Precedence;
}

/** Fuses; dear values that two kernels turn out to compute are stored after all, and the rest fused anew. */
function fuseStoring(start: Stage): Fused {
  let stage = start;
  for (let round = 1; ; round++) {
    const precedence = precedenceOf(stage);
    const overwrites = new Map(inPlaceOutputs(stage).map(({ node, leaf }) => [node, leaf]));
    const clusters = fuse(stage.roots, { expressions: stage.expressions, precedence, overwrites, together: stage.together });
    const twice = computedTwice(stage, clusters);
    if (twice.length === 0 || round === ROUNDS) return { stage, clusters, precedence };
    const again = analyse(stage.leaves, stage.outputs, [...stage.held, ...twice]);
    stage = { ...again, together: new Map([...again.together, ...stage.together]) };
  }
}

/** Dear values that several kernels compute, were those after them in the order stored by one of those kernels. */
function computedTwice({ order, stored, cost }: Stage, clusters: readonly Cluster[]): GraphNode[] {
  const clusterOf = new Map(clusters.flatMap((cluster) => cluster.roots.map((root) => [root, cluster] as const)));
  const found: GraphNode[] = [];
  const computing = new Map<GraphNode, { readonly cluster: Cluster; several: boolean }>();
  for (const node of order.toReversed()) {
    let own = stored.has(node) ? { cluster: clusterOf.get(node)!, several: false } : computing.get(node);
    if (own === undefined) continue;
    if (own.several && cost.get(node)! > SHARED_LIMIT && !isMovement(node)) {
      found.push(node);
      own = { cluster: own.cluster, several: false };
    }
    for (const input of dependencies(node)) {
      const known = computing.get(input);
      if (known === undefined) computing.set(input, { ...own });
      else if (own.several || known.cluster !== own.cluster) known.several = true;
    }
  }
  return found;
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
