// The graph: a node is one primitive applied to nodes, with its inferred shape and dtype.
// Nodes are immutable but for their storage: evaluation attaches it and lets the inputs go.
import type { DType } from "./dtype.ts";
import type { BinaryOp, UnaryOp } from "./elementwise.ts";
import type { Shape } from "./shape.ts";

/** Static parameters of each primitive. The keys are the primitives; those of elementwise.ts have none. */
export interface OpParams extends Readonly<Record<UnaryOp | BinaryOp, Empty>> {
  /** A value that lives in a storage, or is bound when a compiled function is called. */
  source: { readonly shape: Shape; readonly dtype: DType };
  /** A scalar known at trace time. */
  constant: { readonly value: number; readonly dtype: DType };
  /** 0, 1, 2, … along `axis`, int32. */
  iota: { readonly shape: Shape; readonly axis: number };

  cast: { readonly dtype: DType };
  stopGradient: Empty;
  /**
   * inputs (x, ...others): x, but what is computed from it waits for the others, and is kept apart from what is computed from x
   * itself. Others that are not computed for another reason are not waited for.
   */
  after: Empty;
  /** `condition ? a : b`, inputs (condition: bool, a, b). */
  select: Empty;

  reshape: { readonly shape: Shape };
  /** Output axis i is input axis permutation[i]. */
  transpose: { readonly permutation: readonly number[] };
  /** Same rank; axes of size 1 grow to `shape`. */
  broadcast: { readonly shape: Shape };
  /** begin ≤ index < end, every `step`-th (step ≥ 1), one entry an axis. */
  slice: { readonly begin: readonly number[]; readonly end: readonly number[]; readonly step: readonly number[] };
  /** The entries of `axes`, which are ascending, in reverse. */
  flip: { readonly axes: readonly number[] };
  pad: { readonly before: readonly number[]; readonly after: readonly number[]; readonly value: number };
  concat: { readonly axis: number };

  /** Reductions drop their axes; `axes` is sorted and not empty. */
  sum: { readonly axes: readonly number[] };
  max: { readonly axes: readonly number[] };
  /** First index of the maximum along one axis, int32. */
  argmax: { readonly axis: number };

  /** [...batch, M, K] × [...batch, K, N]; a transposed operand is stored with its last two axes swapped. Equal batch axes. */
  matmul: { readonly transposeA: boolean; readonly transposeB: boolean };

  /** inputs (x: [R, ...rest], indices: int32 [...I]) → [...I, ...rest]. Indices are clamped to [0, R). */
  gather: Empty;
  /** inputs (indices: int32 [...I], updates: [...I, ...rest]) → [rows, ...rest]; indices outside [0, rows) are dropped. */
  scatterAdd: { readonly rows: number };

  /** input key: int32 [2] → int32 `shape`: 32 random bits each, Threefry-2x32 of (key, linear index), word 0 xor word 1. */
  randomBits: { readonly shape: Shape };

  /** inputs: the body's constants, first carries and sequences; one value of those that the loop gives. */
  scan: { readonly value: LoopValue };
}

/** What a scan repeats, on placeholders of its own: step t computes `next` from `constants`, `carries` and entry t of every sequence. */
export interface LoopBody {
  readonly length: number;
  /** Whether the steps go from the last entry to the first. */
  readonly reverse: boolean;
  readonly constants: readonly GraphNode[];
  readonly carries: readonly GraphNode[];
  readonly entries: readonly GraphNode[];
  /** The carries of the next step. */
  readonly next: readonly GraphNode[];
}

/** A value that a loop gives: the last value of a carry, or a node of the body at every step, stacked along a new first axis. */
export type LoopValue = { readonly body: LoopBody } & ({ readonly carry: number } | { readonly each: GraphNode });

type Empty = Readonly<Record<never, never>>;

/** Name of a primitive. */
export type OpName = keyof OpParams;

/** Shape and dtype: all that is known of a value before it is computed. */
export interface Aval {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Where a computed value lives: a reference-counted buffer of a device. */
export interface Storage {
  /** Bumped when a step updates the buffer in place; a node bound to an older version may not be read. */
  version: number;
}

/** A part of a computation whose values a derivative computes again instead of keeping them, see transform/checkpoint.ts. */
export interface Segment {
  /** The segment it lies in. */
  readonly parent: Segment | undefined;
}

let nextId = 0;
let segment: Segment | undefined;

/** The segment that nodes made now belong to. */
export function currentSegment(): Segment | undefined {
  return segment;
}

/** Runs `body`, whose nodes belong to `inside`. */
export function inSegment<T>(inside: Segment | undefined, body: () => T): T {
  const outside = segment;
  segment = inside;
  try {
    return body();
  } finally {
    segment = outside;
  }
}

/** One primitive applied to nodes. Ids grow with creation, so ascending ids are a topological order. */
export class GraphNode<P extends OpName = OpName> implements Aval {
  readonly id: number = nextId++;
  readonly op: P;
  readonly params: OpParams[P];
  readonly shape: Shape;
  readonly dtype: DType;
  inputs: readonly GraphNode[];
  /** Set on sources and on evaluated nodes. */
  storage: Storage | undefined;
  /** The storage's version this node stands for. */
  storageVersion = 0;
  /** A derivative may still be taken through this node: evaluation keeps its inputs. */
  tracked = false;
  /** The value of a variable: whatever program computes it first gives it a storage. */
  kept = false;
  readonly segment: Segment | undefined = segment;
  /** The walk that met this node last, and its place there (tensor/structure.ts). */
  walk = 0;
  place = 0;

  constructor(op: P, inputs: readonly GraphNode[], params: OpParams[P], aval: Aval) {
    this.op = op;
    this.inputs = inputs;
    this.params = params;
    this.shape = aval.shape;
    this.dtype = aval.dtype;
    for (const input of inputs) if (input.tracked) this.tracked = true;
  }
}

/** A node whose `op` discriminates its `params`. */
export type AnyNode = { [P in OpName]: GraphNode<P> }[OpName];

/** The inputs whose values `node` is made of: all but those it only waits for. */
export function dependencies(node: GraphNode): readonly GraphNode[] {
  return node.op === "after" ? node.inputs.slice(0, 1) : node.inputs;
}

/** Text that the parameters of two nodes of one primitive share exactly when they are equal. */
export function paramsKey(params: object): string {
  let key = "";
  for (const value of Object.values(params) as readonly (number | boolean | string | readonly number[] | LoopValue)[]) {
    if (typeof value !== "object") key += Object.is(value, -0) ? "-0;" : `${value};`;
    else key += "body" in value ? loopKey(value) : `[${value.join(",")}]`;
  }
  return key;
}

const bodyKeys = new WeakMap<LoopBody, { readonly text: string; readonly positions: Map<GraphNode, number> }>();

/** Text that two values of loops share exactly when the loops compute the same and the values are the same of theirs. */
export function loopKey(value: LoopValue): string {
  const { body } = value;
  let known = bodyKeys.get(body);
  if (known === undefined) {
    const positions = new Map([...body.constants, ...body.carries, ...body.entries].map((node, index) => [node, index]));
    const sizes = `${body.length}${body.reverse ? "r" : ""},${body.constants.length},${body.carries.length}`;
    const placeholders = [...positions.keys()].map(({ shape, dtype }) => `${dtype}${shape.join(",")}`).join(";");
    bodyKeys.set(body, (known = { text: `{${sizes}|${placeholders}|${nodesKey(body.next, positions)}}`, positions }));
  }
  return known.text + ("carry" in value ? `c${value.carry}` : `e${nodesKey([value.each], new Map(known.positions))}`);
}

/** Text of what computes `outputs`; nodes with a position are named by it, and the others are given one. */
function nodesKey(outputs: readonly GraphNode[], positions: Map<GraphNode, number>): string {
  const parts: string[] = [];
  for (const node of topologicalOrder(outputs, new Set(positions.keys()))) {
    if (positions.has(node)) continue;
    positions.set(node, positions.size);
    parts.push(`${node.op}(${node.inputs.map((input) => positions.get(input)).join(",")})${paramsKey(node.params)}`);
  }
  return `${parts.join(";")}>${outputs.map((node) => positions.get(node)).join(",")}`;
}

/** Every node that `outputs` depend on, inputs before users; nothing above `leaves` and evaluated nodes is visited. */
export function topologicalOrder(outputs: readonly GraphNode[], leaves?: ReadonlySet<GraphNode>): GraphNode[] {
  return visit(outputs, (node) => node.storage !== undefined || leaves?.has(node) === true);
}

/** As {@link topologicalOrder}, but through evaluated nodes that kept their inputs: what a derivative passes through. */
export function derivationOrder(outputs: readonly GraphNode[], leaves?: ReadonlySet<GraphNode>): GraphNode[] {
  return visit(outputs, (node) => leaves?.has(node) === true);
}

/** The nodes that `belong`, as far as `outputs` depend on them through each other, and the others that those read; inputs before users. */
export function boundedOrder(outputs: readonly GraphNode[], belongs: (node: GraphNode) => boolean): GraphNode[] {
  return visit(outputs, (node) => !belongs(node));
}

function visit(outputs: readonly GraphNode[], isLeaf: (node: GraphNode) => boolean): GraphNode[] {
  const seen = new Set<GraphNode>();
  const stack: GraphNode[] = [...outputs];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    if (!isLeaf(node)) for (const input of dependencies(node)) stack.push(input);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
