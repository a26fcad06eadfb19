// Parameter importance as bars, most important first.
import { fanova } from "../fanova.ts";
import { importance, type ImportanceOptions } from "../importance.ts";
import { objectiveName, type StudyResults } from "../results.ts";
import { chart, type Size } from "./chart.ts";
import { category } from "./colours.ts";
import { categoryScale, linearScale } from "./scale.ts";
import { element, label } from "./svg.ts";

/** Interactions shown at most, and the share of variance below which they are left out. */
const PAIRS = 6, LEAST = 0.02;

interface Bar { readonly name: string; readonly share: number; readonly colour: number }

/** Shares of `importance`; with fANOVA shares of variance, and pairs in a second colour where they act together. */
function bars(results: StudyResults, options: ImportanceOptions): Bar[] {
  if (options.method !== "fanova") return Object.entries(importance(results, options)).map(([name, share]) => ({ name, share, colour: 0 }));
  const { main, interactions } = fanova(results, options);
  return [
    ...Object.entries(main).sort((a, b) => b[1] - a[1]).map(([name, share]) => ({ name, share, colour: 0 })),
    ...interactions.slice(0, PAIRS).filter(({ share }) => share >= LEAST).map(({ parameters, share }) => ({ name: parameters.join(" × "), share, colour: 1 })),
  ];
}

/**
 * What matters, as an SVG file.
 *
 * @example
 * plotImportance(results).startsWith("<?xml"); // true
 */
export function plotImportance(results: StudyResults, options: ImportanceOptions & Size = {}): string {
  const shares = bars(results, options).reverse(); // the first axis place is at the bottom
  return chart(
    {
      title: `Importance for ${objectiveName(results, options.objective ?? 0)} of ${results.name}`,
      x: { name: options.method === "fanova" ? "share of variance (fANOVA)" : "share of importance (PED-ANOVA)", scale: linearScale([0, ...shares.map(({ share }) => share * 1.08)], { tight: true }) },
      y: { name: "", scale: categoryScale(shares.map(({ name }) => name)) },
      width: options.width ?? 760,
      height: options.height ?? 120 + 34 * shares.length,
    },
    ({ x, y, box }) => {
      const thickness = Math.min(26, (box.height / shares.length) * 0.7);
      return shares.flatMap(({ share, colour }, i) => [
        element("rect", { x: x(0), y: y(i) - thickness / 2, width: x(share) - x(0), height: thickness, fill: category(colour) }),
        label(x(share) + 6, y(i) + 4, share > 0 && share < 0.01 ? "< 0.01" : share.toFixed(2)),
      ]);
    },
  );
}
