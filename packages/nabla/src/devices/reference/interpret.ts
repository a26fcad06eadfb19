// The graph interpreted node by node through each primitive's reference: the oracle the other devices are held to.
// In "float64" precision float32 values are held in doubles, so that central differences and tolerances mean something.
import { hostArray, type TypedArray } from "../../ops/dtype.ts";
import { type Aval, type GraphNode, type OpName, type OpParams, topologicalOrder } from "../../ops/graph.ts";
import { rules } from "../../ops/registry.ts";
import type { HostValue } from "../../ops/rule.ts";
import { sizeOf } from "../../ops/shape.ts";

/** How float32 values are held: as such, or in doubles. */
export type Precision = "native" | "float64";

/** A graph detached from its nodes, which evaluation may change: step i computes value leaves + i. */
export interface Recording {
  readonly leaves: readonly Aval[];
  readonly steps: readonly Step[];
  readonly outputs: readonly number[];
}

interface Step<P extends OpName = OpName> extends Aval {
  readonly op: P;
  readonly params: OpParams[P];
  /** Positions of earlier values: leaves first, then steps. */
  readonly inputs: readonly number[];
}

/** Writes down what computes `outputs` from `leaves`. */
export function record(leaves: readonly GraphNode[], outputs: readonly GraphNode[]): Recording {
  const position = new Map<GraphNode, number>(leaves.map((leaf, index) => [leaf, index]));
  const steps: Step[] = [];
  for (const node of topologicalOrder(outputs, new Set(leaves))) {
    if (position.has(node)) continue;
    const { op, params, shape, dtype } = node;
    position.set(node, leaves.length + steps.length);
    steps.push({ op, params, shape, dtype, inputs: node.inputs.map((input) => position.get(input)!) });
  }
  return { leaves: leaves.map(({ shape, dtype }) => ({ shape, dtype })), steps, outputs: outputs.map((output) => position.get(output)!) };
}

/** A zero-filled host value of `aval`. */
export function emptyValue({ shape, dtype }: Aval, precision: Precision): HostValue {
  return { shape, dtype, data: hostArray(dtype === "float32" && precision === "float64" ? "float64" : dtype, sizeOf(shape)) };
}

/** The outputs of `recording` on `leaves`. */
export function replay({ leaves, steps, outputs }: Recording, data: readonly TypedArray[], precision: Precision): HostValue[] {
  const values: HostValue[] = leaves.map((leaf, index) => ({ ...leaf, data: data[index]! }));
  for (const step of steps) values.push(compute(step, step.inputs.map((input) => values[input]!), precision));
  return outputs.map((output) => values[output]!);
}

function compute<P extends OpName>(step: Step<P>, inputs: readonly HostValue[], precision: Precision): HostValue {
  const out = emptyValue(step, precision);
  rules[step.op].reference(inputs, step.params, out, (outputs, leaves, data) => interpret(outputs, leaves, data, precision));
  return out;
}

/** The values of `outputs`, with `leaves` bound to `data`. */
export function interpret(outputs: readonly GraphNode[], leaves: readonly GraphNode[], data: readonly TypedArray[], precision: Precision): HostValue[] {
  return replay(record(leaves, outputs), data, precision);
}
