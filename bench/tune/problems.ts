// The test problems of the benchmarks: analytic functions with known minima, and complete tables of real results.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { categoricalDistribution, floatDistribution, intDistribution } from "../../packages/tune/src/space/distribution.ts";
import { SearchSpace, type Assignment } from "../../packages/tune/src/space/space.ts";

/** A function to optimise of which the best value is known. */
export interface Problem {
  readonly name: string;
  readonly space: SearchSpace;
  /** Where a table was read from. */
  readonly file?: string;
  /** Distance of a point's value from the best one, ≥ 0: the thing minimised. */
  regret(assignment: Assignment): number;
}

function box(name: string, bounds: readonly (readonly [number, number])[], best: number, f: (x: readonly number[]) => number): Problem {
  const space = new SearchSpace(bounds.map(([low, high], i) => ({ name: `x${i}`, distribution: floatDistribution(low, high), condition: null })));
  return { name, space, regret: (assignment) => f(space.parameters.map((p) => Number(assignment.get(p.name)))) - best };
}

const HARTMANN_A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]];
const HARTMANN_P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991], [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]];
const HARTMANN_ALPHA = [1, 1.2, 3, 3.2];

export function sphere(x: ArrayLike<number>): number {
  let s = 0;
  for (let i = 0; i < x.length; i++) s += x[i]! ** 2;
  return s;
}
export function ellipsoid(x: ArrayLike<number>): number {
  let s = 0;
  for (let i = 0; i < x.length; i++) s += 1e6 ** (i / (x.length - 1)) * x[i]! ** 2;
  return s;
}
export function cigar(x: ArrayLike<number>): number {
  let s = x[0]! ** 2;
  for (let i = 1; i < x.length; i++) s += 1e6 * x[i]! ** 2;
  return s;
}
export function rosenbrock(x: ArrayLike<number>): number {
  let s = 0;
  for (let i = 0; i + 1 < x.length; i++) s += 100 * (x[i + 1]! - x[i]! ** 2) ** 2 + (1 - x[i]!) ** 2;
  return s;
}
export function rastrigin(x: ArrayLike<number>): number {
  let s = 10 * x.length;
  for (let i = 0; i < x.length; i++) s += x[i]! ** 2 - 10 * Math.cos(2 * Math.PI * x[i]!);
  return s;
}
export function ackley(x: ArrayLike<number>): number {
  let squares = 0, cosines = 0;
  for (let i = 0; i < x.length; i++) {
    squares += x[i]! ** 2;
    cosines += Math.cos(2 * Math.PI * x[i]!);
  }
  return -20 * Math.exp(-0.2 * Math.sqrt(squares / x.length)) - Math.exp(cosines / x.length) + 20 + Math.E;
}

/** The four functions of the regret gate. */
export const ANALYTIC: readonly Problem[] = [
  box("Branin", [[-5, 10], [0, 15]], 0.39788735772973816, ([x, y]) =>
    (y! - (5.1 / (4 * Math.PI ** 2)) * x! ** 2 + (5 / Math.PI) * x! - 6) ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x!) + 10),
  box("Hartmann6", Array.from({ length: 6 }, () => [0, 1] as const), -3.322368011415512, (x) =>
    -HARTMANN_ALPHA.reduce((sum, alpha, i) => sum + alpha * Math.exp(-x.reduce((s, v, j) => s + HARTMANN_A[i]![j]! * (v - HARTMANN_P[i]![j]! / 1e4) ** 2, 0)), 0)),
  box("Ackley10", Array.from({ length: 10 }, () => [-32.768, 32.768] as const), 0, ackley),
  box("Rosenbrock5", Array.from({ length: 5 }, () => [-5, 10] as const), 0, rosenbrock),
];

interface TableFile {
  readonly name: string;
  readonly direction: "minimize" | "maximize";
  readonly space: Readonly<Record<string, readonly (string | number)[]>>;
  readonly bestMean: number;
  readonly scores: readonly (readonly number[])[];
}

/** The tables of a folder: the objective is the mean over repetitions, numbers are int indices, texts are categories. */
export function readTables(folder: string): Problem[] {
  return readdirSync(folder).filter((file) => file.endsWith(".json.gz")).sort().map((file) => {
    const table = JSON.parse(gunzipSync(readFileSync(join(folder, file))).toString()) as TableFile;
    const entries = Object.entries(table.space);
    const space = new SearchSpace(entries.map(([name, values]) => ({
      name, condition: null,
      distribution: typeof values[0] === "string" ? categoricalDistribution(values) : intDistribution(0, values.length - 1),
    })));
    const sign = table.direction === "maximize" ? -1 : 1;
    const means = Float64Array.from(table.scores, (scores) => scores.reduce((a, b) => a + b, 0) / scores.length);
    const regret = (assignment: Assignment): number => {
      let index = 0;
      for (const [name, values] of entries) index = index * values.length + Number(assignment.get(name));
      return sign * (means[index]! - table.bestMean);
    };
    return { name: table.name, space, file: join(folder, file), regret };
  });
}
