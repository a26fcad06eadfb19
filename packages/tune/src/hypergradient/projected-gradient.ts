// The outer optimiser: spectral projected gradient in a box (Birgin, Martínez & Raydan 2000), as ask and tell.
// Barzilai–Borwein steps with a monotone line search and bounded length: outer losses have plateaus, onto which the paper's
// non-monotone long steps would jump.
import { HypergradientError } from "../errors/errors.ts";

/** The range of one continuous hyper-parameter; `log` searches its logarithm. */
export interface Range {
  /** The least value. */
  low: number;
  /** The largest value. */
  high: number;
  /** A logarithmic scale; default false. */
  log?: boolean;
}

/** Sufficient decrease; γ in the paper. */
const DECREASE = 1e-4;
/** No step moves a hyper-parameter further, in units of its range. */
const REACH = 0.3;
/** The first step's length, in units of the range. */
const FIRST_REACH = 0.1;
const LONGEST_STEP = 1e10;

/** Minimises a function of hyper-parameters in a box from values and gradients. */
export class ProjectedGradient {
  readonly #ranges: readonly Range[];
  #accepted: { point: Float64Array; value: number; gradient: Float64Array } | undefined;
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
      this.#accept(value, unitGradient, FIRST_REACH / maxNorm(unitGradient.map((g, i) => (isBlocked(this.#candidate[i]!, g) ? 0 : g))));
      return;
    }
    const expected = this.#fraction * dot(accepted.gradient, this.#direction); // < 0
    if (finite && value <= accepted.value + DECREASE * expected) {
      this.#accept(value, unitGradient, spectralStep(accepted.point, accepted.gradient, this.#candidate, unitGradient));
      return;
    }
    // The minimum of the parabola through both values and the slope, within safeguards.
    const interpolated = finite ? (-0.5 * expected) / (value - accepted.value - expected) : 0.1;
    this.#fraction *= Math.min(0.5, Math.max(0.1, interpolated));
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

  #accept(value: number, gradient: Float64Array, step: number): void {
    const point = this.#candidate;
    this.#accepted = { point, value, gradient };
    this.#stationarity = maxNorm(projectedStep(point, gradient, 1));
    const full = projectedStep(point, gradient, Math.min(step, LONGEST_STEP));
    const shorten = Math.min(1, REACH / maxNorm(full));
    this.#direction = full.map((d) => d * shorten);
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

/** Whether the box stops a step against gradient g from u. */
function isBlocked(u: number, g: number): boolean {
  return (u === 0 && g > 0) || (u === 1 && g < 0);
}

/** Barzilai–Borwein: ⟨s, s⟩ / ⟨s, y⟩; as long as allowed where the curvature is not positive. */
function spectralStep(from: Float64Array, fromGradient: Float64Array, to: Float64Array, toGradient: Float64Array): number {
  const s = to.map((u, i) => u - from[i]!);
  const y = toGradient.map((g, i) => g - fromGradient[i]!);
  const curvature = dot(s, y);
  return curvature > 0 ? dot(s, s) / curvature : Number.POSITIVE_INFINITY;
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
