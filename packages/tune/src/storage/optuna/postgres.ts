// PostgreSQL as the meeting point of many machines, through the optional peer `pg`. The study's row is the lock of a
// change, FOR UPDATE SKIP LOCKED leaves to Optuna's workers what they are taking, LISTEN/NOTIFY wakes idle masters.
import { StorageError } from "../../errors/errors.ts";
import { OptunaStorage, type SharedOptions, type SqlConnection } from "./store.ts";
import type { SqlValue } from "./writer.ts";
import type { Storage } from "../storage.ts";

/** Seconds after which a server that does not answer is taken for gone. */
const SILENCE = 30;
/** Milliseconds that a connection may take to part in peace. */
const PARTING = 2000;
/** Milliseconds that a transaction may stand still before the server ends it: it locks a study, and its machine may be gone. */
const STANDSTILL = 5000;
/** Any fixed number: the advisory lock under which tables are made and studies created. */
const DATABASE_LOCK = 7_226_001;

/** What is used of `pg`. */
interface PgClient {
  connect(): Promise<void>;
  query(sql: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly object[] }>;
  on(event: "notification", listener: (message: { readonly channel: string }) => void): void;
  on(event: "error" | "end", listener: () => void): void;
  end(): Promise<void>;
  readonly connection: { readonly stream: { destroy(): void } };
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

/** Opens a database in Optuna's schema, making the tables when there are none and something may be written. */
export function openPostgres(url: string, options: SharedOptions = {}): Promise<Storage> {
  return OptunaStorage.open({ ...options, address: url, shown: withoutPassword(url), connect: () => connectPostgres(url, options.silence) });
}

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
    await client.connect();
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
  readonly now = "extract(epoch from clock_timestamp())";
  private readonly client: PgClient;
  private listening = false;
  private gone = false;
  private wake: (() => void) | null = null;

  constructor(client: PgClient) {
    this.client = client;
    client.on("notification", () => { this.wake?.(); });
    // Without a listener it would end the process.
    client.on("error", () => { this.gone = true; });
    client.on("end", () => { this.gone = true; });
  }

  async all<R extends object>(sql: string, values: readonly SqlValue[] = []): Promise<R[]> {
    let i = 0;
    const { rows } = await this.client.query(sql.replaceAll("?", () => `$${++i}`), values);
    return rows as R[];
  }

  /** Every commit here is durable: workers outlive a server that restarts, and must not know more than it. */
  async begin(study: number | null): Promise<void> {
    await this.client.query("BEGIN");
    if (study === null) await this.client.query("SELECT pg_advisory_xact_lock($1)", [DATABASE_LOCK]);
    else await this.client.query("SELECT study_id FROM studies WHERE study_id = $1 FOR UPDATE", [study]);
  }

  async commit(): Promise<void> {
    await this.client.query("COMMIT");
  }

  async rollback(): Promise<void> {
    await this.client.query("ROLLBACK");
  }

  /** Class 08 is connection exceptions, 57P0x a server that shuts down or ended the session; the timeout is `pg`'s own. */
  lost(error: unknown): boolean {
    const { code = "", message } = error as { readonly code?: string; readonly message: string };
    return this.gone || /^(?:08|57P0|25P03)/.test(code) || message === "Query read timeout";
  }

  changed(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async taken(waiting: readonly number[]): Promise<ReadonlySet<number>> {
    if (waiting.length === 0) return new Set();
    const free = await this.all<{ trial_id: number }>(`SELECT trial_id FROM trials WHERE trial_id IN (${waiting.join(",")}) AND state = 'WAITING' FOR UPDATE SKIP LOCKED`);
    const ids = new Set(free.map((row) => row.trial_id));
    return new Set(waiting.filter((id) => !ids.has(id)));
  }

  async notify(study: number): Promise<void> {
    await this.client.query(`NOTIFY hpo_study_${study}`);
  }

  async wait(study: number, milliseconds: number): Promise<void> {
    if (!this.listening) {
      this.listening = true;
      await this.client.query(`LISTEN hpo_study_${study}`);
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
    this.wake = null;
  }

  /** Over a network that is cut, parting would never end. */
  async close(): Promise<void> {
    const cut = setTimeout(() => { this.client.connection.stream.destroy(); }, PARTING);
    await this.client.end();
    clearTimeout(cut);
  }
}

function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^:/@]*):[^@]*@/, "$1:…@");
}
