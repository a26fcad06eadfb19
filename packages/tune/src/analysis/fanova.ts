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
  const varied = forest.map((leaves) => ({ leaves, ...moments(leaves) })).filter(({ variance }) => variance > 0);
  for (const { leaves, average, variance } of varied)
    for (const axis of axes.keys()) shares[owner[axis]!]! += mainEffect(leaves, axis, average) / variance / varied.length;
  return shares;
}

/** Mean and variance of a tree over the uniform cube. */
function moments(leaves: readonly Leaf[]): { average: number; variance: number } {
  let average = 0;
  for (const leaf of leaves) average += volume(leaf) * leaf.value;
  let variance = 0;
  for (const leaf of leaves) variance += volume(leaf) * (leaf.value - average) ** 2;
  return { average, variance };
}

/** ∫ (a(x) − mean)² dx of the marginal a(x) = E[tree | coordinate = x]. */
function mainEffect(leaves: readonly Leaf[], axis: number, average: number): number {
  const side = leaves[0]!.sides[axis]!;
  return "members" in side ? categoryEffect(leaves, axis, side.members.length, average) : orderedEffect(leaves, axis, average);
}

function categoryEffect(leaves: readonly Leaf[], axis: number, categories: number, average: number): number {
  const marginal = new Float64Array(categories);
  for (const leaf of leaves) {
    const side = leaf.sides[axis]!;
    if (!("members" in side)) continue;
    const weight = ((leaf.value - average) * volume(leaf)) / width(side);
    for (let c = 0; c < categories; c++) if (side.members[c] === 1) marginal[c]! += weight;
  }
  return marginal.reduce((sum, value) => sum + value * value, 0) / categories;
}

function orderedEffect(leaves: readonly Leaf[], axis: number, average: number): number {
  // The marginal is a step function: each leaf raises it at its low edge and lowers it at its high edge.
  const edges: { at: number; change: number }[] = [];
  for (const leaf of leaves) {
    const side = leaf.sides[axis]!;
    if ("members" in side) continue;
    const weight = ((leaf.value - average) * volume(leaf)) / width(side);
    edges.push({ at: side.low, change: weight }, { at: side.high, change: -weight });
  }
  edges.sort((a, b) => a.at - b.at);
  let height = 0;
  let sum = 0;
  for (const [i, { at, change }] of edges.entries()) {
    height += change;
    sum += height * height * ((edges[i + 1]?.at ?? at) - at);
  }
  return sum;
}

function volume(leaf: Leaf): number {
  return leaf.sides.reduce((product, side) => product * width(side), 1);
}

function width(side: Side): number {
  if (!("members" in side)) return side.high - side.low;
  return side.members.reduce((count, on) => count + on, 0) / side.members.length;
}
