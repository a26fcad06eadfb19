// Node's file system behind io/files.ts.
// A write goes to a temporary name first, is flushed, and then renamed over the old file.
import { randomUUID } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { FileError, type Files } from "../io/files.ts";

export const nodeFiles: Files = {
  async read(path) {
    try {
      return await readFile(path);
    } catch (error) {
      throw fileError("read", path, error);
    }
  },

  async writeAtomic(path, bytes) {
    const temporary = `${path}.${randomUUID()}.tmp`;
    try {
      const file = await open(temporary, "wx");
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      // What went wrong first is what is told.
      await rm(temporary, { force: true }).catch(() => undefined);
      throw fileError("write", path, error);
    }
  },

  packageFolder(name) {
    for (const start of [import.meta.url, join(process.cwd(), "package.json")]) {
      try {
        return dirname(createRequire(start).resolve(`${name}/package.json`));
      } catch {
        // Not installed there.
      }
    }
    return undefined;
  },
};

const fixes: Readonly<Record<string, string>> = {
  ENOENT: "Check the path: the file, or a folder on the way to it, is not there.",
  ENOTDIR: "Check the path: a file stands where it names a folder.",
  EACCES: "Check the permissions of the file and its folder.",
  EISDIR: "Pass a file, not a folder.",
  ENOSPC: "Free some space on the disk.",
};

function fileError(action: string, path: string, cause: unknown): FileError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  return new FileError(`Cannot ${action} "${path}" (${code}).`, fixes[code] ?? "Check the path and the disk.");
}
