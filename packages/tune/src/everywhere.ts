// @nabla/tune: hyper-parameter optimisation for any objective. This file is the public interface but for workers, which
// index.ts and node/index.ts each have in their own way.
import { createStudy, loadStudy } from "./study/study.ts";
import { openStorage } from "./storage/open.ts";
import { space } from "./space/builder.ts";

/** The entry points under one name: `tune.createStudy(…)`. */
export const tune: {
  createStudy: typeof createStudy; loadStudy: typeof loadStudy; openStorage: typeof openStorage; space: typeof space;
} = { createStudy, loadStudy, openStorage, space };

export { createStudy, loadStudy, openStorage, space };
export { Study, type CreateStudyOptions, type LoadStudyOptions, type OpenOptions, type OptimizeOptions, type Parameters } from "./study/study.ts";
export { Trial, TrialAnswered, TrialPruned, type Metrics } from "./trials/trial.ts";
export type { Objective } from "./executors/inline.ts";
export type { Executor } from "./trials/loop.ts";
export * from "./contract/contract.ts";
export * from "./errors/errors.ts";
export type { StudyEvent } from "./state/events.ts";
export { replay, type LateResult } from "./state/state.ts";
export { ObjectSpace, type Branches, type Fields, type Infer, type Parameter, type SpaceNode } from "./space/builder.ts";
export * from "./space/distribution.ts";
export { SearchSpace, type Assignment, type Condition, type InputConstraint, type ParameterSpec } from "./space/space.ts";
export { createRandom, type Random } from "./random/random.ts";
export type { Storage, StudyStore } from "./storage/storage.ts";
export { MemoryStorage } from "./storage/memory.ts";
export { defineStudy, type StudyDefinition } from "./study/define.ts";
export type { Environment, WorkersOptions } from "./executors/workers.ts";

export { AutoSampler } from "./samplers/auto.ts";
export { RandomSampler } from "./samplers/random.ts";
export { SobolSampler } from "./samplers/sobol.ts";
export { ExhaustiveSampler, GridSampler, type GridOptions, type GridPoints } from "./samplers/grid.ts";
export { TPESampler, type TPEOptions } from "./samplers/tpe/sampler.ts";
export { GPSampler, type GPOptions } from "./samplers/gp/sampler.ts";
export { CMAESSampler, type CMAESOptions } from "./samplers/cma-es/sampler.ts";
export { LSHADESampler, type LSHADEOptions } from "./samplers/evolution/lshade.ts";
export { NSGASampler, type NSGAOptions } from "./samplers/evolution/nsga.ts";
export { EvolutionSampler, type EvolutionOptions } from "./samplers/evolution/steady-state.ts";
export { RegularisedEvolutionSampler, type RegularisedEvolutionOptions } from "./samplers/evolution/regularised.ts";

export { MedianPruner, PercentilePruner, type PercentileOptions } from "./pruners/percentile.ts";
export { HyperbandPruner, SuccessiveHalvingPruner, type HalvingOptions, type HyperbandOptions } from "./pruners/halving.ts";
export { PatientPruner, ThresholdPruner, type ThresholdOptions } from "./pruners/threshold.ts";
export { WilcoxonPruner, type WilcoxonOptions } from "./pruners/wilcoxon.ts";
export { PopulationBasedTraining, type PopulationBasedOptions } from "./pruners/population-based.ts";

export * from "./analysis/index.ts";

export * from "./cross-validation/index.ts";
