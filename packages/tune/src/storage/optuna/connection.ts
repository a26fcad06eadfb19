// What a store asks of a database that holds Optuna's tables: transactions in two exchanges, whatever they read and write.

export type SqlValue = string | number | null;
/** SQL with `?` where values go. */
export interface Statement { readonly sql: string; readonly values: readonly SqlValue[] }
/** The rows of each of several statements. */
export type Rows = readonly (readonly object[])[];

export interface SqlConnection {
  readonly dialect: "sqlite" | "postgres";
  /** The database's clock in seconds since 1970, as an expression. */
  readonly now: string;
  /** Ends a SELECT in a transaction of `begin`: locks its rows and leaves out those that another transaction has locked. */
  readonly skipLocked: string;
  /** Runs one statement and returns its rows. */
  all<R extends object>(sql: string, values?: readonly SqlValue[]): Promise<R[]>;
  /**
   * Begins a transaction that no other writer of the study can overlap (`study` null: of the whole database) and reads
   * in it. Null when no other connection has written since the last reading, unless `force`. A transaction that is not
   * `durable` may reach the disk later than its commit, with the next durable one that writes.
   */
  begin(study: number | null, durable: boolean, reads?: readonly Statement[], force?: boolean): Promise<Rows | null>;
  /** Writes, wakes the other masters of `study` unless it is null, and ends the transaction. */
  commit(writes?: readonly Statement[], study?: number | null): Promise<void>;
  rollback(): Promise<void>;
  /** Reads the database as it is at one moment, locking nothing and waiting for nobody; null as `begin`. */
  snapshot(reads: readonly Statement[]): Promise<Rows | null>;
  /** Whether this error means that the connection is gone, and another one may do. */
  lost(error: unknown): boolean;
  /** Resolves when another master of the study has committed, or after the time. */
  wait(study: number, milliseconds: number): Promise<void>;
  close(): Promise<void>;
}
