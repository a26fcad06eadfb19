// Splits of sample indices into training and test parts: k-fold and stratified k-fold, repeated and seeded.
// The same seed gives the same folds everywhere, so that trials are compared on the same data.
import { createRandom, type Random } from "../random/random.ts";
import { ValueError } from "../errors/errors.ts";

/** One split: train on `train`, score on `test`; indices ascending. */
export interface Fold {
  /** 0 … repeats · folds − 1. */
  readonly index: number;
  /** Which shuffle it belongs to, from 0. */
  readonly repeat: number;
  /** Indices of the samples to train on. */
  readonly train: Int32Array;
  /** Indices of the samples to score on. */
  readonly test: Int32Array;
}

/** How samples are dealt into folds. */
export interface FoldOptions {
  /** k; default 5. */
  readonly folds?: number;
  /** How often to split anew; default 1. */
  readonly repeats?: number;
  /** Default 0. */
  readonly seed?: number;
}

/**
 * Shuffled k-fold of `samples` samples: each is tested once per repeat; test sizes differ by at most 1.
 *
 * @example
 * [...kFold(6, { folds: 3 })].map((fold) => fold.test.length); // [2,2,2]
 */
export function* kFold(samples: number, options: FoldOptions = {}): Generator<Fold> {
  const { folds, repeats, seed } = check(samples, options);
  for (let repeat = 0; repeat < repeats; repeat++) {
    const order = stream(seed, repeat).permutation(samples);
    yield* split(order, folds, repeat);
  }
}

/**
 * k-fold whose test parts hold each label in the proportion of the whole, up to 1 sample.
 *
 * @example
 * [...stratifiedKFold(["a", "b", "a", "b"], { folds: 2 })].map((fold) => fold.test.length); // [2,2]
 */
export function* stratifiedKFold(labels: ArrayLike<unknown>, options: FoldOptions = {}): Generator<Fold> {
  const { folds, repeats, seed } = check(labels.length, options);
  const members = new Map<unknown, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const group = members.get(labels[i]);
    if (group === undefined) members.set(labels[i], [i]);
    else group.push(i);
  }
  const largest = Math.max(...Array.from(members.values(), (group) => group.length));
  if (largest < folds)
    throw new ValueError(`stratifiedKFold: no label has ${folds} samples (the most frequent has ${largest}); use fewer folds or kFold.`);
  for (let repeat = 0; repeat < repeats; repeat++) {
    const random = stream(seed, repeat);
    // Labels one after another: dealing them in turn to the folds spreads each label and the total evenly.
    const order = new Int32Array(labels.length);
    let filled = 0;
    for (const group of members.values()) for (const i of random.permutation(group.length)) order[filled++] = group[i]!;
    yield* split(order, folds, repeat);
  }
}

/** Sample order[i] is tested in fold i mod k. */
function* split(order: Int32Array, folds: number, repeat: number): Generator<Fold> {
  const foldOf = new Int32Array(order.length);
  for (const [position, sample] of order.entries()) foldOf[sample] = position % folds;
  for (let fold = 0; fold < folds; fold++) {
    const train: number[] = [];
    const test: number[] = [];
    for (const [sample, tested] of foldOf.entries()) (tested === fold ? test : train).push(sample);
    yield { index: repeat * folds + fold, repeat, train: Int32Array.from(train), test: Int32Array.from(test) };
  }
}

function stream(seed: number, repeat: number): Random {
  return createRandom(seed, repeat, "folds");
}

function check(samples: number, { folds = 5, repeats = 1, seed = 0 }: FoldOptions): Required<FoldOptions> {
  if (!Number.isSafeInteger(samples) || samples < 2)
    throw new ValueError(`Cross-validation needs at least 2 samples, got ${samples}.`);
  if (!Number.isSafeInteger(folds) || folds < 2 || folds > samples)
    throw new ValueError(`folds is ${folds}; give an integer from 2 to the number of samples, ${samples}.`);
  if (!Number.isSafeInteger(repeats) || repeats < 1) throw new ValueError(`repeats is ${repeats}; give an integer ≥ 1.`);
  return { folds, repeats, seed };
}
