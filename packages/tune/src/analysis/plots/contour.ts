// The objective over two parameters as filled contours of a smooth fit, with the trials on top.
import { ValueError } from "../../errors/errors.ts";
import { completed, objectiveName, type StudyResults } from "../results.ts";
import { chart, type Size } from "./chart.ts";
import { ramp } from "./colours.ts";
import { numericScale, parameterScale, shortNumber, type Scale } from "./scale.ts";
import { chosenPair, withScalarParameters } from "./scalar-parameters.ts";
import { element, mark, number } from "./svg.ts";
import { regionsAbove, smoothSurface } from "./surface.ts";

/** Size, axes, objective and scale of the figure. */
export interface ContourPlotOptions extends Size {
  /** The parameter on each axis; default the two most important. */
  readonly x?: string;
  /** As `x`. */
  readonly y?: string;
  /** Index; default 0. */
  readonly objective?: number;
  /** Contours of the logarithm of the objective; default false. */
  readonly log?: boolean;
}

const BANDS = 12;
const NODES = { columns: 73, rows: 55 };

/**
 * Contours over two parameters as an SVG file: dark is best, dots are trials.
 *
 * @example
 * plotContour(results).startsWith("<?xml"); // true
 */
export function plotContour(study: StudyResults, options: ContourPlotOptions = {}): string {
  const results = withScalarParameters(study);
  const { objective = 0, log = false, x: _, y: __, ...size } = options;
  const name = objectiveName(results, objective);
  const [xName, yName] = chosenPair(results, options);
  const rows = completed(results).filter(
    ({ trial, values }) => Number.isFinite(values[objective]) && (!log || values[objective]! > 0) && trial.params[xName] !== undefined && trial.params[yName] !== undefined,
  );
  if (rows.length < 3) throw new ValueError(`A contour needs at least 3 completed trials with "${xName}" and "${yName}", got ${rows.length}.`);
  const trials = rows.map((row) => row.trial);
  const [xAxis, yAxis] = [parameterScale(trials, xName), parameterScale(trials, yName)];
  const values = rows.map((row) => row.values[objective]!);
  const height = numericScale(values, log, { tight: true });
  const points = rows.map(({ trial }, i) => ({ x: xAxis.scale.place(xAxis.value(trial)), y: yAxis.scale.place(yAxis.value(trial)), value: height.place(values[i]!) }));
  const maximise = results.directions[objective] === "maximize";
  const band = (place: number): string => {
    const k = Math.min(BANDS - 1, Math.max(0, Math.floor(place * BANDS)));
    return ramp((maximise ? BANDS - 1 - k : k) / (BANDS - 1));
  };
  return chart(
    {
      title: `Contours of ${name} of ${results.name}`,
      x: { name: xName, scale: xAxis.scale },
      y: { name: yName, scale: yAxis.scale },
      colours: { name, scale: height, colourAt: band },
      ...size,
    },
    ({ x, y, box }) => {
      // Between categories there is nothing: each has a strip of its own, smoothed along the other axis only.
      const fields = strips(xAxis.scale).flatMap((across) => strips(yAxis.scale).flatMap((up) => {
        const within = points.filter((point) => contains(across, point.x) && contains(up, point.y));
        if (within.length === 0) return [];
        const surface = smoothSurface(
          within.map((point) => ({ x: across.alone ? point.x : 0, y: up.alone ? point.y : 0, value: point.value })),
          across.alone ? NODES.columns : 1, up.alone ? NODES.rows : 1,
        );
        const at = ([a, b]: readonly [number, number]): readonly [number, number] => [box.left + (across.low + a * (across.high - across.low)) * box.width, box.top + (1 - up.low - b * (up.high - up.low)) * box.height];
        const [left, top] = at([0, 1]), [right, bottom] = at([1, 0]);
        return [
          element("rect", { x: left, y: top, width: right - left, height: bottom - top, fill: band(0) }),
          ...Array.from({ length: BANDS - 1 }, (_, k) => element("path", {
            d: regionsAbove(surface, (k + 1) / BANDS).map((polygon) => `M${polygon.map((corner) => at(corner).map(number).join(" ")).join("L")}Z`).join(""),
            fill: band((k + 1.5) / BANDS),
          })),
        ];
      }));
      return [
        ...fields,
        ...rows.map(({ trial }, i) =>
          mark(x(xAxis.value(trial)), y(yAxis.value(trial)), "#ffffff", `trial ${trial.number}: ${shortNumber(values[i]!)}`, { r: 2.6, stroke: "#222222", "stroke-width": 0.8 })),
      ];
    },
  );
}

/** A part of an axis: all of it, `alone`, or the place of one category. */
interface Strip { readonly low: number; readonly high: number; readonly alone: boolean }

function strips(scale: Scale): Strip[] {
  if (scale.kind !== "categories") return [{ low: 0, high: 1, alone: true }];
  return scale.ticks.map((_, c) => ({ low: c / scale.ticks.length, high: (c + 1) / scale.ticks.length, alone: false }));
}

function contains({ low, high, alone }: Strip, place: number): boolean {
  return alone || (place >= low && place < high);
}
