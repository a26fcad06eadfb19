// The embedded default: one study in one append-only file (its format is in frames.ts), written by one master.
// Commits are grouped: all results waiting when a sync starts share it. A torn tail is set aside at opening. When the
// events outgrow what they add up to, a file that starts with the state as it is takes the place of the old one.
import { existsSync } from "node:fs";
import { open, readFile, rename, rm, writeFile, type FileHandle } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { StorageCorruptError, StorageError, StudyError } from "../../errors/errors.ts";
import { isStudyEvent, type CreateEvent, type StudyEvent } from "../../state/events.ts";
import { StudyState, type SavedStudy, type SavedTrial } from "../../state/state.ts";
import { parseJson } from "../json.ts";
import { chooseStudy, studyExists } from "../memory.ts";
import type { Emit, Storage, StudyStore } from "../storage.ts";
import { encode, frames, HEADER } from "./frames.ts";
import { lockFile, type Lock } from "./lock.ts";

/** Reports and attributes reach the operating system after at most this many milliseconds. */
const WRITE_DELAY = 50;
/** Bytes of events before a first checkpoint is worth writing. */
const TAIL = 8 << 20;

export interface JournalOptions {
  /** Reads the file beside a running master: takes no lock, writes nothing. */
  readonly readOnly?: boolean;
  /** Bytes of events, and at least those of the last checkpoint, before the next checkpoint; 8 MB by default. */
  readonly tail?: number;
}

export class JournalStorage implements Storage {
  readonly address: string;
  private readonly path: string;
  private readonly readOnly: boolean;
  private readonly tail: number;

  constructor(path: string, options: JournalOptions = {}) {
    if (path === "") throw new StorageError("journal: needs a file, e.g. journal:study.journal.");
    this.address = `journal:${path}`;
    this.path = resolve(path);
    this.readOnly = options.readOnly ?? false;
    this.tail = options.tail ?? TAIL;
  }

  async create(event: CreateEvent): Promise<JournalStore> {
    const names = await this.names();
    if (names.length > 0) {
      if (names.includes(event.name)) throw studyExists(event.name, this.address);
      throw new StudyError(`${this.address} holds the study "${names[0]!}"; a journal holds one study, so give "${event.name}" a file of its own.`);
    }
    const store = await this.openStore();
    if (store.state.created) {
      // Between the look and the lock.
      await store.close();
      throw studyExists(event.name, this.address);
    }
    await store.transact(true, (emit) => { emit(event); });
    return store;
  }

  async load(name: string | undefined): Promise<StudyStore> {
    chooseStudy(await this.names(), name, this.address);
    return this.openStore();
  }

  async names(): Promise<readonly string[]> {
    if (!existsSync(this.path)) return [];
    for (const { payload } of frames(await readFile(this.path), this.path)) {
      const first: unknown = parseJson(payload);
      if (isCheckpoint(first)) return [first.create.name];
      if (isStudyEvent(first) && first.type === "create") return [first.name];
      break;
    }
    return [];
  }

  async remove(name: string): Promise<void> {
    chooseStudy(await this.names(), name, this.address);
    const lock = await lockFile(this.path);
    await rm(this.path);
    await syncFolder(this.path);
    lock.release();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async openStore(): Promise<JournalStore> {
    if (this.readOnly) return new JournalStore(this.path, null, null, replay(await readFile(this.path), this.path), this.tail);
    const lock = await lockFile(this.path);
    let file: FileHandle | null = null;
    try {
      await rm(successor(this.path), { force: true });
      file = await open(this.path, existsSync(this.path) ? "r+" : "wx+");
      const bytes = await file.readFile();
      const replayed = replay(bytes, this.path);
      const { length } = replayed;
      if (length < bytes.length) await setAside(bytes.subarray(length), length, this.path);
      await file.truncate(length);
      if (length === 0) await file.write(HEADER, 0, HEADER.length, 0);
      await file.sync();
      if (length === 0) await syncFolder(this.path);
      return new JournalStore(this.path, file, lock, replayed, this.tail);
    } catch (error) {
      await file?.close();
      lock.release();
      throw error;
    }
  }
}

interface Waiter { resolve(): void; reject(error: Error): void }

/** An open journal: events are written from `position` on; the first `checkpoint` bytes are header and checkpoint. */
interface Output { file: FileHandle; position: number; checkpoint: number }

export class JournalStore implements StudyStore {
  readonly state: StudyState;
  readonly shared = false;
  readonly leased = true;
  /** Syncs so far, for measuring. */
  syncs = 0;
  /** Checkpoints written so far. */
  checkpoints = 0;
  private readonly path: string;
  private readonly output: Output | null;
  private readonly lock: Lock | null;
  private readonly tail: number;
  private pending: Buffer[] = [];
  private waiters: Waiter[] = [];
  private writing = false;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private broken: Error | null = null;
  private unsynced = false;

  constructor(path: string, file: FileHandle | null, lock: Lock | null, { state, length, checkpoint }: Replayed, tail: number) {
    this.path = path;
    this.state = state;
    this.output = file === null ? null : { file, position: Math.max(length, HEADER.length), checkpoint };
    this.lock = lock;
    this.tail = tail;
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
    this.timer ??= setTimeout(() => { this.timer = null; this.drain(); }, WRITE_DELAY);
  }

  flush(): Promise<void> {
    if (this.broken !== null) return Promise.reject(this.broken);
    if (this.output === null || (this.pending.length === 0 && !this.unsynced && !this.writing)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiters.push({ resolve, reject });
      this.drain();
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

  /**
   * Moves to a new file with the state in place of the events. It takes the old one's name when all of it is on the
   * disk; until then, and when it cannot be written, the old file is the journal.
   */
  private async writeCheckpoint(output: Output): Promise<void> {
    const name = successor(this.path);
    // Nothing is awaited between the two: the state holds exactly what is written and what is pending.
    const bytes = Buffer.concat([HEADER, ...Array.from(this.state.save(), encode)]);
    const covered = this.pending.splice(0);
    let file: FileHandle | null = null;
    try {
      file = await open(name, "w");
      await writeAt(file, bytes, 0);
      await file.sync();
      await rename(name, this.path);
    } catch {
      await file?.close();
      await rm(name, { force: true }).catch(() => undefined);
      this.pending.unshift(...covered);
      // Tried again when as much has been written once more.
      output.checkpoint = output.position;
      return;
    }
    const old = output.file;
    Object.assign(output, { file, position: bytes.length, checkpoint: bytes.length });
    this.checkpoints++;
    this.unsynced = false;
    await old.close();
    await syncFolder(this.path);
  }

  /** One writer at a time; whoever arrives during a write or a sync is served together by the next. */
  private drain(): void {
    if (!this.writing) void this.writeAll();
  }

  private async writeAll(): Promise<void> {
    const output = this.output!;
    this.writing = true;
    while (this.pending.length > 0 || this.waiters.length > 0) {
      const bytes = Buffer.concat(this.pending);
      const waiters = this.waiters;
      this.pending = [];
      this.waiters = [];
      try {
        if (bytes.length > 0) {
          this.unsynced = true;
          await writeAt(output.file, bytes, output.position);
          output.position += bytes.length;
        }
        if (output.position - output.checkpoint > Math.max(this.tail, output.checkpoint)) await this.writeCheckpoint(output);
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
        break;
      }
    }
    // In the same turn as the last look at the queue: who arrives from now on starts anew.
    this.writing = false;
  }
}

/** A journal read: its state, the length of its sound part, and of the header and checkpoint at its start. */
interface Replayed { readonly state: StudyState; readonly length: number; readonly checkpoint: number }

function replay(bytes: Buffer, path: string): Replayed {
  const state = new StudyState();
  let saved: SavedStudy | null = null;
  let trials: SavedTrial[] = [];
  let length = bytes.length < HEADER.length ? 0 : HEADER.length;
  let checkpoint = HEADER.length;
  for (const { at, end, payload } of frames(bytes, path)) {
    const content: unknown = parseJson(payload);
    if (isCheckpoint(content) && at === HEADER.length) saved = content;
    else if (saved !== null && isSavedTrial(content)) trials.push(content);
    else if (saved === null && isStudyEvent(content)) state.apply(content);
    else throw new StorageCorruptError(`${path} holds no event at byte ${at}: ${payload.slice(0, 80)}.`);
    length = end;
    if (saved !== null && trials.length === saved.trials) {
      state.restore(saved, trials);
      saved = null;
      trials = [];
      checkpoint = end;
    }
  }
  // A checkpoint was whole on the disk before its file got this name.
  if (saved !== null) throw new StorageCorruptError(`${path} ends within its checkpoint, at trial ${trials.length} of ${saved.trials}: it was cut or copied in part. Restore the whole file.`);
  return { state, length, checkpoint };
}

function isCheckpoint(content: unknown): content is SavedStudy {
  return typeof content === "object" && content !== null && "type" in content && content.type === "checkpoint" && "create" in content && isStudyEvent(content.create) && "trials" in content;
}

function isSavedTrial(content: unknown): content is SavedTrial {
  return typeof content === "object" && content !== null && "type" in content && content.type === "trial" && "record" in content;
}

/** Where the file is written that will take the journal's place. */
function successor(path: string): string {
  return `${path}.new`;
}

async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

/** Lets a file's name reach the disk; Windows keeps names with the files. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Keeps what is cut off the end of a journal in a file of its own, and says so. */
async function setAside(torn: Buffer, at: number, path: string): Promise<void> {
  let copy = `${path}.cut-${at}`;
  for (let i = 2; existsSync(copy); i++) copy = `${path}.cut-${at}-${i}`;
  await writeFile(copy, torn, { flag: "wx", flush: true });
  await syncFolder(copy);
  process.emitWarning(`${path} ended within a write, at byte ${at}, as a crash leaves it: the study goes on from what was whole, and the ${torn.length} bytes are kept in ${copy}.`);
}
