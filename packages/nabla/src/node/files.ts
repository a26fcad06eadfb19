// Node's file system behind io/files.ts.
// A write goes to a temporary name first, is flushed, and then renamed over the old file.
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { FileError, type Files } from "../io/files.ts";

/** Temporary files that are being written: a process that exits meanwhile leaves none. */
const unfinished = new Set<string>();
process.on("exit", () => {
  for (const temporary of unfinished) rmSync(temporary, { force: true });
});

export const nodeFiles: Files = {
  async read(path) {
    try {
      return await readFile(path);
    } catch (error) {
      throw fileError("read", path, error);
    }
  },

  async writeAtomic(path, bytes) {
    let temporary = "";
    try {
      const target = await replaceable(path);
      temporary = `${target}.${randomUUID()}.tmp`;
      unfinished.add(temporary);
      const file = await open(temporary, "wx");
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, target);
    } catch (error) {
      // What went wrong first is what is told.
      if (temporary !== "") await rm(temporary, { force: true }).catch(() => undefined);
      throw error instanceof FileError ? error : fileError("write", path, error);
    } finally {
      unfinished.delete(temporary);
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

/** What a rename to `path` is to replace: where a link leads, and never a device, a pipe or a folder. */
async function replaceable(path: string): Promise<string> {
  const target = await realpath(path).catch(() => path);
  const found = await stat(target).catch(() => undefined);
  if (found !== undefined && !found.isFile() && !found.isDirectory()) {
    throw new FileError(`Cannot write "${path}": it is no regular file.`, "Pass the path of a file.");
  }
  return target;
}

const fixes: Readonly<Record<string, string>> = {
  ENOENT: "Check the path: the file, or a folder on the way to it, is not there.",
  ENOTDIR: "Check the path: a file stands where it names a folder.",
  EACCES: "Check the permissions of the file and its folder.",
  EISDIR: "Pass a file, not a folder.",
  ENOSPC: "Free some space on the disk.",
  EROFS: "Pass a path on a disk that can be written to.",
};

function fileError(action: string, path: string, cause: unknown): FileError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  return new FileError(`Cannot ${action} "${path}" (${code}).`, fixes[code] ?? "Check the path and the disk.");
}
