// Two parameters against each other, each trial coloured by its rank: what is good shows even where values differ by powers.
import { completed, objectiveName, type StudyResults } from "../results.ts";
import { chart, type Size } from "./chart.ts";
import { ramp } from "./colours.ts";
import { linearScale, parameterScale, shortNumber } from "./scale.ts";
import { chosenPair, withScalarParameters } from "./scalar-parameters.ts";
import { mark } from "./svg.ts";

/** Size, axes and objective of the figure. */
export interface RankPlotOptions extends Size {
  /** The parameter on each axis; default the two most important. */
  readonly x?: string;
  /** As `x`. */
  readonly y?: string;
  /** Index; default 0. */
  readonly objective?: number;
}

/**
 * Completed trials over two parameters as an SVG file, dark for the best; equal values share their mean rank.
 *
 * @example
 * plotRank(results).startsWith("<?xml"); // true
 */
export function plotRank(study: StudyResults, options: RankPlotOptions = {}): string {
  const results = withScalarParameters(study);
  const { objective = 0, x: _, y: __, ...size } = options;
  const name = objectiveName(results, objective);
  const [xName, yName] = chosenPair(results, options);
  const rows = completed(results).filter(({ trial, values }) => !Number.isNaN(values[objective]) && trial.params[xName] !== undefined && trial.params[yName] !== undefined);
  const trials = rows.map((row) => row.trial);
  const ranks = meanRanks(rows.map((row) => row.minimised[objective]!));
  const [xAxis, yAxis] = [parameterScale(trials, xName), parameterScale(trials, yName)];
  const colours = linearScale([1, Math.max(2, rows.length)], { tight: true, integer: true });
  return chart(
    { title: `Ranks of ${name} of ${results.name}`, x: { name: xName, scale: xAxis.scale }, y: { name: yName, scale: yAxis.scale }, colours: { name: "rank", scale: colours }, ...size },
    // The best are drawn last, on top.
    ({ x, y }) => rows.map((row, i) => ({ row, rank: ranks[i]! })).sort((a, b) => b.rank - a.rank).map(({ row: { trial, values }, rank }) =>
      mark(x(xAxis.value(trial)), y(yAxis.value(trial)), ramp(colours.place(rank)), `trial ${trial.number}: rank ${shortNumber(rank)}, ${shortNumber(values[objective]!)}`, { opacity: 0.85 })),
  );
}

/** Ranks from 1, ascending. */
function meanRanks(values: readonly number[]): Float64Array {
  const order = values.map((_, i) => i).sort((a, b) => (values[a]! < values[b]! ? -1 : values[a]! > values[b]! ? 1 : 0));
  const ranks = new Float64Array(values.length);
  for (let start = 0, end: number; start < order.length; start = end) {
    for (end = start + 1; end < order.length && values[order[end]!] === values[order[start]!];) end++;
    for (let k = start; k < end; k++) ranks[order[k]!] = (start + 1 + end) / 2;
  }
  return ranks;
}
