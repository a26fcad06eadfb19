// A study in Optuna's tables, in whichever database: every change is one transaction that first reads what others
// wrote. What is only looked at is read without a lock.
import { MANUAL } from "../../contract/contract.ts";
import type { StudyEvent } from "../../state/events.ts";
import { StudyState } from "../../state/state.ts";
import type { Emit, StudyStore } from "../storage.ts";
import type { SqlConnection, Statement } from "./connection.ts";
import { Cursor } from "./cursor.ts";
import { CallerFailed, LastingConnection } from "./lasting.ts";
import { Leases } from "./leases.ts";
import type { OptunaStorageOptions } from "./storage.ts";
import { statementsFor } from "./writer.ts";

/** Reports and attributes reach the database after at most this many milliseconds. */
const WRITE_DELAY = 500;
/** Seconds until an unrenewed lease ends. */
const LEASE = 30;
/** Seconds that a store tries to reach a database that went away. */
const PATIENCE = 600;

/** Events that say how something is: applied again they change nothing. */
const REPEATABLE: ReadonlySet<StudyEvent["type"]> = new Set(["parameters", "report", "constraint", "attribute", "note"]);

/** An event that waits to be written, and the fence of its trial when it happened; −1 without a trial. */
interface Pending { readonly event: StudyEvent; readonly fence: number }

export class OptunaStore implements StudyStore {
  /** Replaced when the connection was lost: what of the last transaction arrived is known from the database alone. */
  state: StudyState = new StudyState();
  readonly shared = true;
  readonly leases: Leases;
  readonly #link: LastingConnection;
  readonly #study: number;
  readonly #options: OptunaStorageOptions;
  #cursor: Cursor;
  #pending: Pending[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** Whether something is committed that may not have reached the disk. */
  #unsynced = false;

  constructor(connection: SqlConnection, study: number, options: OptunaStorageOptions) {
    const { shown, connect, patience = PATIENCE } = options;
    this.#study = study;
    this.#options = options;
    this.#cursor = new Cursor(study);
    this.leases = new Leases(options.address, options.lease ?? LEASE);
    this.#link = new LastingConnection(connection, { shown, connect, patience, reload: (fresh) => this.#load(fresh) });
  }

  async open(): Promise<void> {
    await this.#link.run((connection) => this.#load(connection));
  }

  get leased(): boolean {
    return this.leases.valid;
  }

  /** What is pending is written on this occasion; otherwise nobody is waited for. */
  refresh(): Promise<void> {
    if (this.#pending.length > 0) return this.transact(false, () => undefined);
    return this.#link.run(async (connection) => {
      const rows = await connection.snapshot(this.#cursor.reads(this.state, ""));
      if (rows !== null) this.#take(rows);
    });
  }

  transact<R>(durable: boolean, change: (emit: Emit) => R): Promise<R> {
    return this.#link.run(async (connection) => {
      let outcome: { readonly result: R } | { readonly failure: unknown };
      try {
        const rows = await connection.begin(this.#study, durable, this.#cursor.reads(this.state, connection.skipLocked));
        if (rows !== null) this.#take(rows);
        const sent = this.#pending.length;
        const events = this.#pending.filter((pending) => mayWrite(pending, this.state)).map(({ event }) => event);
        const writes = events.flatMap((event) => this.#statements(event, connection));
        try {
          outcome = { result: change((event) => {
            this.state.apply(event);
            events.push(event);
            if ((event.type === "ask" || event.type === "claim") && event.owner !== MANUAL) this.leases.renew(event.owner);
            // At once: how an event is written may depend on what the state is by now.
            writes.push(...this.#statements(event, connection));
          }) };
        } catch (failure) {
          outcome = { failure };
        }
        // A durable commit that writes nothing would leave what came before it where it is.
        if (events.length === 0 && durable && this.#unsynced) writes.push({ sql: "UPDATE studies SET study_name = study_name WHERE study_id = ?", values: [this.#study] });
        await connection.commit(writes, events.length > 0 ? this.#study : null);
        this.#unsynced = !durable && (this.#unsynced || events.length > 0);
        this.#pending.splice(0, sent);
        if (this.#pending.length === 0) this.#stopTimer();
      } catch (error) {
        await connection.rollback().catch(() => undefined);
        throw error;
      }
      if ("failure" in outcome) throw new CallerFailed("", { cause: outcome.failure });
      return outcome.result;
    });
  }

  append(event: StudyEvent): void {
    if (this.#link.broken !== null) throw this.#link.broken;
    const fence = "trial" in event && event.trial !== null && event.trial < this.state.length ? this.state.fence(event.trial) : -1;
    this.state.apply(event);
    this.#pending.push({ event, fence });
    // A write that fails here breaks the connection; whoever uses the store next is told.
    this.#timer ??= setTimeout(() => { this.#timer = null; this.refresh().catch(() => undefined); }, WRITE_DELAY);
  }

  async flush(): Promise<void> {
    if (this.#pending.length > 0 || this.#unsynced) await this.transact(true, () => undefined);
  }

  async expired(): Promise<readonly number[]> {
    return this.#link.run(async (connection) => {
      const rows = await connection.all<{ number: number }>(
        `SELECT number FROM trials JOIN hpo_lease ON hpo_lease.trial_id = trials.trial_id WHERE study_id = ? AND state = 'RUNNING' AND expires < ${connection.now}`, [this.#study]);
      return rows.map((row) => row.number).filter((trial) => trial < this.state.length);
    });
  }

  async wait(milliseconds: number): Promise<void> {
    await this.#link.wait(this.#study, milliseconds);
    await this.refresh();
  }

  async close(): Promise<void> {
    try {
      if (this.#link.broken === null) await this.flush();
    } finally {
      this.#stopTimer();
      await this.leases.end();
      await this.#link.close();
    }
  }

  /** Takes rows in. They are older than what waits to be written, which goes on top. */
  #take(rows: Parameters<Cursor["take"]>[0]): void {
    this.#cursor.take(rows, this.state);
    for (const pending of this.#pending) if (REPEATABLE.has(pending.event.type) && mayWrite(pending, this.state)) this.state.apply(pending.event);
  }

  /** Reads the study into a new state; what is pending goes on top of it as far as the trials are still held. */
  async #load(connection: SqlConnection): Promise<void> {
    const state = new StudyState();
    const cursor = new Cursor(this.#study);
    state.space = this.state.space;
    const header = cursor.header();
    const rows = (await connection.begin(this.#study, false, [...header, ...cursor.reads(state, connection.skipLocked)], true))!;
    try {
      cursor.create(rows.slice(0, header.length), state, this.#options.shown);
      cursor.take(rows.slice(header.length), state);
    } finally {
      await connection.commit();
    }
    this.state = state;
    this.#cursor = cursor;
    this.#pending = this.#pending.filter((pending) => {
      if (!mayWrite(pending, state)) return false;
      state.apply(pending.event);
      return true;
    });
  }

  #statements(event: StudyEvent, { now }: SqlConnection): Statement[] {
    return statementsFor(event, { state: this.state, study: this.#study, now, lease: this.leases.seconds, distributionText: this.#cursor.distributionText });
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** Whether the trial of an event is still held under the fence it had. */
function mayWrite({ event, fence }: Pending, state: StudyState): boolean {
  return fence < 0 || ("trial" in event && event.trial !== null && event.trial < state.length && state.fence(event.trial) === fence);
}
