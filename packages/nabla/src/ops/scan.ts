// Loops: a body of primitives repeated over the entries of sequences, compiled once however many steps there are.
// All values of a loop, its siblings, are nodes of their own with the same body and inputs, so that any node of the body can be asked for.
// A loop's derivatives are loops (Bradbury et al., JAX's scan).
import { ShapeError } from "../errors/errors.ts";
import { broadcast, repeat, scalarLike, sum } from "./broadcast.ts";
import { matmul } from "./contraction.ts";
import { isFloating } from "./dtype.ts";
import { add, mul, sigmoid, tanh } from "./elementwise.ts";
import { type Aval, boundedOrder, dependencies, derivationOrder, GraphNode, inSegment, type LoopBody, type LoopValue, type OpParams } from "./graph.ts";
import { source } from "./leaf.ts";
import { reshape, transpose } from "./movement.ts";
import { apply, type Jvp, type Rule, type Sample, type Vjp, type Vmap } from "./rule.ts";
import { aval, spread } from "./sample.ts";
import { formatShape, sameShape, sizeOf } from "./shape.ts";

/** What a loop is given: for each of the body's constants, carries (their first values) and sequences (with a leading axis of `length`). */
export interface LoopInputs {
  readonly constants: readonly GraphNode[];
  readonly carries: readonly GraphNode[];
  readonly sequences: readonly GraphNode[];
}

/** A value of the loop over `body`. */
export function scan({ constants, carries, sequences }: LoopInputs, value: LoopValue): GraphNode<"scan"> {
  return apply(scanRule, [...constants, ...carries, ...sequences], { value });
}

function split<T>(body: LoopBody, all: readonly T[]): { readonly constants: readonly T[]; readonly carries: readonly T[]; readonly sequences: readonly T[] } {
  const first = body.constants.length;
  const second = first + body.carries.length;
  return { constants: all.slice(0, first), carries: all.slice(first, second), sequences: all.slice(second) };
}

/** The siblings among `nodes`, by each of them: values of one loop. */
export function siblingsAmong(nodes: Iterable<GraphNode>): Map<GraphNode, GraphNode<"scan">[]> {
  const bodies = new Map<LoopBody, number>();
  const loops = new Map<string, GraphNode<"scan">[]>();
  const siblings = new Map<GraphNode, GraphNode<"scan">[]>();
  for (const node of nodes) {
    if (!isScan(node)) continue;
    const { body } = node.params.value;
    const number = bodies.get(body) ?? bodies.size;
    bodies.set(body, number);
    const key = `${number}:${node.inputs.map((input) => input.id).join(",")}`;
    const loop = loops.get(key) ?? [];
    loops.set(key, loop);
    loop.push(node);
    siblings.set(node, loop);
  }
  return siblings;
}

export function isScan(node: GraphNode): node is GraphNode<"scan"> {
  return node.op === "scan";
}

/** The node of the body that a value is made of. */
function targetOf(value: LoopValue): GraphNode {
  return "carry" in value ? value.body.next[value.carry]! : value.each;
}

function shapeOf({ value }: OpParams["scan"]): Aval {
  const { shape, dtype } = targetOf(value);
  return { dtype, shape: "carry" in value ? shape : [value.body.length, ...shape] };
}

/** Copies of `outputs` that read stand-ins in place of some nodes; what reads none of them is shared. */
export function substitute(outputs: readonly GraphNode[], stands: ReadonlyMap<GraphNode, GraphNode>): GraphNode[] {
  const copies = new Map<GraphNode, GraphNode>(stands);
  for (const node of derivationOrder(outputs, new Set(stands.keys()))) {
    if (copies.has(node) || !node.inputs.some((input) => copies.has(input))) continue;
    const inputs = node.inputs.map((input) => copies.get(input) ?? input);
    copies.set(node, inSegment(node.segment, () => new GraphNode(node.op, inputs, node.params, node)));
  }
  return outputs.map((output) => copies.get(output) ?? output);
}

const zerosLike = (like: Aval): GraphNode => scalarLike(0, like);
const placeholder = ({ shape, dtype }: Aval): GraphNode => source({ shape, dtype });
const stacked = (length: number, { shape, dtype }: Aval): Aval => ({ shape: [length, ...shape], dtype });

// ── reverse mode ──

/**
 * Cotangents of the inputs of a loop from those of its values, for the inputs that are `wanted`: one loop back over the steps, which
 * reads what the first one leaves of every step.
 */
export function scanVjp(values: readonly GraphNode<"scan">[], cotangents: readonly GraphNode[], wanted: readonly boolean[], vjp: Vjp): (GraphNode | null)[] {
  const { body } = values[0]!.params.value;
  const inputs = split(body, values[0]!.inputs);
  const wants = split(body, wanted);
  const floating = (nodes: readonly GraphNode[], chosen: readonly boolean[]): number[] => nodes.flatMap((node, index) => (chosen[index] === true && isFloating(node.dtype) ? [index] : []));
  const constants = floating(body.constants, wants.constants);
  const carries = floating(body.carries, body.carries.map(() => true));
  const entries = floating(body.entries, wants.sequences);

  // One step back.
  const stacks = values.flatMap(({ params: { value } }, index) => ("each" in value ? [{ node: value.each, cotangent: cotangents[index]! }] : []));
  const arriving = stacks.map(({ node }) => placeholder(node));
  const carried = carries.map((index) => placeholder(body.carries[index]!));
  const targets = [...stacks.map(({ node }) => node), ...carries.map((index) => body.next[index]!)];
  const sources = [...constants.map((index) => body.constants[index]!), ...carries.map((index) => body.carries[index]!), ...entries.map((index) => body.entries[index]!)];
  const parts = inSegment(undefined, () => vjp(targets, sources, [...arriving, ...carried]));
  const ofConstants = parts.slice(0, constants.length);
  const ofCarries = parts.slice(constants.length, constants.length + carries.length);
  const ofEntries = parts.slice(constants.length + carries.length);

  // A constant's cotangent adds up over the steps; a product's operands are kept instead, and multiplied once for all steps.
  const products = ofConstants.map((part) => (part !== null && part.op === "matmul" && part.shape.length === 2 ? (part as GraphNode<"matmul">) : undefined));
  const sums = constants.filter((_, at) => ofConstants[at] !== null && products[at] === undefined);
  const totals = sums.map((index) => placeholder(body.constants[index]!));
  const summed = sums.map((index, at) => add(totals[at]!, ofConstants[constants.indexOf(index)]!));
  const operands = products.flatMap((product) => (product === undefined ? [] : product.inputs));

  const next = carries.map((index, at) => ofCarries[at] ?? zerosLike(body.carries[index]!));
  const givenEntries = ofEntries.filter((part) => part !== null);
  const outputs = [...next, ...summed, ...givenEntries, ...operands];
  const kept = residuals(body, values, outputs);
  const residualEntries = kept.map(placeholder);
  const stands = new Map<GraphNode, GraphNode>(kept.map((node, index) => [node, residualEntries[index]!]));
  const made = substitute(outputs, stands);
  let taken = 0;
  const take = (count: number): GraphNode[] => made.slice(taken, (taken += count));
  const [madeNext, madeSums, madeEntries, madeOperands] = [take(next.length), take(summed.length), take(givenEntries.length), take(operands.length)];
  const back: LoopBody = {
    length: body.length, reverse: !body.reverse,
    constants: body.constants, carries: [...carried, ...totals], entries: [...residualEntries, ...body.entries, ...arriving],
    next: [...madeNext, ...madeSums],
  };
  const loopInputs: LoopInputs = {
    constants: inputs.constants,
    carries: [
      ...carries.map((index) => cotangentOfCarry(values, cotangents, index) ?? zerosLike(body.carries[index]!)),
      ...sums.map((index) => zerosLike(body.constants[index]!)),
    ],
    sequences: [
      ...kept.map((node) => scan(inputs, { body, each: node })),
      ...inputs.sequences,
      ...stacks.map(({ cotangent }) => cotangent),
    ],
  };
  const lastOf = (carry: number): GraphNode => scan(loopInputs, { body: back, carry });
  const eachOf = (node: GraphNode): GraphNode => {
    // A sequence is what it gives at every step.
    const sequence = back.entries.indexOf(node);
    return sequence >= 0 ? loopInputs.sequences[sequence]! : scan(loopInputs, { body: back, each: node });
  };
  const result = new Map<GraphNode, GraphNode>();
  let operand = 0;
  constants.forEach((index, at) => {
    const product = products[at];
    const input = body.constants[index]!;
    if (product !== undefined) result.set(input, productOverSteps(product, eachOf(madeOperands[operand++]!), eachOf(madeOperands[operand++]!)));
    else if (ofConstants[at] !== null) result.set(input, lastOf(carries.length + sums.indexOf(index)));
  });
  carries.forEach((index, at) => result.set(body.carries[index]!, lastOf(at)));
  let entry = 0;
  entries.forEach((index, at) => {
    if (ofEntries[at] !== null) result.set(body.entries[index]!, eachOf(madeEntries[entry++]!));
  });
  return [...body.constants, ...body.carries, ...body.entries].map((node, index) => (wanted[index] === true ? (result.get(node) ?? null) : null));
}

function cotangentOfCarry(values: readonly GraphNode<"scan">[], cotangents: readonly GraphNode[], carry: number): GraphNode | undefined {
  return cotangents[values.findIndex(({ params: { value } }) => "carry" in value && value.carry === carry)];
}

/** Σ over steps of product(a[t], b[t]): one product over steps and depth together. */
function productOverSteps({ params: { transposeA, transposeB } }: GraphNode<"matmul">, a: GraphNode, b: GraphNode): GraphNode {
  const depthFirst = (x: GraphNode, isDepthFirst: boolean): GraphNode => {
    const ordered = isDepthFirst ? x : transpose(x, [0, 2, 1]);
    return reshape(ordered, [ordered.shape[0]! * ordered.shape[1]!, ordered.shape[2]!]);
  };
  return matmul(depthFirst(a, transposeA), depthFirst(b, !transposeB), true, false);
}

/** The nodes of the forward step that the step back reads and that must be kept of every step: neither its inputs nor made of constants alone. */
function residuals(body: LoopBody, values: readonly GraphNode<"scan">[], outputs: readonly GraphNode[]): GraphNode[] {
  const varying = new Set<GraphNode>([...body.carries, ...body.entries]);
  const known = new Set<GraphNode>([...body.constants, ...body.entries]);
  const forward = new Set(derivationOrder([...body.next, ...values.map(({ params }) => targetOf(params.value))]));
  for (const node of forward) if (node.inputs.some((input) => varying.has(input))) varying.add(node);
  const kept = new Set<GraphNode>();
  const read = (node: GraphNode): void => {
    let needed = node;
    // Movement costs nothing where it is read.
    while (isFree(needed)) needed = needed.inputs[0]!;
    if (varying.has(needed) && !known.has(needed)) kept.add(needed);
  };
  for (const node of outputs) if (forward.has(node)) read(node);
  for (const node of boundedOrder(outputs, (each) => !forward.has(each))) {
    if (!forward.has(node)) for (const input of dependencies(node)) if (forward.has(input)) read(input);
  }
  return [...kept];
}

function isFree({ op }: GraphNode): boolean {
  return op === "reshape" || op === "transpose" || op === "broadcast" || op === "after" || op === "stopGradient";
}

// ── forward mode ──

/** Tangents of the values of a loop from those of its inputs: one loop that carries both. */
export function scanJvp(values: readonly GraphNode<"scan">[], tangents: readonly (GraphNode | null)[], jvp: Jvp): (GraphNode | null)[] {
  const { body } = values[0]!.params.value;
  const inputs = split(body, values[0]!.inputs);
  const given = split(body, tangents);
  const moving = <T>(nodes: readonly GraphNode[], of: readonly (T | null)[]): { readonly node: GraphNode; readonly tangent: GraphNode; readonly given: T }[] =>
    nodes.flatMap((node, index) => {
      const own = of[index] ?? null;
      return own === null ? [] : [{ node, tangent: placeholder(node), given: own }];
    });
  const carries = moving(body.carries, body.carries.map((node, index) => (isFloating(node.dtype) ? (given.carries[index] ?? zerosLike(node)) : null)));
  const constants = moving(body.constants, given.constants);
  const entries = moving(body.entries, given.sequences);
  const all = [...constants, ...carries, ...entries];
  const targets = [...carries.map(({ node }) => body.next[body.carries.indexOf(node)]!), ...values.map(({ params }) => targetOf(params.value))];
  const moved = inSegment(undefined, () => jvp(targets, all.map(({ node }) => node), all.map(({ tangent }) => tangent)));
  const both: LoopBody = {
    length: body.length, reverse: body.reverse,
    constants: [...body.constants, ...constants.map(({ tangent }) => tangent)],
    carries: [...body.carries, ...carries.map(({ tangent }) => tangent)],
    entries: [...body.entries, ...entries.map(({ tangent }) => tangent)],
    next: [...body.next, ...carries.map(({ node }, index) => moved[index] ?? zerosLike(node))],
  };
  const loopInputs: LoopInputs = {
    constants: [...inputs.constants, ...constants.map((entry) => entry.given)],
    carries: [...inputs.carries, ...carries.map((entry) => entry.given)],
    sequences: [...inputs.sequences, ...entries.map((entry) => entry.given)],
  };
  return values.map(({ params: { value } }, index) => {
    if ("carry" in value) {
      const at = carries.findIndex(({ node }) => node === body.carries[value.carry]);
      return at < 0 ? null : scan(loopInputs, { body: both, carry: body.carries.length + at });
    }
    const each = moved[carries.length + index] ?? null;
    return each === null ? null : scan(loopInputs, { body: both, each });
  });
}

// ── batching ──

/** The values of a loop with a leading axis of `size`, on inputs that gained one where `batched` says so: carries all do. */
export function scanBatch(values: readonly GraphNode<"scan">[], operands: readonly GraphNode[], batched: readonly boolean[], size: number, vmap: Vmap): GraphNode[] {
  const { body } = values[0]!.params.value;
  const inputs = split(body, operands);
  const has = split(body, batched);
  const grown = (node: GraphNode): GraphNode => placeholder(stacked(size, node));
  const constants = body.constants.map((node, index) => (has.constants[index] === true ? grown(node) : node));
  const carries = body.carries.map(grown);
  const entries = body.entries.map((node, index) => (has.sequences[index] === true ? grown(node) : node));
  const pairs = [...body.constants, ...body.carries, ...body.entries].map((node, index) => ({ node, stack: [...constants, ...carries, ...entries][index]! })).filter(({ node, stack }) => node !== stack);
  const targets = [...body.next, ...values.map(({ params }) => targetOf(params.value))];
  const made = inSegment(undefined, () => vmap(targets, pairs.map(({ node }) => node), pairs.map(({ stack }) => stack), size));
  const batchedBody: LoopBody = { length: body.length, reverse: body.reverse, constants, carries, entries, next: made.slice(0, body.next.length) };
  const loopInputs: LoopInputs = {
    constants: inputs.constants,
    carries: inputs.carries.map((node, index) => (has.carries[index] === true ? node : repeat(node, size))),
    sequences: inputs.sequences.map((node, index) => (has.sequences[index] === true ? swapFirstTwo(node) : node)),
  };
  return values.map(({ params: { value } }, index) =>
    "carry" in value
      ? scan(loopInputs, { body: batchedBody, carry: value.carry })
      : swapFirstTwo(scan(loopInputs, { body: batchedBody, each: made[body.next.length + index]! })));
}

function swapFirstTwo(node: GraphNode): GraphNode {
  return transpose(node, [1, 0, ...node.shape.slice(2).map((_, axis) => axis + 2)]);
}

// ── the rule ──

export const scanRule: Rule<"scan"> = {
  op: "scan",
  kind: "loop",
  cost: 1,
  shape: (inputs, params) => {
    const { body } = params.value;
    const { constants, carries, sequences } = split(body, inputs);
    const expect = (what: string, given: Aval | undefined, wanted: Aval): void => {
      if (given === undefined || given.dtype !== wanted.dtype || !sameShape(given.shape, wanted.shape)) {
        throw new ShapeError(
          `scan: ${what} is ${given === undefined ? "missing" : `${given.dtype} ${formatShape(given.shape)}`}, but the step has ${wanted.dtype} ${formatShape(wanted.shape)}.`,
          "A carry keeps its shape and dtype from step to step; sequences have one entry a step.",
        );
      }
    };
    body.constants.forEach((node, index) => expect(`constant ${index}`, constants[index], node));
    body.carries.forEach((node, index) => expect(`carry ${index}`, carries[index], node));
    body.carries.forEach((node, index) => expect(`carry ${index} after a step`, body.next[index], node));
    body.entries.forEach((node, index) => expect(`sequence ${index}`, sequences[index], stacked(body.length, node)));
    return shapeOf(params);
  },
  reference: (inputs, { value }, out, evaluate) => {
    const { body } = value;
    const { constants, carries, sequences } = split(body, inputs.map(({ data }) => data));
    const leaves = [...body.constants, ...body.carries, ...body.entries];
    const size = sizeOf(targetOf(value).shape);
    let state = carries;
    for (let step = 0; step < body.length; step++) {
      const at = body.reverse ? body.length - 1 - step : step;
      const entries = body.entries.map((node, index) => sequences[index]!.subarray(at * sizeOf(node.shape), (at + 1) * sizeOf(node.shape)));
      const results = evaluate([...body.next, targetOf(value)], leaves, [...constants, ...state, ...entries]);
      state = results.slice(0, -1).map(({ data }) => data);
      if ("each" in value) out.data.set(results.at(-1)!.data, at * size);
    }
    if ("carry" in value) out.data.set(state[value.carry]!);
  },
  roundingError: {
    relative: 64,
    // What a step makes of the error of the steps before is the body's to say: samples contract.
    absolute: ([, carry], { shape }) => (carry === undefined ? 0 : 64 * sizeOf(shape.slice(0, 1))),
  },
  vjp: ({ inputs, output }, cotangent, vjp) => scanVjp([output as GraphNode<"scan">], [cotangent], inputs.map(({ dtype }) => isFloating(dtype)), vjp),
  jvp: ({ output }, tangents, jvp) => scanJvp([output as GraphNode<"scan">], tangents, jvp)[0]!,
  batch: (inputs, batched, params, size, vmap) => scanBatch([new GraphNode("scan", inputs, params, shapeOf(params))], inputs, batched, size, vmap)[0]!,
  samples: () => [false, true].flatMap((reverse) => ["carry", "each"].flatMap((what) => [
    scanSample(recurrent(5, reverse), what === "carry" ? { carry: 0 } : "h", `${what}${reverse ? ", backward" : ""}`),
    scanSample(recurrent(1, reverse), what === "carry" ? { carry: 0 } : "h", "one step"),
  ])),
  errors: [
    { inputs: [aval("float32", 3, 3), aval("float32", 2, 4), aval("float32", 5, 1, 3)], params: { value: { body: recurrent(5, false).body, carry: 0 } }, message: /carry 0 is float32 \[2, 4\], but the step has float32 \[2, 3\]/ },
    { inputs: [aval("float32", 3, 3), aval("float32", 2, 3), aval("float32", 4, 1, 3)], params: { value: { body: recurrent(5, false).body, carry: 0 } }, message: /sequence 0 is float32 \[4, 1, 3\], but the step has float32 \[5, 1, 3\]/ },
    { inputs: [aval("float32", 3, 3), aval("float32", 2, 3)], params: { value: { body: recurrent(5, false).body, carry: 0 } }, message: /sequence 0 is missing/ },
  ],
};

/** h ← tanh(h·W + x), with a gate made of h before: a body for samples. */
function recurrent(length: number, reverse: boolean): { readonly body: LoopBody; readonly h: GraphNode } {
  const [w, h, x] = [source({ shape: [3, 3], dtype: "float32" }), source({ shape: [2, 3], dtype: "float32" }), source({ shape: [1, 3], dtype: "float32" })];
  const next = mul(tanh(add(matmul(h, w), broadcast(x, [2, 3]))), sigmoid(h));
  return { body: { length, reverse, constants: [w], carries: [h], entries: [x], next: [next] }, h: mul(next, broadcast(reshape(sum(h, [1]), [2, 1]), [2, 3])) };
}

function scanSample({ body, h }: { readonly body: LoopBody; readonly h: GraphNode }, what: { readonly carry: number } | "h", name: string): Sample<"scan"> {
  return {
    inputs: [spread("float32", [3, 3], -0.5, 0.5), spread("float32", [2, 3], -1, 1, 1), spread("float32", [body.length, 1, 3], -1, 1, 2)],
    params: { value: what === "h" ? { body, each: h } : { body, ...what } },
    name,
  };
}
