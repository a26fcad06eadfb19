// Files, as the library sees them: reads of ranges and atomic writes, given by the platform.
// Node's are in node/files.ts; a browser has none, and loads from bytes, blobs and URLs (source.ts).
import { NablaError } from "../errors/errors.ts";

/** Bytes that are read in ranges. */
export interface ByteSource {
  readonly size: number;
  /** The bytes [begin, end), in memory of their own; throws {@link FileError} where they cannot be read. */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export interface Files {
  /** Throws {@link FileError} when there is no such file. */
  open(path: string | URL): Promise<ByteSource>;
  /** Throws {@link FileError} where {@link writeAtomic} could not write, before there is anything to write. */
  requireWritable(path: string): Promise<void>;
  /** Writes the parts one after another; leaves the old file or the whole new one, never a part. */
  writeAtomic(path: string, parts: readonly Uint8Array[]): Promise<void>;
  /** The folder of an installed npm package, or undefined. */
  packageFolder(name: string): string | undefined;
}

/** A file that cannot be read or written. */
export class FileError extends NablaError {
  override readonly name: string = "FileError";
}

let installed: Files | undefined;

export function installFiles(files: Files): void {
  installed = files;
}

export function files(): Files {
  if (installed === undefined) {
    throw new FileError("There is no file system here.", "In a browser, load from a URL, a Blob or bytes, and offer the bytes of io.encode for download.");
  }
  return installed;
}
