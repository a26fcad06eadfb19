// Learning curves: what each trial reported step by step, coloured by how the trial ended.
import { ValueError } from "../../errors/errors.ts";
import type { TrialStateName } from "../../contract/contract.ts";
import type { StudyResults } from "../results.ts";
import { chart, type Size } from "./chart.ts";
import { STATE_COLOURS } from "./colours.ts";
import { linearScale, numericScale } from "./scale.ts";
import { element, escapeXml, mark, polyline } from "./svg.ts";

/** Size, metric and scale of the figure. */
export interface IntermediatePlotOptions extends Size {
  /** Name of the reported metric; default the first objective's. */
  readonly metric?: string;
  /** Logarithmic values; default false. */
  readonly log?: boolean;
}

/** Reports over steps as an SVG file. */
export function plotIntermediateValues(results: StudyResults, { metric = results.metricNames[0] ?? "value", log = false, ...size }: IntermediatePlotOptions = {}): string {
  const curves = results.trials
    .map((trial) => ({
      trial,
      points: trial.reports
        .map(({ step, metrics }) => ({ step, value: metrics[metric] ?? Number.NaN }))
        .filter(({ value }) => Number.isFinite(value) && (!log || value > 0))
        .sort((a, b) => a.step - b.step),
    }))
    .filter(({ points }) => points.length > 0);
  if (curves.length === 0) {
    const known = new Set(results.trials.flatMap((trial) => trial.reports.flatMap((report) => Object.keys(report.metrics))));
    throw new ValueError(`No trial of "${results.name}" reported "${metric}"; ${known.size === 0 ? "no trial reported anything: call trial.report." : `reported were ${[...known].join(", ")}.`}`);
  }
  const states = (Object.keys(STATE_COLOURS) as TrialStateName[]).filter((state) => curves.some((curve) => curve.trial.state === state));
  // Completed curves are drawn last, over the pruned ones.
  const rank = (state: TrialStateName): number => (state === "COMPLETE" ? 1 : 0);
  return chart(
    {
      title: `Intermediate values of ${results.name}`,
      x: { name: "step", scale: linearScale(curves.flatMap(({ points }) => points.map((point) => point.step)), { integer: true }) },
      y: { name: metric, scale: numericScale(curves.flatMap(({ points }) => points.map((point) => point.value)), log) },
      legend: states.map((state) => ({ name: state.toLowerCase(), colour: STATE_COLOURS[state], shape: "line" })),
      ...size,
    },
    ({ x, y }) =>
      curves
        .toSorted((a, b) => rank(a.trial.state) - rank(b.trial.state))
        .map(({ trial, points }) => {
          const colour = STATE_COLOURS[trial.state];
          const name = `trial ${trial.number} (${trial.state.toLowerCase()})`;
          const end = points.at(-1)!;
          return element("g", { opacity: 0.7 }, element("title", {}, escapeXml(name)),
            polyline(points.map((point) => [x(point.step), y(point.value)]), { stroke: colour, "stroke-width": 1.5 }),
            mark(x(end.step), y(end.value), colour, name, { r: 2.5 }));
        }),
  );
}
