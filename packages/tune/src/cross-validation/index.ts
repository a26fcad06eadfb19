// The public interface of cross-validation: folds and objectives that report fold by fold.
export { kFold, stratifiedKFold, type Fold, type FoldOptions } from "./folds.ts";
export { crossValidated, type CrossValidationOptions, type RacingTrial } from "./objective.ts";
