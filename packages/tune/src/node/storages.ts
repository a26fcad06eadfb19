// The storages that only Node has, each loaded when it is asked for.
import type { OpenElsewhere } from "../storage/open.ts";

export const openOnNode: OpenElsewhere = async (scheme, address, options) => {
  const path = address.slice(scheme.length + 1);
  switch (scheme) {
    case "journal": return new (await import("../storage/journal/journal.ts")).JournalStorage(path, options);
    case "sqlite": return (await import("../storage/optuna/open.ts")).openSqlite(path, options);
    case "postgres": return (await import("../storage/optuna/open.ts")).openPostgres(address, options);
  }
};
