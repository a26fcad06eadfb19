// Optimisation history: every completed trial's value, and the best so far.
import { objectiveName, type StudyResults } from "../results.ts";
import { historyTable } from "../tables.ts";
import { chart, type Size } from "./chart.ts";
import { category, FADED } from "./colours.ts";
import { linearScale, numericScale, shortNumber } from "./scale.ts";
import { mark, polyline } from "./svg.ts";

/** Size, objective and scale of the figure. */
export interface HistoryPlotOptions extends Size {
  /** Index; default 0. */
  readonly objective?: number;
  /** Logarithmic values; default false. */
  readonly log?: boolean;
}

/**
 * Value over trial number as an SVG file; infeasible trials are hollow.
 *
 * @example
 * plotHistory(results).startsWith("<?xml"); // true
 */
export function plotHistory(results: StudyResults, { objective = 0, log = false, ...size }: HistoryPlotOptions = {}): string {
  const name = objectiveName(results, objective);
  const rows = historyTable(results, objective).filter((row) => Number.isFinite(row.value) && (!log || row.value > 0));
  const infeasible = rows.some((row) => !row.feasible);
  return chart(
    {
      title: `Optimisation history of ${results.name}`,
      x: { name: "trial", scale: linearScale(rows.map((row) => row.number), { integer: true }) },
      y: { name, scale: numericScale(rows.flatMap((row) => [row.value, row.best]), log) },
      legend: [
        { name, colour: category(5) },
        { name: "best so far", colour: category(1), shape: "line" },
        ...(infeasible ? [{ name: "infeasible", colour: FADED, shape: "ring" as const }] : []),
      ],
      ...size,
    },
    ({ x, y }) => {
      const stairs: [number, number][] = [];
      for (const row of rows) {
        if (!Number.isFinite(row.best) || (log && row.best <= 0)) continue;
        const last = stairs.at(-1);
        if (last !== undefined) stairs.push([x(row.number), last[1]]);
        stairs.push([x(row.number), y(row.best)]);
      }
      return [
        ...rows.map((row) => mark(x(row.number), y(row.value), row.feasible ? category(5) : "none",
          `trial ${row.number}: ${shortNumber(row.value)}${row.feasible ? "" : " (infeasible)"}`, row.feasible ? { opacity: 0.85 } : { stroke: FADED })),
        polyline(stairs, { stroke: category(1), "stroke-width": 2.2 }),
      ];
    },
  );
}
