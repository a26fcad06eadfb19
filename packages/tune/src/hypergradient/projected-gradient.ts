// The outer optimiser: spectral projected gradient in a box (Birgin, Martínez & Raydan 2000), as ask and tell.
// Barzilai–Borwein steps with a non-monotone line search: few evaluations on smooth outer losses, no step size to tune.
import { HypergradientError } from "./bilevel.ts";

/** The range of one continuous hyper-parameter; `log` searches its logarithm. */
export interface Range {
  low: number;
  high: number;
  log?: boolean;
}

/** How many past values a new one may exceed; M in the paper. */
const MEMORY = 10;
/** Sufficient decrease; γ in the paper. */
const DECREASE = 1e-4;
const SHORTEST_STEP = 1e-10;
const LONGEST_STEP = 1e10;

/** Minimises a function of hyper-parameters in a box from values and gradients. */
export class ProjectedGradient {
  readonly #ranges: readonly Range[];
  #accepted: { point: Float64Array; value: number; gradient: Float64Array } | undefined;
  #recent: number[] = [];
  #direction: Float64Array = new Float64Array(0);
  #fraction = 1;
  #candidate: Float64Array;
  #best: { hyper: Float64Array; value: number } | undefined;
  #stationarity = Number.POSITIVE_INFINITY;

  /** Starts at `start`, in the hyper-parameters' own units; it is moved into the box. */
  constructor(ranges: readonly Range[], start: ArrayLike<number>) {
    if (ranges.length === 0 || ranges.length !== start.length)
      throw new HypergradientError(`Got ${ranges.length} ranges and ${start.length} start values; give one range per hyper-parameter.`);
    for (const [i, { low, high, log }] of ranges.entries())
      if (!Number.isFinite(low) || !Number.isFinite(high) || low >= high || (log === true && low <= 0))
        throw new HypergradientError(
          `Range ${i} is [${low}, ${high}]${log === true ? " with log" : ""}; give finite low < high${log === true ? ", low > 0" : ""}.`,
        );
    this.#ranges = ranges;
    this.#candidate = Float64Array.from(ranges, (range, i) => toUnit(range, requireNumber(start[i]!, i)));
  }

  /** The hyper-parameters to evaluate next, in their own units. */
  ask(): Float64Array {
    return this.#candidate.map((u, i) => fromUnit(this.#ranges[i]!, u));
  }

  /** The outer loss and its hypergradient at the last `ask`. A non-finite value or gradient shortens the step. */
  tell(value: number, gradient: ArrayLike<number>): void {
    if (gradient.length !== this.#ranges.length)
      throw new HypergradientError(`Got ${gradient.length} gradient entries for ${this.#ranges.length} hyper-parameters.`);
    const unitGradient = Float64Array.from(this.#candidate, (u, i) => gradient[i]! * slope(this.#ranges[i]!, u));
    const finite = Number.isFinite(value) && unitGradient.every(Number.isFinite);
    if (finite && (this.#best === undefined || value < this.#best.value)) this.#best = { hyper: this.ask(), value };
    const accepted = this.#accepted;
    if (accepted === undefined) {
      if (!finite)
        throw new HypergradientError(`The outer loss at the start is ${value} or its gradient is not finite; start elsewhere.`);
      this.#accept(value, unitGradient, undefined);
      return;
    }
    const expected = DECREASE * this.#fraction * dot(accepted.gradient, this.#direction);
    if (finite && value <= Math.max(...this.#recent) + expected) {
      const length = spectralStep(accepted.point, accepted.gradient, this.#candidate, unitGradient);
      this.#accept(value, unitGradient, length);
      return;
    }
    this.#fraction *= finite ? 0.5 : 0.1;
    this.#propose();
  }

  /** The best value told, with its hyper-parameters; undefined before the first `tell`. */
  get best(): { hyper: Float64Array; value: number } | undefined {
    return this.#best;
  }

  /** Length of the projected gradient step, max norm, in units of the ranges; 0 at a stationary point. */
  get stationarity(): number {
    return this.#stationarity;
  }

  #accept(value: number, gradient: Float64Array, length: number | undefined): void {
    const point = this.#candidate;
    this.#accepted = { point, value, gradient };
    this.#recent = [...this.#recent.slice(1 - MEMORY), value];
    this.#stationarity = maxNorm(projectedStep(point, gradient, 1));
    // The first step covers a tenth of the widest range, whatever the scale of the loss.
    const step = length ?? 0.1 / Math.max(maxNorm(gradient), Number.MIN_VALUE * 1e16);
    this.#direction = projectedStep(point, gradient, step);
    this.#fraction = 1;
    this.#propose();
  }

  #propose(): void {
    const { point } = this.#accepted!;
    this.#candidate = point.map((u, i) => clamp(u + this.#fraction * this.#direction[i]!));
  }
}

/** P(u − step · g) − u. */
function projectedStep(point: Float64Array, gradient: Float64Array, step: number): Float64Array {
  return point.map((u, i) => clamp(u - step * gradient[i]!) - u);
}

/** Barzilai–Borwein: ⟨s, s⟩ / ⟨s, y⟩. */
function spectralStep(from: Float64Array, fromGradient: Float64Array, to: Float64Array, toGradient: Float64Array): number {
  const s = to.map((u, i) => u - from[i]!);
  const y = toGradient.map((g, i) => g - fromGradient[i]!);
  const curvature = dot(s, y);
  if (curvature <= 0) return LONGEST_STEP;
  return Math.min(LONGEST_STEP, Math.max(SHORTEST_STEP, dot(s, s) / curvature));
}

function requireNumber(value: number, index: number): number {
  if (Number.isFinite(value)) return value;
  throw new HypergradientError(`Start value ${index} is ${value}; give a finite number.`);
}

function toUnit({ low, high, log }: Range, value: number): number {
  const bounded = Math.min(high, Math.max(low, value));
  return clamp(log === true ? Math.log(bounded / low) / Math.log(high / low) : (bounded - low) / (high - low));
}

function fromUnit({ low, high, log }: Range, u: number): number {
  const value = log === true ? low * (high / low) ** u : low + (high - low) * u;
  return Math.min(high, Math.max(low, value));
}

/** d hyper-parameter / du. */
function slope(range: Range, u: number): number {
  return range.log === true ? fromUnit(range, u) * Math.log(range.high / range.low) : range.high - range.low;
}

function clamp(u: number): number {
  return Math.min(1, Math.max(0, u));
}

function maxNorm(vector: Float64Array): number {
  return vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
