// Empirical distribution functions of several studies: the further up and left (minimise), the better the space or sampler.
import { empiricalDistribution } from "../regret.ts";
import { objectiveName, type StudyResults } from "../results.ts";
import { ValueError } from "../../errors/errors.ts";
import { chart, type Size } from "./chart.ts";
import { category } from "./colours.ts";
import { linearScale, numericScale } from "./scale.ts";
import { polyline } from "./svg.ts";

/** Size, objective and scale of the figure. */
export interface EdfPlotOptions extends Size {
  /** Index; default 0. */
  readonly objective?: number;
  /** Logarithmic values; default false. */
  readonly log?: boolean;
}

/**
 * Share of trials with at most each value, one curve per study, as an SVG file.
 *
 * @example
 * plotEdf([results]).startsWith("<?xml"); // true
 */
export function plotEdf(studies: readonly StudyResults[], { objective = 0, log = false, ...size }: EdfPlotOptions = {}): string {
  const first = studies[0];
  if (first === undefined) throw new ValueError("plotEdf: no studies given; pass at least one.");
  const curves = studies.map((study) => empiricalDistribution(study, objective));
  const dashes = ["", "7 4", "2 3"];
  return chart(
    {
      title: "Empirical distribution of values",
      x: { name: objectiveName(first, objective), scale: numericScale(curves.flatMap((curve) => [...curve.values]), log) },
      y: { name: "share of trials", scale: linearScale([0, 1]) },
      legend: studies.map((study, i) => ({ name: study.name, colour: category(i), shape: "line" })),
      ...size,
    },
    ({ x, y, box }) =>
      curves.map(({ values, fractions }, i) => {
        const stairs: [number, number][] = [];
        for (const [k, value] of values.entries()) {
          if (log && value <= 0) continue;
          stairs.push([x(value), y(k === 0 ? 0 : fractions[k - 1]!)], [x(value), y(fractions[k]!)]);
        }
        if (stairs.length > 0) stairs.push([box.left + box.width, y(1)]);
        // Curves beyond the palette differ by their dashes.
        return polyline(stairs, { stroke: category(i), "stroke-width": 2.2, "stroke-dasharray": dashes[Math.floor(i / 7) % 3] || undefined });
      }),
  );
}
