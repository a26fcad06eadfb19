// Parameter importance as bars, most important first.
import { importance, type ImportanceOptions } from "../importance.ts";
import { objectiveName, type StudyResults } from "../results.ts";
import { chart, type Size } from "./chart.ts";
import { category } from "./colours.ts";
import { categoryScale, linearScale } from "./scale.ts";
import { element, label } from "./svg.ts";

/** The shares of `importance` as an SVG file. */
export function plotImportance(results: StudyResults, options: ImportanceOptions & Size = {}): string {
  const shares = Object.entries(importance(results, options)).reverse(); // the first axis place is at the bottom
  return chart(
    {
      title: `Importance for ${objectiveName(results, options.objective ?? 0)} of ${results.name}`,
      x: { name: options.method === "fanova" ? "share of variance (fANOVA)" : "share of importance (PED-ANOVA)", scale: linearScale([0, ...shares.map(([, share]) => share * 1.08)], { tight: true }) },
      y: { name: "", scale: categoryScale(shares.map(([name]) => name)) },
      width: options.width ?? 760,
      height: options.height ?? 120 + 34 * shares.length,
    },
    ({ x, y, box }) => {
      const thickness = Math.min(26, (box.height / shares.length) * 0.7);
      return shares.flatMap(([, share], i) => [
        element("rect", { x: x(0), y: y(i) - thickness / 2, width: x(share) - x(0), height: thickness, fill: category(0) }),
        label(x(share) + 6, y(i) + 4, share > 0 && share < 0.01 ? "< 0.01" : share.toFixed(2)),
      ]);
    },
  );
}
