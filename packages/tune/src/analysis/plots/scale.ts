// Scales: a value's place on an axis as a fraction, and the ticks that make the axis readable.
import type { ParameterValue } from "../../space/distribution.ts";
import type { FrozenTrial } from "../../contract/contract.ts";

export interface Tick {
  readonly value: number;
  readonly label: string;
}

export interface Scale {
  readonly kind: "linear" | "log" | "categories";
  /** 0 at the low end, 1 at the high end. */
  readonly place: (value: number) => number;
  readonly ticks: readonly Tick[];
}

/** How many ticks an axis aims at. */
const TICKS = 6;
/** Empty share of a scale at either end. */
const MARGIN = 0.04;

export interface ScaleOptions {
  /** No margin at the ends; default false. */
  readonly tight?: boolean;
  /** How many ticks to aim at; default 6. */
  readonly ticks?: number;
  /** Ticks at integers only; default false. */
  readonly integer?: boolean;
}

/** A linear scale over the finite values. */
export function linearScale(values: Iterable<number>, { tight = false, ticks = TICKS, integer = false }: ScaleOptions = {}): Scale {
  let [low, high] = extent(values) ?? [0, 1];
  if (low === high) [low, high] = low === 0 ? [-1, 1] : [low - Math.abs(low) * 0.1, high + Math.abs(high) * 0.1];
  const margin = tight ? 0 : (high - low) * MARGIN;
  const [start, end] = [low - margin, high + margin];
  return { kind: "linear", place: (value) => (value - start) / (end - start), ticks: linearTicks(start, end, ticks).filter(({ value }) => !integer || Number.isInteger(value)) };
}

/** A logarithmic scale over the positive finite values; linear when there are none. */
export function logScale(values: Iterable<number>, options: ScaleOptions = {}): Scale {
  const { tight = false, ticks = TICKS, integer = false } = options;
  const range = extent([...values].filter((value) => value > 0));
  if (range === undefined) return linearScale([], options);
  let [low, high] = [Math.log10(range[0]), Math.log10(range[1])];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const margin = tight ? 0 : (high - low) * MARGIN;
  const [start, end] = [low - margin, high + margin];
  return { kind: "log", place: (value) => (Math.log10(value) - start) / (end - start), ticks: logTicks(start, end, ticks).filter(({ value }) => !integer || Number.isInteger(value)) };
}

/** Equal places for named categories; the value is the index. */
export function categoryScale(names: readonly string[]): Scale {
  return { kind: "categories", place: (index) => (index + 0.5) / Math.max(1, names.length), ticks: names.map((name, value) => ({ value, label: name })) };
}

/** A linear or logarithmic scale. */
export function numericScale(values: Iterable<number>, log: boolean, options: ScaleOptions = {}): Scale {
  return log ? logScale(values, options) : linearScale(values, options);
}

/** The axis of one parameter: its scale, and each trial's value on it (NaN where absent). */
export interface ParameterScale {
  readonly scale: Scale;
  readonly value: (trial: FrozenTrial) => number;
}

/** Numbers on the parameter's own scale, anything else as categories. */
export function parameterScale(trials: readonly FrozenTrial[], name: string, ticks: number = TICKS): ParameterScale {
  const integer = trials.some((trial) => trial.distributions[name]?.kind === "int");
  const numbers: number[] = [];
  const categories = new Map<string, number>();
  let log = false;
  let numeric = true;
  for (const trial of trials) {
    const distribution = trial.distributions[name];
    const value = trial.params[name];
    if (value === undefined) continue;
    if (distribution?.kind === "categorical" || distribution?.kind === "ordinal")
      for (const choice of distribution.choices) if (!categories.has(valueText(choice))) categories.set(valueText(choice), categories.size);
    if (!categories.has(valueText(value))) categories.set(valueText(value), categories.size);
    if (typeof value !== "number" || (distribution !== undefined && distribution.kind !== "float" && distribution.kind !== "int")) numeric = false;
    else numbers.push(value);
    if ((distribution?.kind === "float" || distribution?.kind === "int") && distribution.log) log = true;
  }
  if (numeric && numbers.length > 0)
    return {
      scale: numericScale(numbers, log, { ticks, integer }),
      value: (trial) => (typeof trial.params[name] === "number" ? trial.params[name] : Number.NaN),
    };
  return {
    scale: categoryScale([...categories.keys()]),
    value: (trial) => (trial.params[name] === undefined ? Number.NaN : (categories.get(valueText(trial.params[name])) ?? Number.NaN)),
  };
}

/** A parameter value for people. */
export function valueText(value: ParameterValue): string {
  if (typeof value === "number") return shortNumber(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Up to four significant digits, in scientific notation when very large or small. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value) || value === 0) return String(value).replace("Infinity", "∞");
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e6) return String(Number(value.toPrecision(4)));
  return value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
}

function extent(values: Iterable<number>): [number, number] | undefined {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values)
    if (Number.isFinite(value)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  return low <= high ? [low, high] : undefined;
}

/** Multiples of 1, 2 or 5 powers of ten. */
export function linearTicks(start: number, end: number, count: number): Tick[] {
  const rough = (end - start) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const misfit = (step: number): number => Math.abs(Math.log(step / rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).reduce((a, b) => (misfit(b) < misfit(a) ? b : a));
  const ticks: Tick[] = [];
  for (let k = Math.ceil(start / step - 1e-9); k * step <= end + step * 1e-9; k++) {
    const value = Number((k * step).toPrecision(12));
    ticks.push({ value, label: shortNumber(value) });
  }
  return ticks;
}

/** Powers of ten, every few of them on long ranges; also 2 and 5 times them on short ones. */
function logTicks(start: number, end: number, count: number): Tick[] {
  const stride = Math.max(1, Math.ceil((end - start) / count));
  const factors = end - start < 1 ? [1, 2, 3, 4, 5, 6, 8] : end - start < 2.5 ? [1, 2, 5] : [1];
  const ticks: Tick[] = [];
  for (let exponent = Math.floor(start); exponent <= end; exponent++) {
    if (factors.length === 1 && exponent % stride !== 0) continue;
    for (const factor of factors) {
      const place = exponent + Math.log10(factor);
      if (place < start || place > end) continue;
      const value = Number(`${factor}e${exponent}`);
      ticks.push({ value, label: shortNumber(value) });
    }
  }
  return ticks.length >= 2 ? ticks : linearTicks(10 ** start, 10 ** end, count);
}
