// From an address to a storage in Optuna's schema: a SQLite file, or a database on a server.
import { existsSync } from "node:fs";
import { StorageError } from "../../errors/errors.ts";
import type { Storage } from "../storage.ts";
import { connectPostgres, withoutPassword } from "./postgres.ts";
import { SqliteConnection } from "./sqlite.ts";
import { OptunaStorage, type SharedOptions } from "./storage.ts";

/** Opens a database file in Optuna's schema, making it when it is not there and something may be written. */
export async function openSqlite(path: string, options: SharedOptions = {}): Promise<Storage> {
  if (path === "") throw new StorageError("sqlite: needs a file, e.g. sqlite:study.db.");
  if (path === ":memory:") throw new StorageError("sqlite::memory: cannot be shared between connections; use memory: or a file.");
  if (options.readOnly === true && !existsSync(path)) throw new StorageError(`there is no file ${path}; check the path.`);
  return OptunaStorage.open({ ...options, address: `sqlite:${path}`, shown: `sqlite:${path}`, connect: async () => new SqliteConnection(path) });
}

/** Opens a database in Optuna's schema, making the tables when there are none and something may be written. */
export async function openPostgres(url: string, options: SharedOptions = {}): Promise<Storage> {
  return OptunaStorage.open({ ...options, address: url, shown: withoutPassword(url), connect: () => connectPostgres(url, options.silence) });
}
