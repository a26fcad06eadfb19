// Functional ANOVA importance (Hutter, Hoos & Leyton-Brown 2014): the share of a random forest's variance over the whole
// space that each parameter explains alone. Exact for the forest: its trees are integrated box by box.
import { sameDistribution } from "../space/distribution.ts";
import { createRandom } from "../random/random.ts";
import { ValueError } from "../study/errors.ts";
import { axesOf, coordinates, type Axis } from "./parameter-axes.ts";
import { growForest, type Leaf, type Side } from "./regression-forest.ts";
import { completed, objectiveName, parameterNames, type StudyResults } from "./results.ts";

export interface FanovaOptions {
  /** Index; default 0. */
  readonly objective?: number;
  /** Default 64. */
  readonly trees?: number;
  /** Default 0. */
  readonly seed?: number;
}

/**
 * Main effect of each parameter as a fraction of the variance; what is missing to 1 are interactions.
 * Only parameters that every completed trial has with one range take part; for others use `pedAnova`.
 */
export function fanova(results: StudyResults, options: FanovaOptions = {}): Record<string, number> {
  const { objective = 0, trees = 64, seed = 0 } = options;
  objectiveName(results, objective);
  const rows = completed(results).filter((row) => Number.isFinite(row.values[objective]!));
  if (rows.length < 3) throw new ValueError(`Importance needs at least 3 completed trials with finite values, got ${rows.length}.`);
  const first = rows[0]!.trial.distributions;
  const names = parameterNames(rows.map((row) => row.trial)).filter((name) => {
    const declared = first[name];
    return declared !== undefined && rows.every(({ trial }) => {
      const other = trial.distributions[name];
      return other !== undefined && sameDistribution(declared, other);
    });
  });
  if (names.length === 0)
    throw new ValueError("fanova: no parameter appears in every completed trial with the same range; use pedAnova, which handles conditional spaces.");

  const axes: Axis[] = [];
  const columns: Float64Array[] = [];
  const owner: string[] = [];
  for (const name of names) {
    const distribution = first[name]!;
    const points = rows.map((row) => coordinates(distribution, row.trial.params[name]!));
    for (const [a, axis] of axesOf(distribution).entries()) {
      axes.push(axis);
      columns.push(Float64Array.from(points, (point) => point[a]!));
      owner.push(name);
    }
  }
  const targets = Float64Array.from(rows, (row) => row.values[objective]!);
  const forest = growForest(axes, { columns, targets }, trees, createRandom(seed, 0, "fanova"));

  const shares: Record<string, number> = Object.fromEntries(names.map((name) => [name, 0]));
  const varied = forest.map(deviations).filter(({ variance }) => variance > 0);
  for (const { leaves, variance } of varied)
    for (const axis of axes.keys()) shares[owner[axis]!]! += mainEffect(leaves, axis) / variance / varied.length;
  return shares;
}

/** A leaf's sides, and its deviation from the tree's mean times its volume. */
interface Deviation {
  readonly sides: readonly Side[];
  readonly mass: number;
}

/** The tree less its mean over the uniform cube, and its variance. */
function deviations(leaves: readonly Leaf[]): { leaves: Deviation[]; variance: number } {
  const volumes = leaves.map(({ sides }) => sides.reduce((product, side) => product * width(side), 1));
  const mean = leaves.reduce((sum, { value }, i) => sum + volumes[i]! * value, 0);
  return {
    leaves: leaves.map(({ sides, value }, i) => ({ sides, mass: (value - mean) * volumes[i]! })),
    variance: leaves.reduce((sum, { value }, i) => sum + volumes[i]! * (value - mean) ** 2, 0),
  };
}

/** ∫ a(x)² dx of the centred marginal a(x) = E[tree | coordinate = x] − mean. */
function mainEffect(leaves: readonly Deviation[], axis: number): number {
  const side = leaves[0]!.sides[axis]!;
  return "members" in side ? categoryEffect(leaves, axis, side.members.length) : orderedEffect(leaves, axis);
}

function categoryEffect(leaves: readonly Deviation[], axis: number, categories: number): number {
  const marginal = new Float64Array(categories);
  for (const { sides, mass } of leaves) {
    const side = sides[axis]!;
    if (!("members" in side)) continue;
    for (let c = 0; c < categories; c++) if (side.members[c] === 1) marginal[c]! += mass / width(side);
  }
  return marginal.reduce((sum, value) => sum + value * value, 0) / categories;
}

/** The marginal is a step function: each leaf raises it at its low edge and lowers it at its high edge. */
function orderedEffect(leaves: readonly Deviation[], axis: number): number {
  const intervals = leaves.flatMap(({ sides, mass }) => {
    const side = sides[axis]!;
    return "members" in side ? [] : [{ ...side, height: mass / width(side) }];
  });
  const edges = Float64Array.from(new Set(intervals.flatMap(({ low, high }) => [low, high]))).sort();
  const indexOf = new Map(Array.from(edges, (edge, i) => [edge, i]));
  const changes = new Float64Array(edges.length);
  for (const { low, high, height } of intervals) {
    changes[indexOf.get(low)!]! += height;
    changes[indexOf.get(high)!]! -= height;
  }
  let marginal = 0;
  let sum = 0;
  for (let i = 0; i + 1 < edges.length; i++) {
    marginal += changes[i]!;
    sum += marginal * marginal * (edges[i + 1]! - edges[i]!);
  }
  return sum;
}

function width(side: Side): number {
  if (!("members" in side)) return side.high - side.low;
  return side.members.reduce((count, on) => count + on, 0) / side.members.length;
}
