// Keys: explicit, splittable sources of randomness, as in JAX. The same key always gives the same numbers.
// A key is two words on the host, so splitting needs no device; in a compiled function a key is an int32 [2] tensor.
import { describe, ValueError } from "../errors/errors.ts";
import { tensor } from "../tensor/creation.ts";
import { Tensor } from "../tensor/tensor.ts";
import { threefry2x32 } from "../ops/random.ts";

/** A random key: pass it to one distribution, or split it; using it twice gives the same numbers twice. */
export class Key {
  /** The key's two int32 words. */
  readonly words: readonly [number, number];
  #tensor: Tensor | undefined;

  /** @internal */
  constructor(words: readonly [number, number]) {
    this.words = words;
  }

  /** The key as an int32 tensor of shape [2]. */
  get tensor(): Tensor {
    return (this.#tensor ??= tensor(this.words, { dtype: "int32" }));
  }
}

/** A key, or an int32 tensor of shape [2] that is one. */
export type KeyLike = Key | Tensor;

/**
 * The key of `seed`, a non-negative integer below 2⁵³ (the words are its high and low 32 bits, as in JAX).
 *
 * @example
 * uniform(key(0), [2]); // the same two numbers always
 */
export function key(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0) throw new ValueError(`random.key: ${seed} is not a seed.`, "Pass a non-negative integer below 2^53.");
  return new Key([Math.floor(seed / 2 ** 32) | 0, seed | 0]);
}

/**
 * `count` independent keys from one (JAX's jax.random.split with partitionable Threefry).
 *
 * @example
 * const [weights, noise] = split(key(0));
 */
export function split(parent: Key, count?: 2): [Key, Key];
export function split(parent: Key, count: 3): [Key, Key, Key];
export function split(parent: Key, count: number): Key[];
export function split(parent: Key, count = 2): Key[] {
  if (!Number.isInteger(count) || count < 1) throw new ValueError(`random.split: ${count} keys.`, "Pass a positive integer.");
  const [k0, k1] = parent.words;
  return Array.from({ length: count }, (_, index) => new Key(threefry2x32(k0, k1, 0, index)));
}

/**
 * A key that depends on `parent` and on the integer `data` (32 bits), e.g. an epoch or a row (jax.random.fold_in).
 *
 * @example
 * const epochKey = foldIn(key(0), 3);
 */
export function foldIn(parent: Key, data: number): Key {
  if (!Number.isInteger(data) || data < 0 || data >= 2 ** 32) throw new ValueError(`random.foldIn: ${data} is no 32-bit integer.`, "Pass an integer from 0 to 2^32 − 1.");
  return new Key(threefry2x32(parent.words[0], parent.words[1], 0, data | 0));
}

let generator = key(0);

/**
 * Restarts the default generator, which initialisers, dropout and shuffling draw their keys from. It starts at seed 0.
 *
 * @example
 * seed(42);
 * const model = dense(2, 1); // the same weights after every seed(42)
 */
export function seed(value: number): void {
  generator = key(value);
}

/**
 * The next key of the default generator.
 *
 * @example
 * uniform(nextKey(), [2]).shape; // [2]
 */
export function nextKey(): Key {
  const [next, drawn] = split(generator, 2);
  generator = next;
  return drawn;
}

/** The node operand of a key, checked. */
export function keyTensor(operation: string, value: KeyLike): Tensor {
  if (value instanceof Key) return value.tensor;
  if (!(value instanceof Tensor)) throw new ValueError(`random.${operation}: the key is ${describe(value)}.`, "Pass random.key(seed), or random.nextKey().");
  if (value.dtype !== "int32" || value.rank !== 1 || value.shape[0] !== 2) {
    throw new ValueError(`random.${operation}: a tensor of dtype ${value.dtype} and shape [${value.shape.join(", ")}] is no key.`, "Pass random.key(seed), or an int32 tensor of shape [2].");
  }
  return value;
}
