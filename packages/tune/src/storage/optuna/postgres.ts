// PostgreSQL as the meeting point of many machines, through the optional peer `pg`. The study's row is the lock of a
// change, held for two exchanges with the server; FOR UPDATE SKIP LOCKED leaves to Optuna's workers what they are
// taking, LISTEN/NOTIFY wakes idle masters.
import { StorageError } from "../../errors/errors.ts";
import type { Rows, SqlConnection, SqlValue, Statement } from "./connection.ts";

/** Seconds after which a server that does not answer is taken for gone. */
const SILENCE = 30;
/** Milliseconds that a connection may take to part in peace. */
const PARTING = 2000;
/** Milliseconds that a transaction may stand still before the server ends it: it locks a study, and its machine may be gone. */
const STANDSTILL = 5000;
/** Any fixed number: the advisory lock under which tables are made and studies created. */
const DATABASE_LOCK = 7_226_001;

/** What is used of `pg`. */
interface PgResult { readonly rows: readonly object[] }
interface PgClient {
  connect(): Promise<void>;
  /** Several statements without values are one exchange, and give a list of results. */
  query(sql: string, values?: readonly unknown[]): Promise<PgResult | readonly PgResult[]>;
  escapeLiteral(text: string): string;
  on(event: "notification", listener: (message: { readonly channel: string }) => void): void;
  on(event: "error" | "end", listener: () => void): void;
  end(): Promise<void>;
  readonly connection: { readonly stream: { destroy(): void; ref(): void; unref(): void } };
}
interface PgOptions {
  readonly connectionString: string;
  readonly types: { getTypeParser(oid: number): (text: string) => unknown };
  readonly keepAlive: boolean;
  readonly connectionTimeoutMillis: number;
  readonly query_timeout: number;
  readonly idle_in_transaction_session_timeout: number;
}
interface PgModule { readonly Client: new (options: PgOptions) => PgClient }

/** A connection for one user of the database; it is lost when the server says nothing for `silence` seconds. */
export async function connectPostgres(url: string, silence: number = SILENCE): Promise<SqlConnection> {
  const { Client } = await loadPg();
  const timeout = Math.ceil(1000 * silence);
  // Numbers as numbers, times as the text they are: `pg` would read naive times as local.
  const numeric = new Set([20, 21, 23, 700, 701, 1700]);
  const client = new Client({
    connectionString: url, types: { getTypeParser: (oid) => (numeric.has(oid) ? Number : (text: string) => text) },
    keepAlive: true, connectionTimeoutMillis: timeout, query_timeout: timeout, idle_in_transaction_session_timeout: STANDSTILL,
  });
  const connection = new PostgresConnection(client);
  try {
    await connection.connect();
  } catch (error) {
    throw new StorageError(`cannot connect to ${withoutPassword(url)} (${(error as Error).message}); check the address, the user and that the server runs.`, { cause: error });
  }
  return connection;
}

async function loadPg(): Promise<PgModule> {
  const name = "pg";
  try {
    const module = (await import(name)) as { readonly default?: PgModule } & PgModule;
    return module.default ?? module;
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new StorageError("postgres: needs the package `pg`; run `npm i pg`.", { cause: error });
  }
}

class PostgresConnection implements SqlConnection {
  readonly dialect = "postgres";
  readonly skipLocked = " FOR UPDATE SKIP LOCKED";
  readonly now = "extract(epoch from clock_timestamp())";
  readonly #client: PgClient;
  #listening = false;
  #gone = false;
  #queries = 0;
  #wake: (() => void) | null = null;

  constructor(client: PgClient) {
    this.#client = client;
    client.on("notification", () => { this.#wake?.(); });
    // Without a listener it would end the process.
    client.on("error", () => { this.#gone = true; });
    client.on("end", () => { this.#gone = true; });
  }

  /** Keeps the process alive no longer than somebody waits for an answer. */
  async connect(): Promise<void> {
    await this.#client.connect();
    this.#client.connection.stream.unref();
  }

  async all<R extends object>(sql: string, values: readonly SqlValue[] = []): Promise<R[]> {
    let i = 0;
    const result = await this.#query(sql.replaceAll("?", () => `$${++i}`), values);
    return (result as PgResult).rows as R[];
  }

  /** The study's row is the lock. */
  async begin(study: number | null, _durable: boolean, reads: readonly Statement[] = []): Promise<Rows> {
    const lock = study === null
      ? [{ sql: "SELECT pg_advisory_xact_lock(?)", values: [DATABASE_LOCK] }]
      : [statement("SET LOCAL synchronous_commit = off"), { sql: "SELECT study_id FROM studies WHERE study_id = ? FOR UPDATE", values: [study] }];
    return (await this.#exchange([statement("BEGIN"), ...lock, ...reads])).slice(1 + lock.length);
  }

  /**
   * Every commit is durable when this resolves: workers outlive a server that restarts, and must not know more than it.
   * The study is unlocked before the disk has answered; the empty message after it waits for the disk.
   */
  async commit(writes: readonly Statement[] = [], study: number | null = null): Promise<void> {
    const wake = study === null ? [] : [statement(`NOTIFY hpo_study_${study}`)];
    const sync = writes.length === 0 ? [] : [statement("SELECT pg_logical_emit_message(true, 'nabla', '')")];
    await this.#exchange([...writes, ...wake, statement("COMMIT"), ...sync]);
  }

  async rollback(): Promise<void> {
    await this.#query("ROLLBACK");
  }

  async snapshot(reads: readonly Statement[]): Promise<Rows> {
    return (await this.#exchange([statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), ...reads, statement("COMMIT")])).slice(1, -1);
  }

  /** Class 08 is connection exceptions, 57P0x a server that shuts down or ended the session; the timeout is `pg`'s own. */
  lost(error: unknown): boolean {
    const { code = "", message } = error as { readonly code?: string; readonly message: string };
    return this.#gone || /^(?:08|57P0|25P03)/.test(code) || message === "Query read timeout";
  }

  async wait(study: number, milliseconds: number): Promise<void> {
    if (!this.#listening) {
      this.#listening = true;
      await this.#query(`LISTEN hpo_study_${study}`);
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => { clearTimeout(timer); resolve(); };
    });
    this.#wake = null;
  }

  /** Over a network that is cut, parting would never end. */
  async close(): Promise<void> {
    const { stream } = this.#client.connection;
    const cut = setTimeout(() => { stream.destroy(); }, PARTING);
    await this.#client.end();
    clearTimeout(cut);
  }

  /** Several statements in one exchange with the server, which is most of their cost. */
  async #exchange(statements: readonly Statement[]): Promise<Rows> {
    const text = statements.map(({ sql, values }) => {
      let i = 0;
      return sql.replaceAll("?", () => this.#literal(values[i++]!));
    }).join(";\n");
    const results = await this.#query(text);
    return (Array.isArray(results) ? results as readonly PgResult[] : [results as PgResult]).map(({ rows }) => rows);
  }

  #literal(value: SqlValue): string {
    if (value === null) return "NULL";
    return typeof value === "number" ? String(value) : this.#client.escapeLiteral(value);
  }

  async #query(sql: string, values?: readonly SqlValue[]): Promise<PgResult | readonly PgResult[]> {
    const { stream } = this.#client.connection;
    if (this.#queries++ === 0) stream.ref();
    try {
      return await this.#client.query(sql, values);
    } finally {
      if (--this.#queries === 0) stream.unref();
    }
  }
}

const statement = (sql: string): Statement => ({ sql, values: [] });

/** The address as messages may show it. */
export function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^:/@]*):[^@]*@/, "$1:…@");
}
