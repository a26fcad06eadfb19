// Sources: where the bytes of a file come from. They are read in ranges, so that a file larger than one read can be loaded.
// A path is read through the platform's files; bytes, blobs and URLs can be read in a browser too.
import { describe, quote, ValueError } from "../errors/errors.ts";
import { type ByteSource, FileError, files } from "./files.ts";

/** What can be loaded: the path of a file, a URL to fetch, a blob (a file that somebody chose in a page), or bytes. */
export type Loadable = string | URL | Blob | Uint8Array | ArrayBuffer;

/** Reads with `use`, whatever it throws the source is closed. */
export async function withSource<T>(from: Loadable, use: (source: ByteSource, name: string) => Promise<T>): Promise<T> {
  const name = nameOf(from);
  const source = await open(from, name);
  try {
    return await use(source, name);
  } finally {
    await source.close();
  }
}

/** The source of bytes that are in memory. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  // Copied: what is read may be kept.
  return { size: bytes.length, read: (begin, end) => Promise.resolve(Uint8Array.from(bytes.subarray(begin, end))), close: () => Promise.resolve() };
}

/** All bytes of a file. */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return withSource(path, (source) => source.read(0, source.size));
}

async function open(from: Loadable, name: string): Promise<ByteSource> {
  if (typeof from === "string") return /^https?:\/\//.test(from) ? bytesSource(await fetchBytes(from, name)) : files().open(from);
  if (from instanceof URL) return from.protocol === "file:" ? files().open(from) : bytesSource(await fetchBytes(from.href, name));
  if (from instanceof Uint8Array) return bytesSource(from);
  if (from instanceof ArrayBuffer) return bytesSource(new Uint8Array(from));
  if (from instanceof Blob) return blobSource(from, name);
  throw new ValueError(`${describe(from)} cannot be loaded.`, "Pass the path of a file, a URL, a Blob, or bytes as a Uint8Array or ArrayBuffer.");
}

/** What messages call it. */
export function nameOf(from: Loadable): string {
  if (typeof from === "string") return quote(from);
  if (from instanceof URL) return quote(from.href);
  return typeof File !== "undefined" && from instanceof File ? quote(from.name) : "the file";
}

function blobSource(blob: Blob, name: string): ByteSource {
  return {
    size: blob.size,
    async read(begin, end) {
      try {
        return new Uint8Array(await blob.slice(begin, end).arrayBuffer());
      } catch (error) {
        throw new FileError(`Cannot read ${name} (${String(error)}).`, "Choose the file again: it may have changed or gone.");
      }
    },
    close: () => Promise.resolve(),
  };
}

async function fetchBytes(url: string, name: string): Promise<Uint8Array> {
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(url);
    if (!response.ok) throw new FileError(`Cannot fetch ${name} (status ${response.status}).`, "Check the URL, and that the server gives this file out.");
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(`Cannot fetch ${name} (${error instanceof Error ? error.message : String(error)}).`, "Check the URL and the connection; another site's server must allow this page (CORS).");
  }
  const said = response.headers.get("content-length");
  // Of a compressed answer it is the compressed length.
  if (said !== null && !response.headers.has("content-encoding") && Number(said) !== bytes.length) {
    throw new FileError(`${name} ended after ${bytes.length} of ${said} bytes.`, "Fetch it again.");
  }
  return bytes;
}
