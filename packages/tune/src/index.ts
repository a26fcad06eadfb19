// @nabla/tune: hyper-parameter optimisation for any objective. This file is the public interface.
import { createStudy, loadStudy } from "./study/study.ts";
import { openStorage } from "./storage/open.ts";
import { space } from "./space/builder.ts";

/** The entry points under one name: `tune.createStudy(…)`. */
export const tune: {
  createStudy: typeof createStudy; loadStudy: typeof loadStudy; openStorage: typeof openStorage; space: typeof space;
} = { createStudy, loadStudy, openStorage, space };

export { createStudy, loadStudy, openStorage, space };
export { Study, type CreateStudyOptions, type LoadStudyOptions, type OpenOptions, type OptimizeOptions, type Parameters } from "./study/study.ts";
export { Trial, TrialAnswered, TrialPruned, type Metrics } from "./study/trial.ts";
export type { Objective } from "./executors/inline.ts";
export type { Executor } from "./study/optimize.ts";
export * from "./study/contract.ts";
export * from "./study/errors.ts";
export { SamplerError } from "./study/proposal.ts";
export type { StudyEvent } from "./study/events.ts";
export { replay, type LateResult } from "./study/state.ts";
export { ObjectSpace, type Branches, type Fields, type Infer, type Parameter, type SpaceNode } from "./space/builder.ts";
export * from "./space/distribution.ts";
export { SearchSpace, type Assignment, type Condition, type InputConstraint, type ParameterSpec } from "./space/space.ts";
export { createRandom, type Random } from "./random/random.ts";
export type { Storage, StudyStore } from "./storage/storage.ts";
export { MemoryStorage } from "./storage/memory.ts";
