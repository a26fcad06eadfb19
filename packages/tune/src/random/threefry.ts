// Threefry-4x32-20 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a keyed bijection
// of a counter, so a random number is a pure function of (key, index) and needs no stored state.

const PARITY = 0x1bd11bda;
const ROTATIONS_01 = [10, 11, 13, 23, 6, 17, 25, 18];
const ROTATIONS_23 = [26, 21, 27, 5, 20, 11, 10, 20];

/** Encrypts the 4-word `counter` under the 4-word `key` and writes 4 random words to `out`. */
export function threefry4x32(key: Uint32Array, counter: Uint32Array, out: Uint32Array): void {
  const k0 = key[0]!, k1 = key[1]!, k2 = key[2]!, k3 = key[3]!;
  const schedule = [k0, k1, k2, k3, PARITY ^ k0 ^ k1 ^ k2 ^ k3];
  let x0 = (counter[0]! + k0) | 0;
  let x1 = (counter[1]! + k1) | 0;
  let x2 = (counter[2]! + k2) | 0;
  let x3 = (counter[3]! + k3) | 0;
  for (let round = 0; round < 20; round++) {
    const a = ROTATIONS_01[round & 7]!;
    const b = ROTATIONS_23[round & 7]!;
    if ((round & 1) === 0) {
      x0 = (x0 + x1) | 0; x1 = ((x1 << a) | (x1 >>> (32 - a))) ^ x0;
      x2 = (x2 + x3) | 0; x3 = ((x3 << b) | (x3 >>> (32 - b))) ^ x2;
    } else {
      x0 = (x0 + x3) | 0; x3 = ((x3 << a) | (x3 >>> (32 - a))) ^ x0;
      x2 = (x2 + x1) | 0; x1 = ((x1 << b) | (x1 >>> (32 - b))) ^ x2;
    }
    if ((round & 3) === 3) {
      const s = (round + 1) >> 2;
      x0 = (x0 + schedule[s % 5]!) | 0;
      x1 = (x1 + schedule[(s + 1) % 5]!) | 0;
      x2 = (x2 + schedule[(s + 2) % 5]!) | 0;
      x3 = (x3 + schedule[(s + 3) % 5]! + s) | 0;
    }
  }
  out[0] = x0; out[1] = x1; out[2] = x2; out[3] = x3;
}
