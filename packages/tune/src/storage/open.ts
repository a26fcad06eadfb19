// From an address to a storage: "memory:", "journal:study.journal", "sqlite:study.db", "postgres://…".
// Each kind is loaded only when asked for, so that a browser never meets Node's modules.
import { StorageError } from "../study/errors.ts";
import { MemoryStorage } from "./memory.ts";
import type { Storage } from "./storage.ts";

/** Opens the storage an address names; with `readOnly`, only to look: at a journal beside its master, and making no file or table. Throws StorageError for an unknown scheme. */
export async function openStorage(address: string, options: { readonly readOnly?: boolean } = {}): Promise<Storage> {
  const at = address.indexOf(":");
  const scheme = at < 0 ? "" : address.slice(0, at);
  switch (scheme) {
    case "memory": return new MemoryStorage();
    case "journal": return new (await import("./journal.ts")).JournalStorage(address.slice(at + 1), options);
    case "sqlite": return (await import("./sqlite.ts")).openSqlite(address.slice(at + 1), options);
    case "postgres": case "postgresql": return (await import("./postgres.ts")).openPostgres(address, options);
    default:
      throw new StorageError(`the storage "${address}" has ${at < 0 ? "no scheme" : `the unknown scheme "${scheme}"`}; use memory:, journal:<file>, sqlite:<file> or postgres://user@host/database.`);
  }
}
