// Node's file system behind io/files.ts.
// A write goes to a temporary file first, is flushed, and then renamed over the old one.
import { randomUUID } from "node:crypto";
import { constants, rmSync, type Stats } from "node:fs";
import { access, type FileHandle, open, readdir, readlink, realpath, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { describe, quote } from "../errors/errors.ts";
import { type ByteSource, FileError, type Files } from "../io/files.ts";

/** Node reads and writes at most 2 GiB at once. */
const MOST_AT_ONCE = 2 ** 30;

export const nodeFiles: Files = {
  async open(path) {
    let file: FileHandle | undefined;
    try {
      file = await open(path, "r");
      const stats = await file.stat();
      if (stats.isFile()) return fileSource(file, stats.size, path);
      // A folder is refused here; a pipe has no ranges.
      const bytes = await file.readFile();
      await file.close();
      return { size: bytes.length, read: (begin, end) => Promise.resolve(Uint8Array.from(bytes.subarray(begin, end))), close: () => Promise.resolve() };
    } catch (error) {
      await file?.close();
      throw fileError("read", path, error);
    }
  },

  async requireWritable(path) {
    try {
      const { file, temporary } = await openTemporary(await replaceable(path));
      await file.close();
      await rm(temporary);
      forget(temporary);
    } catch (error) {
      throw error instanceof FileError ? error : fileError("write", path, error);
    }
  },

  async writeAtomic(path, parts) {
    let temporary = "";
    try {
      const place = await replaceable(path);
      const opened = await openTemporary(place);
      ({ temporary } = opened);
      try {
        for (const part of parts) await writeAll(opened.file, part);
        await opened.file.sync();
      } finally {
        await opened.file.close();
      }
      await rename(temporary, place.target);
    } catch (error) {
      // What went wrong first is what is told.
      if (temporary !== "") await rm(temporary, { force: true }).catch(() => undefined);
      throw error instanceof FileError ? error : fileError("write", path, error);
    } finally {
      forget(temporary);
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

function fileSource(file: FileHandle, size: number, path: string | URL): ByteSource {
  return {
    size,
    async read(begin, end) {
      try {
        const bytes = new Uint8Array(end - begin);
        for (let done = 0; done < bytes.length; ) {
          const { bytesRead } = await file.read(bytes, done, Math.min(MOST_AT_ONCE, bytes.length - done), begin + done);
          if (bytesRead === 0) throw new FileError(`${shown(path)} ended at byte ${begin + done} of ${size}.`, "It was written to while it was read; read it again.");
          done += bytesRead;
        }
        return bytes;
      } catch (error) {
        if (error instanceof RangeError) throw new FileError(`Cannot read ${shown(path)}: there is no memory for ${end - begin} bytes of it.`, "Free memory, or use a machine with more.");
        throw error instanceof FileError ? error : fileError("read", path, error);
      }
    },
    close: () => file.close(),
  };
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, Math.min(MOST_AT_ONCE, bytes.length - done))).bytesWritten;
  }
}

/** The file that a write replaces or makes. */
interface Place {
  readonly target: string;
  /** What is there now. */
  readonly stats: Stats | undefined;
}

/** Where a write to `path` goes: a link is followed, also where it leads to nothing yet. Devices, pipes, folders and protected files are refused. */
async function replaceable(path: string): Promise<Place> {
  const refuse = (why: string, fix = "Pass the path of a file."): FileError => new FileError(`Cannot write ${shown(path)}: ${why}.`, fix);
  if (typeof path !== "string" || path === "") throw new FileError(`The path to write is ${describe(path)}.`, "Pass the path of a file.");
  if (/[\\/]$/.test(path)) throw refuse("it names a folder");
  const target = await realpath(path).catch(() => linkTarget(path));
  const stats = await stat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (stats === undefined) return { target, stats };
  if (stats.isDirectory()) throw refuse("it is a folder");
  if (!stats.isFile()) throw refuse("it is no regular file");
  // Renaming would replace it all the same; and whoever is root may write everything.
  if ((stats.mode & 0o222) === 0) throw refuse("it is write-protected", "Make it writable, or pass another path.");
  await access(target, constants.W_OK);
  return { target, stats };
}

/** Where the links at `path` lead, though nothing is there. */
async function linkTarget(path: string): Promise<string> {
  let target = path;
  for (let links = 0; links < 40; links++) {
    const link = await readlink(target).catch(() => undefined);
    if (link === undefined) return target;
    target = resolve(await realpath(dirname(target)), link);
  }
  return path;
}

/** Temporary files that are being written: a process that ends meanwhile, by itself or by a signal, leaves none. */
const unfinished = new Set<string>();
process.on("exit", removeUnfinished);
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function removeUnfinished(): void {
  for (const temporary of unfinished) rmSync(temporary, { force: true });
}

function endBySignal(signal: NodeJS.Signals): void {
  // Where the program listens too, it decides what becomes of the process.
  if (process.listenerCount(signal) > 1) return;
  removeUnfinished();
  process.removeListener(signal, endBySignal);
  process.kill(process.pid, signal);
}

function remember(temporary: string): void {
  if (unfinished.size === 0) for (const signal of signals) process.on(signal, endBySignal);
  unfinished.add(temporary);
}

function forget(temporary: string): void {
  if (unfinished.delete(temporary) && unfinished.size === 0) for (const signal of signals) process.removeListener(signal, endBySignal);
}

/** A file beside the target, with the owner and permissions of what it will replace. */
async function openTemporary({ target, stats }: Place): Promise<{ readonly file: FileHandle; readonly temporary: string }> {
  const folder = dirname(target);
  await sweep(folder);
  // Its name says who writes it, and is as long as names may be everywhere.
  const temporary = join(folder, `.nabla-${host}-${process.pid}-${randomUUID()}.tmp`);
  remember(temporary);
  try {
    const file = await open(temporary, "wx", stats === undefined ? 0o666 : stats.mode & 0o777);
    if (stats !== undefined) {
      if (stats.uid !== process.getuid?.() || stats.gid !== process.getgid?.()) await file.chown(stats.uid, stats.gid).catch(() => undefined);
      await file.chmod(stats.mode & 0o777);
    }
    return { file, temporary };
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    forget(temporary);
    throw error;
  }
}

const host = hostname().replace(/[^A-Za-z0-9]/g, "").slice(0, 32);
const temporaryName = new RegExp(`^\\.nabla-${host}-(\\d+)-[0-9a-f-]{36}\\.tmp$`);
const swept = new Set<string>();

/** Removes, once for each folder, what processes of this machine left that were killed while they wrote. */
async function sweep(folder: string): Promise<void> {
  if (swept.has(folder)) return;
  swept.add(folder);
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = Number(temporaryName.exec(name)?.[1] ?? NaN);
    if (Number.isNaN(pid)) continue;
    const path = join(folder, name);
    if (pid === process.pid ? await isOlderThanProcess(path) : !isAlive(pid)) await rm(path, { force: true }).catch(() => undefined);
  }
}

/** Process numbers are used again, in containers the same ones. */
async function isOlderThanProcess(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats !== undefined && stats.mtimeMs < Date.now() - 1000 * process.uptime();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

const fixes: Readonly<Record<string, string>> = {
  ENOENT: "Check the path: the file, or a folder on the way to it, is not there.",
  ENOTDIR: "Check the path: a file stands where it names a folder.",
  EACCES: "Check the permissions of the file and its folder.",
  EPERM: "Check the permissions of the file and its folder.",
  EISDIR: "Pass a file, not a folder.",
  ENAMETOOLONG: "Pass a shorter name.",
  ELOOP: "Check the links on the way: they lead in a circle.",
  ENOSPC: "Free some space on the disk.",
  EROFS: "Pass a path on a disk that can be written to.",
};

function fileError(action: string, path: string | URL, cause: unknown): FileError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  return new FileError(`Cannot ${action} ${shown(path)} (${code}).`, fixes[code] ?? "Check the path and the disk.");
}

function shown(path: string | URL): string {
  return quote(String(path));
}
