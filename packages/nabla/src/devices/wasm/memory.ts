// Allocation over an address space that this file never touches: only addresses and sizes, so a page can plan a worker's memory.
// Two-level segregated fit (Masmano, Ripoll, Crespo and Real, ECRTS 2004): every operation takes constant time; neighbours coalesce.
import { OutOfMemoryError } from "../errors.ts";

/** Alignment and granule of every block, in bytes: a cache line, and four vectors. */
export const alignment = 64;

/** A range of the address space. `start` and `size` are in granules. */
interface Block {
  start: number;
  size: number;
  free: boolean;
  before: Block | undefined;
  after: Block | undefined;
  previousFree: Block | undefined;
  nextFree: Block | undefined;
}

/** An allocated range; given back by {@link Allocator.free}, once. */
export interface Allocation {
  /** Byte address, a multiple of {@link alignment}. */
  readonly address: number;
}

class Allocated implements Allocation {
  readonly address: number;
  block: Block | undefined;

  constructor(block: Block) {
    this.address = block.start * alignment;
    this.block = block;
  }
}

/** Each power of two of sizes is cut into 2^4 classes: at most 1/16 of a block is lost to rounding. */
const subdivisionBits = 4;
const subdivisions = 1 << subdivisionBits;
const levels = 32;

/** Hands out aligned ranges of [start, end). */
export class Allocator {
  readonly #first: Block;
  /** Bit l: level l has a free block; #occupied[l] bit s: class (l, s) has one. */
  #levels = 0;
  readonly #occupied: Int32Array = new Int32Array(levels);
  readonly #heads: (Block | undefined)[] = new Array<Block | undefined>(levels * subdivisions).fill(undefined);
  #used = 0;

  /** `start` and `end` are byte addresses; the range shrinks to whole granules. */
  constructor(start: number, end: number) {
    const first = Math.ceil(start / alignment);
    this.#first = block(first, Math.floor(end / alignment) - first);
    this.#insert(this.#first);
  }

  /** Bytes handed out, rounded up to granules. */
  get used(): number {
    return this.#used * alignment;
  }

  /** Throws {@link OutOfMemoryError} when no free range is long enough. Zero bytes take one granule, so that addresses are unique. */
  allocate(bytes: number): Allocation {
    const size = Math.max(1, Math.ceil(bytes / alignment));
    const found = this.#find(size);
    if (found === undefined) {
      throw new OutOfMemoryError(`Cannot allocate ${formatBytes(bytes)}: ${formatBytes(this.used)} of ${formatBytes(this.#capacity())} are in use.`);
    }
    this.#remove(found);
    if (found.size > size) this.#split(found, size);
    found.free = false;
    this.#used += found.size;
    return new Allocated(found);
  }

  /** Gives the range back; false when it was given back before. */
  free(allocation: Allocation): boolean {
    if (!(allocation instanceof Allocated) || allocation.block === undefined) return false;
    let freed = allocation.block;
    allocation.block = undefined;
    this.#used -= freed.size;
    if (freed.after?.free === true) {
      this.#remove(freed.after);
      absorb(freed, freed.after);
    }
    if (freed.before?.free === true) {
      this.#remove(freed.before);
      absorb(freed.before, freed);
      freed = freed.before;
    }
    this.#insert(freed);
    return true;
  }

  /** The ranges in address order, for tests and reports. */
  *ranges(): Generator<{ readonly address: number; readonly bytes: number; readonly free: boolean }> {
    for (let at: Block | undefined = this.#first; at !== undefined; at = at.after) {
      yield { address: at.start * alignment, bytes: at.size * alignment, free: at.free };
    }
  }

  #capacity(): number {
    let bytes = 0;
    for (const range of this.ranges()) bytes += range.bytes;
    return bytes;
  }

  /** A free block of at least `size`: the head of the first class all of whose blocks fit, else a fitting one of size's own class. */
  #find(size: number): Block | undefined {
    const step = size < subdivisions ? 1 : 2 ** (log2(size) - subdivisionBits);
    const roundedUp = classOf(size + step - 1);
    let level = Math.floor(roundedUp / subdivisions);
    const within = this.#occupied[level]! & (-1 << roundedUp % subdivisions);
    if (within !== 0) return this.#heads[level * subdivisions + lowestBit(within)];
    const above = level >= levels - 1 ? 0 : this.#levels & (-1 << (level + 1));
    if (above !== 0) {
      level = lowestBit(above);
      return this.#heads[level * subdivisions + lowestBit(this.#occupied[level]!)];
    }
    let candidate = this.#heads[classOf(size)];
    while (candidate !== undefined && candidate.size < size) candidate = candidate.nextFree;
    return candidate;
  }

  /** Cuts `whole` to `size`; the rest becomes free. */
  #split(whole: Block, size: number): void {
    const rest = block(whole.start + size, whole.size - size);
    rest.before = whole;
    rest.after = whole.after;
    if (whole.after !== undefined) whole.after.before = rest;
    whole.after = rest;
    whole.size = size;
    this.#insert(rest);
  }

  #insert(freed: Block): void {
    freed.free = true;
    if (freed.size === 0) return;
    const index = classOf(freed.size);
    const level = Math.floor(index / subdivisions);
    const head = this.#heads[index];
    freed.previousFree = undefined;
    freed.nextFree = head;
    if (head !== undefined) head.previousFree = freed;
    this.#heads[index] = freed;
    this.#occupied[level]! |= 1 << index % subdivisions;
    this.#levels |= 1 << level;
  }

  #remove(taken: Block): void {
    const index = classOf(taken.size);
    if (taken.nextFree !== undefined) taken.nextFree.previousFree = taken.previousFree;
    if (taken.previousFree !== undefined) {
      taken.previousFree.nextFree = taken.nextFree;
    } else {
      this.#heads[index] = taken.nextFree;
      if (taken.nextFree === undefined) {
        const level = Math.floor(index / subdivisions);
        this.#occupied[level]! &= ~(1 << index % subdivisions);
        if (this.#occupied[level] === 0) this.#levels &= ~(1 << level);
      }
    }
    taken.previousFree = undefined;
    taken.nextFree = undefined;
  }
}

function block(start: number, size: number): Block {
  return { start, size, free: true, before: undefined, after: undefined, previousFree: undefined, nextFree: undefined };
}

/** Joins `second` to the end of its neighbour `first`. */
function absorb(first: Block, second: Block): void {
  first.size += second.size;
  first.after = second.after;
  if (second.after !== undefined) second.after.before = first;
}

/** Size class: sizes below 16 have one each, larger ones share by their leading five bits. */
function classOf(size: number): number {
  if (size < subdivisions) return size;
  const level = log2(size);
  return (level - subdivisionBits + 1) * subdivisions + ((size >>> (level - subdivisionBits)) - subdivisions);
}

function log2(size: number): number {
  return 31 - Math.clz32(size);
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** `1.5 MiB`, as reports and errors print it. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
