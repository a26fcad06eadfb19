// One panel per parameter: the objective against it, coloured by trial number so that one sees where the search went.
import { completed, objectiveName, type StudyResults } from "../results.ts";
import { ramp } from "./colours.ts";
import { bottomMargin, colourBar, colourBarWidth, leftMargin, panel } from "./panel.ts";
import { linearScale, numericScale, parameterScale, shortNumber } from "./scale.ts";
import { chosenParameters, withScalarParameters } from "./scalar-parameters.ts";
import { document, mark } from "./svg.ts";

/** Panels and scale of the figure. */
export interface SlicePlotOptions {
  /** Default all. */
  readonly parameters?: readonly string[];
  /** Index; default 0. */
  readonly objective?: number;
  /** Logarithmic values; default false. */
  readonly log?: boolean;
}

const PANEL = { width: 240, height: 210 };
const COLUMNS = 3;

/**
 * Objective against each parameter as an SVG file.
 *
 * @example
 * plotSlice(results).startsWith("<?xml"); // true
 */
export function plotSlice(study: StudyResults, { parameters, objective = 0, log = false }: SlicePlotOptions = {}): string {
  const results = withScalarParameters(study);
  const name = objectiveName(results, objective);
  const rows = completed(results).filter(({ values }) => Number.isFinite(values[objective]) && (!log || values[objective]! > 0));
  const names = chosenParameters(results, parameters);
  const y = numericScale(rows.map((row) => row.values[objective]!), log, { ticks: 5 });
  const order = { name: "trial", scale: linearScale(rows.map((row) => row.trial.number), { tight: true, ticks: 5, integer: true }) };
  const axes = new Map(names.map((parameter) => [parameter, parameterScale(rows.map((row) => row.trial), parameter, 4)]));
  const below = Math.max(...Array.from(axes.values(), ({ scale }) => bottomMargin(scale, PANEL.width)));
  const cell = { width: leftMargin(y) + PANEL.width + 12, height: PANEL.height + below + 16 };
  const columns = Math.min(COLUMNS, names.length);
  const panels = names.map((parameter, i) => {
    const x = axes.get(parameter)!;
    const column = i % COLUMNS;
    const box = { ...PANEL, left: column * cell.width + leftMargin(y), top: 48 + Math.floor(i / COLUMNS) * cell.height };
    return panel(box, { name: parameter, scale: x.scale }, { name: column === 0 ? name : "", scale: y }, (plane) =>
      rows.flatMap(({ trial, values }) => {
        const at = x.value(trial);
        if (Number.isNaN(at)) return [];
        return [mark(plane.x(at), plane.y(values[objective]!), ramp(1 - order.scale.place(trial.number)), `trial ${trial.number}: ${shortNumber(values[objective]!)}`, { r: 3, opacity: 0.8 })];
      }),
    );
  });
  const width = columns * cell.width + 16 + colourBarWidth(order);
  const height = 48 + Math.ceil(names.length / COLUMNS) * cell.height + 4;
  return document(width, height, `Slices of ${results.name}`, [...panels, colourBar(columns * cell.width + 8, 48, PANEL.height, order, (place) => ramp(1 - place))]);
}
