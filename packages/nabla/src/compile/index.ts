// compile: graph → Program. simplify → fuse → schedule → plan; each pass has its own file.
import type { Program } from "../devices/device.ts";
import type { GraphNode } from "../ops/graph.ts";

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
  let slots = request.inputs.length;
  const outputs = request.outputs.map((node, index) => ({ node, slot: request.donate[index] ?? slots++ }));
  return {
    buffers: [], kernels: [], phases: [], arenaBytes: 0, slots,
    graph: { inputs: request.inputs.map((node, slot) => ({ node, slot })), outputs },
  };
}
