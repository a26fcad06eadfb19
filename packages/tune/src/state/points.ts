// Which configurations have been evaluated, and by which trial: an index by a hash of the parameters' values, so that
// no point is evaluated twice.
import { sameInternal, type Assignment } from "../space/space.ts";
import type { GrowingColumn } from "./columns.ts";

export class Points {
  /** Different configurations. */
  count = 0;
  private readonly columns: ReadonlyMap<string, GrowingColumn>;
  /** Trials by the hash of their parameters, first evaluated first. */
  private readonly trials = new Map<number, number[]>();
  /** Numbers of parameters that evaluated trials have. */
  private readonly sizes = new Set<number>();

  constructor(columns: ReadonlyMap<string, GrowingColumn>) {
    this.columns = columns;
  }

  /** Notes that a trial was evaluated; the first at its point stands for it. */
  add(trial: number): void {
    const size = this.sizeOf(trial);
    if (size === 0) return;
    const hash = this.hashOf(trial);
    const known = this.trials.get(hash);
    if (known === undefined) this.trials.set(hash, [trial]);
    else if (known.some((other) => this.sameParameters(trial, other))) return;
    else known.push(trial);
    this.count++;
    this.sizes.add(size);
  }

  /** The evaluated trial at exactly this configuration, or −1. */
  find(assignment: Assignment): number {
    if (!this.sizes.has(assignment.size)) return -1;
    let hash = 0;
    for (const [name, value] of assignment) {
      const column = this.columns.get(name);
      if (column === undefined) return -1;
      if (typeof value === "number") hash = (hash + mix(column.nameHash, value)) | 0;
      else for (let k = 0; k < value.length; k++) hash = (hash + mix(column.nameHash + k, value[k]!)) | 0;
    }
    const same = (trial: number): boolean => [...assignment].every(([name, value]) => sameInternal(this.columns.get(name)!.at(trial), value)) && this.sizeOf(trial) === assignment.size;
    return this.trials.get(hash)?.find(same) ?? -1;
  }

  /** The evaluated trial that has exactly the parameters this one has so far, or −1. */
  twin(trial: number): number {
    if (!this.sizes.has(this.sizeOf(trial))) return -1;
    return this.trials.get(this.hashOf(trial))?.find((other) => other !== trial && this.sameParameters(trial, other)) ?? -1;
  }

  private sameParameters(a: number, b: number): boolean {
    for (const { data, width } of this.columns.values()) {
      for (let k = 0; k < width; k++) {
        const x = data[a * width + k]!, y = data[b * width + k]!;
        if (x !== y && !(Number.isNaN(x) && Number.isNaN(y))) return false;
      }
    }
    return true;
  }

  /** Number of parameters the trial has. */
  private sizeOf(trial: number): number {
    let size = 0;
    for (const { data, width } of this.columns.values()) if (!Number.isNaN(data[trial * width])) size++;
    return size;
  }

  /** A sum over the parameters, so that their order does not matter. */
  private hashOf(trial: number): number {
    let hash = 0;
    for (const { data, width, nameHash } of this.columns.values()) {
      if (Number.isNaN(data[trial * width])) continue;
      for (let k = 0; k < width; k++) hash = (hash + mix(nameHash + k, data[trial * width + k]!)) | 0;
    }
    return hash;
  }
}

const number = new Float64Array(1);
const words = new Uint32Array(number.buffer);

/** Mixes the bits of a number into those of a key (the finaliser of MurmurHash3). */
function mix(key: number, value: number): number {
  number[0] = value + 0; // −0 equals 0
  let h = Math.imul(key ^ words[0]!, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15) ^ words[1]!, 0xc2b2ae35);
  h ^= h >>> 13;
  h = Math.imul(h, 0x85ebca6b);
  return h ^ (h >>> 16);
}
