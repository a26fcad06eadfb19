// The typed errors of the package: each says what was wrong, where, and how to mend it.
// Control flow of an objective (prune, pause, answered) also travels as errors; see trials/trial.ts.

/** Base class: catches everything this package throws on bad input. */
export class TuneError extends Error {
  /** Spelt out, for minifiers rename classes. */
  override readonly name: string = "TuneError";
}

/** A distribution that is empty, contradictory, or does not hold the value given. */
export class DistributionError extends TuneError {
  override readonly name: string = "DistributionError";
}
/** A sampler that proposed something outside the space. */
export class SamplerError extends TuneError {
  override readonly name: string = "SamplerError";
}
/** A search space that is empty or contradictory, or whose constraints nothing satisfies. */
export class SpaceError extends TuneError {
  override readonly name: string = "SpaceError";
}
/** A parameter declared again with another range or kind. */
export class ParameterRedeclaredError extends TuneError {
  override readonly name: string = "ParameterRedeclaredError";
}
/** A study called with impossible options, or a study that exists already or does not exist. */
export class StudyError extends TuneError {
  override readonly name: string = "StudyError";
}
/** A study that is to be created under a name that the storage has already. */
export class StudyExistsError extends StudyError {
  override readonly name: string = "StudyExistsError";
}
/** A trial used in a state that does not allow it, e.g. told twice. */
export class TrialStateError extends TuneError {
  override readonly name: string = "TrialStateError";
}
/** Objective values, reports or constraints that are not usable numbers or of the wrong count. */
export class ValueError extends TuneError {
  override readonly name: string = "ValueError";
}
/** A name of a study, parameter, metric, constraint or attribute that no storage could hold. */
export class NameError extends ValueError {
  override readonly name: string = "NameError";
}
/** An objective value that is NaN. */
export class NaNValueError extends ValueError {
  override readonly name: string = "NaNValueError";
}
/** A worker that acts on a trial whose lease it no longer holds, or never held. */
export class LeaseError extends TuneError {
  override readonly name: string = "LeaseError";
}
/** A storage address that cannot be understood, or a storage that cannot be opened. */
export class StorageError extends TuneError {
  override readonly name: string = "StorageError";
}
/** A journal or database written in a version or schema this release does not know. */
export class StorageVersionError extends StorageError {
  override readonly name: string = "StorageVersionError";
}
/** A journal that another master holds. */
export class StorageLockedError extends StorageError {
  override readonly name: string = "StorageLockedError";
}
/** A journal or database whose contents contradict themselves. */
export class StorageCorruptError extends StorageError {
  override readonly name: string = "StorageCorruptError";
}
/** A hypergradient that cannot be computed from what was given. */
export class HypergradientError extends TuneError {
  override readonly name: string = "HypergradientError";
}
