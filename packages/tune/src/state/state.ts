// The study as a fold over its events, kept in columns so that samplers read without copying. `apply` performs no
// input or output, reads no clock and draws no randomness: the same events give the same state anywhere.
import { internalWidth, toExternal, type Distribution, type Internal, type ParameterValue } from "../space/distribution.ts";
import { createRandom } from "../random/random.ts";
import type { Assignment, SearchSpace } from "../space/space.ts";
import { allValues, follows, inferSpace, untried } from "./branches.ts";
import { GrowingColumn, nanArray, newRecord, ReportLog, restoreRecord, saveRecord, type Lease, type SavedRecord, type TrialRecord } from "./columns.ts";
import { TrialState, type Checkpoint, type Direction, type FrozenTrial, type Json, type Reports, type StudyView, type TrialStateName } from "../contract/contract.ts";
import { StorageCorruptError } from "../errors/errors.ts";
import { toJsonInternal, type AskEvent, type ClaimEvent, type CreateEvent, type DeclareEvent, type EnqueueEvent, type FinishEvent, type JsonInternal, type LateEvent, type ReportEvent, type StudyEvent } from "./events.ts";
import { Points } from "./points.ts";

const STATE_NAMES: readonly TrialStateName[] = ["RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", "PAUSED"];
const NO_REPORTS: Reports = { length: 0, steps: [], metrics: new Map() };
const NO_ATTRIBUTES: ReadonlyMap<string, Json> = new Map();

/** A result that came after its lease was lost. */
export type LateResult = Omit<LateEvent, "type">;

/** A saved study; `trials` saved trials follow it. */
export interface SavedStudy {
  readonly type: "checkpoint"; readonly create: CreateEvent; readonly trials: number;
  readonly parameters: readonly { readonly name: string; readonly distribution: Distribution }[];
  readonly finished: readonly number[]; readonly waiting: readonly number[]; readonly late: readonly LateResult[]; readonly note: string;
  readonly userAttributes: Readonly<Record<string, Json>>; readonly systemAttributes: Readonly<Record<string, Json>>;
}
export interface SavedTrial {
  readonly type: "trial"; readonly state: TrialState; readonly values: readonly number[] | null;
  readonly internal: Readonly<Record<string, JsonInternal>>; readonly record: SavedRecord;
}

export class StudyState implements StudyView {
  name = "";
  seed = 0;
  directions: readonly Direction[] = [];
  metricNames: readonly string[] = [];
  noisy = false;
  /** The space declared in this process, set by whoever opened the study; predicates are code and not stored. */
  space: SearchSpace | null = null;
  length = 0;
  states: Uint8Array = new Uint8Array(16);
  readonly parameters: Map<string, GrowingColumn> = new Map();
  values: Float64Array[] = [];
  violations: Float64Array = nanArray(16);
  constrained = false;
  watermark = 0;
  finished: Int32Array = new Int32Array(16);
  readonly running: number[] = [];
  readonly paused: number[] = [];
  /** Waiting trials in the order they are to be started. */
  readonly waiting: number[] = [];
  readonly late: LateResult[] = [];
  readonly userAttributes: Map<string, Json> = new Map();
  readonly systemAttributes: Map<string, Json> = new Map();
  note = "";
  /** Number of trials some worker has been given, duplicates answered from memory not counted: what a budget limits. */
  evaluations = 0;
  /** Whether the study has been created. */
  created = false;
  private readonly records: TrialRecord[] = [];
  private readonly points: Points = new Points(this.parameters);
  /** Configurations that failed, and those that failed twice. */
  private readonly failed: Points = new Points(this.parameters);
  private readonly failedAgain: Points = new Points(this.parameters);
  private readonly caches = new Map<symbol, object>();
  /** What running define-by-run trials are to be given when they ask; in this process only, until they have asked. */
  private readonly plans = new Map<number, Assignment>();
  /** The space that finished define-by-run trials show, and parameters that it does not explain; null when out of date. */
  private inferred: { readonly space: SearchSpace; readonly unexplained: ReadonlySet<string> } | null = null;

  /** Takes one event in; throws StorageCorruptError, before changing anything, when it cannot follow what was. */
  apply(event: StudyEvent): void {
    if (event.type !== "create" && !this.created) throw new StorageCorruptError(`a "${event.type}" event stands before the study's "create".`);
    switch (event.type) {
      case "create": return this.applyCreate(event);
      case "declare": return this.applyDeclare(event);
      case "enqueue": return this.applyEnqueue(event);
      case "ask": return this.applyAsk(event);
      case "claim": return this.applyClaim(event);
      case "parameters": return this.applyParameters(event.trial, event.values);
      case "report": return this.applyReport(event);
      case "constraint": return this.applyConstraint(event.trial, event.name, event.value);
      case "attribute": return this.applyAttribute(event.trial, event.scope, event.key, event.value);
      case "note":
        if (event.trial === null) this.note = event.text;
        else this.record(event.trial).note = event.text;
        return;
      case "finish": return this.applyFinish(event);
      case "pause":
        this.expect(event.trial, TrialState.RUNNING);
        this.record(event.trial).lease = null;
        return this.move(event.trial, TrialState.PAUSED);
      case "requeue":
        this.expect(event.trial, TrialState.RUNNING, TrialState.PAUSED);
        this.record(event.trial).lease = null;
        return this.move(event.trial, TrialState.WAITING);
      case "late": {
        this.record(event.trial);
        const { type: _, ...result } = event;
        this.late.push(result);
      }
    }
  }

  state(trial: number): TrialState {
    this.record(trial);
    return this.states[trial] as TrialState;
  }

  stateName(trial: number): TrialStateName {
    return STATE_NAMES[this.state(trial)]!;
  }

  lease(trial: number): Lease | null {
    return this.record(trial).lease;
  }

  /** The last fence handed out for the trial, which is how often it was started; the next claim uses one more. */
  fence(trial: number): number {
    return this.record(trial).fence;
  }

  checkpoint(trial: number): Checkpoint | null {
    return this.record(trial).checkpoint;
  }

  /** The trial this one was forked from, or −1. */
  parent(trial: number): number {
    return this.record(trial).parent;
  }

  /** Finished trials the sampler saw when it was asked for this one; −1 for enqueued trials. */
  watermarkOf(trial: number): number {
    return this.record(trial).watermark;
  }

  reports(trial: number): Reports {
    return this.record(trial).reports ?? NO_REPORTS;
  }

  systemAttribute(trial: number, key: string): Json | undefined {
    return (this.record(trial).systemAttributes ?? NO_ATTRIBUTES).get(key);
  }

  userAttribute(trial: number, key: string): Json | undefined {
    return (this.record(trial).userAttributes ?? NO_ATTRIBUTES).get(key);
  }

  constraint(trial: number, name: string): number | undefined {
    return this.record(trial).constraints?.get(name);
  }

  noteOf(trial: number): string {
    return this.record(trial).note;
  }

  internal(trial: number, parameter: string): Internal | undefined {
    return this.recorded(trial, parameter) ?? this.plans.get(trial)?.get(parameter);
  }

  /** The value that the trial has been given, what is only planned left aside. */
  recorded(trial: number, parameter: string): Internal | undefined {
    return this.parameters.get(parameter)?.at(trial);
  }

  /** Keeps for a running define-by-run trial what it is to be given when it asks. */
  plan(trial: number, assignment: Assignment): void {
    this.plans.set(trial, assignment);
  }

  assignment(trial: number): Map<string, Internal> {
    const assignment = new Map<string, Internal>();
    for (const name of this.parameters.keys()) {
      const value = this.internal(trial, name);
      if (value !== undefined) assignment.set(name, value);
    }
    return assignment;
  }

  find(assignment: Assignment): number {
    return this.points.find(assignment);
  }

  isKnown(assignment: Assignment): boolean {
    return !this.noisy && (this.points.find(assignment) >= 0 || this.failed.find(assignment) >= 0);
  }

  /** Whether two trials or more have failed at exactly this configuration. */
  failedTwice(assignment: Assignment): boolean {
    return this.failedAgain.find(assignment) >= 0;
  }

  /** The evaluated trial that has exactly the parameters this one has so far, or −1. */
  findTwin(trial: number): number {
    return this.points.twin(trial);
  }

  cache<T extends object>(key: symbol, make: () => T): T {
    let value = this.caches.get(key);
    if (value === undefined) this.caches.set(key, (value = make()));
    return value as T;
  }

  /** The declared space, or what finished trials show of it: their common parameters, and those that come with a choice. */
  get jointSpace(): SearchSpace {
    if (this.space !== null) return this.space;
    if (this.inferred === null) {
      const trials = Array.from(this.finished.subarray(0, this.watermark)).filter((trial) => this.states[trial] !== TrialState.FAIL).sort((a, b) => a - b);
      const space = inferSpace(this, trials);
      const unexplained = [...this.parameters.keys()].filter((name) => space.get(name) === undefined && trials.some((trial) => this.recorded(trial, name) !== undefined));
      this.inferred = { space, unexplained: new Set(unexplained) };
    }
    return this.inferred.space;
  }

  /** Whether every configuration of a finite joint space is evaluated, failed twice or being evaluated. */
  get exhausted(): boolean {
    if (this.noisy) return false;
    const space = this.jointSpace;
    if (space.parameters.length === 0 || space.constraints.length > 0) return false;
    if (space.cardinality() > this.points.count + this.failedAgain.count + this.running.length) return false;
    return this.space !== null || untried(this, (_, distribution) => allValues(distribution), createRandom(this.seed, this.length, "branches")) === null;
  }

  trial(number: number): FrozenTrial {
    const record = this.record(number);
    const params: Record<string, ParameterValue> = {};
    const distributions: Record<string, Distribution> = {};
    for (const column of this.parameters.values()) {
      const value = column.at(number);
      if (value === undefined) continue;
      params[column.name] = toExternal(column.distribution, value);
      distributions[column.name] = column.distribution;
    }
    const reports = record.reports;
    return {
      number, state: this.stateName(number), params, distributions,
      values: Number.isNaN(this.values[0]![number]) ? null : this.values.map((column) => column[number]!),
      constraints: Object.fromEntries(record.constraints ?? []),
      reports: reports === null ? [] : reports.steps.map((step, i) => ({
        step,
        metrics: Object.fromEntries([...reports.metrics].map(([name, column]) => [name, column[i]!] as const).filter(([, x], _, all) => !Number.isNaN(x) || all.length === 1)),
      })),
      userAttributes: Object.fromEntries(record.userAttributes ?? []),
      systemAttributes: Object.fromEntries(record.systemAttributes ?? []),
      note: record.note, started: record.started, finished: record.finished, attempt: record.fence,
      answeredBy: record.answeredBy < 0 ? null : record.answeredBy,
      parent: record.parent < 0 ? null : record.parent,
      checkpoint: record.checkpoint,
    };
  }

  /** The state as plain data, for `restore`: the study, then its trials by number. */
  *save(): Generator<SavedStudy | SavedTrial> {
    const { name, seed, directions, metricNames, noisy } = this;
    yield {
      type: "checkpoint", create: { type: "create", name, seed, directions, metricNames, noisy }, trials: this.length,
      parameters: Array.from(this.parameters.values(), (column) => ({ name: column.name, distribution: column.distribution })),
      finished: Array.from(this.finished.subarray(0, this.watermark)), waiting: this.waiting, late: this.late, note: this.note,
      userAttributes: Object.fromEntries(this.userAttributes), systemAttributes: Object.fromEntries(this.systemAttributes),
    };
    for (let trial = 0; trial < this.length; trial++) {
      const internal: Record<string, JsonInternal> = {};
      for (const [name, column] of this.parameters) {
        const value = column.at(trial);
        if (value !== undefined) internal[name] = toJsonInternal(value);
      }
      const values = Number.isNaN(this.values[0]![trial]) ? null : this.values.map((column) => column[trial]!);
      yield { type: "trial", state: this.state(trial), values, internal, record: saveRecord(this.record(trial)) };
    }
  }

  /** Takes a saved state into this new one; throws StorageCorruptError when trials are missing. */
  restore(saved: SavedStudy, trials: readonly SavedTrial[]): void {
    if (trials.length !== saved.trials) throw new StorageCorruptError(`a checkpoint of ${saved.trials} trials holds ${trials.length}.`);
    this.apply(saved.create);
    for (const parameter of saved.parameters) this.apply({ type: "declare", ...parameter });
    for (const [trial, { state, values, internal, record }] of trials.entries()) {
      const { fence, answeredBy, constraints } = this.newTrial(trial, restoreRecord(record));
      this.states[trial] = state;
      values?.forEach((value, k) => { this.values[k]![trial] = value; });
      this.applyParameters(trial, internal);
      for (const [name, value] of constraints ?? []) this.applyConstraint(trial, name, value);
      if (fence > 0 && answeredBy < 0) this.evaluations++;
      if (state !== TrialState.WAITING) this.listOf(state)?.push(trial);
    }
    for (const trial of saved.waiting) this.waiting.push(trial);
    for (const trial of saved.finished) this.fileFinished(trial);
    for (const result of saved.late) this.late.push(result);
    for (const [key, value] of Object.entries(saved.userAttributes)) this.userAttributes.set(key, value);
    for (const [key, value] of Object.entries(saved.systemAttributes)) this.systemAttributes.set(key, value);
    this.note = saved.note;
  }

  private record(trial: number): TrialRecord {
    const record = this.records[trial];
    if (record === undefined) throw new StorageCorruptError(`there is no trial ${trial}; the study has ${this.length}.`);
    return record;
  }

  private expect(trial: number, ...states: TrialState[]): void {
    if (!states.includes(this.state(trial))) {
      throw new StorageCorruptError(`trial ${trial} is ${this.stateName(trial)} where ${states.map((s) => STATE_NAMES[s]).join(" or ")} was expected.`);
    }
  }

  private applyCreate(event: CreateEvent): void {
    if (this.created) throw new StorageCorruptError(`the study "${this.name}" is created twice.`);
    this.created = true;
    this.name = event.name;
    this.seed = event.seed;
    this.directions = event.directions;
    this.metricNames = event.metricNames;
    this.noisy = event.noisy;
    this.values = event.directions.map(() => nanArray(this.states.length));
  }

  private applyDeclare({ name, distribution }: DeclareEvent): void {
    const column = this.parameters.get(name);
    if (column === undefined) this.parameters.set(name, new GrowingColumn(name, distribution, this.states.length));
    else if (internalWidth(distribution) !== column.width) throw new StorageCorruptError(`the parameter "${name}" changes its width.`);
    else column.distribution = distribution;
    if (this.inferred?.space.get(name) !== undefined) this.inferred = null;
  }

  private newTrial(number: number, record: TrialRecord = newRecord()): TrialRecord {
    if (number !== this.length) throw new StorageCorruptError(`trial ${number} is created where trial ${this.length} was expected.`);
    if (number === this.states.length) this.grow();
    this.records.push(record);
    this.length++;
    return record;
  }

  private grow(): void {
    const capacity = this.states.length * 2;
    const longer = (old: Float64Array): Float64Array => {
      const array = nanArray((old.length / this.states.length) * capacity);
      array.set(old);
      return array;
    };
    this.values = this.values.map(longer);
    this.violations = longer(this.violations);
    for (const column of this.parameters.values()) column.data = longer(column.data);
    const finished = new Int32Array(capacity);
    finished.set(this.finished);
    this.finished = finished;
    const states = new Uint8Array(capacity);
    states.set(this.states);
    this.states = states;
  }

  private applyEnqueue(event: EnqueueEvent): void {
    const record = this.newTrial(event.trial);
    record.systemAttributes = new Map(Object.entries({ ...event.attributes, fixed_params: event.fixed }));
    record.parent = event.parent ?? -1;
    record.checkpoint = event.checkpoint ?? null;
    this.states[event.trial] = TrialState.WAITING;
    this.waiting.push(event.trial);
  }

  private applyAsk(event: AskEvent): void {
    const record = this.newTrial(event.trial);
    record.started = event.time;
    record.fence = event.fence ?? 1;
    record.watermark = event.watermark;
    record.parent = event.parent ?? -1;
    record.checkpoint = event.checkpoint ?? null;
    record.lease = { owner: event.owner, fence: record.fence };
    this.states[event.trial] = TrialState.RUNNING;
    this.running.push(event.trial);
    this.evaluations++;
  }

  private applyClaim(event: ClaimEvent): void {
    this.expect(event.trial, TrialState.WAITING);
    const record = this.record(event.trial);
    if (event.fence <= record.fence) throw new StorageCorruptError(`trial ${event.trial} is claimed with fence ${event.fence} after ${record.fence}.`);
    if (record.fence === 0) this.evaluations++;
    record.started ??= event.time;
    record.fence = event.fence;
    record.lease = { owner: event.owner, fence: event.fence };
    this.move(event.trial, TrialState.RUNNING);
  }

  private applyParameters(trial: number, values: Readonly<Record<string, JsonInternal>>): void {
    this.record(trial);
    for (const [name, value] of Object.entries(values)) {
      const column = this.parameters.get(name);
      const width = typeof value === "number" ? 1 : value.length;
      if (column?.width !== width) throw new StorageCorruptError(`trial ${trial} sets the parameter "${name}", which is ${column === undefined ? "not declared" : `${column.width} wide, not ${width}`}.`);
    }
    for (const [name, value] of Object.entries(values)) {
      const column = this.parameters.get(name)!;
      const start = trial * column.width;
      if (Number.isNaN(column.data[start])) column.count++;
      if (typeof value === "number") column.data[start] = value;
      else column.data.set(value, start);
    }
  }

  private applyReport(event: ReportEvent): void {
    const record = this.record(event.trial);
    record.reports ??= new ReportLog();
    record.reports.set(event.step, event.metrics);
    if (event.checkpoint !== undefined) record.checkpoint = event.checkpoint;
  }

  private applyConstraint(trial: number, name: string, value: number): void {
    const record = this.record(trial);
    record.constraints ??= new Map();
    record.constraints.set(name, value);
    let violation = 0;
    for (const c of record.constraints.values()) violation += Math.max(0, c);
    this.violations[trial] = violation;
    this.constrained = true;
  }

  private applyAttribute(trial: number | null, scope: "user" | "system", key: string, value: Json): void {
    if (trial === null) {
      (scope === "user" ? this.userAttributes : this.systemAttributes).set(key, value);
      return;
    }
    const record = this.record(trial);
    const field = scope === "user" ? "userAttributes" : "systemAttributes";
    (record[field] ??= new Map<string, Json>()).set(key, value);
  }

  private applyFinish(event: FinishEvent): void {
    const { trial, values, state } = event;
    this.expect(trial, TrialState.RUNNING, TrialState.WAITING, TrialState.PAUSED);
    if (values !== null && values.length !== this.directions.length) throw new StorageCorruptError(`trial ${trial} finishes with ${values.length} values for ${this.directions.length} objectives.`);
    const record = this.record(trial);
    record.finished = event.time;
    record.lease = null;
    if (values !== null) values.forEach((value, k) => { this.values[k]![trial] = value; });
    if (event.answeredBy !== undefined) {
      record.answeredBy = event.answeredBy;
      if (record.fence > 0) this.evaluations--;
    }
    if (event.error !== undefined) this.applyAttribute(trial, "system", "fail_reason", event.error);
    this.move(trial, TrialState[state]);
    this.fileFinished(trial);
  }

  private fileFinished(trial: number): void {
    this.finished[this.watermark++] = trial;
    const state = this.state(trial);
    const { answeredBy, parent } = this.record(trial);
    if (state === TrialState.FAIL) {
      (this.failed.twin(trial) < 0 ? this.failed : this.failedAgain).add(trial);
      return;
    }
    // A fork starts from another's weights: its result is not a function of its parameters alone.
    if (state === TrialState.COMPLETE && !this.noisy && answeredBy < 0 && parent < 0) this.points.add(trial);
    if (this.space === null && this.inferred !== null && !this.isExplained(trial, this.inferred)) this.inferred = null;
  }

  /** Whether what is known of a define-by-run space stays true with this trial. */
  private isExplained(trial: number, { space, unexplained }: NonNullable<StudyState["inferred"]>): boolean {
    return follows(this, space, trial) && [...this.assignment(trial).keys()].every((name) => space.get(name) !== undefined || unexplained.has(name));
  }

  private move(trial: number, to: TrialState): void {
    if (to !== TrialState.RUNNING) this.plans.delete(trial);
    const list = this.listOf(this.state(trial));
    if (list !== null) list.splice(list.indexOf(trial), 1);
    this.states[trial] = to;
    if (to === TrialState.WAITING) {
      // Trials that a worker had already begun go first: their budget is spent.
      if (this.record(trial).fence > 0) this.waiting.unshift(trial);
      else this.waiting.push(trial);
    } else {
      const target = this.listOf(to);
      if (target === null) return;
      let at = target.length;
      while (at > 0 && target[at - 1]! > trial) at--;
      target.splice(at, 0, trial);
    }
  }

  private listOf(state: TrialState): number[] | null {
    switch (state) {
      case TrialState.RUNNING: return this.running;
      case TrialState.WAITING: return this.waiting;
      case TrialState.PAUSED: return this.paused;
      default: return null;
    }
  }
}

/** The state after `events`. */
export function replay(events: Iterable<StudyEvent>): StudyState {
  const state = new StudyState();
  for (const event of events) state.apply(event);
  return state;
}
