// A stream of random numbers keyed by (study seed, trial number, stream name): whoever asks, in whatever order
// and on whatever machine, trial 17 of seed 3 draws the same numbers. Nothing needs saving for a resume.
import { threefry4x32 } from "./threefry.ts";

/** A deterministic stream of random numbers. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** Uniform integer in [0, n). */
  integer(n: number): number;
  /** Uniform 32-bit word. */
  word(): number;
  /** A uniformly random permutation of 0 … n − 1. */
  permutation(n: number): Int32Array;
}

/**
 * The stream `stream` of trial `trial` in a study of seed `seed` (an integer of up to 53 bits).
 *
 * @example
 * // The same seed, trial and stream give the same numbers, in any order of trials.
 * createRandom(1, 7, "noise").uniform() === createRandom(1, 7, "noise").uniform(); // true
 */
export function createRandom(seed: number, trial: number, stream: string): Random {
  return new ThreefryRandom(seed, trial, stream);
}

/** 32-bit FNV-1a of a string; names streams and points. */
export function hashString(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ (text.charCodeAt(i) & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (text.charCodeAt(i) >>> 8), 0x01000193);
  }
  return hash >>> 0;
}

class ThreefryRandom implements Random {
  private readonly key = new Uint32Array(4);
  private readonly counter = new Uint32Array(4);
  private readonly block = new Uint32Array(4);
  private position = 4;
  private spareNormal = Number.NaN;

  constructor(seed: number, trial: number, stream: string) {
    this.key[0] = seed >>> 0;
    this.key[1] = Math.floor(seed / 2 ** 32) >>> 0;
    this.key[2] = trial >>> 0;
    this.key[3] = hashString(stream);
  }

  word(): number {
    if (this.position === 4) {
      threefry4x32(this.key, this.counter, this.block);
      this.counter[0]!++;
      if (this.counter[0] === 0) this.counter[1]!++;
      this.position = 0;
    }
    return this.block[this.position++]!;
  }

  uniform(): number {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  normal(): number {
    if (!Number.isNaN(this.spareNormal)) {
      const spare = this.spareNormal;
      this.spareNormal = Number.NaN;
      return spare;
    }
    // Box–Muller; 1 − u is in (0, 1], so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  integer(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  permutation(n: number): Int32Array {
    const order = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      const j = this.integer(i + 1);
      order[i] = order[j]!;
      order[j] = i;
    }
    return order;
  }
}
