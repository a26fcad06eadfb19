// The public interface of analysis: tables, importance, fronts and figures of a study.
export { completed, resultsOf, type CompletedTrial, type StudyResults } from "./results.ts";
export { bestTrials, historyTable, toCsv, trialsTable, type HistoryRow, type TrialRow } from "./tables.ts";
export { bestSoFar, empiricalDistribution, quantile, quantileCurves, regretCurve, type EmpiricalDistribution } from "./regret.ts";
export { importance, type ImportanceOptions } from "./importance.ts";
export { pedAnova, type PedAnovaOptions } from "./ped-anova.ts";
export { fanova, type FanovaDecomposition, type FanovaOptions, type Interaction } from "./fanova.ts";
export { dominates, nonDominatedRanks, paretoFront } from "../pareto/dominance.ts";
export { hypervolume, hypervolumeContributions } from "../pareto/hypervolume.ts";
export { hypervolumeHistory } from "./hypervolume-history.ts";
export { plotContour, type ContourPlotOptions } from "./plots/contour.ts";
export { plotEdf, type EdfPlotOptions } from "./plots/edf.ts";
export { plotHistory, type HistoryPlotOptions } from "./plots/history.ts";
export { plotImportance } from "./plots/importance.ts";
export { plotIntermediateValues, type IntermediatePlotOptions } from "./plots/intermediate.ts";
export { plotParallelCoordinates, type ParallelCoordinatesOptions } from "./plots/parallel-coordinates.ts";
export { plotPareto, type ParetoPlotOptions } from "./plots/pareto.ts";
export { plotSlice, type SlicePlotOptions } from "./plots/slice.ts";
export { plotTimeline, type TimelinePlotOptions } from "./plots/timeline.ts";
