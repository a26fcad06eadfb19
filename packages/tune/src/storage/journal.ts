// The embedded default: one study in one append-only file, `header | (length | crc32c | JSON event)*`, written by one
// master. Commits are grouped: all results waiting when a sync starts share it. A torn tail is cut off at opening.
import { existsSync } from "node:fs";
import { open, readFile, rm, type FileHandle } from "node:fs/promises";
import { resolve } from "node:path";
import { StorageCorruptError, StorageError, StorageLockedError, StorageVersionError, StudyError } from "../study/errors.ts";
import { isStudyEvent, type CreateEvent, type StudyEvent } from "../study/events.ts";
import { StudyState } from "../study/state.ts";
import { crc32c } from "./crc32c.ts";
import { parseJson, stringifyJson } from "./json.ts";
import { chooseStudy, studyExists } from "./memory.ts";
import type { Emit, Storage, StudyStore } from "./storage.ts";

const MAGIC = "nabla-journal v";
const HEADER = Buffer.from(`${MAGIC}1\n`, "ascii");
const FRAME_HEAD = 8;
/** Reports and attributes reach the operating system after at most this many milliseconds. */
const WRITE_DELAY = 50;

export interface JournalOptions {
  /** Reads the file beside a running master: takes no lock, writes nothing. */
  readonly readOnly?: boolean;
}

export class JournalStorage implements Storage {
  readonly address: string;
  private readonly path: string;
  private readonly readOnly: boolean;

  constructor(path: string, options: JournalOptions = {}) {
    if (path === "") throw new StorageError("journal: needs a file, e.g. journal:study.journal.");
    this.address = `journal:${path}`;
    this.path = resolve(path);
    this.readOnly = options.readOnly ?? false;
  }

  async create(event: CreateEvent): Promise<JournalStore> {
    const names = await this.names();
    if (names.length > 0) {
      if (names.includes(event.name)) throw studyExists(event.name, this.address);
      throw new StudyError(`${this.address} holds the study "${names[0]!}"; a journal holds one study, so give "${event.name}" a file of its own.`);
    }
    const store = await this.openStore();
    await store.transact(true, (emit) => { emit(event); });
    return store;
  }

  async load(name: string | undefined): Promise<StudyStore> {
    chooseStudy(await this.names(), name, this.address);
    return this.openStore();
  }

  async names(): Promise<readonly string[]> {
    if (!existsSync(this.path)) return [];
    const { events } = decode(await readFile(this.path), this.path);
    const first = events[0];
    return first?.type === "create" ? [first.name] : [];
  }

  async remove(name: string): Promise<void> {
    chooseStudy(await this.names(), name, this.address);
    const lock = await lockFile(this.path);
    await rm(this.path);
    lock.release();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async openStore(): Promise<JournalStore> {
    if (this.readOnly) return new JournalStore(this.path, null, null, decode(await readFile(this.path), this.path).events);
    const lock = await lockFile(this.path);
    try {
      const file = await open(this.path, existsSync(this.path) ? "r+" : "wx+");
      const { events, length } = decode(await file.readFile(), this.path);
      await file.truncate(length);
      if (length === 0) await file.write(HEADER, 0, HEADER.length, 0);
      await file.sync();
      return new JournalStore(this.path, { file, position: Math.max(length, HEADER.length) }, lock, events);
    } catch (error) {
      lock.release();
      throw error;
    }
  }
}

interface Waiter { resolve(): void; reject(error: Error): void }

export class JournalStore implements StudyStore {
  readonly state: StudyState = new StudyState();
  readonly shared = false;
  /** Syncs so far, for measuring. */
  syncs = 0;
  private readonly path: string;
  private readonly output: { readonly file: FileHandle; position: number } | null;
  private readonly lock: Lock | null;
  private pending: Buffer[] = [];
  private waiters: Waiter[] = [];
  private writing: Promise<void> | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private broken: Error | null = null;
  private unsynced = false;

  constructor(path: string, output: { file: FileHandle; position: number } | null, lock: Lock | null, events: readonly StudyEvent[]) {
    this.path = path;
    this.output = output;
    this.lock = lock;
    for (const event of events) this.state.apply(event);
  }

  refresh(): Promise<void> {
    return Promise.resolve();
  }

  async transact<R>(durable: boolean, change: (emit: Emit) => R): Promise<R> {
    const result = change((event) => { this.append(event); });
    if (durable) await this.flush();
    return result;
  }

  append(event: StudyEvent): void {
    if (this.output === null) throw new StorageError(`${this.path} was opened for reading only.`);
    if (this.broken !== null) throw this.broken;
    this.state.apply(event);
    this.pending.push(encode(event));
    this.timer ??= setTimeout(() => { this.timer = null; void this.drain(); }, WRITE_DELAY);
  }

  flush(): Promise<void> {
    if (this.broken !== null) return Promise.reject(this.broken);
    if (this.output === null || (this.pending.length === 0 && !this.unsynced && this.writing === null)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiters.push({ resolve, reject });
      void this.drain();
    });
  }

  expired(): Promise<readonly number[]> {
    return Promise.resolve([]);
  }

  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
  }

  async close(): Promise<void> {
    try {
      if (this.broken === null) await this.flush();
    } finally {
      if (this.timer !== null) clearTimeout(this.timer);
      await this.output?.file.close();
      this.lock?.release();
    }
  }

  /** One writer at a time; whoever arrives during a write or a sync is served together by the next. */
  private drain(): Promise<void> {
    this.writing ??= this.writeAll().finally(() => { this.writing = null; });
    return this.writing;
  }

  private async writeAll(): Promise<void> {
    const output = this.output!;
    while (this.pending.length > 0 || this.waiters.length > 0) {
      const bytes = Buffer.concat(this.pending);
      const waiters = this.waiters;
      this.pending = [];
      this.waiters = [];
      try {
        for (let done = 0; done < bytes.length;) {
          const { bytesWritten } = await output.file.write(bytes, done, bytes.length - done, output.position);
          done += bytesWritten;
          output.position += bytesWritten;
          this.unsynced = true;
        }
        if (waiters.length > 0 && this.unsynced) {
          await output.file.datasync();
          this.unsynced = false;
          this.syncs++;
        }
        for (const waiter of waiters) waiter.resolve();
      } catch (error) {
        this.broken = new StorageError(`${this.path} cannot be written (${(error as Error).message}); what was confirmed is safe. Make room or mend the disk, then load the study again.`, { cause: error });
        for (const waiter of [...waiters, ...this.waiters]) waiter.reject(this.broken);
        this.waiters = [];
        return;
      }
    }
  }
}

/** A frame: payload length and CRC-32C of the payload, both 32-bit little endian, then the payload. */
function encode(event: StudyEvent): Buffer {
  const payload = Buffer.from(stringifyJson(event), "utf8");
  const frame = Buffer.allocUnsafe(FRAME_HEAD + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt32LE(crc32c(payload), 4);
  payload.copy(frame, FRAME_HEAD);
  return frame;
}

/**
 * The events of a journal and the length of its sound part. An unsound last frame is a write cut short by a crash;
 * an unsound frame with a sound one after it is damage, and refused.
 */
function decode(bytes: Buffer, path: string): { events: StudyEvent[]; length: number } {
  const head = bytes.subarray(0, HEADER.length);
  if (!head.equals(HEADER)) {
    if (head.equals(HEADER.subarray(0, head.length))) return { events: [], length: 0 };
    if (head.toString("latin1").startsWith(MAGIC)) {
      const version = /^\d+/.exec(bytes.subarray(MAGIC.length, MAGIC.length + 10).toString("latin1"))?.[0] ?? "?";
      throw new StorageVersionError(`${path} is a journal of version ${version}; this release reads version 1. Open it with the release that wrote it, or upgrade.`);
    }
    throw new StorageCorruptError(`${path} is not a journal: it does not start with "${MAGIC}1". Choose another file.`);
  }
  const events: StudyEvent[] = [];
  let at = HEADER.length;
  while (at < bytes.length) {
    const end = frameEnd(bytes, at);
    if (end < 0) {
      const claimed = at + FRAME_HEAD <= bytes.length ? at + FRAME_HEAD + bytes.readUInt32LE(at) : Infinity;
      if (claimed < bytes.length && frameEnd(bytes, claimed) >= 0) {
        throw new StorageCorruptError(`${path} is damaged at byte ${at}, in the middle. The trials before it can be kept by cutting the file to ${at} bytes; keep a copy first.`);
      }
      break;
    }
    const event: unknown = parseJson(bytes.toString("utf8", at + FRAME_HEAD, end));
    if (!isStudyEvent(event)) throw new StorageCorruptError(`${path} holds no event at byte ${at}: ${JSON.stringify(event).slice(0, 80)}.`);
    events.push(event);
    at = end;
  }
  return { events, length: at };
}

/** End of the sound frame at `at`, or −1. */
function frameEnd(bytes: Buffer, at: number): number {
  if (at + FRAME_HEAD > bytes.length) return -1;
  const end = at + FRAME_HEAD + bytes.readUInt32LE(at);
  if (end > bytes.length || end === at + FRAME_HEAD) return -1;
  return crc32c(bytes.subarray(at + FRAME_HEAD, end)) === bytes.readUInt32LE(at + 4) ? end : -1;
}

interface Lock { release(): void }

/**
 * Holds `path.lock` for this process by an operating-system lock, which ends with the process however it ends.
 * SQLite is the portable way to such a lock in Node; the file stays empty.
 */
async function lockFile(path: string): Promise<Lock> {
  const { DatabaseSync } = await import("node:sqlite");
  let database: InstanceType<typeof DatabaseSync> | null = null;
  try {
    database = new DatabaseSync(`${path}.lock`);
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE;");
    const held = database;
    return { release: () => { held.close(); } };
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === 5) {
      throw new StorageLockedError(`another process is the master of ${path}. Stop it, or give it more workers; to look only, use \`tune status\`; for several masters use sqlite: or postgres:.`, { cause: error });
    }
    throw new StorageError(`cannot lock ${path} (${(error as Error).message}); check that the folder exists and can be written.`, { cause: error });
  }
}
