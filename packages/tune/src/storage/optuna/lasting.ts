// A connection that outlives the server's restarts and the network's faults: work that a lost connection took down is
// done again over a new one. One piece of work at a time, for a connection has one transaction.
import { StorageCorruptError, StorageError, StudyError } from "../../errors/errors.ts";
import type { SqlConnection } from "./connection.ts";

/** Carries what a caller's code threw past the handling of the database's own errors. */
export class CallerFailed extends Error {}

export interface LastingOptions {
  /** The address as messages show it. */
  readonly shown: string;
  readonly connect: () => Promise<SqlConnection>;
  /** Seconds to try before giving up. */
  readonly patience: number;
  /** Called on a new connection before the work is done again. */
  readonly reload: (connection: SqlConnection) => Promise<void>;
}

const FIRST_PAUSE = 50, LONGEST_PAUSE = 5000;

export class LastingConnection {
  readonly #options: LastingOptions;
  #connection: SqlConnection;
  #turn: Promise<unknown> = Promise.resolve();
  #away = false;
  #broken: StorageError | null = null;

  constructor(connection: SqlConnection, options: LastingOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Why nothing works any more, or null. */
  get broken(): StorageError | null {
    return this.#broken;
  }

  /** Does `work` when it is its turn, again when the connection is lost meanwhile; any other error breaks it for good. */
  run<R>(work: (connection: SqlConnection) => Promise<R>): Promise<R> {
    return this.#exclusively(() => this.#persistently(work));
  }

  /** Resolves when another master has committed, or after the time; holds up nobody. */
  async wait(study: number, milliseconds: number): Promise<void> {
    await this.#connection.wait(study, milliseconds).catch(() => undefined);
  }

  close(): Promise<void> {
    return this.#exclusively(() => this.#connection.close());
  }

  #exclusively<R>(work: () => Promise<R>): Promise<R> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #persistently<R>(work: (connection: SqlConnection) => Promise<R>): Promise<R> {
    const { shown, patience } = this.#options;
    const end = performance.now() + 1000 * patience;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      if (this.#broken !== null) throw this.#broken;
      try {
        if (this.#away) await this.#reconnect();
        return await work(this.#connection);
      } catch (error) {
        if (error instanceof CallerFailed) throw error.cause;
        if (error instanceof StorageCorruptError || error instanceof StudyError) throw error;
        if (performance.now() < end && (this.#away || this.#connection.lost(error))) {
          if (!this.#away) process.emitWarning(`${shown} went away (${(error as Error).message}); trying to reach it again.`);
          this.#away = true;
          await new Promise((resolve) => setTimeout(resolve, pause));
          continue;
        }
        this.#broken = new StorageError(`${shown} failed (${(error as Error).message}); what was confirmed is safe. Load the study again; trials in progress return to the queue when their leases end.`, { cause: error });
        throw this.#broken;
      }
    }
  }

  async #reconnect(): Promise<void> {
    await this.#connection.close().catch(() => undefined);
    this.#connection = await this.#options.connect();
    await this.#options.reload(this.#connection);
    this.#away = false;
  }
}
