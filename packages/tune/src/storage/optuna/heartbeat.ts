// The thread that keeps a master's leases alive while its main thread may be busy training: one statement renews them all.
import { workerData } from "node:worker_threads";
import type { SqlConnection } from "./connection.ts";

/** What the thread is started with. */
export interface HeartbeatData {
  readonly address: string;
  readonly owner: string;
  /** Seconds. */
  readonly lease: number;
  /** When the leases were last renewed, by process.hrtime: the clock that all threads share. */
  readonly renewed: BigInt64Array;
}

const { address, owner, lease, renewed } = workerData as HeartbeatData;

async function connect(): Promise<SqlConnection> {
  if (address.startsWith("sqlite:")) {
    const file = new (await import("./sqlite.ts")).SqliteConnection(address.slice("sqlite:".length));
    // A renewal that is lost with the power renewed nothing that lives.
    await file.all("PRAGMA synchronous = NORMAL");
    return file;
  }
  // A connection that has gone dead must be noticed while there is time to renew over another.
  return (await import("./postgres.ts")).connectPostgres(address, lease / 2);
}

let connection: SqlConnection | null = null;

async function renew(): Promise<void> {
  let pause = (1000 * lease) / 4;
  try {
    connection ??= await connect();
    const now = process.hrtime.bigint();
    await connection.all(`UPDATE hpo_lease SET expires = ${connection.now} + ? WHERE owner = ? AND expires IS NOT NULL`, [lease, owner]);
    Atomics.store(renewed, 0, now);
  } catch {
    // The database may be away for a while; a new connection is tried soon, for the leases run on.
    pause /= 10;
    await connection?.close().catch(() => undefined);
    connection = null;
  }
  setTimeout(() => { void renew(); }, pause);
}

await renew();
