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
  const placed: number[] = [];
  let bytes = 0;
  for (const index of bySize) {
    const own = lifetimes[index]!;
    const size = Math.ceil(own.bytes / ALIGNMENT) * ALIGNMENT;
    const neighbours = placed
      .filter((other) => lifetimes[other]!.first <= own.last && own.first <= lifetimes[other]!.last)
      .sort((a, b) => offsets[a]! - offsets[b]!);
    let offset = 0;
    for (const other of neighbours) {
      if (offset + size <= offsets[other]!) break;
      offset = Math.max(offset, offsets[other]! + Math.ceil(lifetimes[other]!.bytes / ALIGNMENT) * ALIGNMENT);
    }
    offsets[index] = offset;
    bytes = Math.max(bytes, offset + size);
    placed.push(index);
  }
  return { offsets, bytes };
}
