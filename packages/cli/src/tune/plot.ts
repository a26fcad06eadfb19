// Figures of a study as SVG files.
import {
  plotContour, plotEdf, plotHistory, plotHypervolume, plotImportance, plotIntermediateValues, plotParallelCoordinates, plotPareto, plotRank, plotSlice, plotTimeline,
  resultsOf, type StudyResults,
} from "@nabla/tune";
import { put, withStudy, type InspectOptions } from "./inspect.ts";
import type { Streams } from "./main.ts";

export interface PlotOptions extends InspectOptions {
  readonly out?: string; readonly parameters?: readonly string[]; readonly objective: number; readonly log?: boolean; readonly reference?: readonly number[];
}

type Figure = (results: StudyResults, options: PlotOptions) => string;

const pair = ({ parameters: [x, y] = [], objective, log = false }: PlotOptions): { x?: string; y?: string; objective: number; log: boolean } =>
  ({ objective, log, ...(x === undefined ? {} : { x }), ...(y === undefined ? {} : { y }) });
const listed = ({ parameters, objective, log = false }: PlotOptions): { parameters?: readonly string[]; objective: number; log: boolean } =>
  ({ objective, log, ...(parameters === undefined ? {} : { parameters }) });

export const FIGURES: Readonly<Record<string, Figure>> = {
  contour: (results, options) => plotContour(results, pair(options)),
  edf: (results, { objective, log = false }) => plotEdf([results], { objective, log }),
  history: (results, { objective, log = false }) => plotHistory(results, { objective, log }),
  hypervolume: (results, { reference }) => plotHypervolume(results, reference === undefined ? {} : { reference }),
  importance: (results, { objective }) => plotImportance(results, { objective }),
  intermediate: (results, { log = false }) => plotIntermediateValues(results, { log }),
  parallel: (results, options) => plotParallelCoordinates(results, listed(options)),
  pareto: (results, { log = false }) => plotPareto(results, { log: [log, log] }),
  rank: (results, options) => plotRank(results, pair(options)),
  slice: (results, options) => plotSlice(results, listed(options)),
  timeline: (results) => plotTimeline(results),
};

export async function plot(figure: string, options: PlotOptions, { stdout }: Streams): Promise<void> {
  await withStudy(options, (study) => put(FIGURES[figure]!(resultsOf(study.view), options), options.out, stdout));
}
