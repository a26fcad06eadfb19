// The thread that keeps a master's leases alive while its main thread may be busy training: one statement renews them all.
import { workerData } from "node:worker_threads";
import type { SqlConnection } from "./optuna-store.ts";

const { address, owner, lease } = workerData as { readonly address: string; readonly owner: string; readonly lease: number };

async function connect(): Promise<SqlConnection> {
  if (address.startsWith("sqlite:")) return new (await import("./sqlite.ts")).SqliteConnection(address.slice("sqlite:".length));
  return (await import("./postgres.ts")).connectPostgres(address);
}

let connection: SqlConnection | null = null;

async function renew(): Promise<void> {
  try {
    connection ??= await connect();
    await connection.begin(null, false);
    await connection.all(`UPDATE hpo_lease SET expires = ${connection.now} + ? WHERE owner = ? AND expires IS NOT NULL`, [lease, owner]);
    await connection.commit();
  } catch {
    // The database may be away for a while; a new connection is tried at the next beat.
    await connection?.close().catch(() => undefined);
    connection = null;
  }
  setTimeout(() => { void renew(); }, (lease * 1000) / 4);
}

await renew();
