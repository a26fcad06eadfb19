// What only Node can do: keep studies in files and databases, and evaluate in threads and processes. Reached as
// "#platform", which package.json resolves to browser.ts where there is no Node.
import type { Storage } from "../storage/storage.ts";

export { processExecutor, threadExecutor } from "../executors/workers.ts";

/** Opens a storage outside this process, or says by null that there is no such scheme. */
export async function openOutside(scheme: string, address: string, options: { readonly readOnly?: boolean }): Promise<Storage | null> {
  const path = address.slice(scheme.length + 1);
  switch (scheme) {
    case "journal": return new (await import("../storage/journal.ts")).JournalStorage(path, options);
    case "sqlite": return (await import("../storage/sqlite.ts")).openSqlite(path, options);
    case "postgres": case "postgresql": return (await import("../storage/postgres.ts")).openPostgres(address, options);
    default: return null;
  }
}
