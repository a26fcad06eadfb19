// A study in Optuna's tables, in whichever database: every change is one transaction that first reads what others
// wrote. Masters renew their leases from a thread of their own, so a busy main thread loses nothing.
import { Worker } from "node:worker_threads";
import { MANUAL, type Direction } from "../../contract/contract.ts";
import { StorageCorruptError, StorageError, StorageVersionError, StudyError, TuneError } from "../../errors/errors.ts";
import { defaultMetricNames, type CreateEvent, type StudyEvent } from "../../state/events.ts";
import { StudyState } from "../../state/state.ts";
import type { Distribution } from "../../space/distribution.ts";
import type { HeartbeatData } from "./heartbeat.ts";
import { parseJson } from "../json.ts";
import { chooseStudy, studyExists } from "../memory.ts";
import { readLateResult, readNotes, readStudyAttributes, readTrials, type AttributeRow, type IntermediateRow, type LeaseRow, type ParameterRow, type StudyAttributeRow, type TrialRow, type ValueRow } from "./reader.ts";
import { ALEMBIC_REVISION, createOptunaTables, createSideTables } from "./schema.ts";
import { statementsFor, studyAttribute, type SqlValue, type Statement } from "./writer.ts";
import type { Emit, Storage, StudyStore } from "../storage.ts";

/** Reports and attributes reach the database after at most this many milliseconds. */
const WRITE_DELAY = 500;
/** Seconds until an unrenewed lease ends. */
const LEASE = 30;
/** Seconds that a store tries to reach a database that went away. */
const PATIENCE = 600;

/** A connection to a database that holds Optuna's tables. */
export interface SqlConnection {
  readonly dialect: "sqlite" | "postgres";
  /** The database's clock in seconds since 1970, as an expression. */
  readonly now: string;
  /** Runs one statement with `?` placeholders and returns its rows. */
  all<R extends object>(sql: string, values?: readonly SqlValue[]): Promise<R[]>;
  /**
   * Begins a transaction that no other writer of the study can overlap; `study` null for the whole database. One that
   * is not `durable` may reach the disk later than its commit, with the next durable one that writes.
   */
  begin(study: number | null, durable: boolean): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  /** Whether this error means that the connection is gone, and another one may do. */
  lost(error: unknown): boolean;
  /** Whether another connection may have written since the last call. */
  changed(): Promise<boolean>;
  /** Of these waiting trials (row ids), those that another process is taking at this moment. */
  taken(waiting: readonly number[]): Promise<ReadonlySet<number>>;
  /** Tells other masters of the study that something changed. */
  notify(study: number): Promise<void>;
  /** Resolves when told, or after the time. */
  wait(study: number, milliseconds: number): Promise<void>;
  close(): Promise<void>;
}

/** What may be said of any shared storage. */
export interface SharedOptions {
  /** Seconds until an unrenewed lease ends; 30 by default. */
  readonly lease?: number;
  /** Seconds after which a server that does not answer is taken for gone; 30 by default. */
  readonly silence?: number;
  /** Seconds that a study tries to reach a database that went away, before it fails; 600 by default. */
  readonly patience?: number;
  /** Makes no tables of Optuna's where there are none. */
  readonly readOnly?: boolean;
}

export interface OptunaStorageOptions extends SharedOptions {
  readonly address: string;
  /** The address as messages show it: without a password. */
  readonly shown: string;
  readonly connect: () => Promise<SqlConnection>;
}

export class OptunaStorage implements Storage {
  readonly address: string;
  private readonly options: OptunaStorageOptions;
  private connection: SqlConnection;

  private constructor(options: OptunaStorageOptions, connection: SqlConnection) {
    this.address = options.shown;
    this.options = options;
    this.connection = connection;
  }

  /** Opens a database, making the tables when there are none; throws StorageVersionError for another schema. */
  static async open(options: OptunaStorageOptions): Promise<OptunaStorage> {
    const storage = new OptunaStorage(options, await options.connect());
    try {
      await storage.transaction((connection) => prepareTables(connection, options));
    } catch (error) {
      await storage.close();
      throw error;
    }
    return storage;
  }

  async create(event: CreateEvent): Promise<StudyStore> {
    return this.openStudy(await this.transaction(async (connection) => {
      if ((await connection.all("SELECT study_id FROM studies WHERE study_name = ?", [event.name])).length > 0) throw studyExists(event.name, this.address);
      const [row] = await connection.all<{ study_id: number }>("INSERT INTO studies (study_name) VALUES (?) RETURNING study_id", [event.name]);
      const study = row!.study_id;
      for (const [objective, direction] of event.directions.entries()) {
        await connection.all("INSERT INTO study_directions (direction, study_id, objective) VALUES (?, ?, ?)", [direction.toUpperCase(), study, objective]);
      }
      const attributes: Statement[] = [
        // With names, Optuna's tables have a column "values_<name>" instead of "value": only where they say something.
        ...(event.metricNames.join() === defaultMetricNames(event.directions.length).join() ? [] : [studyAttribute("system", study, "study:metric_names", event.metricNames)]),
        studyAttribute("system", study, "nabla:seed", event.seed),
        studyAttribute("system", study, "nabla:noisy", event.noisy),
      ];
      for (const { sql, values } of attributes) await connection.all(sql, values);
      return study;
    }));
  }

  async load(name: string | undefined): Promise<StudyStore> {
    const chosen = chooseStudy(await this.names(), name, this.address);
    const [row] = await this.connected((connection) => connection.all<{ study_id: number }>("SELECT study_id FROM studies WHERE study_name = ?", [chosen]));
    return this.openStudy(row!.study_id);
  }

  async names(): Promise<readonly string[]> {
    const rows = await this.connected((connection) => connection.all<{ study_name: string }>("SELECT study_name FROM studies ORDER BY study_id"));
    return rows.map((row) => row.study_name);
  }

  async remove(name: string): Promise<void> {
    chooseStudy(await this.names(), name, this.address);
    await this.transaction(async (connection) => {
      const study = "(SELECT study_id FROM studies WHERE study_name = ?)";
      for (const table of ["hpo_lease", "hpo_late_result", "trial_user_attributes", "trial_system_attributes", "trial_params", "trial_values", "trial_intermediate_values", "trial_heartbeats"]) {
        await connection.all(`DELETE FROM ${table} WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ${study})`, [name]);
      }
      for (const table of ["trials", "study_directions", "study_user_attributes", "study_system_attributes", "studies"]) {
        await connection.all(`DELETE FROM ${table} WHERE study_id = ${study}`, [name]);
      }
    });
  }

  /** One transaction on the whole database. */
  private transaction<R>(work: (connection: SqlConnection) => Promise<R>): Promise<R> {
    return this.connected(async (connection) => {
      await connection.begin(null, true);
      try {
        const result = await work(connection);
        await connection.commit();
        return result;
      } catch (error) {
        await connection.rollback().catch(() => undefined);
        throw error;
      }
    });
  }

  /** Does `work` once more when the connection turns out to be lost. */
  private async connected<R>(work: (connection: SqlConnection) => Promise<R>): Promise<R> {
    try {
      return await work(this.connection);
    } catch (error) {
      if (error instanceof TuneError) throw error;
      if (!this.connection.lost(error)) throw new StorageError(`${this.address} failed (${(error as Error).message}); check that it may be written by this user.`, { cause: error });
      await this.connection.close().catch(() => undefined);
      this.connection = await this.options.connect();
      return work(this.connection);
    }
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  private async openStudy(study: number): Promise<StudyStore> {
    const store = new OptunaStore(await this.options.connect(), study, this.options);
    try {
      await store.open();
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }
}

async function prepareTables(connection: SqlConnection, { shown: address, readOnly = false }: OptunaStorageOptions): Promise<void> {
  const exists = connection.dialect === "sqlite"
    ? "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('alembic_version', 'studies')"
    : "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema() AND table_name IN ('alembic_version', 'studies')";
  const tables = await connection.all(exists);
  if (tables.length === 0 && readOnly) throw new StorageError(`${address} holds no studies and no tables for them; check the address.`);
  if (tables.length === 0) for (const sql of createOptunaTables(connection.dialect)) await connection.all(sql);
  else if (tables.length === 1) throw new StorageVersionError(`${address} has tables of another program, or of Optuna before 0.20; choose another database, or upgrade it with \`optuna storage upgrade\`.`);
  const [version] = await connection.all<{ version_num: string }>("SELECT version_num FROM alembic_version");
  if (version?.version_num !== ALEMBIC_REVISION) {
    throw new StorageVersionError(`${address} has schema ${version?.version_num ?? "without a revision"}, this release knows ${ALEMBIC_REVISION}. Upgrade an older one with \`optuna storage upgrade\`; for a newer one upgrade this package.`);
  }
  for (const sql of createSideTables(connection.dialect)) await connection.all(sql);
}

/** Events that say how something is: applied again they change nothing. */
const REPEATABLE: ReadonlySet<StudyEvent["type"]> = new Set(["parameters", "report", "constraint", "attribute", "note"]);

/** An event that waits to be written, and the fence of its trial when it happened; −1 without a trial. */
interface Pending { readonly event: StudyEvent; readonly fence: number }

/** Carries what a change threw past the handling of the database's own errors. */
class ChangeFailed extends Error {}

class OptunaStore implements StudyStore {
  /** Replaced when the connection was lost: what of the last transaction arrived is known from the database alone. */
  state: StudyState = new StudyState();
  readonly shared = true;
  private connection: SqlConnection;
  private readonly study: number;
  private readonly options: OptunaStorageOptions;
  private readonly distributionText = new Map<string, { readonly distribution: Distribution; readonly text: string }>();
  /** Appended events with the fence their trial had. */
  private pending: Pending[] = [];
  private readonly lease: number;
  private turn: Promise<unknown> = Promise.resolve();
  private utc = true;
  /** Trials with an id above this have not been read. */
  private newest = 0;
  private idOf: number[] = [];
  private lateSeen = 0;
  private heartbeat: Worker | null = null;
  /** When the heartbeat last renewed, by process.hrtime; 0 before the first lease. */
  private readonly renewed = new BigInt64Array(new SharedArrayBuffer(8));
  private broken: StorageError | null = null;
  /** Whether the connection is lost. */
  private away = false;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private fresh = true;
  /** Whether something is committed that may not have reached the disk. */
  private unsynced = false;

  constructor(connection: SqlConnection, study: number, options: OptunaStorageOptions) {
    this.connection = connection;
    this.study = study;
    this.options = options;
    this.lease = options.lease ?? LEASE;
  }

  async open(): Promise<void> {
    await this.exclusively(() => this.persistently(() => this.load()));
  }

  refresh(): Promise<void> {
    return this.transact(false, () => undefined);
  }

  get leased(): boolean {
    const renewed = Atomics.load(this.renewed, 0);
    return renewed === 0n || Number(process.hrtime.bigint() - renewed) < 1e9 * this.lease;
  }

  transact<R>(durable: boolean, change: (emit: Emit) => R): Promise<R> {
    return this.exclusively(() => this.persistently(async () => {
      const { connection } = this;
      let outcome: { readonly result: R } | { readonly failure: unknown };
      await connection.begin(this.study, durable);
      try {
        await this.read(this.state);
        const sent = this.pending.length;
        const events = this.pending.filter((pending) => this.mayWrite(pending, this.state)).map(({ event }) => event);
        // What was read is older than what waits to be written.
        for (const event of events) if (REPEATABLE.has(event.type)) this.state.apply(event);
        try {
          outcome = { result: change((event) => {
            this.state.apply(event);
            events.push(event);
          }) };
        } catch (failure) {
          outcome = { failure };
        }
        for (const event of events) await this.write(event);
        if (events.length > 0) await connection.notify(this.study);
        // A durable commit that writes nothing would leave what came before it where it is.
        else if (durable && this.unsynced) await connection.all("UPDATE studies SET study_name = study_name WHERE study_id = ?", [this.study]);
        await connection.commit();
        this.unsynced = !durable && (this.unsynced || events.length > 0);
        this.pending.splice(0, sent);
        if (this.pending.length === 0) this.stopTimer();
      } catch (error) {
        await connection.rollback().catch(() => undefined);
        throw error;
      }
      if ("failure" in outcome) throw new ChangeFailed("", { cause: outcome.failure });
      return outcome.result;
    }));
  }

  append(event: StudyEvent): void {
    if (this.broken !== null) throw this.broken;
    const fence = "trial" in event && event.trial !== null && event.trial < this.state.length ? this.state.fence(event.trial) : -1;
    this.state.apply(event);
    this.pending.push({ event, fence });
    // A write that fails here marks the store as broken; whoever uses it next is told.
    this.timer ??= setTimeout(() => { this.timer = null; this.refresh().catch(() => undefined); }, WRITE_DELAY);
  }

  async flush(): Promise<void> {
    if (this.pending.length > 0 || this.unsynced) await this.transact(true, () => undefined);
  }

  async expired(): Promise<readonly number[]> {
    return this.exclusively(() => this.persistently(async () => {
      const rows = await this.connection.all<{ number: number }>(
        `SELECT number FROM trials JOIN hpo_lease ON hpo_lease.trial_id = trials.trial_id WHERE study_id = ? AND state = 'RUNNING' AND expires < ${this.connection.now}`, [this.study]);
      return rows.map((row) => row.number).filter((trial) => trial < this.state.length);
    }));
  }

  async wait(milliseconds: number): Promise<void> {
    await this.connection.wait(this.study, milliseconds).catch(() => undefined);
    await this.refresh();
  }

  async close(): Promise<void> {
    try {
      if (this.broken === null) await this.flush();
    } finally {
      this.stopTimer();
      await this.heartbeat?.terminate();
      await this.exclusively(() => this.connection.close());
    }
  }

  private stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** One at a time: a connection has one transaction. */
  private exclusively<R>(work: () => Promise<R>): Promise<R> {
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  /** Does `work` again over a new connection when the one it had is lost; any other error leaves the store broken. */
  private async persistently<R>(work: () => Promise<R>): Promise<R> {
    const end = performance.now() + 1000 * (this.options.patience ?? PATIENCE);
    for (let pause = 50; ; pause = Math.min(2 * pause, 5000)) {
      if (this.broken !== null) throw this.broken;
      try {
        if (this.away) await this.reconnect();
        return await work();
      } catch (error) {
        if (error instanceof ChangeFailed) throw error.cause;
        if (error instanceof StorageCorruptError || error instanceof StudyError) throw error;
        if (performance.now() < end && (this.away || this.connection.lost(error))) {
          if (!this.away) process.emitWarning(`${this.options.shown} went away (${(error as Error).message}); trying to reach it again.`);
          this.away = true;
          await new Promise((resolve) => setTimeout(resolve, pause));
          continue;
        }
        this.broken = new StorageError(`${this.options.shown} failed (${(error as Error).message}); what was confirmed is safe. Load the study again; trials in progress return to the queue when their leases end.`, { cause: error });
        throw this.broken;
      }
    }
  }

  private async reconnect(): Promise<void> {
    await this.connection.close().catch(() => undefined);
    this.connection = await this.options.connect();
    await this.load();
    this.away = false;
  }

  /** Reads the study into a new state; what is pending goes on top of it as far as the trials are still held. */
  private async load(): Promise<void> {
    const { connection, study, options } = this;
    const state = new StudyState();
    state.space = this.state.space;
    await connection.begin(study, false);
    const [row] = await connection.all<{ study_name: string }>("SELECT study_name FROM studies WHERE study_id = ?", [study]);
    if (row === undefined) throw new StudyError(`${options.shown}: the study was removed meanwhile.`);
    const directions = await connection.all<{ direction: string }>("SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", [study]);
    const attributes = new Map((await this.studyRows("system")).map(({ key, value_json }) => [key, parseJson(value_json)]));
    const [version] = await connection.all<{ library_version: string }>("SELECT library_version FROM version_info");
    this.utc = Number.parseInt(version?.library_version ?? "5", 10) >= 5;
    const names = attributes.get("study:metric_names");
    const seed = attributes.get("nabla:seed");
    state.apply({
      type: "create", name: row.study_name,
      directions: directions.map(({ direction }): Direction => (direction === "MAXIMIZE" ? "maximize" : "minimize")),
      metricNames: Array.isArray(names) && names.length === directions.length ? names.map(String) : defaultMetricNames(directions.length),
      seed: typeof seed === "number" ? seed : study,
      noisy: attributes.get("nabla:noisy") === true,
    });
    this.fresh = true;
    this.newest = 0;
    this.idOf = [];
    this.lateSeen = 0;
    await this.read(state);
    await connection.commit();
    this.state = state;
    this.pending = this.pending.filter((pending) => {
      if (!this.mayWrite(pending, state)) return false;
      state.apply(pending.event);
      return true;
    });
  }

  /** Whether the trial of an event is still held under the fence it had. */
  private mayWrite({ event, fence }: Pending, state: StudyState): boolean {
    return fence < 0 || ("trial" in event && event.trial !== null && event.trial < state.length && state.fence(event.trial) === fence);
  }

  private async write(event: StudyEvent): Promise<void> {
    const { connection, state, study, distributionText } = this;
    for (const { sql, values } of statementsFor(event, { state, study, now: connection.now, lease: this.lease, distributionText })) await connection.all(sql, values);
    if ((event.type === "ask" || event.type === "claim") && event.owner !== MANUAL) this.beat(event.owner);
  }

  /** Starts the thread that renews this master's leases. */
  private beat(owner: string): void {
    if (this.heartbeat !== null) return;
    Atomics.store(this.renewed, 0, process.hrtime.bigint());
    const data: HeartbeatData = { address: this.options.address, owner, lease: this.lease, renewed: this.renewed };
    const file = new URL(`./heartbeat${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
    this.heartbeat = new Worker(file, { workerData: data });
    // Started anew with the next trial, should it ever fall over.
    this.heartbeat.on("error", () => { this.heartbeat = null; });
    this.heartbeat.unref();
  }

  private studyRows(scope: "user" | "system", but = ""): Promise<StudyAttributeRow[]> {
    return this.connection.all(`SELECT "key", value_json FROM study_${scope}_attributes WHERE study_id = ? ${but}`, [this.study]);
  }

  /** Brings the state up to the database, inside a transaction. */
  private async read(state: StudyState): Promise<void> {
    const { connection, study } = this;
    const changed = await connection.changed();
    if (!changed && !this.fresh) return;
    const emit = (event: StudyEvent): void => { state.apply(event); };
    // Of trials' notes there may be as many as trials: they are read once, when the study is opened.
    const system = await this.studyRows("system", this.fresh ? "" : `AND "key" NOT LIKE 'dashboard:%:note%'`);
    readStudyAttributes("user", await this.studyRows("user"), { state, emit });
    readStudyAttributes("system", system, { state, emit });
    // Ids of trials this process created are learnt here too: they lie above `newest`.
    const columns = "trial_id, number, state, datetime_start, datetime_complete";
    const news = await connection.all<TrialRow>(`SELECT ${columns} FROM trials WHERE study_id = ? AND trial_id > ? ORDER BY trial_id`, [study, this.newest]);
    for (const row of news) this.idOf[row.number] = row.trial_id;
    const open = [...state.running, ...state.waiting, ...state.paused].map((trial) => this.idOf[trial]).filter((id) => id !== undefined && id <= this.newest);
    const trials = [...news];
    for (const ids of chunks(open)) trials.push(...(await connection.all<TrialRow>(`SELECT ${columns} FROM trials WHERE trial_id IN (${ids.join(",")})`)));
    if (trials.length > 0) await this.readTrialRows(trials, { state, emit });
    readNotes(system, new Map(news.map((row) => [row.trial_id, row.number])), { state, emit });
    this.newest = news.at(-1)?.trial_id ?? this.newest;
    const late = await connection.all<{ late_result_id: number; result_json: string }>(
      "SELECT late_result_id, result_json FROM hpo_late_result WHERE late_result_id > ? AND trial_id IN (SELECT trial_id FROM trials WHERE study_id = ?) ORDER BY late_result_id", [this.lateSeen, study]);
    for (const row of late) {
      const result = readLateResult(row.result_json);
      this.lateSeen = row.late_result_id;
      if (!state.late.some((known) => known.trial === result.trial && known.fence === result.fence)) emit({ type: "late", ...result });
    }
    this.fresh = false;
  }

  private async readTrialRows(trials: readonly TrialRow[], { state, emit }: { readonly state: StudyState; readonly emit: Emit }): Promise<void> {
    const { connection, utc, distributionText } = this;
    const ids = trials.map((row) => row.trial_id);
    const all = async <R extends object>(columns: string, table: string): Promise<R[]> => {
      const rows: R[] = [];
      for (const part of chunks(ids)) rows.push(...(await connection.all<R>(`SELECT trial_id, ${columns} FROM ${table} WHERE trial_id IN (${part.join(",")}) ORDER BY 1, 2`)));
      return rows;
    };
    const taken = await connection.taken(trials.filter((row) => row.state === "WAITING").map((row) => row.trial_id));
    readTrials({
      trials,
      parameters: await all<ParameterRow>("param_id, param_name, param_value, distribution_json", "trial_params"),
      values: await all<ValueRow>("objective, value, value_type", "trial_values"),
      intermediates: await all<IntermediateRow>("step, intermediate_value, intermediate_value_type", "trial_intermediate_values"),
      user: await all<AttributeRow>('"key", value_json', "trial_user_attributes"),
      system: await all<AttributeRow>('"key", value_json', "trial_system_attributes"),
      leases: await all<LeaseRow>("owner, fence", "hpo_lease"),
    }, { state, emit, utc, distributionText, taken: new Set(trials.filter((row) => taken.has(row.trial_id)).map((row) => row.number)) });
  }
}

function chunks<T>(items: readonly T[]): T[][] {
  const size = 500;
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
