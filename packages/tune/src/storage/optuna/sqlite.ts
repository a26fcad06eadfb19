// SQLite through Node's own module. BEGIN IMMEDIATE makes every change a writer's turn, so no two workers take one
// trial; the write-ahead log, synchronised at durable commits only, keeps what was confirmed: one sync for a trial.
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { StorageError } from "../../errors/errors.ts";
import type { Rows, SqlConnection, SqlValue, Statement } from "./connection.ts";

const POLL = 100;
/** Milliseconds that a change waits for its turn. */
const TURN = 60_000;
const BUSY = 5;

export class SqliteConnection implements SqlConnection {
  readonly dialect = "sqlite";
  readonly skipLocked = "";
  readonly now = "((julianday('now') - 2440587.5) * 86400.0)";
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #version = -1;

  constructor(path: string) {
    try {
      this.#database = new DatabaseSync(path, { timeout: 10_000 });
      this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 0;");
    } catch (error) {
      throw new StorageError(`cannot open sqlite:${path} (${(error as Error).message}); check that the folder exists and the file is a database.`, { cause: error });
    }
  }

  /** Waits for its turn without blocking: the writer before may be in this very thread. */
  async all<R extends object>(sql: string, values: readonly SqlValue[] = []): Promise<R[]> {
    const end = performance.now() + TURN;
    for (;;) {
      try {
        let statement = this.#statements.get(sql);
        if (statement === undefined) {
          statement = this.#database.prepare(sql);
          if (this.#statements.size < 200) this.#statements.set(sql, statement);
        }
        return statement.all(...values) as R[];
      } catch (error) {
        // The low byte is the kind of error; another may be writing, or putting the log of a killed process in order.
        if (((error as { errcode?: number }).errcode ?? 0) % 256 !== BUSY || performance.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 4));
      }
    }
  }

  /**
   * In WAL mode NORMAL leaves a commit to the next sync of the log, which covers all of it; a crash of the process
   * alone loses neither.
   */
  async begin(_study: number | null, durable: boolean, reads: readonly Statement[] = [], force = false): Promise<Rows | null> {
    await this.all(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
    await this.all("BEGIN IMMEDIATE");
    return (await this.#changed()) || force ? this.#each(reads) : null;
  }

  async commit(writes: readonly Statement[] = []): Promise<void> {
    await this.#each(writes);
    await this.all("COMMIT");
  }

  async rollback(): Promise<void> {
    if (this.#database.isTransaction) await this.all("ROLLBACK");
  }

  async snapshot(reads: readonly Statement[]): Promise<Rows | null> {
    if (!(await this.#changed())) return null;
    await this.all("BEGIN");
    try {
      return await this.#each(reads);
    } finally {
      await this.all("COMMIT");
    }
  }

  /** A file does not go away. */
  lost(): boolean {
    return false;
  }

  async wait(_study: number, milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    const before = this.#version;
    while (performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, POLL));
      const [row] = await this.all<{ data_version: number }>("PRAGMA data_version");
      if (row!.data_version !== before) return;
    }
  }

  async #each(statements: readonly Statement[]): Promise<object[][]> {
    const rows: object[][] = [];
    for (const { sql, values } of statements) rows.push(await this.all(sql, values));
    return rows;
  }

  /** Whether another connection has committed since the last call: exactly then data_version moves. */
  async #changed(): Promise<boolean> {
    const [row] = await this.all<{ data_version: number }>("PRAGMA data_version");
    const changed = row!.data_version !== this.#version;
    this.#version = row!.data_version;
    return changed;
  }

  close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
    return Promise.resolve();
  }
}
