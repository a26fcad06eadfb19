// SQLite through Node's own module. BEGIN IMMEDIATE makes every change a writer's turn, so no two workers take one
// trial; the write-ahead log, synchronised at durable commits only, keeps what was confirmed: one sync for a trial.
import { existsSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { StorageError } from "../../errors/errors.ts";
import { OptunaStorage, type SharedOptions, type SqlConnection } from "./store.ts";
import type { SqlValue } from "./writer.ts";
import type { Storage } from "../storage.ts";

const POLL = 100;
/** Milliseconds that a change waits for its turn. */
const TURN = 60_000;
const BUSY = 5;

/** Opens a database file in Optuna's schema, making it when it is not there and something may be written. */
export function openSqlite(path: string, options: SharedOptions = {}): Promise<Storage> {
  if (path === "") return Promise.reject(new StorageError("sqlite: needs a file, e.g. sqlite:study.db."));
  if (path === ":memory:") return Promise.reject(new StorageError("sqlite::memory: cannot be shared between connections; use memory: or a file."));
  if (options.readOnly === true && !existsSync(path)) return Promise.reject(new StorageError(`there is no file ${path}; check the path.`));
  return OptunaStorage.open({ ...options, address: `sqlite:${path}`, shown: `sqlite:${path}`, connect: async () => new SqliteConnection(path) });
}

export class SqliteConnection implements SqlConnection {
  readonly dialect = "sqlite";
  readonly now = "((julianday('now') - 2440587.5) * 86400.0)";
  private readonly database: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();
  private version = -1;

  constructor(path: string) {
    try {
      this.database = new DatabaseSync(path, { timeout: 10_000 });
      this.database.exec("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 0;");
    } catch (error) {
      throw new StorageError(`cannot open sqlite:${path} (${(error as Error).message}); check that the folder exists and the file is a database.`, { cause: error });
    }
  }

  /** Waits for its turn without blocking: the writer before may be in this very thread. */
  async all<R extends object>(sql: string, values: readonly SqlValue[] = []): Promise<R[]> {
    const end = performance.now() + TURN;
    for (;;) {
      try {
        let statement = this.statements.get(sql);
        if (statement === undefined) {
          statement = this.database.prepare(sql);
          if (this.statements.size < 200) this.statements.set(sql, statement);
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
  async begin(_study: number | null, durable: boolean): Promise<void> {
    await this.all(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
    await this.all("BEGIN IMMEDIATE");
  }

  async commit(): Promise<void> {
    await this.all("COMMIT");
  }

  async rollback(): Promise<void> {
    if (this.database.isTransaction) await this.all("ROLLBACK");
  }

  /** A file does not go away. */
  lost(): boolean {
    return false;
  }

  /** data_version moves exactly when another connection has committed. */
  async changed(): Promise<boolean> {
    const [row] = await this.all<{ data_version: number }>("PRAGMA data_version");
    const changed = row!.data_version !== this.version;
    this.version = row!.data_version;
    return changed;
  }

  taken(): Promise<ReadonlySet<number>> {
    return Promise.resolve(new Set<number>());
  }

  notify(): Promise<void> {
    return Promise.resolve();
  }

  async wait(_study: number, milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    const before = this.version;
    while (performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, POLL));
      const [row] = await this.all<{ data_version: number }>("PRAGMA data_version");
      if (row!.data_version !== before) return;
    }
  }

  close(): Promise<void> {
    if (this.database.isOpen) this.database.close();
    return Promise.resolve();
  }
}
