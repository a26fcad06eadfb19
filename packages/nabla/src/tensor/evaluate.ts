// Evaluation: nodes without a value → one program, compiled once a structure → their storages.
// A program is a pure function of its structure, so values that come and go reuse it.
import { fillValue } from "../compile/simplify.ts";
import { hostArray } from "../ops/dtype.ts";
import { dependencies, type GraphNode } from "../ops/graph.ts";
import { sizeOf } from "../ops/shape.ts";
import { runEagerly } from "./eager.ts";
import { bytesOf, defaultDevice, DeviceStorage } from "./storage.ts";

/** Computes `nodes` in one program and attaches their storages, and those of variables on the way; evaluated ones are left alone. */
export function evaluate(nodes: readonly GraphNode[]): void {
  const missing = nodes.filter((node) => node.storage === undefined);
  if (missing.length === 0) return;
  const wanted = missing.length === 1 ? missing : [...new Set(missing)];
  const fills = wanted.map(fillValue);
  if (fills.every((value) => value !== undefined)) {
    wanted.forEach((node, index) => attach(node, filled(node, fills[index]!)));
    return;
  }
  const { outputs, storages } = runEagerly(wanted);
  outputs.forEach((node, index) => attach(node, storages[index]!));
}

function attach(node: GraphNode, storage: DeviceStorage): void {
  node.storage = storage;
  if (!node.tracked) node.inputs = [];
}

/** One number everywhere needs no program. */
function filled(node: GraphNode, value: number): DeviceStorage {
  const device = defaultDevice();
  const storage = new DeviceStorage(device, bytesOf(node));
  device.write(storage.buffer, hostArray(node.dtype, sizeOf(node.shape)).fill(value));
  return storage;
}

/** True where a node depends on an argument of a function being traced, so it has no value yet. */
export function isTraced(...nodes: readonly GraphNode[]): boolean {
  const seen = new Set<GraphNode>();
  const stack = [...nodes];
  while (stack.length > 0) {
    const next = stack.pop()!;
    if (next.storage !== undefined || seen.has(next)) continue;
    if (next.op === "source") return true;
    seen.add(next);
    stack.push(...dependencies(next));
  }
  return false;
}
