// The public face of a study: create or load it, ask and tell, or let it optimise; read what came out.
import { InlineExecutor, localChannel, type Objective } from "../executors/inline.ts";
import type { Fields, ObjectSpace } from "../space/builder.ts";
import { toInternal, type ParameterValue } from "../space/distribution.ts";
import { checkName, checkParameterName } from "../space/names.ts";
import { openStorage } from "../storage/open.ts";
import { copyJson } from "../storage/json.ts";
import type { Storage, StudyStore } from "../storage/storage.ts";
import { bestTrials } from "../analysis/tables.ts";
import { resultsOf } from "../analysis/results.ts";
import { MedianPruner } from "../pruners/percentile.ts";
import { AutoSampler } from "../samplers/auto.ts";
import { MANUAL, TrialState, type Direction, type FrozenTrial, type Json, type Sampler, type Scheduler, type StudyView } from "../contract/contract.ts";
import { StudyError, StudyExistsError, TrialStateError } from "../errors/errors.ts";
import { defaultMetricNames, type CreateEvent } from "../state/events.ts";
import { Master, type Outcome } from "../trials/master.ts";
import { runLoop, type Executor } from "../trials/loop.ts";
import type { LateResult } from "../state/state.ts";
import { Trial, type Metrics } from "../trials/trial.ts";

/** What a define-by-run objective's `trial.params` holds. */
export type Parameters = Readonly<Record<string, ParameterValue>>;

/** What every way to open a study takes. */
export interface OpenOptions<T> {
  /** An address ("journal:a.journal", "sqlite:a.db", "postgres://…") or an open storage; "memory:" by default. */
  readonly storage?: string | Storage;
  /** The search space; without it the objective declares parameters as it meets them. */
  readonly space?: ObjectSpace<Fields> & { assemble(assignment: never): T };
  /** Chooses configurations; `auto` by default. */
  readonly sampler?: Sampler;
  /** Stops, pauses and promotes trials by their reports; the median rule by default, null for none. */
  readonly pruner?: Scheduler | null;
  /** Values to hold constant, by flat parameter name. */
  readonly fixed?: Parameters;
  /** Milliseconds since 1970; for tests. */
  readonly clock?: () => number;
}

/** What a new study is. */
export interface CreateStudyOptions<T> extends OpenOptions<T> {
  /** "study" by default. */
  readonly name?: string;
  /** One objective: "minimize" by default. */
  readonly direction?: Direction;
  /** Several objectives. */
  readonly directions?: readonly Direction[];
  /** Names of the objectives; "value", or "value0", "value1", … by default. */
  readonly metricNames?: readonly string[];
  /** An integer in [0, 2^53); the same seed gives the same study. Random by default. */
  readonly seed?: number;
  /** The objective may give two results at one point, so points may be repeated. Default false. */
  readonly noisy?: boolean;
  /** What to do when the storage has the study already; "fail" by default. */
  readonly ifExists?: "fail" | "load";
}

/** Which study. */
export interface LoadStudyOptions<T> extends OpenOptions<T> {
  /** May be left out when the storage holds one study. */
  readonly name?: string;
}

/** How much to evaluate, how, and until when. */
export interface OptimizeOptions {
  /** Evaluations the study shall have in all, counted over all processes and earlier runs. Endless by default. */
  readonly trials?: number;
  /** Evaluations at a time in this process; 1 by default. */
  readonly workers?: number;
  /** Milliseconds after which no trial is started. */
  readonly timeout?: number;
  /** Milliseconds one evaluation may take before its trial fails. */
  readonly trialTimeout?: number;
  /** How often a trial that threw is tried again; 0 by default. */
  readonly retries?: number;
  /** How often a trial whose worker died is started again; 3 by default. */
  readonly restarts?: number;
  /** What a trial that threw, retries spent, ends: "stop" the optimisation (default) or only itself ("continue"). */
  readonly failures?: "stop" | "continue";
  /** Ends the optimisation, after the trials now being evaluated, when it is aborted. */
  readonly signal?: AbortSignal;
  /** Called after every finished trial. */
  readonly callbacks?: readonly ((trial: FrozenTrial) => void | Promise<void>)[];
}

/**
 * Creates a study; throws StudyError when it exists (unless `ifExists: "load"`) or the options contradict each other.
 *
 * @example
 * const study = await createStudy({ direction: "minimize", seed: 1 });
 * await study.optimize((trial) => (trial.float("x", -5, 5) - 2) ** 2, { trials: 20 });
 * study.trials().length; // 20
 * await study.close();
 */
export async function createStudy<T = Parameters>(options: CreateStudyOptions<T> = {}): Promise<Study<T>> {
  const directions = directionsOf(options);
  const { name = "study", seed = crypto.getRandomValues(new Uint32Array(1))[0]!, noisy = false } = options;
  checkName("study", name);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new StudyError(`the seed must be an integer in [0, 2^53), not ${seed}.`);
  const metricNames = options.metricNames ?? defaultMetricNames(directions.length);
  if (metricNames.length !== directions.length || new Set(metricNames).size !== metricNames.length) {
    throw new StudyError(`${directions.length} objectives need as many different names, not ${JSON.stringify(metricNames)}.`);
  }
  for (const metric of metricNames) checkName("metric", metric);
  return withStorage(options, async (storage) => {
    const create: CreateEvent = { type: "create", name, seed, directions, metricNames, noisy };
    if (options.ifExists !== "load") return storage.create(create);
    const store = (await storage.names()).includes(name) ? await storage.load(name) : await createOrLoad(storage, create);
    const found = store.state.directions;
    if (found.length !== directions.length || found.some((d, i) => d !== directions[i])) {
      await store.close();
      throw new StudyError(`${storage.address} has the study "${name}" with directions ${found.join(", ")}, not ${directions.join(", ")}; pass those, or choose another name.`);
    }
    return store;
  });
}

/** Of several processes that start together one creates the study, and the others load it. */
async function createOrLoad(storage: Storage, create: CreateEvent): Promise<StudyStore> {
  try {
    return await storage.create(create);
  } catch (error) {
    if (error instanceof StudyExistsError) return storage.load(create.name);
    throw error;
  }
}

/**
 * Opens a study that exists; throws StudyError when it does not.
 *
 * @example
 * const storage = openStorage("memory:");
 * await createStudy({ storage: await storage, name: "cnn" });
 * const study = await loadStudy({ storage: await storage, name: "cnn" });
 * study.name; // "cnn"
 */
export function loadStudy<T = Parameters>(options: LoadStudyOptions<T>): Promise<Study<T>> {
  return withStorage(options, (storage) => storage.load(options.name));
}

export class Study<T = Parameters> {
  /** Where the study is kept. */
  readonly storage: Storage;
  private readonly master: Master;
  private readonly declared: ObjectSpace<Fields> | null;
  private readonly ownsStorage: boolean;
  private running: AbortController | null = null;

  constructor(storage: Storage, ownsStorage: boolean, master: Master) {
    this.storage = storage;
    this.ownsStorage = ownsStorage;
    this.master = master;
    this.declared = master.options.declared;
  }

  /** Names it within its storage. */
  get name(): string { return this.master.state.name; }
  /** What all its random numbers come from. */
  get seed(): number { return this.master.state.seed; }
  /** One per objective. */
  get directions(): readonly Direction[] { return this.master.state.directions; }
  /** One per objective. */
  get metricNames(): readonly string[] { return this.master.state.metricNames; }
  /** The history in columns, for samplers and analysis. */
  get view(): StudyView { return this.master.state; }
  /** Evaluations begun so far; duplicates answered from memory do not count. */
  get evaluations(): number { return this.master.state.evaluations; }
  /** Results that came after their worker's lease had ended. */
  get lateResults(): readonly LateResult[] { return this.master.state.late; }
  /** What `setAttribute` kept. */
  get userAttributes(): Readonly<Record<string, Json>> { return Object.fromEntries(this.master.state.userAttributes); }
  /** What `setNote` kept; "" without one. */
  get note(): string { return this.master.state.note; }

  /** All trials, or those in some states, as plain data. */
  trials(...states: FrozenTrial["state"][]): FrozenTrial[] {
    const { state } = this.master;
    const trials = Array.from({ length: state.length }, (_, t) => t);
    return trials.filter((t) => states.length === 0 || states.includes(state.stateName(t))).map((t) => state.trial(t));
  }

  /** The best feasible complete trial of a single-objective study, the first of equals; null before there is one. */
  get best(): FrozenTrial | null {
    const { state } = this.master;
    if (state.directions.length > 1) throw new StudyError(`"${this.name}" has ${state.directions.length} objectives and so no single best trial; read \`front\`.`);
    const sign = state.directions[0] === "maximize" ? -1 : 1;
    let best = -1;
    for (let i = 0; i < state.watermark; i++) {
      const trial = state.finished[i]!;
      if (state.states[trial] !== TrialState.COMPLETE || (state.constrained && !(state.violations[trial]! <= 0))) continue;
      if (best < 0 || sign * state.values[0]![trial]! < sign * state.values[0]![best]!) best = trial;
    }
    return best < 0 ? null : state.trial(best);
  }

  /** The Pareto front: feasible complete trials that none other dominates. */
  get front(): FrozenTrial[] {
    return bestTrials(resultsOf(this.master.state));
  }

  /**
   * Starts one trial by hand; `tell` its result. Throws StudyError when the space is exhausted.
   *
   * @example
   * const trial = await study.ask();
   * await study.tell(trial, (trial.float("x", -5, 5) - 2) ** 2);
   */
  async ask(fixed: Parameters = {}): Promise<Trial<T>> {
    const init = await this.master.next(MANUAL, fixed);
    if (init === null) throw new StudyError(`every configuration of "${this.name}" has been evaluated; declare the study noisy to repeat some.`);
    return new Trial<T>(init, localChannel(this.master, init.number, init.fence, false), this.declared, new AbortController().signal);
  }

  /**
   * Files the result of a trial: values, or how it ended without. Throws ValueError for unusable values and
   * TrialStateError when the trial is not running; the trial then stays as it was. Returns the trial as it is now.
   */
  async tell(trial: Trial<T> | number, result: Metrics | { readonly state: "PRUNED" | "FAIL"; readonly reason?: string }): Promise<FrozenTrial> {
    const { master } = this;
    await master.store.refresh();
    const number = typeof trial === "number" ? trial : trial.number;
    if (!Number.isSafeInteger(number) || number < 0 || number >= master.state.length) throw new TrialStateError(`"${this.name}" has no trial ${number}; it has ${master.state.length}.`);
    if (typeof trial === "number" && master.state.lease(number) === null) {
      throw new TrialStateError(`trial ${number} is ${master.state.stateName(number)}; only running trials can be told.`);
    }
    const fence = typeof trial === "number" ? master.state.fence(number) : trial.fence;
    if (typeof trial !== "number" && !master.holds(number, fence) && master.state.fence(number) === fence) {
      throw new TrialStateError(`trial ${number} is ${master.state.stateName(number)} and was told before; each trial is told once.`);
    }
    const outcome = outcomeOf(result);
    if (outcome.kind === "values") master.objectiveValues(outcome.values, `tell of trial ${number}`);
    if ((await master.finish(number, fence, outcome)) === "finished") master.afterTrial(number);
    return master.state.trial(number);
  }

  /**
   * Queues a configuration, whole or in part, to be evaluated before the sampler's next; returns its number.
   *
   * @example
   * await study.enqueue({ x: 2, y: 0 }); // 20
   */
  async enqueue(params: Parameters | Partial<T>, attributes: Readonly<Record<string, Json>> = {}): Promise<number> {
    const flat = this.declared === null ? (params as Parameters) : this.declared.flatten(params as Readonly<Record<string, unknown>>);
    if (this.declared !== null) for (const [name, value] of Object.entries(flat)) toInternal(this.declared.search.get(name)!.distribution, value);
    for (const name of Object.keys(flat)) checkParameterName(name);
    const kept = Object.entries(attributes).map(([key, value]): [string, Json] => {
      checkName("attribute", key);
      return [key, copyJson(`the attribute "${key}"`, value)];
    });
    const fixed: Record<string, Json> = {};
    for (const [name, value] of Object.entries(flat)) fixed[name] = copyJson(`the enqueued value of "${name}"`, value);
    return this.master.store.transact(true, (emit) => {
      const trial = this.master.state.length;
      emit({ type: "enqueue", trial, time: this.master.options.now(), fixed });
      for (const [key, value] of kept) emit({ type: "attribute", trial, scope: "user", key, value });
      return trial;
    });
  }

  /**
   * Evaluates trials until the study has `trials` of them, the time is up, the space is exhausted or `stop` is called.
   *
   * @example
   * await study.optimize((trial) => trial.float("x", -5, 5) ** 2 + trial.float("y", -5, 5) ** 2, { trials: 25, workers: 2 });
   * study.evaluations; // 25
   */
  async optimize(objective: Objective<T>, options: OptimizeOptions = {}): Promise<void> {
    await this.run(new InlineExecutor(objective, this.declared, workersOf(options)), options);
  }

  /** `optimize` with evaluations carried out by an executor, which stays open. */
  async run(executor: Executor, options: OptimizeOptions = {}): Promise<void> {
    const { trials = Infinity, timeout = Infinity, trialTimeout = Infinity, retries = 0, restarts = 3, failures = "stop", callbacks = [] } = options;
    checkOptimizeOptions(options);
    workersOf(options);
    const { master } = this;
    if (this.running !== null) throw new StudyError(`"${this.name}" is being optimised already; raise \`workers\` instead of calling optimize twice at a time.`);
    master.begin(trials, retries, restarts);
    const control = new AbortController();
    this.running = control;
    const signal = options.signal === undefined ? control.signal : AbortSignal.any([control.signal, options.signal]);
    try {
      await runLoop(master, executor, {
        timeout, trialTimeout, failures, signal,
        afterTrial: async (trial) => {
          if (callbacks.length === 0) return;
          const frozen = master.state.trial(trial);
          for (const callback of callbacks) await callback(frozen);
        },
      });
    } finally {
      master.begin(Infinity, 0, restarts);
      this.running = null;
    }
  }

  /** Lets `optimize` in this process end after the trials now being evaluated. */
  stop(): void {
    this.running?.abort();
  }

  /**
   * Keeps a JSON value with the study.
   *
   * @example
   * study.setAttribute("data", { rows: 50000 });
   * study.userAttributes; // {"data":{"rows":50000}}
   */
  setAttribute(key: string, value: Json): void {
    checkName("attribute", key);
    this.master.store.append({ type: "attribute", trial: null, scope: "user", key, value: copyJson(`the attribute "${key}"`, value) });
  }

  /** Keeps a text with the study. */
  setNote(text: string): void {
    this.master.store.append({ type: "note", trial: null, text });
  }

  /** Takes in what other processes have written. */
  refresh(): Promise<void> {
    return this.master.store.refresh();
  }

  /** Lets everything reach the disk and closes the study. */
  async close(): Promise<void> {
    await this.master.store.close();
    if (this.ownsStorage) await this.storage.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function withStorage<T>(options: OpenOptions<T>, open: (storage: Storage) => Promise<StudyStore>): Promise<Study<T>> {
  const { storage: where = "memory:", sampler = new AutoSampler(), pruner = new MedianPruner(), fixed = {}, clock = Date.now, space = null } = options;
  if (!isA(sampler, "ask")) throw new StudyError(`sampler is ${shown(sampler)}; pass a sampler, e.g. new TPESampler().`);
  if (pruner !== null && !isA(pruner, "decide")) throw new StudyError(`pruner is ${shown(pruner)}; pass a pruner, e.g. new MedianPruner(), or null for none.`);
  // Builds the flat space first: a contradictory one must not leave an empty study behind.
  if (space !== null) void space.search;
  const owns = typeof where === "string";
  const storage = owns ? await openStorage(where) : where;
  let store: StudyStore | null = null;
  try {
    store = await open(storage);
    // randomUUID is not there on pages without TLS.
    const owner = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return new Study<T>(storage, owns, new Master(store, { sampler, scheduler: pruner, declared: space, fixed, owner, now: clock }));
  } catch (error) {
    await store?.close();
    if (owns) await storage.close();
    throw error;
  }
}

function directionsOf<T>({ direction, directions }: CreateStudyOptions<T>): readonly Direction[] {
  if (direction !== undefined && directions !== undefined) throw new StudyError("give either direction or directions, not both.");
  const all = directions ?? [direction ?? "minimize"];
  if (all.length === 0) throw new StudyError("directions is empty; a study needs at least one objective.");
  for (const d of all) if (d !== "minimize" && d !== "maximize") throw new StudyError(`a direction is "minimize" or "maximize", not ${JSON.stringify(d)}.`);
  return all;
}

/** Whether a value that people passed without types is an object with this method. */
function isA(value: unknown, method: string): boolean {
  return typeof value === "object" && value !== null && typeof (value as Readonly<Record<string, unknown>>)[method] === "function";
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : typeof value === "function" ? `the class ${value.name}` : String(value);
}

/** Throws StudyError for a number outside its range; undefined is the default. */
function checkNumber(name: string, value: number | undefined, least: number, whole: boolean): void {
  if (value === undefined || value === Infinity) return;
  if (typeof value !== "number" || !(value >= least) || (whole && !Number.isSafeInteger(value))) {
    throw new StudyError(`${name} must be ${whole ? "an integer" : "a number"} ≥ ${least}, not ${shown(value)}.`);
  }
}

function checkOptimizeOptions({ trials, timeout, trialTimeout, retries, restarts, failures, callbacks = [] }: OptimizeOptions): void {
  checkNumber("trials", trials, 0, true);
  checkNumber("timeout (milliseconds)", timeout, 0, false);
  checkNumber("trialTimeout (milliseconds)", trialTimeout, 0, false);
  checkNumber("retries", retries, 0, true);
  checkNumber("restarts", restarts, 0, true);
  if (failures !== undefined && failures !== "stop" && failures !== "continue") throw new StudyError(`failures is "stop" or "continue", not ${shown(failures)}.`);
  if (!Array.isArray(callbacks) || callbacks.some((callback) => typeof callback !== "function")) throw new StudyError("callbacks must be a list of functions, e.g. [(trial) => console.log(trial.number)].");
}

function workersOf({ workers = 1 }: OptimizeOptions): number {
  if (!Number.isSafeInteger(workers) || workers < 1) throw new StudyError(`workers must be a positive integer, not ${workers}.`);
  return workers;
}

function outcomeOf(result: Metrics | { readonly state: "PRUNED" | "FAIL"; readonly reason?: string }): Outcome {
  if (typeof result === "object" && "state" in result && typeof result.state === "string") {
    return result.state === "PRUNED" ? { kind: "pruned" } : { kind: "failed", error: "reason" in result ? String(result.reason) : "told as failed" };
  }
  return { kind: "values", values: result as Metrics };
}

