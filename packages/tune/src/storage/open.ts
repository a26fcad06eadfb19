// From an address to a storage: "memory:", "journal:study.journal", "sqlite:study.db", "postgres://…". All but the
// first are Node's, which installs them: a browser never meets its modules.
import { StorageError } from "../errors/errors.ts";
import { MemoryStorage } from "./memory.ts";
import type { Storage } from "./storage.ts";

/** How `openStorage` opens. */
export interface OpenOptions {
  /** Only to look: at a journal beside its master, and making no file or table. */
  readonly readOnly?: boolean;
}

/** Opens a storage outside this process. */
export type OpenElsewhere = (scheme: "journal" | "sqlite" | "postgres", address: string, options: OpenOptions) => Promise<Storage>;

let openElsewhere: OpenElsewhere | null = null;

/** Makes the storages known that the platform has. */
export function installStorages(open: OpenElsewhere): void {
  openElsewhere = open;
}

/**
 * Opens the storage an address names. Throws StorageError for an unknown scheme, and for one that this platform lacks.
 *
 * @example
 * const storage = await openStorage("memory:");
 * await storage.names(); // []
 * await storage.close();
 */
export async function openStorage(address: string, options: OpenOptions = {}): Promise<Storage> {
  const at = address.indexOf(":");
  const scheme = at < 0 ? "" : address.slice(0, at);
  switch (scheme) {
    case "memory": return new MemoryStorage();
    case "journal": case "sqlite": case "postgres": case "postgresql":
      if (openElsewhere === null) throw new StorageError(`${scheme}: needs Node; in a browser a study is kept in memory:, or in a Storage of your own.`);
      return openElsewhere(scheme === "postgresql" ? "postgres" : scheme, address, options);
    default:
      throw new StorageError(`the storage "${address}" has ${at < 0 ? "no scheme" : `the unknown scheme "${scheme}"`}; use memory:, journal:<file>, sqlite:<file> or postgres://user@host/database.`);
  }
}
