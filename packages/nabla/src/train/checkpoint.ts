// A checkpoint: everything a training needs to go on as if it had never stopped, in one safetensors file.
// The model with its random keys, the optimizer's memory, and where in which epoch it was; the order of samples follows from the seed.
import { assignAll } from "../io/assign.ts";
import { files } from "../io/files.ts";
import { archiveOf } from "../io/index.ts";
import { type HostTensor, readSafetensors, safetensorsParts } from "../io/safetensors.ts";
import { nameOf, withSource } from "../io/source.ts";
import type { Module } from "../nn/module.ts";
import { describe, FormatError, ValueError } from "../errors/errors.ts";
import type { Variable } from "../tensor/variable.ts";
import type { Epoch } from "./epochs.ts";
import { difference, type Setup } from "./setup.ts";

/** Where training is. */
export interface Position {
  /** The epoch under way, from 0, and the steps done in it. */
  readonly epoch: number;
  readonly step: number;
  /** Sums over the samples of these steps. */
  readonly samples: number;
  readonly sums: Readonly<Record<string, number>>;
}

const VERSION = 2;

/** The tensor of the file that holds the epochs before, a line of JSON each. */
const HISTORY = "history";

export class Checkpoint {
  readonly #path: string;
  readonly #setup: Setup;
  readonly #variables: Readonly<Record<string, Variable>>;
  readonly #history = new Lines();
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, model: Module, optimizerState: Readonly<Record<string, Variable>>, setup: Setup) {
    this.#path = path;
    this.#setup = setup;
    this.#variables = Object.fromEntries([
      ...Object.entries(model.variables()).map(([name, variable]) => [`model.${name}`, variable] as const),
      ...Object.entries(optimizerState).map(([name, variable]) => [`optimizer.${name}`, variable] as const),
    ]);
  }

  /**
   * Gives model and optimizer the state of the file; throws a typed error, and changes nothing, where it does not fit.
   * A setup that differs is an error too, unless it may be `changed`.
   */
  async restore(changed: boolean): Promise<{ readonly position: Position; readonly history: readonly Epoch[] }> {
    const { tensors: { [HISTORY]: lines, ...tensors }, metadata } = await withSource(this.#path, readSafetensors);
    const file = nameOf(this.#path);
    const { setup, position } = parse(metadata["checkpoint"], file);
    const history = readHistory(lines, position, file);
    const differs = changed ? undefined : difference(setup, this.#setup);
    if (differs !== undefined) throw new ValueError(`${file} was written with ${differs}.`, 'Resume with what it was, with resume: "changed" to go on all the same, or start anew.');
    assignAll(tensors, this.#variables, file, "the model with its optimizer");
    for (const epoch of history) this.append(epoch);
    return { position, history };
  }

  /** An epoch that has ended, for the next {@link save}. */
  append(epoch: Epoch): void {
    this.#history.append(stringify(epoch));
  }

  /** Takes the state as it is now; it is written while training goes on. Throws where the write before failed. */
  async save(position: Position): Promise<void> {
    const { tensors, metadata } = await archiveOf(this.#variables, { format: "nabla", checkpoint: stringify({ version: VERSION, setup: this.#setup, position }) });
    const data = this.#history.bytes();
    const history: HostTensor = { dtype: "uint8", shape: [data.length], data };
    await this.#writing;
    this.#writing = files().writeAtomic(this.#path, safetensorsParts({ tensors: { ...tensors, [HISTORY]: history }, metadata }));
    // It is thrown where it is awaited.
    this.#writing.catch(() => undefined);
  }

  /** Waits for the last write. */
  async written(): Promise<void> {
    await this.#writing;
  }
}

/** Lines of text as bytes; adding one costs no more when there are many. */
class Lines {
  #bytes = new Uint8Array(1024);
  #length = 0;

  append(line: string): void {
    const added = new TextEncoder().encode(`${line}\n`);
    const needed = this.#length + added.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(2 * needed);
      grown.set(this.bytes());
      this.#bytes = grown;
    }
    this.#bytes.set(added, this.#length);
    this.#length = needed;
  }

  /** What there is now; it stays as it is when lines are added. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** JSON has no NaN and infinities, which a metric may be. */
function stringify(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === "number" && !Number.isFinite(each) ? String(each) : each));
}

/** Undefined where it is no JSON, or nested too deep. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text, (_, value: unknown) => (value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value));
  } catch {
    return undefined;
  }
}

function unreadable(file: string): FormatError {
  return new FormatError(`${file} is a checkpoint whose description cannot be read.`, "Start anew without resuming.");
}

function parse(text: string | undefined, file: string): { readonly setup: Readonly<Record<string, unknown>>; readonly position: Position } {
  if (text === undefined) throw new FormatError(`${file} is not a checkpoint.`, "Pass a file that a training with `checkpoint` wrote; io.load reads models.");
  const content = parsed(text);
  if (isRecord(content) && content["version"] !== VERSION) throw new FormatError(`${file} is a checkpoint of version ${describe(content["version"])}, and this is nabla's version ${VERSION}.`, "Resume with the nabla that wrote it.");
  if (!isRecord(content) || !isRecord(content["setup"]) || !isPosition(content["position"])) throw unreadable(file);
  return { setup: content["setup"], position: content["position"] };
}

/** The epochs before the one under way. */
function readHistory(lines: HostTensor | undefined, { epoch }: Position, file: string): Epoch[] {
  if (lines?.dtype !== "uint8") throw unreadable(file);
  const text = new TextDecoder().decode(lines.data as Uint8Array);
  const history = text === "" ? [] : text.trimEnd().split("\n").map(parsed);
  if (history.length !== epoch || !history.every(isEpoch)) throw unreadable(file);
  return history;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is Readonly<Record<string, number>> {
  return isRecord(value) && Object.values(value).every((each) => typeof each === "number");
}

function isPosition(value: unknown): value is Position {
  if (!isRecord(value)) return false;
  const counts = [value["epoch"], value["step"], value["samples"]];
  // An epoch under way has measured something.
  return counts.every((each) => Number.isSafeInteger(each) && (each as number) >= 0) && (counts[1] === 0) === (counts[2] === 0) && isNumbers(value["sums"]);
}

function isEpoch(value: unknown): value is Epoch {
  if (!isRecord(value)) return false;
  const { validation, interrupted, ...numbers } = value;
  return isNumbers(numbers) && typeof numbers["index"] === "number" && typeof numbers["loss"] === "number"
    && typeof interrupted === "boolean" && (validation === undefined || isNumbers(validation));
}
