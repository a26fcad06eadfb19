// One master at a time: a lock of the operating system, which ends with its process however that ends.
import { StorageError, StorageLockedError } from "../../errors/errors.ts";

export interface Lock { release(): void }

/** SQLite's code for a lock that another holds. */
const BUSY = 5;

/** Holds `path.lock` for this process. SQLite is the portable way to such a lock in Node; the file stays empty. */
export async function lockFile(path: string): Promise<Lock> {
  const { DatabaseSync } = await import("node:sqlite");
  let database: InstanceType<typeof DatabaseSync> | null = null;
  try {
    database = new DatabaseSync(`${path}.lock`);
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE;");
    const held = database;
    return { release: () => { held.close(); } };
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === BUSY) {
      throw new StorageLockedError(`another process is the master of ${path}. Stop it, or give it more workers; to look only, use \`tune status\`; for several masters use sqlite: or postgres:.`, { cause: error });
    }
    throw new StorageError(`cannot lock ${path} (${(error as Error).message}); check that the folder exists and can be written.`, { cause: error });
  }
}
