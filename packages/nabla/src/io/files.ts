// Files, as the library sees them: whole reads and atomic writes, given by the platform.
// Node's are in node/files.ts; in a browser use encode and decode with bytes of your own.
import { NablaError } from "../errors/errors.ts";

export interface Files {
  /** Throws {@link FileError} when there is no such file. */
  read(path: string): Promise<Uint8Array>;
  /** Leaves the old file or the whole new one, never a part. */
  writeAtomic(path: string, bytes: Uint8Array): Promise<void>;
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
    throw new FileError("There is no file system here.", "In a browser, fetch the bytes and pass them to io.decode, or download those of io.encode.");
  }
  return installed;
}
