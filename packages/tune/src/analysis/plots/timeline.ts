// When each trial ran and how it ended: shows idle workers, stragglers and failures.
import type { TrialStateName } from "../../contract/contract.ts";
import type { StudyResults } from "../results.ts";
import { chart, type Size } from "./chart.ts";
import { STATE_COLOURS } from "./colours.ts";
import { linearScale, shortNumber } from "./scale.ts";
import { element, escapeXml } from "./svg.ts";

/** Size of the figure and its last moment. */
export interface TimelinePlotOptions extends Size {
  /** Milliseconds since 1970 until which unfinished trials are drawn; default the latest time in the study. */
  readonly now?: number;
}

const UNITS: readonly (readonly [string, number])[] = [["days", 86_400_000], ["hours", 3_600_000], ["minutes", 60_000], ["seconds", 1000], ["milliseconds", 1]];

/**
 * One bar per trial from start to finish as an SVG file.
 *
 * @example
 * plotTimeline(results).startsWith("<?xml"); // true
 */
export function plotTimeline(results: StudyResults, { now, ...size }: TimelinePlotOptions = {}): string {
  const trials = results.trials.filter((trial) => trial.started !== null);
  const start = trials.reduce((least, trial) => Math.min(least, trial.started!), Number.POSITIVE_INFINITY);
  const latest = now ?? trials.reduce((most, trial) => Math.max(most, trial.started!, trial.finished ?? 0), Number.NEGATIVE_INFINITY);
  const span = Math.max(1, trials.length === 0 ? 1 : latest - start);
  const [unit, length] = UNITS.find(([, milliseconds]) => span >= 2 * milliseconds) ?? UNITS.at(-1)!;
  const states = (Object.keys(STATE_COLOURS) as TrialStateName[]).filter((state) => trials.some((trial) => trial.state === state));
  return chart(
    {
      title: `Timeline of ${results.name}`,
      x: { name: `${unit} since the first trial`, scale: linearScale([0, span / length], { tight: true }) },
      y: { name: "trial", scale: linearScale(trials.flatMap((trial) => [trial.number - 0.5, trial.number + 0.5]), { tight: true, integer: true }) },
      legend: states.map((state) => ({ name: state.toLowerCase(), colour: STATE_COLOURS[state], shape: "bar" })),
      ...size,
    },
    ({ x, y }) =>
      trials.map((trial) => {
        const from = x((trial.started! - start) / length);
        const to = x(((trial.finished ?? latest) - start) / length);
        const thickness = Math.max(0.8, Math.abs(y(0) - y(1)) * 0.8);
        const seconds = ((trial.finished ?? latest) - trial.started!) / 1000;
        return element("rect", { x: from, y: y(trial.number) - thickness / 2, width: Math.max(0.8, to - from), height: thickness, fill: STATE_COLOURS[trial.state] },
          element("title", {}, escapeXml(`trial ${trial.number}, ${trial.state.toLowerCase()}: ${shortNumber(seconds)} s`)));
      }),
  );
}
