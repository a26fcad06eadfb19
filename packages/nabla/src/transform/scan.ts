// scan: a step repeated over the entries of a sequence, as one loop of the program: recurrent networks, online learning, unrolled descent.
// The step is traced and compiled once, however long the sequence; derivatives are loops, too.
import { requireFunction, requireNumber, positiveInteger } from "../errors/arguments.ts";
import { describe, DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import * as ops from "../ops/build.ts";
import { derivationOrder, type GraphNode, inSegment, type LoopBody } from "../ops/graph.ts";
import { kindOf } from "../ops/registry.ts";
import { type LoopInputs, substitute } from "../ops/scan.ts";
import { formatShape, sameShape } from "../ops/shape.ts";
import { zeros } from "../tensor/creation.ts";
import { flatten, type Leaf, type Tree, type TreeOf } from "../tensor/pytree.ts";
import { Tensor } from "../tensor/tensor.ts";
import { inTransform } from "../tensor/trace.ts";
import type { Variable } from "../tensor/variable.ts";

export interface ScanOptions {
  /** Steps go from the last entry to the first; outputs stay beside their entries. Default false. */
  readonly reverse?: boolean;
  /** Steps, where there is no sequence. */
  readonly length?: number;
}

/**
 * The carry after all steps, and the outputs of every step along a new first axis: step t computes the next carry and its output
 * from the carry and entry t of `sequence` (a tree of tensors whose first axis is time; [] where `length` says how many steps).
 *
 * The step is traced once and compiled once, and a training step's derivative keeps of every step only what the way back reads;
 * wrap it in {@link checkpoint} to keep the carries alone. `step` may close over tensors and modules, but reading a value inside
 * throws {@link LifetimeError}, and assigning to a variable {@link ValueError}. A carry keeps its shape and dtype, otherwise {@link ShapeError}.
 *
 * @example
 * const [last, sums] = scan((total: Tensor, x: Tensor) => [total.add(x), total.add(x)], tensor(0), tensor([1, 2, 3]));
 * last.item(); // 6
 * sums.toArray(); // [1, 3, 6]
 */
export function scan<C extends Tree, X extends Tree, Y extends Tree>(
  step: (carry: C, entry: X) => readonly [carry: C, output: Y],
  initial: C,
  sequence: X,
  { reverse = false, length }: ScanOptions = {},
): [carry: TreeOf<C, Tensor>, outputs: TreeOf<Y, Tensor>] {
  requireFunction("scan", step, "(total, x) => [total.add(x), total]");
  const carry = flatten(initial);
  const entries = flatten(sequence);
  if (carry.modules.length + entries.modules.length > 0) throw new ValueError("scan: a module is in the carry or the sequence.", "Close over it, or pass its parameters() as a tree.");
  const steps = stepsOf(entries.leaves, length);
  const carries = carry.leaves.map(({ tensor: { shape, dtype } }) => ops.source({ shape, dtype }));
  const slices = entries.leaves.map(({ tensor: { shape, dtype } }) => ops.source({ shape: shape.slice(1), dtype }));
  const tensors = (nodes: readonly GraphNode[]): Tensor[] => nodes.map((node) => new Tensor(node));

  const result: unknown = inTransform({ assign: refuse }, () =>
    inSegment(undefined, () => step(carry.restore(tensors(carries)), entries.restore(tensors(slices)))));
  if (!Array.isArray(result) || result.length !== 2) {
    throw new ValueError(`scan: the step returned ${describe(result)}.`, "Return the next carry and an output, e.g. [carry, carry] or [carry, []].");
  }
  const [nextTree, outputTree] = result as [C, Y];
  const next = flatten(nextTree);
  const outputs = flatten(outputTree);
  requireSameCarry(carry.leaves, next.leaves);

  const nodes = (leaves: readonly Leaf[]): GraphNode[] => leaves.map(({ tensor }) => tensor.node);
  const captured = capturedBy([...nodes(next.leaves), ...nodes(outputs.leaves)], new Set([...carries, ...slices]));
  const constants = captured.map(({ shape, dtype }) => ops.source({ shape, dtype }));
  const made = substitute([...nodes(next.leaves), ...nodes(outputs.leaves)], new Map(captured.map((node, index) => [node, constants[index]!])));
  const body: LoopBody = { length: steps, reverse, constants, carries, entries: slices, next: made.slice(0, carries.length) };
  const inputs: LoopInputs = { constants: captured, carries: nodes(carry.leaves), sequences: nodes(entries.leaves) };
  const each = made.slice(carries.length);
  if (steps === 0) {
    return [carry.rebuild(carry.leaves.map(({ tensor }) => tensor)), outputs.rebuild(each.map(({ shape, dtype }) => zeros([0, ...shape], dtype)))];
  }
  return [
    carry.rebuild(tensors(carries.map((_, index) => ops.scan(inputs, { body, carry: index })))),
    outputs.rebuild(tensors(each.map((node) => ops.scan(inputs, { body, each: node })))),
  ];
}

/** The step is traced once: its assignment would happen once, to a value of no step. */
function refuse(variable: Variable): never {
  throw new ValueError(`scan: the step assigns to a variable${variable.name === undefined ? "" : ` "${variable.name}"`}.`, "Carry the value, and assign it after the scan; or switch the module to evaluation with eval().");
}

function stepsOf(entries: readonly Leaf[], length: number | undefined): number {
  const [first] = entries;
  if (first === undefined) {
    if (length === undefined) throw new ValueError("scan: there is neither a sequence nor a length.", "Pass a sequence, or { length }.");
    requireNumber("scan", "length", length, positiveInteger);
    return length;
  }
  for (const { tensor, path } of entries) {
    const what = `scan: the sequence${path === "" ? "" : ` "${path}"`} has shape ${formatShape(tensor.shape)}`;
    if (tensor.rank === 0) throw new ShapeError(`${what}.`, "Its first axis is time.");
    if (tensor.shape[0] !== (length ?? first.tensor.shape[0])) throw new ShapeError(`${what}, but there are ${length ?? first.tensor.shape[0]} steps.`, "All sequences have one entry a step.");
  }
  return first.tensor.shape[0]!;
}

function requireSameCarry(before: readonly Leaf[], after: readonly Leaf[]): void {
  if (before.length !== after.length) throw new ShapeError(`scan: the carry has ${before.length} tensors before a step and ${after.length} after it.`, "Return a carry of the same structure.");
  before.forEach(({ path, tensor: { shape, dtype } }, index) => {
    const next = after[index]!;
    const what = `scan: the carry${path === "" ? "" : ` "${path}"`}`;
    if (next.path !== path) throw new ShapeError(`${what} is followed by "${next.path}".`, "Return a carry of the same structure.");
    if (next.tensor.dtype !== dtype) throw new DTypeError(`${what} is ${dtype} before a step and ${next.tensor.dtype} after it.`, "Cast one of them.");
    if (!sameShape(next.tensor.shape, shape)) throw new ShapeError(`${what} has shape ${formatShape(shape)} before a step and ${formatShape(next.tensor.shape)} after it.`, "A carry keeps its shape.");
  });
}

/** The values that `outputs` are made of beside `placeholders`: what the step closes over. Constants stay in the body. */
function capturedBy(outputs: readonly GraphNode[], placeholders: ReadonlySet<GraphNode>): GraphNode[] {
  const inside = new Set<GraphNode>(placeholders);
  const constant = new Set<GraphNode>();
  const captured = new Set<GraphNode>();
  const order = derivationOrder(outputs, placeholders);
  for (const node of order) {
    if (node.inputs.some((input) => inside.has(input))) inside.add(node);
    else if (isMadeInPlace(node) && node.inputs.every((input) => constant.has(input))) constant.add(node);
  }
  const read = (node: GraphNode): void => {
    if (!inside.has(node) && !constant.has(node)) captured.add(node);
  };
  outputs.forEach(read);
  for (const node of order) if (inside.has(node)) node.inputs.forEach(read);
  return [...captured];
}

/** Whether a value costs the body nothing, given that its inputs do not; a derivative may still be taken of tracked ones. */
function isMadeInPlace(node: GraphNode): boolean {
  if (node.tracked || node.storage !== undefined || node.op === "source") return false;
  const kind = kindOf(node);
  return kind === "leaf" || kind === "movement";
}
