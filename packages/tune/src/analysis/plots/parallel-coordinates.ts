// Every trial as a line through its parameters, coloured by the objective: dark lines are the best trials.
import { completed, objectiveName, type StudyResults } from "../results.ts";
import type { Size } from "./chart.ts";
import { ramp } from "./colours.ts";
import { colourBar, colourBarWidth, stride } from "./panel.ts";
import { numericScale, parameterScale, shortNumber, type Scale } from "./scale.ts";
import { chosenParameters, withScalarParameters } from "./scalar-parameters.ts";
import { document, element, escapeXml, label, line, polyline } from "./svg.ts";

/** Size, axes and scale of the figure. */
export interface ParallelCoordinatesOptions extends Size {
  /** In this order; default all. */
  readonly parameters?: readonly string[];
  /** Index; default 0. */
  readonly objective?: number;
  /** Logarithmic objective; default false. */
  readonly log?: boolean;
}

/**
 * Parallel coordinates as an SVG file; a trial without a parameter has a gap there.
 *
 * @example
 * plotParallelCoordinates(results).startsWith("<?xml"); // true
 */
export function plotParallelCoordinates(study: StudyResults, options: ParallelCoordinatesOptions = {}): string {
  const results = withScalarParameters(study);
  const { parameters, objective = 0, log = false, height = 460 } = options;
  const name = objectiveName(results, objective);
  const rows = completed(results).filter(({ values }) => Number.isFinite(values[objective]) && (!log || values[objective]! > 0));
  const names = chosenParameters(results, parameters);
  const trials = rows.map((row) => row.trial);
  const scale = numericScale(rows.map((row) => row.values[objective]!), log);
  const maximise = results.directions[objective] === "maximize";
  const colourAt = (place: number): string => ramp(maximise ? 1 - place : place);
  const axes: { name: string; scale: Scale; valueOf: (row: (typeof rows)[number]) => number }[] = [
    { name, scale, valueOf: (row) => row.values[objective]! },
    ...names.map((parameter) => {
      const { scale: own, value } = parameterScale(trials, parameter);
      return { name: parameter, scale: own, valueOf: (row: (typeof rows)[number]) => value(row.trial) };
    }),
  ];

  const bar = { name, scale };
  const width = options.width ?? Math.max(760, axes.length * 120 + colourBarWidth(bar));
  const [top, bottom, left] = [84, height - 30, 70];
  const right = width - colourBarWidth(bar) - 60;
  const gap = (right - left) / (axes.length - 1);
  const x = (axis: number): number => left + gap * axis;
  const y = (axis: number, value: number): number => bottom - (bottom - top) * axes[axis]!.scale.place(value);

  // The best are drawn last, on top.
  const lines = rows
    .toSorted((a, b) => b.minimised[objective]! - a.minimised[objective]!)
    .map((row) => {
      const runs: [number, number][][] = [[]];
      for (const [axis, { valueOf }] of axes.entries()) {
        const value = valueOf(row);
        if (Number.isNaN(value)) runs.push([]);
        else runs.at(-1)!.push([x(axis), y(axis, value)]);
      }
      const colour = colourAt(scale.place(row.values[objective]!));
      return element("g", { opacity: 0.75 }, element("title", {}, escapeXml(`trial ${row.trial.number}: ${shortNumber(row.values[objective]!)}`)),
        ...runs.filter((run) => run.length > 0).map((run) =>
          run.length > 1 ? polyline(run, { stroke: colour, "stroke-width": 1.4 }) : element("circle", { cx: run[0]![0], cy: run[0]![1], r: 2, fill: colour })));
    });
  const frame = axes.flatMap((axis, i) => [
    line(x(i), top, x(i), bottom, { stroke: "#222222" }),
    label(x(i), top - (i % 2 === 0 || gap > 110 ? 16 : 32), axis.name, { "text-anchor": "middle", "font-weight": "bold" }, Math.max(6, Math.floor((gap > 110 ? gap : 2 * gap) / 7.4))),
    ...axis.scale.ticks.filter((_, k) => k % stride(axis.scale, bottom - top) === 0).flatMap((tick) => [
      line(x(i) - 3, y(i, tick.value), x(i) + 3, y(i, tick.value), { stroke: "#222222" }),
      // A white rim keeps the label readable over the lines.
      label(x(i) + 6, y(i, tick.value) + 4, tick.label, { "font-size": 11, stroke: "#ffffff", "stroke-width": 3, "paint-order": "stroke" }, 14),
    ]),
  ]);
  return document(width, height, `Parallel coordinates of ${results.name}`, [...lines, ...frame, colourBar(right + 56, top, bottom - top, bar, colourAt)]);
}
