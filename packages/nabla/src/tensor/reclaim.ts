// Gives device memory back whose tensors nobody holds. JavaScript tells only through garbage collection that a handle was dropped,
// and its collector, which sees small objects, is in no hurry: here it is told to look, and what it found is freed at once.
import type { Device, DeviceBuffer } from "../devices/device.ts";
import { OutOfMemoryError } from "../devices/errors.ts";

/** Bytes of new buffers that are worth a collection, which takes 5 to 10 ms in a small program. */
const LEAST_SLACK = 2 ** 27;
const MOST_SLACK = 2 ** 29;
/** Part of the time between two collections that one may take before it is made rarer. */
const COLLECTION_SHARE = 1 / 3;
/** Device memory is shown to the collector in pieces of this size: smaller arrays would be zeroed, and so be resident. */
const BALLAST_BYTES = 2 ** 22;

/** So many new buffers of so few bytes are held strongly: most are disposed of before weak references are worth their price. */
const NURSERY = 64;
const NURSERY_BYTES = 2 ** 16;

/** A buffer, held until its owner lets go or is garbage. */
export interface Holding {
  readonly device: Device;
  readonly buffer: DeviceBuffer;
  /** Undefined where the owner let go. */
  owner: object | undefined;
  weakOwner: WeakRef<object> | undefined;
}

/** When the buffers of a device are worth the next collection. */
interface Budget {
  /** Bytes in use. */
  limit: number;
  /** Bytes of new buffers. */
  slack: number;
  /** When the last collection ended. */
  last: number;
}

/** Those with weak owners. */
const holdings = new Set<Holding>();
let nursery: Holding[] = [];
const budgets = new WeakMap<Device, Budget>();
const ballast = new WeakMap<object, ArrayBuffer>();
let unweighed = 0;
let watching = false;
let collector: (() => void) | undefined;

/** Collections that nobody asked for are noticed by an object that nothing holds. */
const watch = new FinalizationRegistry(() => {
  watching = false;
  sweep();
});

/** Says how garbage is collected at once, weak references of the current turn included; returns what did it before. */
export function installCollector(collect: (() => void) | undefined): (() => void) | undefined {
  const before = collector;
  collector = collect;
  return before;
}

/** Allocates a buffer that `owner` holds: it is freed by {@link letGo}, or when `owner` is garbage. */
export function hold(owner: object, device: Device, bytes: number): Holding {
  if (collector === undefined) weigh(owner, bytes);
  else if (device.memory().bytes + bytes > budgetOf(device).limit) collect(device);
  const holding: Holding = { device, buffer: withRoom(device, () => device.allocate(bytes)), owner, weakOwner: undefined };
  nursery.push(holding);
  if (nursery.length >= NURSERY || bytes > NURSERY_BYTES) age();
  return holding;
}

/** Holds new buffers weakly from now on. */
function age(): void {
  for (const holding of nursery) {
    if (holding.owner === undefined) continue;
    holding.weakOwner = new WeakRef(holding.owner);
    holding.owner = undefined;
    holdings.add(holding);
  }
  nursery = [];
  if (watching) return;
  watching = true;
  watch.register({}, undefined);
}

/** Frees the buffer now. */
export function letGo(holding: Holding, owner: object): void {
  if (holding.owner === undefined) holdings.delete(holding);
  holding.owner = undefined;
  ballast.delete(owner);
  holding.device.free(holding.buffer);
}

/** What `action` returns; where it runs out of memory, garbage is collected and it is tried once more. */
export function withRoom<T>(device: Device, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof OutOfMemoryError) || collector === undefined) throw error;
    collect(device);
    return action();
  }
}

function budgetOf(device: Device): Budget {
  let budget = budgets.get(device);
  if (budget === undefined) budgets.set(device, (budget = { limit: LEAST_SLACK, slack: LEAST_SLACK, last: -Infinity }));
  return budget;
}

/** Frees now what nobody holds, where garbage can be collected on demand. */
export function reclaim(): void {
  age();
  collector?.();
  sweep();
}

function collect(device: Device): void {
  const budget = budgetOf(device);
  const begin = performance.now();
  reclaim();
  const end = performance.now();
  // A program with many objects of its own is collected rarely.
  const dear = end - begin > COLLECTION_SHARE * (begin - budget.last);
  budget.slack = Math.max(LEAST_SLACK, Math.min(MOST_SLACK, dear ? 2 * budget.slack : budget.slack / 2));
  budget.last = end;
  const { bytes } = device.memory();
  budget.limit = bytes + Math.max(budget.slack, bytes / 2);
}

/** Frees what belongs to collected owners. */
function sweep(): void {
  for (const holding of holdings) {
    if (holding.weakOwner!.deref() !== undefined) continue;
    holdings.delete(holding);
    holding.device.free(holding.buffer);
  }
}

/**
 * Where garbage cannot be collected on demand (a page), the collector is shown what it would gain: every few MiB of device memory
 * have an array of that size beside them, which is never touched, so that the system gives it no memory.
 */
function weigh(owner: object, bytes: number): void {
  unweighed += bytes;
  if (unweighed < BALLAST_BYTES) return;
  try {
    ballast.set(owner, new ArrayBuffer(unweighed));
  } catch {
    // The platform has no address space for it: the next one will do.
  }
  unweighed = 0;
}
