// The finished trials of a study as rows of the unit cube with one loss to minimise: what every model-based sampler
// learns from. Rows are encoded once, when a trial finishes; asking never walks the study again.
import { cardinality, toUnit, unitWidth, type Distribution } from "../space/distribution.ts";
import { sameDistribution } from "../space/distribution.ts";
import type { SearchSpace } from "../space/space.ts";
import { TrialState, type AskContext, type StudyView } from "../contract/contract.ts";

/** One coordinate of the unit cube. */
export interface UnitDimension {
  /** `continuous`; `ordered` with `levels` cells; `categorical` with `levels` unordered cells. */
  readonly kind: "continuous" | "ordered" | "categorical";
  /** Number of cells; Infinity when continuous. */
  readonly levels: number;
  /** For `ordered`: the `levels` + 1 boundaries of the cells. */
  readonly edges: Float64Array | null;
  /** Position of the parameter in `space.parameters`. */
  readonly parameter: number;
}

/** The coordinates of a space, in order. */
export function unitDimensions(space: SearchSpace): UnitDimension[] {
  const dimensions: UnitDimension[] = [];
  space.parameters.forEach(({ distribution }, parameter) => {
    const first = describeDimension(distribution, parameter);
    for (let k = 0; k < unitWidth(distribution); k++) dimensions.push(first);
  });
  return dimensions;
}

function describeDimension(distribution: Distribution, parameter: number): UnitDimension {
  const continuous: UnitDimension = { kind: "continuous", levels: Infinity, edges: null, parameter };
  const ordered = (levels: number, edge: (k: number) => number): UnitDimension =>
    ({ kind: "ordered", levels, edges: Float64Array.from({ length: levels + 1 }, (_, k) => edge(k)), parameter });
  switch (distribution.kind) {
    case "categorical": return { kind: "categorical", levels: distribution.choices.length, edges: null, parameter };
    case "subset": return { kind: "categorical", levels: 2, edges: null, parameter };
    case "ordinal": return ordered(distribution.choices.length, (k) => k / distribution.choices.length);
    case "permutation": case "simplex": return continuous;
    case "float": case "int": {
      const levels = cardinality(distribution);
      if (levels > 1000) return continuous; // cells too small to matter to any model here
      if (distribution.kind === "float" || !distribution.log) return ordered(levels, (k) => k / levels);
      const start = Math.log(distribution.low - 0.5), end = Math.log(distribution.high + 0.5);
      return ordered(levels, (k) => (Math.log(distribution.low - 0.5 + k) - start) / (end - start));
    }
  }
}

/** Which cell of an ordered or categorical coordinate holds u. */
export function cellOf(dimension: UnitDimension, u: number): number {
  const { edges, levels } = dimension;
  if (edges === null) return Math.min(levels - 1, Math.max(0, Math.floor(u * levels)));
  let low = 0, high = levels - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (u >= edges[middle]!) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The middle of a cell. */
export function cellCentre(dimension: UnitDimension, cell: number): number {
  const { edges, levels } = dimension;
  return edges === null ? (cell + 0.5) / levels : 0.5 * (edges[cell]! + edges[cell + 1]!);
}

/** Finished trials in order of finishing; row i belongs to trial `trials[i]`. */
export class History {
  readonly space: SearchSpace;
  readonly dimensions: readonly UnitDimension[];
  /** Number of coordinates. */
  readonly width: number;
  length = 0;
  /** Row-major `length × width`; NaN in coordinates of inactive parameters. */
  unit: Float64Array;
  /** Values to minimise, row-major `length × objectives`; NaN for failed trials and for pruned ones without a value. */
  losses: Float64Array;
  trials: Int32Array = new Int32Array(64);
  readonly objectives: number;

  constructor(space: SearchSpace, objectives: number) {
    this.space = space;
    this.objectives = objectives;
    this.dimensions = unitDimensions(space);
    this.width = this.dimensions.length;
    this.unit = new Float64Array(64 * this.width);
    this.losses = new Float64Array(64 * objectives);
  }

  /** Takes in the trials that finished since the last call. */
  sync(study: StudyView): void {
    if (study.watermark > this.trials.length) this.grow(Math.max(study.watermark, 2 * this.trials.length));
    for (; this.length < study.watermark; this.length++) {
      const trial = study.finished[this.length]!;
      this.trials[this.length] = trial;
      this.encode(study, trial, this.unit, this.length * this.width);
      const usable = study.states[trial] === TrialState.COMPLETE || study.states[trial] === TrialState.PRUNED;
      for (let k = 0; k < this.objectives; k++) {
        const value = usable ? study.values[k]![trial]! : Number.NaN;
        this.losses[this.length * this.objectives + k] = study.directions[k] === "maximize" ? -value : value;
      }
    }
  }

  /** Writes the coordinates of any trial, NaN where a parameter is absent. */
  encode(study: StudyView, trial: number, out: Float64Array, offset: number): void {
    let at = offset;
    for (const { name, distribution } of this.space.parameters) {
      const value = study.internal(trial, name);
      const width = unitWidth(distribution);
      if (value === undefined) out.fill(Number.NaN, at, at + width);
      else toUnit(distribution, value, out, at);
      at += width;
    }
  }

  /** The coordinates of row i (shared memory). */
  row(i: number): Float64Array {
    return this.unit.subarray(i * this.width, (i + 1) * this.width);
  }

  private grow(capacity: number): void {
    const unit = new Float64Array(Math.max(capacity * this.width, this.unit.length)); // a model may have made room for running trials
    const losses = new Float64Array(capacity * this.objectives);
    const trials = new Int32Array(capacity);
    unit.set(this.unit);
    losses.set(this.losses);
    trials.set(this.trials);
    this.unit = unit;
    this.losses = losses;
    this.trials = trials;
  }
}

/** Whether two spaces have the same parameters under the same conditions. */
export function sameSpace(a: SearchSpace, b: SearchSpace): boolean {
  if (a === b) return true;
  return a.parameters.length === b.parameters.length && a.parameters.every((p, i) => {
    const q = b.parameters[i]!;
    return p.name === q.name && sameDistribution(p.distribution, q.distribution)
      && p.condition?.parameter === q.condition?.parameter && p.condition?.choice === q.condition?.choice;
  });
}

/**
 * What a sampler keeps between asks, tied to the space it was made for: when the space changes it is made anew
 * from the whole history, so it stays a function of the study.
 */
export function keepState<T extends { readonly space: SearchSpace }>(context: AskContext, key: symbol, make: () => T): T {
  const slot = context.study.cache<{ state: T | null }>(key, () => ({ state: null }));
  if (slot.state === null || !sameSpace(slot.state.space, context.space)) slot.state = make();
  return slot.state;
}

const HISTORY = Symbol("history");

/** The history of the study in the coordinates of `context.space`, up to date; shared by all samplers of a study. */
export function historyOf(context: AskContext): History {
  const history = keepState(context, HISTORY, () => new History(context.space, context.study.directions.length));
  history.sync(context.study);
  return history;
}
