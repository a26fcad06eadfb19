// Evaluation: nodes without a value → one program, compiled once a structure → their storages.
// A program is a pure function of its structure, so values that come and go reuse it.
import { compileProgram } from "../compile/index.ts";
import { fillValue } from "../compile/simplify.ts";
import { ProgramCache } from "../devices/cache.ts";
import type { Device, Executable } from "../devices/device.ts";
import { hostArray } from "../ops/dtype.ts";
import { dependencies, type GraphNode, paramsKey, topologicalOrder } from "../ops/graph.ts";
import { sizeOf } from "../ops/shape.ts";
import { bytesOf, defaultDevice, DeviceStorage, runInto, storageOf } from "./storage.ts";

/** Executables kept a device. */
const CACHE_LIMIT = 512;
const caches = new WeakMap<Device, ProgramCache<string, Executable>>();

/** Computes `nodes` in one program and attaches their storages; evaluated ones are left alone. */
export function evaluate(nodes: readonly GraphNode[]): void {
  const outputs = [...new Set(nodes)].filter((node) => node.storage === undefined);
  if (outputs.length === 0) return;
  const fills = outputs.map(fillValue);
  if (fills.every((value) => value !== undefined)) {
    outputs.forEach((node, index) => attach(node, filled(node, fills[index]!)));
    return;
  }
  const order = topologicalOrder(outputs);
  const inputs = order.filter((node) => node.storage !== undefined || node.op === "source");
  const storages = inputs.map(storageOf);
  const device = storages[0]?.device ?? defaultDevice();
  const executable = cachedExecutable(device, structureKey(order, outputs), () =>
    device.compile(compileProgram({ inputs, outputs, donate: [] })),
  );
  const results = runInto(device, executable, storages, outputs.map(bytesOf));
  outputs.forEach((node, index) => attach(node, results[index]!));
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

function cachedExecutable(device: Device, key: string, make: () => Executable): Executable {
  let cache = caches.get(device);
  if (cache === undefined) caches.set(device, (cache = new ProgramCache(CACHE_LIMIT, (victim) => victim.dispose())));
  let executable = cache.get(key);
  if (executable === undefined) cache.set(key, (executable = make()));
  return executable;
}

/** Text that two graphs share exactly when one program serves both. */
function structureKey(order: readonly GraphNode[], outputs: readonly GraphNode[]): string {
  const position = new Map<GraphNode, number>();
  const parts: string[] = [];
  for (const node of order) {
    position.set(node, position.size);
    if (node.storage !== undefined) {
      parts.push(`@${node.dtype}${node.shape.join(",")}`);
    } else {
      const inputs = node.inputs.map((input) => position.get(input)).join(",");
      parts.push(`${node.op}(${inputs})${paramsKey(node.params)}`);
    }
  }
  return `${parts.join(";")}>${outputs.map((node) => position.get(node)).join(",")}`;
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
