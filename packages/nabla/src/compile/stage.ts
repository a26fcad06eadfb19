// What the passes after simplification know of the graph: where outputs live, what is stored, and who reads what.
import { dependencies, type GraphNode, topologicalOrder } from "../ops/graph.ts";
import { siblingsAmong } from "../ops/scan.ts";
import { type Expression, expressionOf } from "./expression.ts";
import { Precedence } from "./precedence.ts";
import { chooseStored } from "./store.ts";

/** The graph with every output a node of its own, and where those live. */
export interface Stage {
  readonly leaves: readonly GraphNode[];
  /** Slot of each output node; the slot of a leaf means that the output overwrites it. */
  readonly outputs: ReadonlyMap<GraphNode, number>;
  /** Values stored whatever they cost: they wait until everything has read what they will overwrite, or two kernels share them. */
  readonly held: readonly GraphNode[];
  /** Inputs before users. */
  readonly order: readonly GraphNode[];
  readonly stored: ReadonlySet<GraphNode>;
  readonly users: ReadonlyMap<GraphNode, ReadonlySet<GraphNode>>;
  readonly roots: readonly GraphNode[];
  readonly expressions: ReadonlyMap<GraphNode, Expression>;
  /** Rough instructions an element, were nothing but kernels' results stored. */
  readonly cost: ReadonlyMap<GraphNode, number>;
  /** Roots that one kernel must produce, by each of them. */
  readonly together: ReadonlyMap<GraphNode, readonly GraphNode[]>;
  /** The roots whose kernels read a stored value or a leaf. */
  readonly readers: ReadonlyMap<GraphNode, readonly GraphNode[]>;
  /** The nodes that take a node as input. */
  readonly consumers: ReadonlyMap<GraphNode, readonly GraphNode[]>;
}

/** Decides what is stored, and finds what each kernel reads. */
export function analyse(inputs: readonly GraphNode[], outputs: ReadonlyMap<GraphNode, number>, held: readonly GraphNode[]): Stage {
  const leaves = new Set(inputs);
  const order = topologicalOrder([...outputs.keys()], leaves);
  const { stored, users, cost } = chooseStored(order, leaves, [...outputs.keys(), ...held]);
  const roots = order.filter((node) => stored.has(node));
  const expressions = new Map(roots.map((root) => [root, expressionOf(root, stored, leaves)]));
  const readers = new Map<GraphNode, GraphNode[]>();
  for (const [root, { reads }] of expressions) {
    for (const node of reads.keys()) {
      const known = readers.get(node);
      if (known === undefined) readers.set(node, [root]);
      else known.push(root);
    }
  }
  // One kernel gives all values of a loop.
  const together = siblingsAmong(roots);
  const consumers = new Map<GraphNode, GraphNode[]>(order.map((node) => [node, []]));
  for (const node of order) for (const input of dependencies(node)) consumers.get(input)!.push(node);
  return { leaves: inputs, outputs, held, order, stored, users, cost, roots, expressions, readers, consumers, together };
}

/** The outputs that take over an input's buffer. */
export function inPlaceOutputs(stage: Stage): { readonly node: GraphNode; readonly leaf: GraphNode }[] {
  return [...stage.outputs].flatMap(([node, slot]) => {
    const leaf = stage.leaves[slot];
    return leaf === undefined ? [] : [{ node, leaf }];
  });
}

const none: ReadonlySet<GraphNode> = new Set();

/** What must run before what: producers before readers, and readers of a donated buffer before its writer, but for `refused` writers. */
export function precedenceOf(stage: Stage, refused: ReadonlySet<GraphNode> = none): Precedence {
  const precedence = new Precedence();
  for (const root of stage.roots) {
    for (const read of stage.expressions.get(root)!.reads.keys()) if (stage.stored.has(read)) precedence.add(read, root);
  }
  for (const { node, leaf } of inPlaceOutputs(stage)) {
    if (refused.has(node)) continue;
    const mates = stage.together.get(node);
    for (const reader of stage.readers.get(leaf) ?? []) {
      if (reader !== node && (mates === undefined || stage.together.get(reader) !== mates)) precedence.add(reader, node);
    }
  }
  return precedence;
}
