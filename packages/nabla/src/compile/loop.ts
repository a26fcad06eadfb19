// Loops: the body of a scan becomes a program of its own, and its slots are bound to places that move from step to step.
// The carries of a step are updated in place, as the state of a training step is.
import type { KernelProgram, LoopBinding, LoopKernel } from "../kernels/kernel.ts";
import type { DType } from "../ops/dtype.ts";
import { dependencies, type GraphNode, type LoopBody } from "../ops/graph.ts";
import { sizeOf } from "../ops/shape.ts";
import type { Place } from "./body.ts";
import type { Cluster } from "./fuse.ts";

/** Compiles the graph of one step; see compileProgram. */
export type CompileBody = (request: {
  readonly inputs: readonly GraphNode[];
  readonly outputs: readonly GraphNode[];
  readonly donate: readonly (number | undefined)[];
}) => KernelProgram;

/** Where the values that a loop reads and gives lie, and memory for what only the loop needs. */
interface LoopBuffers {
  find(node: GraphNode): Place | undefined;
  written(node: GraphNode): boolean;
  workspace(node: GraphNode, dtype: DType, size: number): number;
}

export function lowerLoop(cluster: Cluster, buffers: LoopBuffers, compileBody: CompileBody): LoopKernel {
  const values = (cluster.roots as GraphNode<"scan">[]).filter((root) => buffers.written(root));
  const primary = cluster.primary as GraphNode<"scan">;
  const { body } = primary.params.value;
  const given = new Map([...body.constants, ...body.carries, ...body.entries].map((node, index) => [node, primary.inputs[index]!]));
  const locate = (node: GraphNode): { readonly buffer: number; readonly offset: number } => {
    const place = buffers.find(node);
    if (place === undefined) throw new Error(`${node.op} was to be stored before a loop reads it.`);
    return place;
  };
  const each = values.flatMap((node) => ("each" in node.params.value ? [{ node, target: node.params.value.each }] : []));
  const used = usedBy(body, [...each.map(({ target }) => target), ...values.flatMap(({ params: { value } }) => ("carry" in value ? [body.next[value.carry]!] : []))]);
  const isUsed = (node: GraphNode): boolean => used.has(node);
  // A carry that is asked for lies where its last value is to be.
  const lasting = new Map(values.flatMap((node) => ("carry" in node.params.value ? [[body.carries[node.params.value.carry]!, node] as const] : [])));
  const [constants, entries] = [body.constants.filter(isUsed), body.entries.filter(isUsed)];
  const carries = body.carries.filter((carry) => isUsed(carry) || lasting.has(carry));

  const homes = carries.map((carry) => {
    const value = lasting.get(carry);
    return value === undefined ? { buffer: buffers.workspace(primary, carry.dtype, sizeOf(carry.shape)), offset: 0 } : locate(value);
  });
  const resting = ({ buffer, offset }: { readonly buffer: number; readonly offset: number }): LoopBinding => ({ buffer, offset, stride: 0 });
  const moving = (whole: GraphNode, entry: GraphNode): LoopBinding => ({ ...resting(locate(whole)), stride: sizeOf(entry.shape) });
  const program = compileBody({
    inputs: [...constants, ...carries, ...entries],
    outputs: [...carries.map((carry) => body.next[body.carries.indexOf(carry)]!), ...each.map(({ target }) => target)],
    donate: carries.map((_, index) => constants.length + index),
  });
  return {
    kind: "loop", length: body.length, reverse: body.reverse, program,
    bindings: [
      ...constants.map((node) => resting(locate(given.get(node)!))),
      ...homes.map(resting),
      ...entries.map((node) => moving(given.get(node)!, node)),
      ...each.map(({ node, target }) => moving(node, target)),
    ],
    starts: carries.map((carry, index) => ({ from: locate(given.get(carry)!), to: homes[index]!, dtype: carry.dtype, size: sizeOf(carry.shape) })),
    ...(program.arenaBytes > 0 ? { arena: buffers.workspace(primary, "uint8", program.arenaBytes) } : {}),
  };
}

/** The nodes of a body that `outputs` depend on, at this step or an earlier one. */
function usedBy(body: LoopBody, outputs: readonly GraphNode[]): Set<GraphNode> {
  const used = new Set<GraphNode>();
  const next = new Map(body.carries.map((carry, index) => [carry, body.next[index]!]));
  const stack = [...outputs];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (used.has(node)) continue;
    used.add(node);
    const after = next.get(node);
    if (after === undefined) stack.push(...dependencies(node));
    else stack.push(after);
  }
  return used;
}
