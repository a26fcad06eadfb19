// The static memory plan: every temporary gets a fixed place in one arena, shared by those that are never alive together.
// Largest first, each at the lowest free offset (greedy by size, Pisarchyk & Lee 2020).

/** A temporary: alive from phase `first` through phase `last`. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Cache lines are not shared between temporaries, and vector loads are aligned. */
const ALIGNMENT = 64;

/** Byte offsets of the temporaries, and the arena's size. */
export function planArena(lifetimes: readonly Lifetime[]): { readonly offsets: number[]; readonly bytes: number } {
  const offsets = new Array<number>(lifetimes.length).fill(0);
  const bySize = lifetimes.map((_, index) => index).sort((a, b) => lifetimes[b]!.bytes - lifetimes[a]!.bytes || a - b);
  // By ascending offset.
  const placed: number[] = [];
  let bytes = 0;
  for (const index of bySize) {
    const own = lifetimes[index]!;
    const size = aligned(own.bytes);
    let offset = 0;
    for (const other of placed) {
      const neighbour = lifetimes[other]!;
      if (neighbour.first > own.last || own.first > neighbour.last) continue;
      if (offset + size <= offsets[other]!) break;
      offset = Math.max(offset, offsets[other]! + aligned(neighbour.bytes));
    }
    offsets[index] = offset;
    bytes = Math.max(bytes, offset + size);
    placed.splice(firstAbove(placed, offset, offsets), 0, index);
  }
  return { offsets, bytes };
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Where in `sorted`, which has ascending offsets, the first above `offset` is. */
function firstAbove(sorted: readonly number[], offset: number, offsets: readonly number[]): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (offsets[sorted[middle]!]! > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}
