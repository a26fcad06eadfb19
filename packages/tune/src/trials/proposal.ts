// From a sampler's answer to a new trial: proposals are checked, fixed values laid over, constraints kept, and a
// point that was evaluated before is answered from memory at no cost to the budget.
import { contains, describe, fromUnit, indexOfScalar, internalWidth, sameDistribution, toExternal, toInternal, unitWidth, type Distribution, type Internal } from "../space/distribution.ts";
import { checkComponents } from "../space/names.ts";
import { sameInternal, SearchSpace, type Assignment, type InputConstraint, type ParameterSpec, type ParameterValues } from "../space/space.ts";
import { createRandom } from "../random/random.ts";
import { TrialState, type AskContext, type Json, type Proposal, type Sampler } from "../contract/contract.ts";
import { ParameterRedeclaredError, SamplerError, SpaceError } from "../errors/errors.ts";
import { toJsonInternal, type StudyEvent } from "../state/events.ts";
import { allValues, untried, type Values } from "../state/branches.ts";
import type { StudyState } from "../state/state.ts";

type Emit = (event: StudyEvent) => void;

const TWIN_ATTEMPTS = 16;
const CONSTRAINT_ATTEMPTS = 32;
const ANSWERED_IN_A_ROW = 64, ANSWERED_BY_RUN = 4;
const ANSWERED_LIMIT = 2000;
const RANDOM_TRIES = 512;
const ENUMERATION_LIMIT = 200_000;

export interface NewTrialOptions {
  readonly sampler: Sampler;
  readonly fixed: ParameterValues;
  readonly owner: string;
  readonly remaining: number;
  /** Duplicates answered in a row before this. */
  readonly answered: number;
  /** Whether the objective has run since it may have changed: until then a define-by-run space may yet grow. */
  readonly probed: boolean;
  now(): number;
}

/** A sampler's answer for a new trial, and the history it was given for. */
export interface Draft {
  readonly trial: number;
  readonly watermark: number;
  /** The joint space then: what the proposal's values belong to. */
  readonly space: SearchSpace;
  readonly proposal: Proposal;
}

/** Asks for the next new trial, changing nothing; null when nothing is left to propose. */
export function draftTrial(state: StudyState, options: NewTrialOptions): Draft | null {
  const { answered, probed } = options;
  if (answered > ANSWERED_LIMIT || ((state.space !== null || probed) && state.exhausted)) return null;
  const proposal = answered < (state.space === null ? ANSWERED_BY_RUN : ANSWERED_IN_A_ROW) ? propose(state, options) : unseen(state, options);
  return proposal === null ? null : { trial: state.length, watermark: state.watermark, space: state.jointSpace, proposal };
}

/**
 * Creates the trial of a draft whose number nobody has taken meanwhile; false when it was evaluated before, and is
 * answered from memory. Only in a declared space is that known now; define-by-run trials find out parameter by parameter.
 */
export function startTrial(state: StudyState, { trial, watermark, space, proposal }: Draft, options: NewTrialOptions, emit: Emit): boolean {
  const { parent } = proposal;
  const checkpoint = parent === undefined ? null : state.checkpoint(parent);
  emit({
    type: "ask", trial, time: options.now(), owner: options.owner, watermark,
    ...(parent === undefined ? {} : { parent }), ...(checkpoint === null ? {} : { checkpoint }),
  });
  return fillTrial(state, trial, { space, proposal }, options, emit);
}

/** Creates a trial without parameters: a number of its own, to ask the sampler for. */
export function reserveTrial(state: StudyState, options: NewTrialOptions, emit: Emit): number {
  const trial = state.length;
  emit({ type: "ask", trial, time: options.now(), owner: options.owner, watermark: state.watermark });
  return trial;
}

/** Asks for what a reserved or enqueued trial leaves open, changing nothing; null when nothing is left to propose. */
export function draftFor(state: StudyState, trial: number, options: NewTrialOptions): Draft | null {
  const fixed = { ...options.fixed, ...enqueued(state, trial) };
  const proposal = propose(state, { ...options, fixed }, trial, state.assignment(trial));
  return proposal === null ? null : { trial, watermark: state.watermark, space: state.jointSpace, proposal };
}

/** Gives a trial its parameters; false when such a point was evaluated before, and the trial is answered from memory. */
export function fillTrial(state: StudyState, trial: number, { space, proposal }: Pick<Draft, "space" | "proposal">, options: NewTrialOptions, emit: Emit): boolean {
  // Of a define-by-run objective nobody knows what it will ask for.
  if (state.space === null) state.plan(trial, proposal.assignment);
  else setParameters(state, trial, space, proposal.assignment, emit);
  const attributes: Record<string, Json> = { ...proposal.attributes };
  if (proposal.why !== undefined) attributes["why"] = proposal.why;
  for (const [key, value] of Object.entries(attributes)) emit({ type: "attribute", trial, scope: "system", key, value });
  const twin = state.space === null ? -1 : twinOf(state, trial);
  if (twin < 0) return true;
  answerFromMemory(state, trial, twin, options.now(), emit);
  return false;
}

/** Ends a reserved trial for which nothing was left: as a duplicate of the first point that was evaluated, where there is one. */
export function endReserved(state: StudyState, trial: number, options: NewTrialOptions, emit: Emit): void {
  const known = state.finished.subarray(0, state.watermark).find((t) => state.states[t] === TrialState.COMPLETE && state.trial(t).answeredBy === null);
  if (known === undefined) {
    emit({ type: "finish", trial, time: options.now(), state: "FAIL", values: null, error: "every configuration was being evaluated by others already." });
    return;
  }
  emit({ type: "parameters", trial, values: Object.fromEntries(Array.from(state.assignment(known), ([name, value]) => [name, toJsonInternal(value)])) });
  answerFromMemory(state, trial, known, options.now(), emit);
}

/** Whether another trial being evaluated is at this point, where that is a waste. */
export function isTaken(state: StudyState, { assignment }: Proposal): boolean {
  return !state.noisy && assignment.size > 0 && isRunning(state, assignment);
}

/**
 * The declared space with its choices in the order this study knows them; throws ParameterRedeclaredError when the
 * study knows a parameter as something else. Choices may have grown since, never shrunk.
 */
export function alignSpace(space: SearchSpace, state: StudyState): SearchSpace {
  let moved = false;
  const parameters = space.parameters.map((spec): ParameterSpec => {
    const known = state.parameters.get(spec.name)?.distribution;
    if (known === undefined || sameDistribution(known, spec.distribution)) return spec;
    const { distribution } = spec;
    if (known.kind !== "categorical" || distribution.kind !== "categorical") throw redeclared(spec.name, known, distribution);
    const dropped = known.choices.filter((choice) => indexOfScalar(distribution.choices, choice) < 0);
    if (dropped.length > 0) {
      throw new ParameterRedeclaredError(`"${spec.name}" had the choices ${JSON.stringify(dropped)} in this study, which the space no longer lists; add them, or start a new study (choices may only grow).`);
    }
    moved = true;
    const added = distribution.choices.filter((choice) => indexOfScalar(known.choices, choice) < 0);
    return { ...spec, distribution: { kind: "categorical", choices: [...known.choices, ...added] } };
  });
  if (!moved) return space;
  const aligned = new Map(parameters.map((spec) => [spec.name, spec.distribution]));
  const conditioned = parameters.map((spec): ParameterSpec => {
    if (spec.condition === null) return spec;
    const { parameter, choice } = spec.condition;
    return { ...spec, condition: { parameter, choice: Number(toUnion(aligned.get(parameter)!, space.get(parameter)!.distribution, choice)) } };
  });
  const constraints = space.constraints.map((constraint): InputConstraint =>
    constraint.kind === "linear" ? constraint : { kind: "predicate", test: (a) => constraint.test(declaredAssignment(space, aligned, a)) });
  return new SearchSpace(conditioned, constraints);
}

/** An assignment in the study's choice order, rewritten in the order the space declares. */
export function declaredAssignment(space: SearchSpace, known: ReadonlyMap<string, Distribution>, assignment: Assignment): Map<string, Internal> {
  const declared = new Map<string, Internal>();
  for (const [name, value] of assignment) {
    const spec = space.get(name);
    const distribution = known.get(name);
    if (spec === undefined || distribution === undefined) continue;
    declared.set(name, distribution === spec.distribution ? value : toInternal(spec.distribution, toExternal(distribution, value)));
  }
  return declared;
}

/** The external values an enqueued trial was given. */
export function enqueued(state: StudyState, trial: number): ParameterValues {
  const fixed = state.systemAttribute(trial, "fixed_params");
  return typeof fixed === "object" && fixed !== null && !Array.isArray(fixed) ? (fixed as ParameterValues) : {};
}

/** The finished trial that evaluated exactly the values this one has so far; −1 when there is none or it may differ. */
export function twinOf(state: StudyState, trial: number): number {
  return state.noisy || state.parent(trial) >= 0 ? -1 : state.findTwin(trial);
}

/** Finishes a trial whose point is known with the values it had. */
export function answerFromMemory(state: StudyState, trial: number, twin: number, time: number, emit: Emit): void {
  const values = state.values.map((column) => column[twin]!);
  const { constraints } = state.trial(twin);
  for (const [name, value] of Object.entries(constraints)) emit({ type: "constraint", trial, name, value });
  emit({ type: "finish", trial, time, state: "COMPLETE", values, answeredBy: twin });
}

/** Decides one parameter of a running define-by-run trial and returns its internal value in `distribution`. */
export function suggest(state: StudyState, trial: number, name: string, distribution: Distribution, options: NewTrialOptions, emit: Emit): Internal {
  const spec = state.space?.get(name);
  if (spec !== undefined && !sameDistribution(spec.distribution, distribution)) throw redeclared(name, spec.distribution, distribution);
  if (state.space !== null && spec === undefined) {
    throw new ParameterRedeclaredError(`"${name}" is not in the declared space, which has ${state.space.parameters.map((p) => p.name).join(", ")}; add it there.`);
  }
  const column = declare(state, name, distribution, emit);
  const recorded = state.recorded(trial, name);
  if (recorded !== undefined) {
    const local = toLocal(column, distribution, recorded);
    if (local !== null) return local;
  }
  const given = { ...options.fixed, ...enqueued(state, trial) }[name];
  const planned = state.internal(trial, name);
  const value = given !== undefined ? toInternal(distribution, given)
    : (planned === undefined ? null : toLocal(column, distribution, planned)) ?? options.sampler.askIndependent(context(state, trial, options, 0, new Map(), `/${name}`), { name, distribution, condition: null });
  if (!contains(distribution, value)) throw outside(options.sampler, name, distribution, value);
  emit({ type: "parameters", trial, values: { [name]: toJsonInternal(toUnion(column, distribution, value)) } });
  return value;
}

/** Declares a parameter or lets its choices grow; throws ParameterRedeclaredError when it is another one. Returns the union. */
function declare(state: StudyState, name: string, distribution: Distribution, emit: Emit): Distribution {
  const known = state.parameters.get(name)?.distribution;
  if (known === undefined) {
    checkComponents(name, internalWidth(distribution), (other) => state.parameters.get(other)?.width);
    emit({ type: "declare", name, distribution });
    return distribution;
  }
  if (known.kind === "categorical" && distribution.kind === "categorical") {
    const added = distribution.choices.filter((choice) => indexOfScalar(known.choices, choice) < 0);
    if (added.length === 0) return known;
    const grown: Distribution = { kind: "categorical", choices: [...known.choices, ...added] };
    emit({ type: "declare", name, distribution: grown });
    return grown;
  }
  if (!sameDistribution(known, distribution)) throw redeclared(name, known, distribution);
  return known;
}

function redeclared(name: string, known: Distribution, distribution: Distribution): ParameterRedeclaredError {
  return new ParameterRedeclaredError(`"${name}" is ${describe(known)} in this study and cannot become ${describe(distribution)}; keep the declaration, use another name, or start a new study (only choices may grow).`);
}

/** Categories are keyed by value: an index among this trial's choices ↔ an index among all there ever were. */
function toUnion(union: Distribution, local: Distribution, value: Internal): Internal {
  if (union === local || union.kind !== "categorical" || local.kind !== "categorical") return value;
  return indexOfScalar(union.choices, local.choices[Number(value)]);
}

function toLocal(union: Distribution, local: Distribution, value: Internal): Internal | null {
  if (union === local || union.kind !== "categorical" || local.kind !== "categorical") return contains(local, value) ? value : null;
  const index = indexOfScalar(local.choices, union.choices[Number(value)]);
  return index < 0 ? null : index;
}

function context(state: StudyState, trial: number, options: NewTrialOptions, attempt: number, fixed: Assignment, suffix = ""): AskContext {
  const { sampler, remaining } = options;
  return {
    study: state, trial, space: state.jointSpace, fixed, attempt, remaining,
    random: (stream) => createRandom(state.seed, trial, `${sampler.name}/${stream}${suffix}/${attempt}`),
  };
}

function fixedAssignment(space: SearchSpace, fixed: ParameterValues, declared: boolean): Map<string, Internal> {
  const assignment = new Map<string, Internal>();
  for (const [name, value] of Object.entries(fixed)) {
    const spec = space.get(name);
    if (spec !== undefined) assignment.set(name, toInternal(spec.distribution, value));
    else if (declared) throw new SpaceError(`"${name}" is fixed to ${JSON.stringify(value)} but the space has no such parameter; it has ${space.parameters.map((p) => p.name).join(", ")}.`);
  }
  return assignment;
}

/** A checked proposal that satisfies the constraints and, as far as possible, is nobody's present work. */
function propose(state: StudyState, options: NewTrialOptions, trial = state.length, known: Assignment = new Map()): Proposal | null {
  const space = state.jointSpace;
  const fixed = fixedAssignment(space, options.fixed, state.space !== null);
  for (const [name, value] of known) fixed.set(name, value);
  let broken = 0;
  for (let attempt = 0; ; attempt++) {
    const ask = context(state, trial, options, attempt, fixed);
    const proposal = options.sampler.ask(ask);
    if (proposal === null) return null;
    const assignment = complete(state, space, proposal.assignment, ask, options.sampler);
    if (!space.satisfies(assignment)) {
      if (++broken === CONSTRAINT_ATTEMPTS) return randomProposal(state, fixed, (a) => space.satisfies(a));
      continue;
    }
    const vain = !state.noisy && space.parameters.length > 0 && (isRunning(state, assignment) || state.failedTwice(assignment));
    if (vain && attempt < TWIN_ATTEMPTS) continue;
    // A sampler that insists on what is being evaluated, or fails, gets a point that nobody has tried, where there is one.
    return (vain ? unseen(state, options) : null) ?? { ...proposal, assignment };
  }
}

function isRunning(state: StudyState, assignment: Assignment): boolean {
  return state.running.some((trial) => {
    for (const [name, value] of assignment) if (!sameInternal(state.internal(trial, name), value)) return false;
    return true;
  });
}

/** Fixed values over the proposal; in a declared space every active parameter gets a value, and no inactive one. */
function complete(state: StudyState, space: SearchSpace, proposed: Assignment, ask: AskContext, sampler: Sampler): Map<string, Internal> {
  const assignment = new Map<string, Internal>();
  for (const spec of space.parameters) {
    if (!space.isActive(spec, assignment)) continue;
    let value = ask.fixed.get(spec.name) ?? proposed.get(spec.name);
    if (value === undefined && state.space !== null) value = sampler.askIndependent(ask, spec);
    if (value === undefined) continue;
    if (!contains(spec.distribution, value)) throw outside(sampler, spec.name, spec.distribution, value);
    assignment.set(spec.name, value);
  }
  // A sampler may know more of a define-by-run objective than what all trials have in common.
  if (state.space === null) for (const [name, value] of proposed) if (!assignment.has(name)) assignment.set(name, value);
  return assignment;
}

function outside(sampler: Sampler, name: string, distribution: Distribution, value: Internal): SamplerError {
  return new SamplerError(`the sampler "${sampler.name}" proposed ${String(value)} for "${name}", which is no internal value of ${describe(distribution)}; this is a fault of the sampler.`);
}

/** A uniform configuration with the fixed values that `accept` takes; enumerates small spaces before giving up. */
function randomProposal(state: StudyState, fixed: Assignment, accept: (a: Assignment) => boolean): Proposal | null {
  const space = state.jointSpace;
  const random = createRandom(state.seed, state.length, "fallback");
  for (let i = 0; i < RANDOM_TRIES; i++) {
    const assignment = new Map<string, Internal>();
    for (const spec of space.parameters) {
      if (space.isActive(spec, assignment)) assignment.set(spec.name, fixed.get(spec.name) ?? uniform(spec, random.uniform.bind(random)));
    }
    if (accept(assignment)) return { assignment, why: "uniform" };
  }
  if (space.cardinality() <= ENUMERATION_LIMIT) {
    for (const assignment of space.configurations()) {
      const keepsFixed = [...fixed].every(([name, value]) => !assignment.has(name) || sameInternal(assignment.get(name), value));
      if (keepsFixed && accept(assignment)) return { assignment, why: "enumerated" };
    }
    return null;
  }
  throw new SpaceError(`no configuration among ${RANDOM_TRIES} random ones satisfies the constraints of the space; loosen them, or enqueue a configuration that does.`);
}

function uniform(spec: ParameterSpec, next: () => number): Internal {
  return fromUnit(spec.distribution, Float64Array.from({ length: unitWidth(spec.distribution) }, next));
}

/** After many duplicates in a row: any configuration not evaluated and not being evaluated; null when there is none. */
function unseen(state: StudyState, options: NewTrialOptions): Proposal | null {
  const space = state.jointSpace;
  if (space.parameters.length === 0) return null;
  const fixed = fixedAssignment(space, options.fixed, state.space !== null);
  if (state.space === null) {
    const values = (name: string, distribution: Distribution): Values => (fixed.has(name) ? { size: 1, at: () => fixed.get(name)! } : allValues(distribution));
    const assignment = untried(state, values, createRandom(state.seed, state.length, "fallback"));
    return assignment === null ? null : { assignment, why: "not tried yet" };
  }
  try {
    return randomProposal(state, fixed, (a) => space.satisfies(a) && state.find(a) < 0 && !state.failedTwice(a) && !isRunning(state, a));
  } catch (error) {
    if (error instanceof SpaceError) return null;
    throw error;
  }
}

function setParameters(state: StudyState, trial: number, space: SearchSpace, assignment: Assignment, emit: Emit): void {
  if (assignment.size === 0) return;
  const values: Record<string, ReturnType<typeof toJsonInternal>> = {};
  for (const [name, value] of assignment) {
    const { distribution } = space.get(name)!;
    const union = declare(state, name, distribution, emit);
    values[name] = toJsonInternal(toUnion(union, distribution, value));
  }
  emit({ type: "parameters", trial, values });
}
