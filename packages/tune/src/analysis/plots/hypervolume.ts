// How the hypervolume of the front grew with the trials of a study with several objectives.
import { ValueError } from "../../errors/errors.ts";
import { hypervolumeHistory } from "../hypervolume-history.ts";
import { completed, type StudyResults } from "../results.ts";
import { chart, type Size } from "./chart.ts";
import { category } from "./colours.ts";
import { linearScale } from "./scale.ts";
import { polyline } from "./svg.ts";

/** Size and reference point of the figure. */
export interface HypervolumePlotOptions extends Size {
  /** In the objectives' own units, beaten by every trial worth counting; default the worst value seen of each, and a tenth of its range beyond. */
  readonly reference?: readonly number[];
}

/**
 * Hypervolume over trial number as an SVG file.
 *
 * @example
 * plotHypervolume(front).startsWith("<?xml"); // true
 */
export function plotHypervolume(results: StudyResults, { reference, ...size }: HypervolumePlotOptions = {}): string {
  const rows = completed(results);
  const volumes = hypervolumeHistory(results, reference ?? worst(results));
  return chart(
    {
      title: `Hypervolume of ${results.name}`,
      x: { name: "trial", scale: linearScale(rows.map((row) => row.trial.number), { integer: true }) },
      y: { name: "hypervolume", scale: linearScale([0, ...volumes]) },
      ...size,
    },
    ({ x, y }) => [polyline(rows.flatMap(({ trial }, i): [number, number][] => [
      ...(i === 0 ? [] : [[x(trial.number), y(volumes[i - 1]!)] as [number, number]]), [x(trial.number), y(volumes[i]!)],
    ]), { stroke: category(1), "stroke-width": 2.2 })],
  );
}

function worst(results: StudyResults): number[] {
  const rows = completed(results).filter((row) => row.feasible && row.minimised.every(Number.isFinite));
  if (results.directions.length < 2) throw new ValueError(`Study "${results.name}" has one objective, whose course plotHistory shows; a hypervolume needs several.`);
  return results.directions.map((direction, k) => {
    const column = rows.map((row) => row.minimised[k]!);
    const low = column.reduce((a, b) => Math.min(a, b), Infinity);
    const high = column.reduce((a, b) => Math.max(a, b), -Infinity);
    const beyond = column.length === 0 ? 1 : high + 0.1 * (high > low ? high - low : Math.max(1, Math.abs(high)));
    return direction === "maximize" ? -beyond : beyond;
  });
}
