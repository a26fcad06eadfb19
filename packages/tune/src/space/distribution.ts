// What one parameter may be, and its two numeric forms: *internal* (what columns store: the number itself, or
// indices of choices) and *unit* (a point of [0, 1]^d that quasi-random and model-based samplers work in).
import { DistributionError } from "../errors/errors.ts";

/** A value a choice can have; JSON scalars, as every storage keeps them. */
export type Scalar = string | number | boolean | null;
/** What an objective sees of a parameter. */
export type ParameterValue = Scalar | readonly Scalar[];
/** Internal form: a number for kinds of width 1, otherwise `width` numbers. */
export type Internal = number | Float64Array;

/** A real number in [low, high]. */
export interface FloatDistribution { readonly kind: "float"; readonly low: number; readonly high: number; readonly log: boolean; readonly step: number | null }
/** An integer in [low, high]. */
export interface IntDistribution { readonly kind: "int"; readonly low: number; readonly high: number; readonly log: boolean; readonly step: number }
/** Unordered choices. Internal form: the index. */
export interface CategoricalDistribution { readonly kind: "categorical"; readonly choices: readonly Scalar[] }
/** Ordered choices. Internal form: the index. */
export interface OrdinalDistribution { readonly kind: "ordinal"; readonly choices: readonly Scalar[] }
/** A set of `min` … `max` choices. Internal form: 0 or 1 per choice. */
export interface SubsetDistribution { readonly kind: "subset"; readonly choices: readonly Scalar[]; readonly min: number; readonly max: number }
/** An order of all items. Internal form: the item index at each position. Unit form: random keys, sorted ascending. */
export interface PermutationDistribution { readonly kind: "permutation"; readonly choices: readonly Scalar[] }
/** `size` non-negative weights that sum to 1. Internal form: the weights. Unit form: size − 1 stick-breaking fractions. */
export interface SimplexDistribution { readonly kind: "simplex"; readonly size: number }

/** What a parameter is chosen from. */
export type Distribution =
  | FloatDistribution | IntDistribution | CategoricalDistribution | OrdinalDistribution
  | SubsetDistribution | PermutationDistribution | SimplexDistribution;

/** A logarithmic scale or a grid of step widths, not both. */
export interface FloatOptions { readonly log?: boolean; readonly step?: number }
/** A logarithmic scale or every step-th integer, not both. */
export interface IntOptions { readonly log?: boolean; readonly step?: number }
/** How many may be chosen. */
export interface SubsetOptions { readonly min?: number; readonly max?: number }

/**
 * Floats in [low, high]; `log` for a logarithmic scale, `step` for the grid low, low + step, … (not both).
 *
 * @example
 * floatDistribution(1e-4, 1, { log: true }); // {"kind":"float","low":0.0001,"high":1,"log":true,"step":null}
 */
export function floatDistribution(low: number, high: number, options: FloatOptions = {}): FloatDistribution {
  const { log = false, step = null } = options;
  checkRange("float", low, high, log);
  if (step === null) return { kind: "float", low, high, log, step };
  if (log) throw new DistributionError("float: log and step cannot be combined; drop one of them.");
  if (!(step > 0) || !Number.isFinite(step)) throw new DistributionError(`float: step must be a positive number, not ${step}.`);
  return { kind: "float", low, high: onGrid(low, step, gridSteps(low, high, step)), log, step };
}

/**
 * Integers in [low, high]; `log` for a logarithmic scale, `step` for every step-th (not both).
 *
 * @example
 * intDistribution(16, 64, { step: 16 }); // {"kind":"int","low":16,"high":64,"log":false,"step":16}
 */
export function intDistribution(low: number, high: number, options: IntOptions = {}): IntDistribution {
  const { log = false, step = 1 } = options;
  checkRange("int", low, high, log);
  if (!Number.isSafeInteger(low) || !Number.isSafeInteger(high)) throw new DistributionError(`int: the bounds must be integers, not ${low} and ${high}; use float for fractions.`);
  if (log && step !== 1) throw new DistributionError("int: log and step cannot be combined; drop one of them.");
  if (!Number.isSafeInteger(step) || step < 1) throw new DistributionError(`int: step must be a positive integer, not ${step}.`);
  return { kind: "int", low, high: low + Math.floor((high - low) / step) * step, log, step };
}

/**
 * One of `choices`, without order.
 *
 * @example
 * categoricalDistribution(["relu", "gelu"]); // {"kind":"categorical","choices":["relu","gelu"]}
 */
export function categoricalDistribution(choices: readonly Scalar[]): CategoricalDistribution {
  return { kind: "categorical", choices: checkChoices("categorical", choices) };
}

/**
 * One of `choices`, which are in order.
 *
 * @example
 * ordinalDistribution(["s", "m", "l"]); // {"kind":"ordinal","choices":["s","m","l"]}
 */
export function ordinalDistribution(choices: readonly Scalar[]): OrdinalDistribution {
  return { kind: "ordinal", choices: checkChoices("ordinal", choices) };
}

/**
 * A set of at least `min` (default 0) and at most `max` (default all) of `choices`.
 *
 * @example
 * cardinality(subsetDistribution(["flip", "crop", "blur"], { min: 1 })); // 7
 */
export function subsetDistribution(choices: readonly Scalar[], options: SubsetOptions = {}): SubsetDistribution {
  const checked = checkChoices("subset", choices);
  const { min = 0, max = checked.length } = options;
  if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || min < 0 || max < min || max > checked.length || max === 0) {
    throw new DistributionError(`subset: sizes ${min} … ${max} are impossible with ${checked.length} choices; need 0 ≤ min ≤ max ≤ ${checked.length} and max ≥ 1.`);
  }
  return { kind: "subset", choices: checked, min, max };
}

/**
 * An order of all `items`.
 *
 * @example
 * cardinality(permutationDistribution(["a", "b", "c"])); // 6
 */
export function permutationDistribution(items: readonly Scalar[]): PermutationDistribution {
  return { kind: "permutation", choices: checkChoices("permutation", items) };
}

/**
 * `size` non-negative weights with sum 1.
 *
 * @example
 * simplexDistribution(3); // {"kind":"simplex","size":3}
 */
export function simplexDistribution(size: number): SimplexDistribution {
  if (!Number.isSafeInteger(size) || size < 2) throw new DistributionError(`simplex: size must be an integer of at least 2, not ${size}.`);
  return { kind: "simplex", size };
}

/** Numbers per value in the internal form. */
export function internalWidth(distribution: Distribution): number {
  switch (distribution.kind) {
    case "subset": case "permutation": return distribution.choices.length;
    case "simplex": return distribution.size;
    default: return 1;
  }
}

/** Dimensions of the unit form. */
export function unitWidth(distribution: Distribution): number {
  switch (distribution.kind) {
    case "subset": case "permutation": return distribution.choices.length;
    case "simplex": return distribution.size - 1;
    default: return 1;
  }
}

/**
 * Number of different values; Infinity when continuous.
 *
 * @example
 * cardinality(intDistribution(1, 4)); // 4
 */
export function cardinality(distribution: Distribution): number {
  switch (distribution.kind) {
    case "float":
      if (distribution.low === distribution.high) return 1;
      return distribution.step === null ? Infinity : gridSteps(distribution.low, distribution.high, distribution.step) + 1;
    case "int": return (distribution.high - distribution.low) / distribution.step + 1;
    case "categorical": case "ordinal": return distribution.choices.length;
    case "subset": {
      let total = 0;
      for (let size = distribution.min; size <= distribution.max; size++) total += binomial(distribution.choices.length, size);
      return total;
    }
    case "permutation": {
      let total = 1;
      for (let i = 2; i <= distribution.choices.length; i++) total *= i;
      return total;
    }
    case "simplex": return Infinity;
  }
}

/** The `index`-th of the finitely many values, 0 ≤ index < cardinality (not for continuous kinds). */
export function valueAt(distribution: Distribution, index: number): Internal {
  switch (distribution.kind) {
    case "float":
      if (distribution.low === distribution.high) return distribution.low;
      if (distribution.step === null) throw new DistributionError("float without step has no n-th value; give it a step.");
      return onGrid(distribution.low, distribution.step, index);
    case "int": return distribution.low + index * distribution.step;
    case "categorical": case "ordinal": return index;
    case "subset": return subsetAt(distribution, index);
    case "permutation": return permutationAt(distribution.choices.length, index);
    case "simplex": throw new DistributionError("a simplex is continuous and has no n-th value.");
  }
}

/** Maps `unitWidth` numbers of `unit` from `offset` on, each in [0, 1], to a value; every value is reachable. */
export function fromUnit(distribution: Distribution, unit: ArrayLike<number>, offset = 0): Internal {
  const u = Math.min(1, Math.max(0, unit[offset]!));
  switch (distribution.kind) {
    case "float": {
      const { low, high, log, step } = distribution;
      if (step !== null) return onGrid(low, step, cell(u, gridSteps(low, high, step) + 1));
      const value = log ? Math.exp(Math.log(low) + u * (Math.log(high) - Math.log(low))) : low * (1 - u) + high * u;
      return Math.min(high, Math.max(low, value));
    }
    case "int": {
      const { low, high, log, step } = distribution;
      if (!log) return low + cell(u, (high - low) / step + 1) * step;
      const start = Math.log(low - 0.5), end = Math.log(high + 0.5);
      return Math.min(high, Math.max(low, Math.round(Math.exp(start + u * (end - start)))));
    }
    case "categorical": case "ordinal": return cell(u, distribution.choices.length);
    case "subset": return subsetFromUnit(distribution, unit, offset);
    case "permutation": return Float64Array.from(argsort(unit, offset, distribution.choices.length));
    case "simplex": return simplexFromUnit(distribution.size, unit, offset);
  }
}

/** Writes the unit form of `value` to `out` at `offset`: the centre of the cell that `fromUnit` maps to `value`. */
export function toUnit(distribution: Distribution, value: Internal, out: Float64Array, offset = 0): void {
  switch (distribution.kind) {
    case "float": {
      const { low, high, log, step } = distribution;
      const x = Number(value);
      if (low === high) out[offset] = 0.5;
      else if (step !== null) out[offset] = (Math.round((x - low) / step) + 0.5) / (gridSteps(low, high, step) + 1);
      else if (log) out[offset] = (Math.log(x) - Math.log(low)) / (Math.log(high) - Math.log(low));
      else out[offset] = (x - low) / (high - low);
      return;
    }
    case "int": {
      const { low, high, log, step } = distribution;
      const x = Number(value);
      if (!log) out[offset] = ((x - low) / step + 0.5) / ((high - low) / step + 1);
      else {
        const start = Math.log(low - 0.5), end = Math.log(high + 0.5);
        out[offset] = (Math.log(x) - start) / (end - start);
      }
      return;
    }
    case "categorical": case "ordinal":
      out[offset] = (Number(value) + 0.5) / distribution.choices.length;
      return;
    case "subset": {
      const bits = asArray(value);
      for (let i = 0; i < bits.length; i++) out[offset + i] = bits[i]! === 1 ? 0.75 : 0.25;
      return;
    }
    case "permutation": {
      const order = asArray(value);
      for (let i = 0; i < order.length; i++) out[offset + order[i]!] = (i + 0.5) / order.length;
      return;
    }
    case "simplex": {
      const weights = asArray(value);
      let rest = 1;
      for (let i = 0; i < distribution.size - 1; i++) {
        const fraction = rest > 0 ? Math.min(1, weights[i]! / rest) : 0;
        // Inverse of the Beta(1, size − 1 − i) quantile in simplexFromUnit.
        out[offset + i] = 1 - (1 - fraction) ** (distribution.size - 1 - i);
        rest -= weights[i]!;
      }
    }
  }
}

/**
 * What the objective sees for an internal value.
 *
 * @example
 * toExternal(categoricalDistribution(["relu", "gelu"]), 1); // "gelu"
 */
export function toExternal(distribution: Distribution, value: Internal): ParameterValue {
  switch (distribution.kind) {
    case "float": case "int": return Number(value);
    case "categorical": case "ordinal": return distribution.choices[Number(value)]!;
    case "subset": return distribution.choices.filter((_, i) => asArray(value)[i] === 1);
    case "permutation": return Array.from(asArray(value), (i) => distribution.choices[i]!);
    case "simplex": return Array.from(asArray(value));
  }
}

/**
 * The internal form of what an objective or a person gave; throws DistributionError when it is not in the distribution.
 *
 * @example
 * toInternal(categoricalDistribution(["relu", "gelu"]), "gelu"); // 1
 */
export function toInternal(distribution: Distribution, value: ParameterValue): Internal {
  const outside = (): never => {
    throw new DistributionError(`${JSON.stringify(value)} is not a value of ${describe(distribution)}.`);
  };
  switch (distribution.kind) {
    case "float": case "int": {
      if (typeof value !== "number" || !(value >= distribution.low && value <= distribution.high)) return outside();
      if (distribution.kind === "int" && !Number.isSafeInteger(value)) return outside();
      if (distribution.step === null) return value;
      const k = Math.round((value - distribution.low) / distribution.step);
      const snapped = distribution.kind === "int" ? distribution.low + k * distribution.step : onGrid(distribution.low, distribution.step, k);
      return Math.abs(snapped - value) <= 1e-8 * distribution.step ? snapped : outside();
    }
    case "categorical": case "ordinal": {
      const index = indexOfScalar(distribution.choices, value);
      return index < 0 ? outside() : index;
    }
    case "subset": {
      if (!isArray(value) || value.length < distribution.min || value.length > distribution.max) return outside();
      const bits = new Float64Array(distribution.choices.length);
      for (const item of value) {
        const index = indexOfScalar(distribution.choices, item);
        if (index < 0 || bits[index] === 1) return outside();
        bits[index] = 1;
      }
      return bits;
    }
    case "permutation": {
      if (!isArray(value) || value.length !== distribution.choices.length) return outside();
      const order = Float64Array.from(value, (item) => indexOfScalar(distribution.choices, item));
      return order.includes(-1) || new Set(order).size !== order.length ? outside() : order;
    }
    case "simplex": {
      if (!isArray(value) || value.length !== distribution.size) return outside();
      const weights = Float64Array.from(value, (w) => (typeof w === "number" && w >= 0 ? w : Number.NaN));
      const sum = weights.reduce((a, b) => a + b, 0);
      return Math.abs(sum - 1) <= 1e-9 ? weights : outside();
    }
  }
}

/**
 * Whether `value` (internal) lies in the distribution; how proposals of samplers are checked.
 *
 * @example
 * contains(intDistribution(16, 64, { step: 16 }), 24); // false
 */
export function contains(distribution: Distribution, value: Internal): boolean {
  try {
    if (typeof value === "number" ? internalWidth(distribution) !== 1 : value.length !== internalWidth(distribution)) return false;
    if (distribution.kind === "categorical" || distribution.kind === "ordinal") {
      return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) < distribution.choices.length;
    }
    if (distribution.kind === "subset" && asArray(value).some((bit) => bit !== 0 && bit !== 1)) return false;
    if (distribution.kind === "permutation" && asArray(value).some((i) => distribution.choices[i] === undefined)) return false;
    toInternal(distribution, toExternal(distribution, value));
    return true;
  } catch (error) {
    if (error instanceof DistributionError) return false;
    throw error;
  }
}

/**
 * Short text for messages, e.g. `float in [0, 1], log`.
 *
 * @example
 * describe(floatDistribution(0, 1)); // "…
 */
export function describe(distribution: Distribution): string {
  switch (distribution.kind) {
    case "float": case "int": {
      const step = distribution.step === null || (distribution.kind === "int" && distribution.step === 1) ? "" : `, step ${distribution.step}`;
      return `${distribution.kind} in [${distribution.low}, ${distribution.high}]${distribution.log ? ", log" : ""}${step}`;
    }
    case "subset": return `subset of ${distribution.min} … ${distribution.max} from ${JSON.stringify(distribution.choices)}`;
    case "simplex": return `simplex of ${distribution.size} weights`;
    default: return `${distribution.kind} ${JSON.stringify(distribution.choices)}`;
  }
}

/**
 * Whether two declarations mean the same parameter.
 *
 * @example
 * sameDistribution(floatDistribution(0, 1), floatDistribution(0, 2)); // false
 */
export function sameDistribution(a: Distribution, b: Distribution): boolean {
  if (a === b) return true;
  switch (a.kind) {
    case "float": case "int": return a.kind === b.kind && a.low === b.low && a.high === b.high && a.log === b.log && a.step === b.step;
    case "simplex": return b.kind === "simplex" && a.size === b.size;
    case "subset": return b.kind === "subset" && a.min === b.min && a.max === b.max && sameChoices(a.choices, b.choices);
    default: return a.kind === b.kind && sameChoices(a.choices, b.choices);
  }
}

/** Index of `value` among `choices`; NaN equals NaN and 0 equals −0. */
export function indexOfScalar(choices: readonly Scalar[], value: unknown): number {
  return choices.findIndex((choice) => choice === value || (Number.isNaN(choice) && Number.isNaN(value)));
}

function sameChoices(a: readonly Scalar[], b: readonly Scalar[]): boolean {
  return a.length === b.length && a.every((choice, i) => choice === b[i] || (Number.isNaN(choice) && Number.isNaN(b[i])));
}

function asArray(value: Internal): Float64Array {
  if (typeof value === "number") throw new DistributionError(`expected several numbers, got ${value}.`);
  return value;
}

function isArray(value: ParameterValue): value is readonly Scalar[] {
  return Array.isArray(value);
}

function checkRange(kind: string, low: number, high: number, log: boolean): void {
  if (!Number.isFinite(low) || !Number.isFinite(high)) throw new DistributionError(`${kind}: the bounds must be finite numbers, not ${low} and ${high}.`);
  if (low > high) throw new DistributionError(`${kind}: low ${low} is above high ${high}; swap them.`);
  if (log && low <= 0) throw new DistributionError(`${kind}: a logarithmic scale needs low > 0, not ${low}.`);
}

function checkChoices(kind: string, choices: readonly Scalar[]): readonly Scalar[] {
  if (choices.length === 0) throw new DistributionError(`${kind}: needs at least one choice.`);
  choices.forEach((choice, i) => {
    if (choice !== null && !["string", "number", "boolean"].includes(typeof choice)) {
      throw new DistributionError(`${kind}: choice ${i} is a ${typeof choice}; choices are strings, numbers, booleans or null. Choose a name and look the object up in the objective.`);
    }
    if (indexOfScalar(choices, choice) !== i) throw new DistributionError(`${kind}: choice ${JSON.stringify(choice)} appears twice.`);
  });
  return Object.freeze([...choices]);
}

/** Which of `n` equal cells of [0, 1] holds u. */
function cell(u: number, n: number): number {
  return Math.min(n - 1, Math.floor(u * n));
}

function gridSteps(low: number, high: number, step: number): number {
  return Math.floor((high - low) / step + 1e-8);
}

/** low + k·step rounded to the decimals of low and step, so that 0.1 · 3 is 0.3. */
function onGrid(low: number, step: number, k: number): number {
  const decimals = Math.max(decimalPlaces(low), decimalPlaces(step));
  const value = low + k * step;
  return decimals > 20 ? value : Number(value.toFixed(decimals));
}

function decimalPlaces(x: number): number {
  const [mantissa, exponent = "0"] = String(x).split("e");
  return Math.max(0, (mantissa!.split(".")[1] ?? "").length - Number(exponent));
}

function binomial(n: number, k: number): number {
  let result = 1;
  for (let i = 1; i <= k; i++) result = (result * (n - k + i)) / i;
  return Math.round(result);
}

function argsort(keys: ArrayLike<number>, offset: number, n: number): number[] {
  return [...Array(n).keys()].sort((a, b) => keys[offset + a]! - keys[offset + b]! || a - b);
}

/** Bits are keys > ½; when the size is out of bounds the keys nearest to ½ flip first. */
function subsetFromUnit(distribution: SubsetDistribution, unit: ArrayLike<number>, offset: number): Float64Array {
  const n = distribution.choices.length;
  const bits = new Float64Array(n);
  let size = 0;
  for (let i = 0; i < n; i++) if (unit[offset + i]! > 0.5) { bits[i] = 1; size++; }
  const order = argsort(unit, offset, n);
  for (let i = n - 1; size < distribution.min && i >= 0; i--) if (bits[order[i]!] === 0) { bits[order[i]!] = 1; size++; }
  for (let i = 0; size > distribution.max && i < n; i++) if (bits[order[i]!] === 1) { bits[order[i]!] = 0; size--; }
  return bits;
}

/** Stick breaking with Beta(1, k) quantiles: uniform in [0, 1]^(size−1) gives uniform on the simplex. */
function simplexFromUnit(size: number, unit: ArrayLike<number>, offset: number): Float64Array {
  const weights = new Float64Array(size);
  let rest = 1;
  for (let i = 0; i < size - 1; i++) {
    const u = Math.min(1, Math.max(0, unit[offset + i]!));
    weights[i] = rest * (1 - (1 - u) ** (1 / (size - 1 - i)));
    rest -= weights[i]!;
  }
  weights[size - 1] = Math.max(0, rest);
  return weights;
}

/** The index-th subset: sizes ascending, then lexicographic (combinatorial number system). */
function subsetAt(distribution: SubsetDistribution, index: number): Float64Array {
  const n = distribution.choices.length;
  const bits = new Float64Array(n);
  let size = distribution.min;
  while (index >= binomial(n, size)) index -= binomial(n, size++);
  for (let i = 0, left = size; left > 0; i++) {
    const withThis = binomial(n - i - 1, left - 1);
    if (index < withThis) { bits[i] = 1; left--; } else index -= withThis;
  }
  return bits;
}

/** The index-th permutation in lexicographic order (factorial number system). */
function permutationAt(n: number, index: number): Float64Array {
  const items = [...Array(n).keys()];
  const order = new Float64Array(n);
  let block = 1;
  for (let i = 2; i < n; i++) block *= i;
  for (let i = 0; i < n; i++) {
    const k = Math.floor(index / block);
    index -= k * block;
    order[i] = items.splice(k, 1)[0]!;
    block = Math.max(1, block / Math.max(1, n - 1 - i));
  }
  return order;
}
