// CMA-ES over the unit cube of a space: the distribution is rebuilt from finished trials alone, so any number of workers,
// a resume, and points from elsewhere all feed it. Restarts with larger or smaller populations when it has converged.
import { createRandom, type Random } from "../../random/random.ts";
import type { Internal } from "../../space/distribution.ts";
import type { ParameterSpec, SearchSpace } from "../../space/space.ts";
import { TrialState, type AskContext, type Json, type Proposal, type Sampler, type StudyView } from "../../contract/contract.ts";
import { StudyError } from "../../errors/errors.ts";
import { CMA } from "./strategy.ts";
import { cellCentre, cellOf, historyOf, keepState, type History } from "../history.ts";
import { randomAssignment, randomValue } from "../random.ts";

export interface CMAESOptions {
  /** Initial step size as a fraction of each range; default 0.12. */
  readonly sigma?: number;
  /** Points per generation; default min(4 + ⌊3 ln n⌋, 6 + ⌊n / 20⌋): small budgets need many generations, and restarts enlarge it. */
  readonly populationSize?: number;
  /** Adapts variances only: for hundreds of dimensions. Default: above 200. */
  readonly separable?: boolean;
  /** `ipop`: every restart doubles the population (Auger & Hansen 2005). `bipop`: in turn with small, local ones (Hansen 2009). Default bipop. */
  readonly restarts?: "none" | "ipop" | "bipop";
}

const GENERATION = "cma:generation";
/** How many finished trials the first distribution was made from. */
const START = "cma:start";
/** With so many finished trials before it the search starts at their best instead of the centre. */
const WARM = 10;
const POINT = "cma:x";

/** CMA-ES with margin for integers, learned probabilities for categories, and restarts. One objective. */
export class CMAESSampler implements Sampler {
  readonly name = "cma-es";
  private readonly options: CMAESOptions;
  private readonly key = Symbol("cma-es");

  constructor(options: CMAESOptions = {}) {
    this.options = options;
  }

  ask(context: AskContext): Proposal {
    const { study, space } = context;
    if (study.directions.length > 1) throw new StudyError("cma-es has one objective; use nsga or tpe for several.");
    if (space.parameters.length === 0) return { assignment: randomAssignment(context) };
    const history = historyOf(context);
    const state = keepState(context, this.key, () => new Evolution(history, this.options, study.seed));
    return state.propose(context, state.sync(study));
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    return randomValue(context, parameter);
  }
}

interface Individual { readonly v: Float64Array; readonly row: number }

/** The distribution as a fold over finished rows. */
class Evolution {
  readonly history: History;
  private model: CMA | null = null;
  private readonly options: CMAESOptions;
  private readonly seed: number;
  /** Coordinates handled by the CMA; the others are categorical. */
  private readonly numeric: number[];
  private readonly categorical: number[];
  /** Probability of each category, by coordinate. */
  private probabilities: Float64Array[] = [];
  private readonly thresholds: (Float64Array | null)[];
  /** Whether a row does not determine the sampled point: cells, or coordinates that were inactive. */
  private readonly needsPoint: boolean;
  private synced = 0;
  private generation: Individual[] = [];
  /** Counts every generation of every restart. */
  private epoch = 0;
  private startedWith = 0;
  private restarts = 0;
  private largePopulation = 0;
  private spentLarge = 0;
  private spentSmall = 0;
  /** The first run counts as small, so that a large one follows. */
  private large = false;
  private bests: number[] = [];

  constructor(history: History, options: CMAESOptions, seed: number) {
    this.history = history;
    this.options = options;
    this.seed = seed;
    const { dimensions } = history;
    this.numeric = dimensions.flatMap((d, i) => (d.kind === "categorical" ? [] : [i]));
    this.categorical = dimensions.flatMap((d, i) => (d.kind === "categorical" ? [i] : []));
    this.thresholds = this.numeric.map((i) => (dimensions[i]!.kind === "ordered" ? dimensions[i]!.edges!.slice(1, -1) : null));
    this.needsPoint = history.space.conditional || this.thresholds.some((t) => t !== null);
  }

  get space(): SearchSpace {
    return this.history.space;
  }

  /** Takes in finished trials; each full generation moves the distribution. */
  sync(study: StudyView): CMA {
    this.model ??= this.start(study);
    for (; this.synced < this.history.length; this.synced++) {
      if (!this.usable(study, this.synced)) continue;
      this.generation.push({ v: this.pointOf(study, this.synced, this.model), row: this.synced });
      if (this.generation.length >= this.model.populationSize) this.model = this.advance(study, this.model);
    }
    return this.model;
  }

  propose(context: AskContext, model: CMA): Proposal {
    const { space, study } = context;
    const { dimensions, width } = this.history;
    const random = context.random("sample");
    const v = new Float64Array(this.numeric.length), x = new Float64Array(this.numeric.length), unit = new Float64Array(width);
    const normal = (): number => random.normal();
    for (let tries = 0; tries < 100; tries++) {
      model.sample(normal, v);
      model.evaluated(v, x);
      if (tries < 99 && this.numeric.some((d, i) => dimensions[d]!.kind === "continuous" && !(x[i]! >= 0 && x[i]! <= 1))) continue;
      this.numeric.forEach((d, i) => {
        const u = Math.min(1, Math.max(0, x[i]!));
        unit[d] = dimensions[d]!.kind === "continuous" ? u : cellCentre(dimensions[d]!, cellOf(dimensions[d]!, u));
      });
      this.categorical.forEach((d, i) => { unit[d] = cellCentre(dimensions[d]!, draw(this.probabilities[i]!, random)); });
      const assignment = space.fromUnit(unit);
      if (!space.satisfies(assignment) || study.isKnown(assignment)) continue;
      const attributes: Record<string, Json> = { [GENERATION]: this.epoch };
      if (this.epoch === 1) attributes[START] = this.startedWith;
      if (this.needsPoint) attributes[POINT] = Array.from(v);
      return { assignment, attributes, why: `generation ${model.generation} of restart ${this.restarts}, σ ${model.sigma.toPrecision(2)}` };
    }
    return { assignment: randomAssignment(context), why: "nothing new near the mean" };
  }

  /** Failed trials count as the worst; pruned ones without a value say nothing. */
  private usable(study: StudyView, row: number): boolean {
    if (this.history.row(row).every(Number.isNaN)) return false;
    return study.states[this.history.trials[row]!] === TrialState.FAIL || !Number.isNaN(this.history.losses[row]!);
  }

  private lossOf(row: number): number {
    const loss = this.history.losses[row]!;
    return Number.isNaN(loss) ? Infinity : loss;
  }

  /** The point as it was sampled; of a trial from elsewhere, its row, with the mean where a coordinate is missing. */
  private pointOf(study: StudyView, row: number, model: CMA): Float64Array {
    const trial = this.history.trials[row]!;
    const stored = this.needsPoint ? study.systemAttribute(trial, POINT) : undefined;
    if (Array.isArray(stored) && stored.length === this.numeric.length) return Float64Array.from(stored, Number);
    const v = this.coordinates(row, model.mean);
    if (study.systemAttribute(trial, GENERATION) === this.epoch) return v;
    // Injection (Hansen 2011): a point that the distribution would hardly have drawn counts as one at its edge.
    const distance = model.mahalanobis(v);
    const reach = Math.sqrt(model.n) + 2 * model.n / (model.n + 2);
    if (distance > reach) for (let i = 0; i < v.length; i++) v[i] = model.mean[i]! + (v[i]! - model.mean[i]!) * (reach / distance);
    return v;
  }

  private coordinates(row: number, missing: Float64Array): Float64Array {
    return Float64Array.from(this.numeric, (d, i) => {
      const u = this.history.row(row)[d]!;
      return Number.isNaN(u) ? missing[i]! : u;
    });
  }

  /** Ranks the generation: feasible before infeasible, then by loss. */
  private ranked(study: StudyView): Individual[] {
    const violation = (row: number): number => {
      if (!study.constrained) return 0;
      const v = study.violations[this.history.trials[row]!]!;
      return Number.isNaN(v) ? Infinity : v;
    };
    return this.generation.sort((a, b) => ascending(violation(a.row), violation(b.row)) || ascending(this.lossOf(a.row), this.lossOf(b.row)));
  }

  /** The first distribution: about the centre, or about the best of what other samplers have found. */
  private start(study: StudyView): CMA {
    this.startedWith = this.history.length;
    for (let row = 0; row < this.history.length; row++) {
      const recorded = study.systemAttribute(this.history.trials[row]!, START);
      if (typeof recorded === "number") { this.startedWith = recorded; break; }
    }
    this.synced = this.startedWith;
    this.probabilities = this.categorical.map((d) => new Float64Array(this.history.dimensions[d]!.levels).fill(1 / this.history.dimensions[d]!.levels));
    const centre = new Float64Array(this.numeric.length).fill(0.5);
    for (let row = 0; row < this.startedWith; row++) if (this.usable(study, row)) this.generation.push({ v: this.coordinates(row, centre), row });
    const ranked = this.ranked(study);
    this.generation = [];
    const initial = this.options.sigma ?? 0.12;
    const warm = ranked.filter(({ row }) => Number.isFinite(this.lossOf(row))).length >= WARM;
    const model = this.begin(warm ? ranked[0]!.v : centre, warm ? Math.min(initial, spreadOf(ranked.slice(0, Math.ceil(ranked.length / 10) + 2))) : initial, this.smallest());
    this.largePopulation = model.populationSize;
    return model;
  }

  private smallest(): number {
    const n = this.numeric.length;
    return this.options.populationSize ?? Math.min(4 + Math.floor(3 * Math.log(Math.max(1, n))), 6 + Math.floor(n / 20));
  }

  private begin(mean: Float64Array, sigma: number, populationSize: number): CMA {
    this.epoch++;
    this.bests = [];
    return new CMA({ mean, sigma, populationSize, thresholds: this.thresholds, separable: this.options.separable ?? mean.length > 200 });
  }

  private advance(study: StudyView, model: CMA): CMA {
    const ranked = this.ranked(study);
    this.generation = [];
    if (this.numeric.length > 0) model.tell(ranked.map(({ v }) => v));
    else model.generation++;
    this.learnCategories(ranked);
    this.epoch++;
    this.bests.push(this.lossOf(ranked[0]!.row));
    const spent = ranked.length;
    if (this.large) this.spentLarge += spent;
    else this.spentSmall += spent;
    return (this.options.restarts ?? "bipop") !== "none" && this.converged(model, ranked) ? this.restart(model) : model;
  }

  /** Moves each category's probability towards its share among the better half, keeping a floor (Hamano et al. 2024, CatCMA). */
  private learnCategories(ranked: readonly Individual[]): void {
    const half = Math.max(1, ranked.length >> 1);
    this.categorical.forEach((d, i) => {
      const p = this.probabilities[i]!;
      const levels = p.length;
      const rate = 1 / (1 + this.categorical.length + levels / half);
      const share = new Float64Array(levels);
      for (let k = 0; k < half; k++) {
        const u = this.history.row(ranked[k]!.row)[d]!;
        if (Number.isNaN(u)) for (let c = 0; c < levels; c++) share[c] = share[c]! + p[c]! / half;
        else share[cellOf(this.history.dimensions[d]!, u)]! += 1 / half;
      }
      const floor = 1 / (ranked.length * this.categorical.length * Math.max(1, levels - 1));
      let sum = 0;
      for (let c = 0; c < levels; c++) sum += p[c] = Math.max(floor, (1 - rate) * p[c]! + rate * share[c]!);
      for (let c = 0; c < levels; c++) p[c] = p[c]! / sum;
    });
  }

  /** The usual criteria of the tutorial (B.3), for coordinates of unit range. */
  private converged(model: CMA, ranked: readonly Individual[]): boolean {
    if (this.numeric.length === 0) return false;
    if (model.conditionNumber() > 1e14 || model.spread() < 1e-8 || model.sigma > 1e4) return true;
    const window = 10 + Math.ceil((30 * model.n) / model.populationSize);
    if (this.bests.length < window) return false;
    const recent = this.bests.slice(-window);
    const losses = ranked.map(({ row }) => this.lossOf(row));
    const range = Math.max(...recent, ...losses) - Math.min(...recent, ...losses);
    return range <= 1e-12 * Math.max(1, Math.abs(recent[0]!));
  }

  private restart(model: CMA): CMA {
    this.restarts++;
    const random = createRandom(this.seed, this.restarts, "cma-es/restart");
    const mean = Float64Array.from({ length: model.n }, () => random.uniform());
    const initial = this.options.sigma ?? 0.12;
    for (const p of this.probabilities) p.fill(1 / p.length);
    this.large = this.options.restarts === "ipop" || this.spentLarge <= this.spentSmall;
    if (this.large) return this.begin(mean, initial, this.largePopulation *= 2);
    const smallest = this.smallest();
    const size = Math.floor(smallest * (0.5 * this.largePopulation / smallest) ** (random.uniform() ** 2));
    return this.begin(mean, initial * 10 ** (-2 * random.uniform()), Math.max(smallest, size));
  }
}

/** Root mean square deviation per coordinate of some points about their mean, at least a hundredth. */
function spreadOf(points: readonly Individual[]): number {
  const n = points[0]!.v.length;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const mean = points.reduce((s, { v }) => s + v[i]!, 0) / points.length;
    sum += points.reduce((s, { v }) => s + (v[i]! - mean) ** 2, 0) / points.length;
  }
  return Math.max(0.01, Math.sqrt(sum / n));
}

/** The order of two numbers, also of infinite ones. */
function ascending(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function draw(probabilities: Float64Array, random: Random): number {
  let left = random.uniform();
  for (let c = 0; c < probabilities.length - 1; c++) if ((left -= probabilities[c]!) < 0) return c;
  return probabilities.length - 1;
}
