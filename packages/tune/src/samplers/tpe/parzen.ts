// A Parzen estimator over the unit cube that gains and loses kernels in O(d · log n): truncated normals with the
// bandwidths of Optuna 5 (the larger gap to a sorted neighbour), smoothed indicators for categories, one wide prior.
import type { Random } from "../../random/random.ts";
import { cellCentre, cellOf, type UnitDimension } from "../history.ts";
import { LOG_SQRT_2PI, normalCdf, truncatedNormal } from "../../math/normal.ts";

/** Kernels narrower than this are widened to it once there are a hundred (the "magic clip" 1 / min(100, 1 + kernels)). */
const NARROWEST = 0.01;
/**
 * The clip of a sharp estimator, (1 + kernels)^−1.35 but no less than 0.02: a handful of good points under Optuna's clip
 * stay a tenth of the range wide, and nothing finer than that is ever found (Watanabe 2023 has the exponent as a parameter).
 */
const SHARP_EXPONENT = -1.35, SHARP_NARROWEST = 0.02;
/** Cells from which an ordered coordinate is fine: with fewer, Optuna's clip is about as wide as a cell, and stays. */
export const FINE_LEVELS = 50;
/** In cells: the clip of a blunt estimator. Nothing is evaluated twice, so what a bad point says is about its neighbours. */
const BLUNT_NARROWEST = 0.5;
/** Terms below exp(−40) of the prior's cannot change a double. */
const NEGLIGIBLE = -40;
/** The latest observations count fully; older ones fade linearly (Bergstra et al. 2013). */
const FULL_WEIGHT = 25;

/** Rows of the unit cube; NaN marks coordinates that a row does not have. */
export interface Rows { unit: Float64Array }

export interface ParzenOptions {
  /** Whether all kernels weigh the same, old ones less than the latest 25, or each what its place among them (`rank`) says. */
  readonly weights: "equal" | "fading" | "ranked";
  /** Sharp kernels may be narrower than Optuna's where coordinates are fine; others are no narrower than half a cell. */
  readonly sharp: boolean;
}

export class ParzenEstimator {
  /** Rows that carry a kernel, ascending. */
  members: Int32Array = new Int32Array(64);
  size = 0;
  private readonly rows: Rows;
  private readonly dimensions: readonly UnitDimension[];
  private readonly width: number;
  private readonly options: ParzenOptions;
  /** Weight per row, where members are ranked. */
  private ranked: Float64Array = new Float64Array(64);
  /** Per numeric dimension the members sorted by coordinate. */
  private readonly order: Int32Array[];
  private readonly counts: Int32Array;
  private readonly stale: Uint8Array;
  private deviation: Float64Array;
  /** 1 / deviation. */
  private inverse: Float64Array;
  /** Whether every coordinate is continuous and every row has all of them. */
  private continuous: boolean;
  /** log of the kernel's normaliser per row and dimension. */
  private normaliser: Float64Array;
  /** Sum of `normaliser` over continuous dimensions. */
  private constant: Float64Array;
  /** Per ordered dimension the kernels' masses of its cells. */
  private readonly masses: (CellMasses | null)[];
  /** Per row and dimension: the category, or which kernel of `masses`. */
  private codes: Int32Array;

  constructor(rows: Rows, dimensions: readonly UnitDimension[], options: ParzenOptions) {
    this.rows = rows;
    this.dimensions = dimensions;
    this.width = dimensions.length;
    this.options = options;
    this.order = dimensions.map(() => new Int32Array(64));
    this.counts = new Int32Array(this.width);
    this.stale = new Uint8Array(this.width);
    this.deviation = new Float64Array(64 * this.width);
    this.inverse = new Float64Array(64 * this.width);
    this.continuous = dimensions.every(({ kind }) => kind === "continuous");
    this.normaliser = new Float64Array(64 * this.width);
    this.constant = new Float64Array(64);
    this.masses = dimensions.map((dimension) => (dimension.kind === "ordered" ? new CellMasses(dimension) : null));
    this.codes = new Int32Array(64 * this.width);
  }

  /** Puts a kernel on a row. */
  add(row: number): void {
    this.reserve(row + 1);
    if (this.size === this.members.length) this.members = longer(this.members);
    insert(this.members, this.size, upperBound(this.members, this.size, row), row);
    this.size++;
    for (let d = 0; d < this.width; d++) {
      const u = this.rows.unit[row * this.width + d]!;
      if (Number.isNaN(u)) { this.continuous = false; continue; }
      const n = this.counts[d]!++;
      if (this.dimensions[d]!.kind === "categorical") {
        this.codes[row * this.width + d] = cellOf(this.dimensions[d]!, u);
        continue;
      }
      if (n === this.order[d]!.length) this.order[d] = longer(this.order[d]!);
      const at = this.position(d, row, n);
      insert(this.order[d]!, n, at, row);
      if (n < 100) this.stale[d] = 1;
      else for (let k = Math.max(0, at - 1); k <= Math.min(n, at + 1); k++) this.updateKernel(d, k);
    }
    this.updateConstant(row);
  }

  /** Takes the kernel off a row. */
  remove(row: number): void {
    const index = upperBound(this.members, this.size, row) - 1;
    this.members.copyWithin(index, index + 1, this.size);
    this.size--;
    for (let d = 0; d < this.width; d++) {
      const u = this.rows.unit[row * this.width + d]!;
      if (Number.isNaN(u)) continue;
      const n = --this.counts[d]!;
      if (this.dimensions[d]!.kind === "categorical") continue;
      const order = this.order[d]!;
      const at = this.position(d, row, n + 1) - 1;
      order.copyWithin(at, at + 1, n + 1);
      if (n < 100) this.stale[d] = 1;
      else for (let k = Math.max(0, at - 1); k <= Math.min(n - 1, at); k++) this.updateKernel(d, k);
    }
  }

  /** Says which of the members are best, best first: the r-th of m weighs log(m + ½) − log r, as in CMA-ES (Hansen 2016), 1 in the mean. */
  rank(members: readonly number[]): void {
    if (this.options.weights !== "ranked") return;
    const raw = members.map((_, r) => Math.log(members.length + 0.5) - Math.log(r + 1));
    const scale = members.length / raw.reduce((a, b) => a + b, 0);
    members.forEach((row, r) => { this.ranked[row] = raw[r]! * scale; });
  }

  /** Draws a point: a kernel by weight, then each coordinate from it; `active` says which coordinates the point has, given the earlier ones. */
  sample(random: Random, out: Float64Array, active: (dimension: number, point: Float64Array) => boolean): void {
    this.refresh();
    const row = this.drawMember(random.uniform());
    for (let d = 0; d < this.width; d++) {
      const u = random.uniform();
      out[d] = active(d, out) ? this.drawCoordinate(row, d, u) : Number.NaN;
    }
  }

  /** Draws one coordinate from its own mixture, the other coordinates left aside. */
  sampleCoordinate(random: Random, d: number): number {
    this.refresh();
    return this.drawCoordinate(this.drawMember(random.uniform()), d, random.uniform());
  }

  /** log density of a point; coordinates that are NaN do not take part. `only` restricts it to one coordinate. */
  logDensity(x: Float64Array, only = -1): number {
    const out = new Float64Array(1);
    this.logDensities(x, 1, out, only);
    return out[0]!;
  }

  /** `logDensity` of `count` points, rows of `points`: one walk over the kernels serves all of them. */
  logDensities(points: Float64Array, count: number, out: Float64Array, only = -1): void {
    this.refresh();
    const { width, size, dimensions } = this;
    const from = only < 0 ? 0 : only, to = only < 0 ? width : only + 1;
    const prior = new Float64Array(count), sums = new Float64Array(count).fill(1);
    let present = true;
    for (let c = 0; c < count; c++) {
      for (let d = from; d < to; d++) {
        const u = points[c * width + d]!;
        if (Number.isNaN(u)) present = false;
        else prior[c] = prior[c]! + logPrior(dimensions[d]!, u);
      }
    }
    if (only < 0 && this.continuous && present) this.sumContinuous(points, prior, sums);
    else this.sumMixed(points, from, to, prior, sums);
    let total = 1;
    for (let i = 0; i < size; i++) total += this.weight(i);
    for (let c = 0; c < count; c++) out[c] = prior[c]! + Math.log(sums[c]! / total);
  }

  /** Adds every kernel's density over the prior's where all coordinates are continuous and present: what an ask in a long study costs. */
  private sumContinuous(points: Float64Array, prior: Float64Array, sums: Float64Array): void {
    const { width, size, inverse, constant, members } = this;
    const unit = this.rows.unit;
    for (let i = 0; i < size; i++) {
      const row = members[i]!, at = row * width;
      const weight = this.weight(i), start = constant[row]!;
      for (let c = 0, base = 0; c < prior.length; c++, base += width) {
        let e = start - prior[c]!;
        for (let d = 0; d < width; d++) {
          const z = (points[base + d]! - unit[at + d]!) * inverse[at + d]!;
          e -= 0.5 * z * z;
          if (e < NEGLIGIBLE) break;
        }
        if (e > NEGLIGIBLE) sums[c] = sums[c]! + weight * Math.exp(e);
      }
    }
  }

  /** The same for coordinates of any kind, also absent ones. */
  private sumMixed(points: Float64Array, from: number, to: number, prior: Float64Array, sums: Float64Array): void {
    const { width, size, dimensions, inverse, normaliser, codes, members } = this;
    const unit = this.rows.unit, count = prior.length;
    const cells = this.cellsOf(points, count);
    const exponents = new Float64Array(count);
    for (let i = 0; i < size; i++) {
      const at = members[i]! * width;
      for (let c = 0; c < count; c++) exponents[c] = -prior[c]!;
      for (let d = from; d < to; d++) {
        const m = unit[at + d]!;
        const masses = this.masses[d]!;
        if (m !== m) {
          // A row without the coordinate leaves it uniform.
          for (let c = 0, k = d * count; c < count; c++, k++) if (cells[k]! >= 0) exponents[c] = exponents[c]! + logWidth(dimensions[d]!, cells[k]!);
        } else if (masses !== null) masses.add(codes[at + d]!, cells.subarray(d * count, (d + 1) * count), exponents);
        else if (dimensions[d]!.kind === "categorical") {
          const category = codes[at + d]!, share = 1 / (this.counts[d]! + 1), sum = 1 + dimensions[d]!.levels * share;
          const match = Math.log((1 + share) / sum), mismatch = Math.log(share / sum);
          for (let c = 0, k = d * count; c < count; c++, k++) if (cells[k]! >= 0) exponents[c] = exponents[c]! + (cells[k] === category ? match : mismatch);
        } else {
          const scale = inverse[at + d]!, constant = normaliser[at + d]!;
          for (let c = 0, k = d; c < count; c++, k += width) {
            const z = (points[k]! - m) * scale;
            if (z === z) exponents[c] = exponents[c]! + constant - 0.5 * z * z;
          }
        }
      }
      const weight = this.weight(i);
      for (let c = 0; c < count; c++) if (exponents[c]! > NEGLIGIBLE) sums[c] = sums[c]! + weight * Math.exp(exponents[c]!);
    }
  }

  /** Per dimension the points' cells; −1 where they are continuous or absent. */
  private cellsOf(points: Float64Array, count: number): Int32Array {
    const cells = new Int32Array(count * this.width).fill(-1);
    this.dimensions.forEach((dimension, d) => {
      if (dimension.kind === "continuous") return;
      for (let c = 0; c < count; c++) {
        const u = points[c * this.width + d]!;
        if (!Number.isNaN(u)) cells[d * count + c] = cellOf(dimension, u);
      }
    });
    return cells;
  }

  private weight(i: number): number {
    const n = this.size;
    if (this.options.weights === "ranked") return this.ranked[this.members[i]!]!;
    if (this.options.weights === "equal" || n < FULL_WEIGHT || i >= n - FULL_WEIGHT) return 1;
    const ramp = n - FULL_WEIGHT;
    return ramp === 1 ? 1 / n : 1 / n + (1 - 1 / n) * (i / (ramp - 1));
  }

  /** A member by weight, or −1 for the prior. */
  private drawMember(u: number): number {
    let total = 1;
    for (let i = 0; i < this.size; i++) total += this.weight(i);
    let left = u * total - 1;
    if (left < 0) return -1;
    for (let i = 0; i < this.size; i++) {
      left -= this.weight(i);
      if (left < 0) return this.members[i]!;
    }
    return this.size === 0 ? -1 : this.members[this.size - 1]!;
  }

  private drawCoordinate(row: number, d: number, u: number): number {
    const dimension = this.dimensions[d]!;
    const m = row < 0 ? Number.NaN : this.rows.unit[row * this.width + d]!;
    if (dimension.kind === "categorical") {
      const { levels } = dimension;
      if (Number.isNaN(m)) return cellCentre(dimension, Math.min(levels - 1, Math.floor(u * levels)));
      const share = 1 / (this.counts[d]! + 1);
      const mixed = u * (1 + levels * share) - 1;
      return mixed < 0 ? m : cellCentre(dimension, Math.min(levels - 1, Math.floor(mixed / share)));
    }
    // A row without the coordinate leaves it uniform; the prior is the truncated N(½, 1).
    const value = row >= 0 && Number.isNaN(m) ? u : row < 0 ? truncatedNormal(0.5, 1, 0, 1, u) : truncatedNormal(m, this.deviation[row * this.width + d]!, 0, 1, u);
    return dimension.kind === "continuous" ? value : cellCentre(dimension, cellOf(dimension, value));
  }

  /** After changes among fewer than a hundred kernels every bandwidth may differ, as the narrowest one does. */
  private refresh(): void {
    let changed = false;
    for (let d = 0; d < this.width; d++) {
      if (this.stale[d] === 0 && this.masses[d]?.full !== true) continue;
      this.masses[d]?.clear(this.counts[d]!);
      for (let k = 0; k < this.counts[d]!; k++) this.updateKernel(d, k, false);
      this.stale[d] = 0;
      changed = true;
    }
    if (changed) for (let i = 0; i < this.size; i++) this.updateConstant(this.members[i]!);
  }

  private updateKernel(d: number, at: number, withConstant = true): void {
    const order = this.order[d]!, n = this.counts[d]!, width = this.width, unit = this.rows.unit;
    const row = order[at]!;
    const m = unit[row * width + d]!;
    const below = at > 0 ? m - unit[order[at - 1]! * width + d]! : 0;
    const above = at < n - 1 ? unit[order[at + 1]! * width + d]! - m : 0;
    const gap = n === 1 ? Math.max(m, 1 - m) : Math.max(below, above);
    const deviation = Math.min(1, Math.max(gap, this.narrowest(d, n)));
    this.deviation[row * width + d] = deviation;
    this.inverse[row * width + d] = 1 / deviation;
    const masses = this.masses[d]!;
    if (masses !== null) {
      this.codes[row * width + d] = masses.kernel(m, deviation);
      return;
    }
    this.normaliser[row * width + d] = -Math.log(deviation) - LOG_SQRT_2PI - Math.log(interval(-m / deviation, (1 - m) / deviation));
    if (withConstant) this.updateConstant(row);
  }

  /** The least bandwidth in dimension d beside n kernels; the same for all n ≥ 100. */
  private narrowest(d: number, n: number): number {
    const { levels } = this.dimensions[d]!;
    if (this.options.sharp && levels >= FINE_LEVELS) return Math.max(SHARP_NARROWEST, (n + 2) ** SHARP_EXPONENT);
    return Math.max(n + 2 < 100 ? 1 / (n + 2) : NARROWEST, this.options.sharp ? 0 : BLUNT_NARROWEST / levels);
  }

  private updateConstant(row: number): void {
    let sum = 0;
    for (let d = 0; d < this.width; d++) {
      if (this.dimensions[d]!.kind === "continuous" && !Number.isNaN(this.rows.unit[row * this.width + d]!)) sum += this.normaliser[row * this.width + d]!;
    }
    this.constant[row] = sum;
  }

  /** How many of the first n in the order of dimension d stand before or at `row`: by coordinate, equals by row, whatever the history of changes. */
  private position(d: number, row: number, n: number): number {
    const order = this.order[d]!, unit = this.rows.unit, width = this.width;
    const u = unit[row * width + d]!;
    let low = 0, high = n;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = order[middle]!, v = unit[other * width + d]!;
      if (v < u || (v === u && other <= row)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private reserve(rows: number): void {
    if (rows <= this.constant.length) return;
    const capacity = Math.max(rows, 2 * this.constant.length);
    const grown = (old: Float64Array, length: number): Float64Array => {
      const array = new Float64Array(length);
      array.set(old);
      return array;
    };
    this.constant = grown(this.constant, capacity);
    this.ranked = grown(this.ranked, capacity);
    this.deviation = grown(this.deviation, capacity * this.width);
    this.inverse = grown(this.inverse, capacity * this.width);
    this.normaliser = grown(this.normaliser, capacity * this.width);
    const codes = new Int32Array(capacity * this.width);
    codes.set(this.codes);
    this.codes = codes;
  }
}

/** log masses of an ordered coordinate's cells under the kernels in use, one row per distinct kernel, filled in when asked for. */
class CellMasses {
  private readonly dimension: UnitDimension;
  private readonly means: number[] = [];
  private readonly deviations: number[] = [];
  /** Per cell the kernels with their mean in it. */
  private readonly kernelsAt: number[][];
  private logMass: Float64Array = new Float64Array(0);
  private limit = 100;

  constructor(dimension: UnitDimension) {
    this.dimension = dimension;
    this.kernelsAt = Array.from({ length: dimension.levels }, () => []);
  }

  /** Whether most kernels may have gone out of use. */
  get full(): boolean {
    return this.means.length > this.limit;
  }

  /** Forgets all; `limit`: twice the kernels about to be put in, and some. */
  clear(rows: number): void {
    this.limit = 2 * rows + 100;
    this.means.length = this.deviations.length = 0;
    for (const kernels of this.kernelsAt) kernels.length = 0;
  }

  /** The number of the kernel with this mean (a cell's centre) and deviation. */
  kernel(mean: number, deviation: number): number {
    const here = this.kernelsAt[cellOf(this.dimension, mean)]!;
    for (const kernel of here) if (this.deviations[kernel] === deviation) return kernel;
    const kernel = this.means.length, { levels } = this.dimension;
    this.means.push(mean);
    this.deviations.push(deviation);
    here.push(kernel);
    if ((kernel + 1) * levels > this.logMass.length) {
      const longer = new Float64Array(2 * (kernel + 1) * levels);
      longer.set(this.logMass);
      this.logMass = longer;
    }
    this.logMass.fill(Number.NaN, kernel * levels, (kernel + 1) * levels);
    return kernel;
  }

  /** Adds to each exponent the log mass of its cell; −1 adds nothing. */
  add(kernel: number, cells: Int32Array, exponents: Float64Array): void {
    const start = kernel * this.dimension.levels;
    for (let c = 0; c < cells.length; c++) {
      const cell = cells[c]!;
      if (cell < 0) continue;
      let value = this.logMass[start + cell]!;
      if (value !== value) value = this.logMass[start + cell] = this.compute(kernel, cell);
      exponents[c] = exponents[c]! + value;
    }
  }

  private compute(kernel: number, cell: number): number {
    const edges = this.dimension.edges!, mean = this.means[kernel]!, deviation = this.deviations[kernel]!;
    const mass = interval((edges[cell]! - mean) / deviation, (edges[cell + 1]! - mean) / deviation);
    return Math.log(Math.max(mass, 1e-300) / interval(-mean / deviation, (1 - mean) / deviation));
  }
}

/** Φ(b) − Φ(a) for a ≤ b, from the tail that keeps digits. */
function interval(a: number, b: number): number {
  return a > 0 ? normalCdf(-a) - normalCdf(-b) : normalCdf(b) - normalCdf(a);
}

const PRIOR_MASS = interval(-0.5, 0.5);
const LOG_PRIOR = -LOG_SQRT_2PI - Math.log(PRIOR_MASS);

/** The prior kernel: N(½, 1) truncated to the unit interval, uniform over categories. */
function logPrior(dimension: UnitDimension, u: number): number {
  if (dimension.kind === "continuous") return LOG_PRIOR - 0.5 * (u - 0.5) ** 2;
  if (dimension.kind === "categorical") return -Math.log(dimension.levels);
  const cell = cellOf(dimension, u);
  return Math.log(interval(dimension.edges![cell]! - 0.5, dimension.edges![cell + 1]! - 0.5) / PRIOR_MASS);
}

/** log of a cell's share of the unit interval. */
function logWidth(dimension: UnitDimension, cell: number): number {
  return dimension.edges === null ? -Math.log(dimension.levels) : Math.log(dimension.edges[cell + 1]! - dimension.edges[cell]!);
}

function longer(old: Int32Array): Int32Array {
  const array = new Int32Array(old.length * 2);
  array.set(old);
  return array;
}

function insert(array: Int32Array, length: number, at: number, value: number): void {
  array.copyWithin(at + 1, at, length);
  array[at] = value;
}

/** First index whose value exceeds `value`. */
function upperBound(array: Int32Array, length: number, value: number): number {
  let low = 0, high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
