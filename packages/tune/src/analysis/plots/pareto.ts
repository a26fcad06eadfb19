// Two objectives against each other, with the Pareto front over all objectives.
import { ValueError } from "../../errors/errors.ts";
import { paretoFront } from "../../pareto/dominance.ts";
import { completed, objectiveName, type StudyResults } from "../results.ts";
import { chart, type Size } from "./chart.ts";
import { category, FADED } from "./colours.ts";
import { numericScale, shortNumber } from "./scale.ts";
import { mark, polyline } from "./svg.ts";

/** Size, objectives and scales of the figure. */
export interface ParetoPlotOptions extends Size {
  /** Indices of the objectives on the axes; default [0, 1]. */
  readonly objectives?: readonly [number, number];
  /** Logarithmic axes; default [false, false]. */
  readonly log?: readonly [boolean, boolean];
}

/**
 * The feasible front, dominated and infeasible trials, as an SVG file.
 *
 * @example
 * plotPareto(front).startsWith("<?xml"); // true
 */
export function plotPareto(results: StudyResults, { objectives: [a, b] = [0, 1], log = [false, false], ...size }: ParetoPlotOptions = {}): string {
  if (results.directions.length < 2) throw new ValueError(`Study "${results.name}" has one objective; plotHistory shows it.`);
  const [nameA, nameB] = [objectiveName(results, a), objectiveName(results, b)];
  const rows = completed(results).filter(({ values }) => Number.isFinite(values[a]) && Number.isFinite(values[b]) && (!log[0] || values[a]! > 0) && (!log[1] || values[b]! > 0));
  const feasible = rows.filter((row) => row.feasible);
  const front = paretoFront(feasible.map((row) => row.minimised)).map((i) => feasible[i]!);
  const onFront = new Set(front);
  const kinds = [
    { name: "Pareto front", colour: category(1), rows: front },
    { name: "dominated", colour: category(5), rows: feasible.filter((row) => !onFront.has(row)) },
    { name: "infeasible", colour: FADED, rows: rows.filter((row) => !row.feasible) },
  ].filter((kind) => kind.rows.length > 0);
  return chart(
    {
      title: `Pareto front of ${results.name}`,
      x: { name: `${nameA} (${results.directions[a]!})`, scale: numericScale(rows.map((row) => row.values[a]!), log[0]) },
      y: { name: `${nameB} (${results.directions[b]!})`, scale: numericScale(rows.map((row) => row.values[b]!), log[1]) },
      legend: kinds.map(({ name, colour }) => ({ name, colour, shape: name === "infeasible" ? "ring" : "dot" })),
      ...size,
    },
    ({ x, y }) => [
      ...(results.directions.length === 2 ? [attainment(front.map((row) => [x(row.values[a]!), y(row.values[b]!)]), results.directions[b] === "maximize")] : []),
      ...kinds.toReversed().flatMap((kind) =>
        kind.rows.map(({ trial, values }) =>
          mark(x(values[a]!), y(values[b]!), kind.name === "infeasible" ? "none" : kind.colour,
            `trial ${trial.number}: ${shortNumber(values[a]!)}, ${shortNumber(values[b]!)}`,
            kind.name === "infeasible" ? { stroke: kind.colour } : kind.name === "dominated" ? { opacity: 0.7 } : { r: 4.5 }),
        ),
      ),
    ],
  );
}

/** The staircase between front points: its corners are what is attained at least, on the worse side of both. */
function attainment(points: [number, number][], upIsBetter: boolean): string {
  const sorted = points.toSorted((p, q) => p[0] - q[0]);
  const stairs: [number, number][] = [];
  for (const [i, point] of sorted.entries()) {
    const last = sorted[i - 1];
    // Pixels grow downwards: the worse y is the larger one when up is better, the smaller one otherwise.
    if (last !== undefined) {
      const worse = upIsBetter ? Math.max(last[1], point[1]) : Math.min(last[1], point[1]);
      stairs.push([last[1] === worse ? point[0] : last[0], worse]);
    }
    stairs.push(point);
  }
  return polyline(stairs, { stroke: category(1), "stroke-width": 1.6, opacity: 0.8 });
}
