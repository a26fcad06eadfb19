// Programs kept for another run, up to a limit: the least recently used goes first.
// One class for eager programs, compiled functions, training steps, and modules that nobody uses at the moment.

/** Programs kept for one function of the user, each for other shapes or modes. */
export const functionPrograms = 32;

/** At most `limit` programs; `dispose` is told those that had to go. */
export class ProgramCache<Key, Program> {
  readonly #limit: number;
  readonly #dispose: (program: Program) => void;
  /** In the order of their last use. */
  readonly #programs = new Map<Key, Program>();
  #newest: Key | undefined;

  constructor(limit: number, dispose: (program: Program) => void) {
    this.#limit = limit;
    this.#dispose = dispose;
  }

  get size(): number {
    return this.#programs.size;
  }

  /** The program of `key`, which counts as a use. */
  get(key: Key): Program | undefined {
    const program = this.#programs.get(key);
    // Most often the one used last is used again.
    if (program === undefined || key === this.#newest) return program;
    this.#programs.delete(key);
    this.#programs.set(key, program);
    this.#newest = key;
    return program;
  }

  set(key: Key, program: Program): void {
    this.#programs.delete(key);
    this.#programs.set(key, program);
    this.#newest = key;
    if (this.#programs.size <= this.#limit) return;
    const [oldest, victim] = this.#programs.entries().next().value!;
    this.#programs.delete(oldest);
    this.#dispose(victim);
  }

  /** Takes a program out, without disposing of it. */
  take(key: Key): Program | undefined {
    const program = this.#programs.get(key);
    this.#programs.delete(key);
    if (key === this.#newest) this.#newest = undefined;
    return program;
  }

  clear(): void {
    this.#programs.clear();
    this.#newest = undefined;
  }
}
