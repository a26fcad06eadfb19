// From an address to a storage: "memory:", "journal:study.journal", "sqlite:study.db", "postgres://…".
import { openOutside } from "#platform";
import { StorageError } from "../study/errors.ts";
import { MemoryStorage } from "./memory.ts";
import type { Storage } from "./storage.ts";

/** Opens the storage an address names; with `readOnly`, only to look: at a journal beside its master, and making no file or table. Throws StorageError for an unknown scheme. */
export async function openStorage(address: string, options: { readonly readOnly?: boolean } = {}): Promise<Storage> {
  const at = address.indexOf(":");
  const scheme = at < 0 ? "" : address.slice(0, at);
  const storage = scheme === "memory" ? new MemoryStorage() : await openOutside(scheme, address, options);
  if (storage !== null) return storage;
  throw new StorageError(`the storage "${address}" has ${at < 0 ? "no scheme" : `the unknown scheme "${scheme}"`}; use memory:, journal:<file>, sqlite:<file> or postgres://user@host/database.`);
}
