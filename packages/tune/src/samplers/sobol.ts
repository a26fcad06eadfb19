// Sobol's sequence with nested uniform scrambling: points that fill the unit cube more evenly than chance, each
// computed from its index alone, so that workers need no shared state.
import { hashString } from "../random/random.ts";
import { fromUnit, unitWidth, type Internal } from "../space/distribution.ts";
import type { ParameterSpec } from "../space/space.ts";
import type { AskContext, Proposal, Sampler } from "../contract/contract.ts";
import { randomAssignment, randomValue } from "./random.ts";

/** Dimensions with direction numbers; further ones are hashed, i.e. random. */
export const SOBOL_DIMENSIONS = 64;

// Initial direction numbers m_1 … m_s of dimensions 2 … 64 (Joe & Kuo 2008, "new-joe-kuo-6"); the primitive
// polynomials they belong to come in order of degree and value and are found by search.
const INITIAL = "1 1,3 1,3,1 1,1,1 1,1,3,3 1,3,5,13 1,1,5,5,17 1,1,5,5,5 1,1,7,11,19 1,1,5,1,1 1,1,1,3,11 1,3,5,5,31 1,3,3,9,7,49 "
  + "1,1,1,15,21,21 1,3,1,13,27,49 1,1,1,15,7,5 1,3,1,15,13,25 1,1,5,5,19,61 1,3,7,11,23,15,103 1,3,7,13,13,15,69 1,1,3,13,7,35,63 "
  + "1,3,5,9,1,25,53 1,3,1,13,9,35,107 1,3,1,5,27,61,31 1,1,5,11,19,41,61 1,3,5,3,3,13,69 1,1,7,13,1,19,1 1,3,7,5,13,19,59 "
  + "1,1,3,9,25,29,41 1,3,5,13,23,1,55 1,3,7,3,13,59,17 1,3,1,3,5,53,69 1,1,5,5,23,33,13 1,1,7,7,1,61,123 1,1,7,9,13,61,49 "
  + "1,3,3,5,3,55,33 1,3,1,15,31,13,49,245 1,3,5,15,31,59,63,97 1,3,1,11,11,11,77,249 1,3,1,11,27,43,71,9 1,1,7,15,21,11,81,45 "
  + "1,3,7,3,25,31,65,79 1,3,1,1,19,11,3,205 1,1,5,9,19,21,29,157 1,3,7,11,1,33,89,185 1,3,3,3,15,9,79,71 1,3,7,11,15,39,119,27 "
  + "1,1,3,1,11,31,97,225 1,1,1,3,23,43,57,177 1,3,7,7,17,17,37,71 1,3,1,5,27,63,123,213 1,1,3,5,11,43,53,133 "
  + "1,3,5,5,29,17,47,173,479 1,3,3,11,3,1,109,9,69 1,1,1,5,17,39,23,5,343 1,3,1,5,25,15,31,103,499 1,1,1,11,11,17,63,105,183 "
  + "1,1,5,11,9,29,97,231,363 1,1,5,15,19,45,41,7,383 1,3,7,7,31,19,83,137,221 1,1,1,3,23,15,111,223,83 1,1,5,13,31,15,55,25,161 "
  + "1,1,3,13,25,47,39,87,257";

let table: Uint32Array | null = null;

/** 32 direction numbers per dimension, as 32-bit fractions. */
function directionNumbers(): Uint32Array {
  if (table !== null) return table;
  table = new Uint32Array(SOBOL_DIMENSIONS * 32);
  for (let k = 0; k < 32; k++) table[k] = 2 ** (31 - k);
  let polynomial = 2;
  INITIAL.split(" ").forEach((text, i) => {
    do polynomial++; while (!isPrimitive(polynomial));
    const m = text.split(",").map(Number);
    const s = m.length;
    const v = table!.subarray((i + 1) * 32, (i + 2) * 32);
    for (let k = 0; k < 32; k++) {
      if (k < s) { v[k] = m[k]! << (31 - k); continue; }
      let next = v[k - s]! ^ (v[k - s]! >>> s);
      for (let j = 1; j < s; j++) if ((polynomial >>> (s - j)) & 1) next ^= v[k - j]!;
      v[k] = next;
    }
  });
  return table;
}

/** Whether a polynomial over GF(2), bits as coefficients, is primitive: x has order 2^degree − 1. */
function isPrimitive(polynomial: number): boolean {
  const degree = 31 - Math.clz32(polynomial);
  const order = 2 ** degree - 1;
  let power = 1;
  for (let i = 1; i <= order; i++) {
    power <<= 1;
    if (power >>> degree) power ^= polynomial;
    if (power === 1) return i === order;
  }
  return false;
}

/** A scrambled Sobol sequence in `dimensions` dimensions. */
export class Sobol {
  private readonly dimensions: number;
  private readonly seeds: Uint32Array;

  /** `seed` chooses the scrambling: every seed gives a different, equally even sequence. */
  constructor(dimensions: number, seed: number) {
    this.dimensions = dimensions;
    this.seeds = Uint32Array.from({ length: dimensions }, (_, d) => mix(mix(seed >>> 0) ^ mix(d + 1)));
  }

  /** Writes point `index` to `out`, each coordinate in (0, 1). */
  point(index: number, out: Float64Array): void {
    const v = directionNumbers();
    for (let d = 0; d < this.dimensions; d++) {
      let x = 0;
      if (d < SOBOL_DIMENSIONS) for (let bits = index >>> 0, k = d * 32; bits !== 0; bits >>>= 1, k++) { if (bits & 1) x ^= v[k]!; }
      else x = mix(index ^ this.seeds[d]!);
      out[d] = (scramble(x >>> 0, this.seeds[d]!) + 0.5) / 2 ** 32;
    }
  }
}

/** Owen's nested uniform scrambling by hashing (Laine & Karras 2011, constants of Burley 2020): each bit flips by a hash of those above it. */
function scramble(x: number, seed: number): number {
  x = reverseBits(x);
  x = (x + seed) | 0;
  x ^= Math.imul(x, 0x6c50b47c);
  x ^= Math.imul(x, 0xb82f1e52);
  x ^= Math.imul(x, 0xc7afe638);
  x ^= Math.imul(x, 0x8d22f6e6);
  return reverseBits(x);
}

function reverseBits(x: number): number {
  x = ((x >>> 1) & 0x55555555) | ((x & 0x55555555) << 1);
  x = ((x >>> 2) & 0x33333333) | ((x & 0x33333333) << 2);
  x = ((x >>> 4) & 0x0f0f0f0f) | ((x & 0x0f0f0f0f) << 4);
  x = ((x >>> 8) & 0x00ff00ff) | ((x & 0x00ff00ff) << 8);
  return ((x >>> 16) | (x << 16)) >>> 0;
}

/** A 32-bit mixing function (Wellons 2018, "lowbias32"). */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Quasi-random search: trial t is point t of the scrambled Sobol sequence of the study's seed. */
export class SobolSampler implements Sampler {
  readonly name = "sobol";

  ask(context: AskContext): Proposal {
    return { assignment: sobolAssignment(context) };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    if (unitWidth(parameter.distribution) !== 1) return randomValue(context, parameter);
    // A parameter met for the first time: the one-dimensional sequence, scrambled by its name.
    const sobol = new Sobol(1, context.study.seed ^ hashString(parameter.name));
    const unit = new Float64Array(1);
    sobol.point(context.trial, unit);
    return fromUnit(parameter.distribution, unit);
  }
}

/** Point `context.trial` of the study's sequence, or a random one where constraints or memory refuse it. */
export function sobolAssignment(context: AskContext): ReturnType<typeof randomAssignment> {
  const { space, study } = context;
  if (context.attempt === 0) {
    const unit = new Float64Array(space.unitDimensions);
    new Sobol(unit.length, study.seed).point(context.trial, unit);
    const assignment = space.fromUnit(unit);
    if (space.satisfies(assignment) && !study.isKnown(assignment)) return assignment;
  }
  return randomAssignment(context);
}
