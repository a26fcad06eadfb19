// Studies that live as long as the process: the state is all there is; events are applied and forgotten.
import { StudyError, StudyExistsError } from "../errors/errors.ts";
import type { CreateEvent, StudyEvent } from "../state/events.ts";
import { StudyState } from "../state/state.ts";
import type { Emit, Storage, StudyStore } from "./storage.ts";

/** Studies that live as long as the process; what `storage: "memory:"` opens. */
export class MemoryStorage implements Storage {
  readonly address = "memory:";
  private readonly studies = new Map<string, MemoryStore>();

  create(event: CreateEvent): Promise<StudyStore> {
    if (this.studies.has(event.name)) return Promise.reject(studyExists(event.name, this.address));
    const store = new MemoryStore();
    store.append(event);
    this.studies.set(event.name, store);
    return Promise.resolve(store);
  }

  load(name: string | undefined): Promise<StudyStore> {
    try {
      return Promise.resolve(this.studies.get(chooseStudy([...this.studies.keys()], name, this.address))!);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  names(): Promise<readonly string[]> {
    return Promise.resolve([...this.studies.keys()]);
  }

  async remove(name: string): Promise<void> {
    this.studies.delete(chooseStudy(await this.names(), name, this.address));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A study in memory. */
export class MemoryStore implements StudyStore {
  readonly state: StudyState = new StudyState();
  readonly shared = false;
  readonly leased = true;

  refresh(): Promise<void> {
    return Promise.resolve();
  }

  async transact<R>(_durable: boolean, change: (emit: Emit) => R): Promise<R> {
    return change((event) => { this.append(event); });
  }

  append(event: StudyEvent): void {
    this.state.apply(event);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  expired(): Promise<readonly number[]> {
    return Promise.resolve([]);
  }

  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Names shown when one must be chosen. */
const LISTED = 20;

/** The study meant by `name`, or the only one; throws StudyError otherwise. */
export function chooseStudy(names: readonly string[], name: string | undefined, address: string): string {
  const more = names.length > LISTED ? ` and ${names.length - LISTED} more` : "";
  const list = names.length === 0 ? "it has no studies" : `it has ${names.slice(0, LISTED).map((n) => `"${n}"`).join(", ")}${more}`;
  if (name === undefined) {
    if (names.length === 1) return names[0]!;
    throw new StudyError(`${address}: ${list}; ${names.length === 0 ? "create one with createStudy or `nabla tune run`" : "say which with `name` (in the shell: --name)"}.`);
  }
  if (!names.includes(name)) throw new StudyError(`${address} has no study "${name}"; ${list}.`);
  return name;
}

export function studyExists(name: string, address: string): StudyExistsError {
  return new StudyExistsError(`${address} already has a study "${name}"; continue it with loadStudy, \`ifExists: "load"\` or \`nabla tune resume\`, or choose another name.`);
}
