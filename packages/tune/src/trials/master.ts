// The one who hands out trials and takes results in, whoever evaluates them: next → suggest and report → finish.
// Every worker names its trial and fence; what comes under an old fence is recorded beside the trial, not in it.
import type { Fields, ObjectSpace } from "../space/builder.ts";
import { toExternal, type Distribution, type Internal, type ParameterValue } from "../space/distribution.ts";
import type { Assignment } from "../space/space.ts";
import { createRandom } from "../random/random.ts";
import type { Emit, StudyStore } from "../storage/storage.ts";
import { MANUAL, TrialState, type Checkpoint, type Decision, type Json, type Sampler, type Scheduler } from "../contract/contract.ts";
import { LeaseError, NaNValueError, TuneError, ValueError } from "../errors/errors.ts";
import type { FinishState, StudyEvent } from "../state/events.ts";
import {
  alignSpace, answerFromMemory, declaredAssignment, draftFor, draftTrial, fillTrial, isTaken, endReserved, reserveTrial, startTrial, suggest, twinOf, type Draft, type NewTrialOptions,
} from "./proposal.ts";
import type { StudyState } from "../state/state.ts";
import type { Metrics, TrialInit } from "./trial.ts";

/** How an evaluation ended. */
export type Outcome =
  | { readonly kind: "values"; readonly values: Metrics }
  | { readonly kind: "pruned" }
  | { readonly kind: "answered"; readonly by: number }
  /** `cause`: what the objective threw; none when it took too long or returned NaN. */
  | { readonly kind: "failed"; readonly error: string; readonly cause?: Error }
  /** The worker died or fell silent. */
  | { readonly kind: "lost"; readonly error: string };

/** What became of a result: in the trial, beside it because the lease was lost, or the trial goes on later. */
export type Filed = "finished" | "late" | "requeued" | "paused";

export interface MasterOptions {
  readonly sampler: Sampler;
  readonly scheduler: Scheduler | null;
  readonly declared: ObjectSpace<Fields> | null;
  /** External values held constant. */
  readonly fixed: Readonly<Record<string, ParameterValue>>;
  /** Names this process among those that write the study. */
  readonly owner: string;
  readonly now: () => number;
}

/** External values held constant, by name. */
type Fixed = Readonly<Record<string, ParameterValue>>;

/** A trial taken, and what is to be done with it; null when there is none and will be none. */
type Taken = { readonly trial: number; readonly step: "evaluate" | "fill" | "again" } | null;

/** How often a trial is proposed anew because another master has chosen the same point meanwhile. */
const FILL_ATTEMPTS = 16;
const NOTHING_LEFT = "the sampler has nothing left to propose for the open parameters of this enqueued trial; enqueue all parameters.";
/** Milliseconds between two reports that read a shared storage. */
const EXCHANGE = 500;
/** Milliseconds that a report waits for a storage that does not answer; training goes on without it. */
const ANSWER = 1000;

export class Master {
  readonly store: StudyStore;
  readonly options: MasterOptions;
  /** Evaluations the study may start in all, over all processes and runs. */
  private budget = Infinity;
  /** How often a trial whose objective threw is started again. */
  private retries = 0;
  /** How often a trial whose worker was lost is started again. */
  private restarts = 3;
  /** When a report last took in what others wrote, by performance.now(); Infinity while one waits for it. */
  private exchanged = -Infinity;
  private answeredInARow = 0;
  private probed = false;
  /** What the scheduler said last of each running trial that is to stop. */
  private readonly stopping = new Map<number, Decision>();
  /** Trials handed out by `next` and not finished. */
  private readonly held = new Set<number>();
  /** Trials told to stop because their lease could not be renewed; others may hold them by now. */
  private readonly lapsed = new Set<number>();

  constructor(store: StudyStore, options: MasterOptions) {
    this.store = store;
    this.options = options;
    if (options.declared !== null) store.state.space = alignSpace(options.declared.search, store.state);
  }

  get state(): StudyState {
    return this.store.state;
  }

  /**
   * Claims or creates the next trial to evaluate; null when the budget is spent or nothing is left to propose. The
   * sampler is asked between transactions, however long it takes: what it says holds if no other master has taken the
   * number meanwhile. Otherwise the trial gets a number first, and the sampler is asked again for that.
   */
  async next(owner: string = this.options.owner, fixed: Fixed = {}): Promise<TrialInit | null> {
    for (let answered = 0; ; answered++) {
      if (this.store.shared) await this.store.refresh();
      const draft = this.draft(owner, fixed, answered);
      let taken: Taken = null;
      await this.store.transact(false, (emit) => {
        // Run again: the attempt before went down with its connection.
        if (taken !== null) this.held.delete(taken.trial);
        taken = this.take(emit, owner, fixed, draft, answered);
        if (taken !== null) { this.held.add(taken.trial); this.lapsed.delete(taken.trial); }
      });
      const { trial, step } = (taken as Taken) ?? { trial: -1, step: "nothing" };
      if (step === "nothing") return null;
      if (step === "evaluate" || (step === "fill" && (await this.fill(trial, owner, fixed)))) return this.init(trial);
      this.held.delete(trial);
    }
  }

  /** Decides a parameter of a running trial, at once. */
  suggest(trial: number, fence: number, name: string, distribution: Distribution): Internal {
    if (!this.holds(trial, fence)) throw lostLease(trial, fence);
    return suggest(this.state, trial, name, distribution, this.proposing(this.options.owner), (event) => { this.store.append(event); });
  }

  /** The finished trial that evaluated exactly what the running trial has been given so far, or −1. */
  twin(trial: number): number {
    return twinOf(this.state, trial);
  }

  /** Files a report and returns whether the objective should stop. */
  async report(trial: number, fence: number, step: number, metrics: Metrics, checkpoint: Checkpoint | undefined): Promise<boolean> {
    const named = this.nameMetrics(metrics, `report of trial ${trial}`);
    if (!this.holds(trial, fence)) return true;
    this.store.append({ type: "report", trial, step, metrics: named, ...(checkpoint === undefined ? {} : { checkpoint }) });
    // Of a shared study others' reports are taken in from time to time; a transaction for each would cost a sync.
    if (this.store.shared && performance.now() - this.exchanged > EXCHANGE) {
      // Not again before this one is answered.
      this.exchanged = Infinity;
      await within(ANSWER, this.store.refresh().finally(() => { this.exchanged = performance.now(); }));
    }
    if (!this.holds(trial, fence)) return true;
    if (!this.store.leased) this.lapsed.add(trial);
    return this.lapsed.has(trial) || this.decide(trial, step, (event) => { this.store.append(event); });
  }

  /** Keeps an attribute, a constraint or a note of a trial; silently nothing when the lease is lost. */
  annotate(trial: number, fence: number, event: StudyEvent): void {
    if (this.holds(trial, fence)) this.store.append(event);
  }

  /** Starts a run: sets what it may spend; its objective may declare more than the last one's did. */
  begin(budget: number, retries: number, restarts: number): void {
    this.budget = budget;
    this.retries = retries;
    this.restarts = restarts;
    this.probed = false;
    this.answeredInARow = 0;
  }

  /** Takes a result in; durable when the promise resolves. */
  async finish(trial: number, fence: number, result: Outcome, owner: string = this.options.owner): Promise<Filed> {
    // Nobody's rule but the network's has stopped it.
    const outcome: Outcome = result.kind === "pruned" && this.lapsed.has(trial) ? { kind: "lost", error: "its lease could not be renewed in time" } : result;
    const filed = await this.store.transact(true, (emit): Filed => {
      const time = this.options.now();
      if (trial >= this.state.length || fence > this.state.fence(trial)) throw new LeaseError(`${owner} claims lease ${fence} of trial ${trial}, which was never given. Its message is ignored; check that worker.`);
      if (!this.holds(trial, fence)) {
        if (result.kind === "lost") return "late";
        const { state, values } = this.settle(trial, result);
        if (this.isRecorded(trial, fence, state, values)) return "finished";
        emit({ type: "late", trial, fence, time, owner, state, values });
        return "late";
      }
      const decision = this.stopping.get(trial);
      if (outcome.kind === "answered") {
        answerFromMemory(this.state, trial, outcome.by, time, emit);
        return "finished";
      }
      if (outcome.kind === "pruned" && decision?.action === "pause") {
        emit({ type: "pause", trial });
        return "paused";
      }
      if ((outcome.kind === "failed" || outcome.kind === "lost") && this.again(trial, outcome.kind, emit)) return "requeued";
      const { state, values, error } = this.settle(trial, outcome);
      emit({ type: "finish", trial, time, state, values, ...(error === undefined ? {} : { error }) });
      if (decision?.fork !== undefined) this.fork(decision.fork, emit);
      return "finished";
    });
    if (filed !== "late") {
      this.probed = true;
      this.answeredInARow = outcome.kind === "answered" ? this.answeredInARow + 1 : 0;
      this.stopping.delete(trial);
      this.held.delete(trial);
    }
    return filed;
  }

  /** Turns unusable values into a failure. A NaN fails one trial; anything else is a fault of the objective. */
  check(trial: number, outcome: Outcome): Outcome {
    if (outcome.kind !== "values") return outcome;
    try {
      this.objectiveValues(outcome.values, `result of trial ${trial}`);
      return outcome;
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      return { kind: "failed", error: error.message, ...(error instanceof NaNValueError ? {} : { cause: error }) };
    }
  }

  /** Runs what only the sampler of the finishing process keeps; after `finish`. */
  afterTrial(trial: number): void {
    this.options.sampler.afterTrial?.(this.state, trial);
  }

  /** Gives trials back to the queue whose workers can no longer answer. Returns their numbers. */
  async reap(): Promise<readonly number[]> {
    const lost = this.store.shared ? await this.store.expired() : this.orphans();
    for (const trial of lost) {
      const lease = this.state.lease(trial);
      // A lease of this process's own ran out while the storage was away; what it evaluates will tell.
      if (lease !== null && !(this.held.has(trial) && lease.owner === this.options.owner)) await this.finish(trial, lease.fence, { kind: "lost", error: `its worker ${lease.owner} was lost` }, lease.owner);
    }
    return lost;
  }

  /** Whether masters in other processes are evaluating trials of this shared study. */
  othersAtWork(): boolean {
    return this.store.shared && this.orphans().length > 0;
  }

  /** Values by metric name; throws ValueError for unusable ones. */
  nameMetrics(metrics: Metrics, what: string): Readonly<Record<string, number>> {
    const names = this.state.metricNames;
    if (typeof metrics === "number") {
      return { [names[0]!]: metrics };
    }
    if (isList(metrics)) {
      if (metrics.length !== names.length || metrics.some((x) => typeof x !== "number")) throw new ValueError(`${what}: ${JSON.stringify(metrics)} are not ${names.length} numbers, one per objective (${names.join(", ")}).`);
      return Object.fromEntries(names.map((name, i) => [name, metrics[i]!]));
    }
    if (typeof metrics !== "object" || metrics === null || Object.keys(metrics).length === 0 || Object.values(metrics).some((x) => typeof x !== "number")) {
      throw new ValueError(`${what}: ${typeof metrics === "object" ? JSON.stringify(metrics) : String(metrics)} is neither a number, nor one number per objective, nor numbers by name.`);
    }
    return metrics;
  }

  /** One value per objective; throws ValueError when one is missing or NaN. */
  objectiveValues(metrics: Metrics, what: string): readonly number[] {
    const { metricNames } = this.state;
    if (typeof metrics === "number" && metricNames.length > 1) throw new ValueError(`${what}: one number for ${metricNames.length} objectives; return ${metricNames.join(", ")} as a list or by name.`);
    const named = this.nameMetrics(metrics, what);
    return metricNames.map((name) => {
      const value = named[name];
      if (value === undefined) throw new ValueError(`${what}: the value of "${name}" is missing; there are ${Object.keys(named).join(", ") || "none"}.`);
      if (Number.isNaN(value)) throw new NaNValueError(`${what}: the value of "${name}" is NaN, which cannot be ranked; return Infinity for "as bad as can be", or fail the trial.`);
      return value;
    });
  }

  /** Whether the trial is being evaluated under this fence. */
  holds(trial: number, fence: number): boolean {
    return this.state.states[trial] === TrialState.RUNNING && this.state.lease(trial)?.fence === fence;
  }

  init(trial: number): TrialInit {
    const { state } = this;
    return {
      number: trial, fence: state.fence(trial), attempt: state.fence(trial), checkpoint: state.checkpoint(trial),
      assignment: this.declaredValues(trial),
    };
  }

  private declaredValues(trial: number): Assignment {
    if (this.options.declared === null) return new Map();
    const known = new Map([...this.state.parameters].map(([name, column]) => [name, column.distribution]));
    return declaredAssignment(this.options.declared.search, known, this.state.assignment(trial));
  }

  private proposing(owner: string, fixed: Fixed = {}, answered = 0): NewTrialOptions {
    const { sampler, now } = this.options;
    return { sampler, now, owner, answered: this.state.space === null ? this.answeredInARow : answered, probed: this.probed, fixed: { ...this.options.fixed, ...fixed }, remaining: this.budget - this.state.evaluations };
  }

  /** A trial that was given to this process over a connection that broke before it could say so. */
  private unanswered(owner: string): number | null {
    if (owner === MANUAL) return null;
    return this.state.running.find((trial) => !this.held.has(trial) && this.state.lease(trial)?.owner === owner) ?? null;
  }

  /** Whether this very result is in the trial: it was told before, over a connection that broke before it could say so. */
  private isRecorded(trial: number, fence: number, state: FinishState, values: readonly number[] | null): boolean {
    const known = this.state;
    if (known.stateName(trial) !== state || known.fence(trial) !== fence) return false;
    return known.values.every((column, k) => Object.is(column[trial], values?.[k] ?? Number.NaN));
  }

  /** What the sampler says to a new trial; null for nothing more; undefined when it need not be asked yet. */
  private draft(owner: string, fixed: Fixed, answered: number): Draft | null | undefined {
    const { state } = this;
    if (state.evaluations >= this.budget || state.waiting.length > 0) return undefined;
    if ((this.options.scheduler?.next?.(state) ?? null) !== null) return undefined;
    return draftTrial(state, this.proposing(owner, fixed, answered));
  }

  /** Takes the next trial inside a transaction: a promoted or waiting one, or a new one with what the sampler drafted. */
  private take(emit: Emit, owner: string, fixed: Fixed, draft: Draft | null | undefined, answered: number): Taken {
    const { state } = this;
    const options = this.proposing(owner, fixed, answered);
    const unanswered = this.unanswered(owner);
    if (unanswered !== null) return { trial: unanswered, step: this.isOpen(unanswered) ? "fill" : "evaluate" };
    const promoted = this.options.scheduler?.next?.(state) ?? null;
    if (promoted !== null) emit({ type: "requeue", trial: promoted, reason: "promoted" });
    const [waiting] = state.waiting;
    if (waiting !== undefined && (state.fence(waiting) > 0 || state.evaluations < this.budget)) {
      emit({ type: "claim", trial: waiting, time: options.now(), owner, fence: state.fence(waiting) + 1 });
      return { trial: waiting, step: this.isOpen(waiting) ? "fill" : "evaluate" };
    }
    if (state.evaluations >= this.budget || draft === null) return null;
    // Another master may have chosen the same point meanwhile, for a trial that it had reserved.
    if (draft === undefined || (this.store.shared && answered < FILL_ATTEMPTS && isTaken(state, draft.proposal))) return { trial: -1, step: "again" };
    // A fork keeps what it was drafted for: its parent is part of its creation.
    const free = draft.trial === state.length || draft.proposal.parent !== undefined;
    const trial = free ? state.length : reserveTrial(state, options, emit);
    const begun = free ? startTrial(state, { ...draft, trial }, options, emit) : true;
    if (Object.keys(fixed).length > 0) emit({ type: "attribute", trial, scope: "system", key: "fixed_params", value: fixed as Readonly<Record<string, Json>> });
    return { trial, step: !begun ? "again" : free ? "evaluate" : "fill" };
  }

  /** Whether a running trial lacks parameters of the declared space. */
  private isOpen(trial: number): boolean {
    const { space } = this.state;
    if (space === null) return false;
    const assignment = this.state.assignment(trial);
    return space.parameters.some((spec) => space.isActive(spec, assignment) && !assignment.has(spec.name));
  }

  /** Has the sampler choose what a trial of ours leaves open; false when the trial has ended by that. */
  private async fill(trial: number, owner: string, fixed: Fixed): Promise<boolean> {
    const fence = this.state.fence(trial);
    const reserved = this.state.systemAttribute(trial, "fixed_params") === undefined;
    for (let attempt = 0; ; attempt++) {
      let draft: Draft | null = null;
      let failure: TuneError | null = null;
      const options = this.proposing(owner, fixed);
      try {
        draft = draftFor(this.state, trial, options);
      } catch (error) {
        if (!(error instanceof TuneError)) throw error;
        failure = error;
      }
      const step = await this.store.transact(false, (emit): "evaluate" | "ended" | "again" => {
        if (!this.holds(trial, fence)) return "ended";
        if (draft === null) {
          if (reserved && failure === null) endReserved(this.state, trial, options, emit);
          else emit({ type: "finish", trial, time: options.now(), state: "FAIL", values: null, error: failure?.message ?? NOTHING_LEFT });
          return "ended";
        }
        if (attempt < FILL_ATTEMPTS && isTaken(this.state, draft.proposal)) return "again";
        // What samplers keep with their trials does not belong to those that people enqueue.
        const { space, proposal } = draft;
        return fillTrial(this.state, trial, { space, proposal: reserved ? proposal : { assignment: proposal.assignment } }, options, emit) ? "evaluate" : "ended";
      });
      if (failure !== null && reserved) throw failure as TuneError;
      if (step !== "again") return step === "evaluate";
    }
  }

  private decide(trial: number, step: number, emit: Emit): boolean {
    const { scheduler } = this.options;
    if (scheduler === null) return false;
    const decision = scheduler.decide({
      study: this.state, trial, step,
      random: (stream) => createRandom(this.state.seed, trial, `${scheduler.name}/${stream}/${step}`),
    });
    for (const [key, value] of Object.entries(decision.attributes ?? {})) emit({ type: "attribute", trial, scope: "system", key, value });
    for (const paused of decision.promote ?? []) {
      if (this.state.states[paused] === TrialState.PAUSED) emit({ type: "requeue", trial: paused, reason: "promoted" });
    }
    if (decision.action === "continue") return false;
    this.stopping.set(trial, decision);
    return true;
  }

  private fork({ parent, assignment }: NonNullable<Decision["fork"]>, emit: Emit): void {
    const fixed: Record<string, Json> = {};
    for (const [name, value] of assignment) fixed[name] = toExternal(this.state.parameters.get(name)!.distribution, value) as Json;
    const checkpoint = this.state.checkpoint(parent);
    emit({
      type: "enqueue", trial: this.state.length, time: this.options.now(), fixed, parent,
      ...(checkpoint === null ? {} : { checkpoint }),
    });
  }

  /** Requeues a failed or lost trial while it has attempts left. */
  private again(trial: number, kind: "failed" | "lost", emit: Emit): boolean {
    const [key, limit] = kind === "failed" ? ["retries", this.retries] as const : ["restarts", this.restarts] as const;
    const before = Number(this.state.systemAttribute(trial, key) ?? 0);
    if (before >= limit) return false;
    emit({ type: "attribute", trial, scope: "system", key, value: before + 1 });
    emit({ type: "requeue", trial, reason: kind === "failed" ? "retry" : "expired" });
    return true;
  }

  private settle(trial: number, outcome: Outcome): { state: FinishState; values: readonly number[] | null; error?: string } {
    switch (outcome.kind) {
      case "values": return { state: "COMPLETE", values: this.objectiveValues(outcome.values, `result of trial ${trial}`) };
      case "pruned": return { state: "PRUNED", values: this.lastReport(trial) };
      case "answered": return { state: "COMPLETE", values: this.state.values.map((column) => column[outcome.by]!) };
      default: return { state: "FAIL", values: null, error: outcome.error };
    }
  }

  private lastReport(trial: number): readonly number[] | null {
    const reports = this.state.reports(trial);
    const values = this.state.metricNames.map((name) => reports.metrics.get(name)?.[reports.length - 1] ?? Number.NaN);
    return values.some(Number.isNaN) ? null : values;
  }

  /** Running trials of other masters; in an exclusive store those are gone. */
  private orphans(): readonly number[] {
    return this.state.running.filter((trial) => ![MANUAL, this.options.owner].includes(this.state.lease(trial)?.owner ?? MANUAL));
  }
}

/** Waits for the work, but not longer than that; it goes on by itself. */
async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, milliseconds); });
  await Promise.race([work, late]).finally(() => { clearTimeout(timer); });
}

function lostLease(trial: number, fence: number): LeaseError {
  return new LeaseError(`the lease ${fence} of trial ${trial} has ended; another worker may hold the trial. Stop this evaluation.`);
}

function isList(metrics: Metrics): metrics is readonly number[] {
  return Array.isArray(metrics);
}
