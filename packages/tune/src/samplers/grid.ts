// Every point of a finite set exactly once, over any number of workers and across restarts: the trials themselves
// remember which point they took, so there is nothing else to keep or to race for.
import { cardinality, fromUnit, toInternal, unitWidth, valueAt, type Distribution, type Internal, type ParameterValue } from "../space/distribution.ts";
import { sameInternal, type Assignment, type ParameterSpec, type SearchSpace } from "../space/space.ts";
import { TrialState, type AskContext, type Proposal, type Sampler, type StudyView } from "../contract/contract.ts";
import { SpaceError } from "../errors/errors.ts";
import { allValues, untried, type Values } from "../state/branches.ts";
import { keepState } from "./history.ts";
import { randomValue } from "./random.ts";

/** What a grid lists for each parameter: the values themselves, or how many evenly spaced ones to take. */
export type GridPoints = Readonly<Record<string, readonly ParameterValue[] | number>>;

export interface GridOptions {
  /** Values, or a count of values, by parameter name; a parameter left out takes `count` of them. */
  readonly points?: GridPoints;
  /** Values of a parameter that `points` does not name and that has more, or is continuous; default 10. */
  readonly count?: number;
  /** How often a point whose trial failed is tried again; default 1. */
  readonly retries?: number;
}

/** Grid search; continuous parameters become evenly spaced values (in the logarithm where they say `log`), ends included. */
export class GridSampler implements Sampler {
  readonly name = "grid";
  private readonly options: GridOptions;
  private readonly key = Symbol("grid");

  constructor(options: GridOptions = {}) {
    this.options = options;
  }

  ask(context: AskContext): Proposal | null {
    const { points = {}, count = 10, retries = 1 } = this.options;
    if (context.study.space === null) {
      return nextUntried(context, (name, distribution) => listed(gridValues({ name, distribution, condition: null }, points[name] ?? count)), retries);
    }
    for (const name of Object.keys(points)) context.space.unitOffset(name); // throws when unknown
    const values = (spec: ParameterSpec): readonly Internal[] => gridValues(spec, points[spec.name] ?? count);
    return keepState(context, this.key, () => new Enumeration(context.space, values, "grid", retries)).next(context);
  }

  /** Where nothing is known yet of what a define-by-run objective asks for: any of the grid's values. */
  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    const values = gridValues(parameter, this.options.points?.[parameter.name] ?? this.options.count ?? 10);
    return values[context.random(`independent/${parameter.name}`).integer(values.length)]!;
  }
}

/** Every configuration of a space without continuous parameters, once. Throws SpaceError when it is infinite. */
export class ExhaustiveSampler implements Sampler {
  readonly name = "exhaustive";
  private readonly key = Symbol("exhaustive");

  ask(context: AskContext): Proposal | null {
    context.space.parameters.forEach(checkFinite);
    if (context.study.space === null) return nextUntried(context, (_, distribution) => allValues(distribution), 1);
    return keepState(context, this.key, () => new Enumeration(context.space, everyValue, "exhaustive", 1)).next(context);
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    checkFinite(parameter);
    return randomValue(context, parameter);
  }
}

function checkFinite({ name, distribution }: ParameterSpec): void {
  if (Number.isFinite(cardinality(distribution))) return;
  throw new SpaceError(`exhaustive search needs finitely many values, but "${name}" is continuous; give it a step, or use a grid.`);
}

/** The next point of a define-by-run objective, as far as trials have shown what it asks for. */
function nextUntried(context: AskContext, values: (name: string, distribution: Distribution) => Values, retries: number): Proposal | null {
  const { study, fixed } = context;
  const assignment = untried(study, (name, distribution) => (fixed.has(name) ? listed([fixed.get(name)!]) : values(name, distribution)), context.random("untried"), retries);
  return assignment === null ? null : { assignment, why: "not tried yet" };
}

function listed(values: readonly Internal[]): Values {
  return { size: values.length, at: (index) => values[index]! };
}

function everyValue({ distribution }: ParameterSpec): readonly Internal[] {
  return Array.from({ length: cardinality(distribution) }, (_, i) => valueAt(distribution, i));
}

function gridValues({ name, distribution }: ParameterSpec, points: readonly ParameterValue[] | number): readonly Internal[] {
  if (typeof points !== "number") {
    if (points.length === 0) throw new SpaceError(`the grid lists no value for "${name}"; list at least one.`);
    return distinct(points.map((value) => toInternal(distribution, value)));
  }
  if (!Number.isSafeInteger(points) || points < 1) throw new SpaceError(`the grid asks for ${points} values of "${name}"; ask for a positive integer.`);
  // Unordered choices have no even spacing: all of them.
  if (cardinality(distribution) <= points || distribution.kind === "categorical") return everyValue({ name, distribution, condition: null });
  if (unitWidth(distribution) !== 1) throw new SpaceError(`the grid cannot space "${name}" evenly; list its values in \`points\`.`);
  return distinct(Array.from({ length: points }, (_, k) => fromUnit(distribution, [evenly(distribution, k, points)])));
}

function evenly(distribution: Distribution, k: number, n: number): number {
  if (n === 1) return 0.5;
  // Stepped floats and ints are cells: aim at the centres of the first and the last one.
  const half = Number.isFinite(cardinality(distribution)) ? 0.5 / cardinality(distribution) : 0;
  return half + (1 - 2 * half) * (k / (n - 1));
}

function distinct(values: readonly Internal[]): Internal[] {
  return values.filter((value, i) => values.findIndex((other) => sameInternal(other, value)) === i);
}

/** A finite product of values under the conditions of a space, walked in an order that spreads early points evenly. */
class Enumeration {
  readonly space: SearchSpace;
  readonly size: number;
  private readonly values = new Map<string, readonly Internal[]>();
  private readonly attribute: string;
  private readonly retries: number;
  private readonly stride: number;
  /** Tries per point, of trials in any state. */
  private readonly tries = new Map<number, number>();
  private readonly failures = new Map<number, number>();
  private created = 0;
  private finished = 0;
  private cursor = 0;

  constructor(space: SearchSpace, values: (spec: ParameterSpec) => readonly Internal[], attribute: string, retries: number) {
    this.space = space;
    this.attribute = attribute;
    this.retries = retries;
    for (const spec of space.parameters) this.values.set(spec.name, values(spec));
    this.size = this.count(null, 0);
    if (this.size > Number.MAX_SAFE_INTEGER / 2) throw new SpaceError(`the grid has about ${this.size.toExponential(1)} points; list fewer values.`);
    this.stride = coprimeStride(this.size);
  }

  next(context: AskContext): Proposal | null {
    const { study } = context;
    this.sync(study, context.trial);
    let skip = context.attempt;
    for (let i = this.cursor; i < this.size; i++) {
      const index = (i * this.stride) % this.size;
      if ((this.tries.get(index) ?? 0) > 0) {
        if (i === this.cursor) this.cursor++;
        continue;
      }
      const assignment = this.at(index);
      if (!this.space.satisfies(assignment) || (!study.noisy && study.find(assignment) >= 0)) continue;
      if (skip-- > 0) continue;
      return { assignment, attributes: { [this.attribute]: index }, why: `point ${i + 1} of ${this.size}` };
    }
    return null;
  }

  /** Counts the points taken by trials made since the last call; a failed trial gives its point back, `retries` times. */
  private sync(study: StudyView, asking: number): void {
    for (; this.created < Math.min(study.length, asking); this.created++) {
      const index = this.indexOf(study, this.created);
      if (index !== null) this.tries.set(index, (this.tries.get(index) ?? 0) + 1);
    }
    for (; this.finished < study.watermark; this.finished++) {
      const trial = study.finished[this.finished]!;
      if (study.states[trial] !== TrialState.FAIL || trial >= this.created) continue;
      const index = this.indexOf(study, trial);
      if (index === null) continue;
      const failures = this.failures.get(index) ?? 0;
      this.failures.set(index, failures + 1);
      if (failures < this.retries) {
        this.tries.delete(index);
        this.cursor = 0;
      }
    }
  }

  private indexOf(study: StudyView, trial: number): number | null {
    const index = study.systemAttribute(trial, this.attribute);
    return typeof index === "number" ? index : null;
  }

  /** Number of combinations of the parameters directly under a condition. */
  private count(parent: string | null, choice: number): number {
    let product = 1;
    for (const spec of this.under(parent, choice)) product *= this.countOf(spec);
    return product;
  }

  private countOf(spec: ParameterSpec): number {
    let sum = 0;
    for (const value of this.values.get(spec.name)!) sum += spec.distribution.kind === "categorical" ? this.count(spec.name, Number(value)) : 1;
    return sum;
  }

  /** The configuration with this index in mixed-radix order, children inside their parents' digits. */
  private at(index: number): Assignment {
    const chosen = new Map<string, Internal>();
    this.decode(null, 0, index, chosen);
    // In the order of the space, parents first.
    return new Map(this.space.parameters.flatMap(({ name }) => (chosen.has(name) ? [[name, chosen.get(name)!] as const] : [])));
  }

  private decode(parent: string | null, choice: number, index: number, out: Map<string, Internal>): void {
    for (const spec of this.under(parent, choice)) {
      const radix = this.countOf(spec);
      let digit = index % radix;
      index = Math.floor(index / radix);
      for (const value of this.values.get(spec.name)!) {
        const block = spec.distribution.kind === "categorical" ? this.count(spec.name, Number(value)) : 1;
        if (digit < block) {
          out.set(spec.name, value);
          if (spec.distribution.kind === "categorical") this.decode(spec.name, Number(value), digit, out);
          break;
        }
        digit -= block;
      }
    }
  }

  private under(parent: string | null, choice: number): readonly ParameterSpec[] {
    return this.space.parameters.filter(({ condition }) => (parent === null ? condition === null : condition?.parameter === parent && condition.choice === choice));
  }
}

/** The number nearest above n / golden ratio that shares no factor with n: multiples of it visit all n residues, spread evenly. */
function coprimeStride(n: number): number {
  let stride = Math.max(1, Math.round(n * 0.6180339887498949));
  if (n > 2 ** 26) return 1; // the product with an index must stay an exact integer
  while (gcd(stride, n) !== 1) stride++;
  return stride;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
