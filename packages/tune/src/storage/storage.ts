// What every storage promises. A store keeps the events of one study and a StudyState in step with them; a change
// is a transaction that sees everything others wrote before it, so the same pure rules hold in memory and in a cluster.
import type { CreateEvent, StudyEvent } from "../state/events.ts";
import type { StudyState } from "../state/state.ts";

/** Takes an event in: checked, applied to the state, and kept. */
export type Emit = (event: StudyEvent) => void;

/** One open study. */
export interface StudyStore {
  /** The study as this process knows it. */
  readonly state: StudyState;
  /** Whether other processes may write this study at the same time; then leases expire by the storage's clock. */
  readonly shared: boolean;
  /** Whether this process may still believe in its leases: false when they could not be renewed within their time. */
  readonly leased: boolean;
  /** Takes in what other processes wrote. */
  refresh(): Promise<void>;
  /**
   * Runs `change` atomically on the newest state. With `durable` the promise resolves only when all events so far
   * have reached the disk. What `change` emitted before it threw is kept.
   */
  transact<R>(durable: boolean, change: (emit: Emit) => R): Promise<R>;
  /** Keeps an event in order, to be written soon; for what may be lost in a crash (reports, attributes). */
  append(event: StudyEvent): void;
  /** Lets everything reach the disk. */
  flush(): Promise<void>;
  /** Running trials whose leases have expired (shared stores only). */
  expired(): Promise<readonly number[]>;
  /** Resolves when others may have changed the study, at the latest after `milliseconds`. */
  wait(milliseconds: number): Promise<void>;
  /** Flushes and lets go of the study. */
  close(): Promise<void>;
}

/** A place where studies are kept. */
export interface Storage {
  /** Its name in messages, e.g. `sqlite:cnn.db`; without a password. */
  readonly address: string;
  /** Throws StudyExistsError when a study of that name exists, also when another process has just created it. */
  create(event: CreateEvent): Promise<StudyStore>;
  /** Opens a study, the only one when `name` is undefined; throws StudyError when there is none or the name is needed. */
  load(name: string | undefined): Promise<StudyStore>;
  /** The names of all studies in it. */
  names(): Promise<readonly string[]>;
  /** Forgets a study and all its trials. */
  remove(name: string): Promise<void>;
  /** Lets go of it; studies opened from it have been closed. */
  close(): Promise<void>;
}
