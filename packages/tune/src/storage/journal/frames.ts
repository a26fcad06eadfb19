// The format of a journal: `header | (crc32c | length | JSON)*`, integers of 32 bits, little endian. The checksum covers
// the length. A frame that a crash cut short is told from one that was damaged later: only the former may be cut off.
import { StorageCorruptError, StorageVersionError } from "../../errors/errors.ts";
import { stringifyJson } from "../json.ts";
import { crc32c } from "./crc32c.ts";

const MAGIC = "nabla-journal v";
const VERSION = 2;
export const HEADER: Buffer = Buffer.from(`${MAGIC}${VERSION}\n`, "ascii");
/** Bytes of a frame before its payload: the checksum, and the length that the checksum covers too. */
const HEAD = 8;
const CHECKSUM = 4;
const OPEN_BRACE = 0x7b;

export interface Frame {
  readonly at: number;
  readonly end: number;
  readonly payload: string;
}

/** One frame of `content`, an object. */
export function encode(content: object): Buffer {
  const payload = Buffer.from(stringifyJson(content), "utf8");
  const frame = Buffer.allocUnsafe(HEAD + payload.length);
  frame.writeUInt32LE(payload.length, CHECKSUM);
  payload.copy(frame, HEAD);
  frame.writeUInt32LE(crc32c(frame.subarray(CHECKSUM)), 0);
  return frame;
}

/**
 * The sound frames of a journal. It may end within a frame: a crash cut its write short, and nothing of it was ever
 * confirmed. Throws StorageCorruptError for any other unsound frame, and StorageVersionError for another version.
 */
export function* frames(bytes: Buffer, path: string): Generator<Frame> {
  if (!hasHeader(bytes, path)) return;
  let end: number;
  for (let at = HEADER.length; at < bytes.length; at = end) {
    end = frameEnd(bytes, at);
    if (end < 0) {
      if (isTorn(bytes, at)) return;
      throw damaged(bytes, at, path);
    }
    yield { at, end, payload: bytes.toString("utf8", at + HEAD, end) };
  }
}

/** Whether the header is whole; false when a crash cut its write short. */
function hasHeader(bytes: Buffer, path: string): boolean {
  const head = bytes.subarray(0, HEADER.length);
  if (head.equals(HEADER)) return true;
  if (head.equals(HEADER.subarray(0, head.length))) return false;
  if (head.toString("latin1").startsWith(MAGIC)) {
    const version = /^\d+/.exec(bytes.subarray(MAGIC.length, MAGIC.length + 10).toString("latin1"))?.[0] ?? "?";
    throw new StorageVersionError(`${path} is a journal of version ${version}; this release reads version ${VERSION}. Open it with the release that wrote it, or upgrade.`);
  }
  throw new StorageCorruptError(`${path} is not a journal: it does not start with "${MAGIC}${VERSION}". Choose another file.`);
}

/** The end of the sound frame at `at`, or −1. */
function frameEnd(bytes: Buffer, at: number): number {
  if (at + HEAD > bytes.length) return -1;
  const end = at + HEAD + bytes.readUInt32LE(at + CHECKSUM);
  if (end > bytes.length || bytes[at + HEAD] !== OPEN_BRACE) return -1;
  return crc32c(bytes.subarray(at + CHECKSUM, end)) === bytes.readUInt32LE(at) ? end : -1;
}

/**
 * Whether the unsound frame at `at` is the last and was never whole: the file ends before it does, or in zeros, which
 * a file system leaves where it made room for what did not arrive (a whole frame ends in a brace).
 */
function isTorn(bytes: Buffer, at: number): boolean {
  if (nextSound(bytes, at + 1) >= 0) return false;
  if (at + HEAD > bytes.length || bytes.at(-1) === 0) return true;
  return at + HEAD + bytes.readUInt32LE(at + CHECKSUM) > bytes.length && !isWholeButForLength(bytes, at);
}

/** Whether the checksum holds when the frame is taken to reach to the end of the file. */
function isWholeButForLength(bytes: Buffer, at: number): boolean {
  const frame = Buffer.from(bytes.subarray(at));
  frame.writeUInt32LE(frame.length - HEAD, CHECKSUM);
  return frameEnd(frame, 0) >= 0;
}

/** Where the first sound frame from `from` on begins, or −1. */
function nextSound(bytes: Buffer, from: number): number {
  for (let brace = bytes.indexOf(OPEN_BRACE, from + HEAD); brace >= 0; brace = bytes.indexOf(OPEN_BRACE, brace + 1)) {
    if (frameEnd(bytes, brace - HEAD) >= 0) return brace - HEAD;
  }
  return -1;
}

function damaged(bytes: Buffer, at: number, path: string): StorageCorruptError {
  const next = nextSound(bytes, at + 1);
  const after = next < 0 ? "its last frame" : `${next - at} bytes; from byte ${next} on it is sound again`;
  return new StorageCorruptError(`${path} is damaged at byte ${at}: ${after}. Restore it from a backup, or copy it and cut the original to ${at} bytes to go on from the trials before.`);
}
