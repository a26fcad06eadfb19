// A checkpoint: everything a training needs to go on as if it had never stopped, in one safetensors file.
// The model with its random keys, the optimizer's memory, and where in which epoch it was; the order of samples follows from the seed.
import { assignAll } from "../io/assign.ts";
import { files } from "../io/files.ts";
import { archiveOf } from "../io/index.ts";
import { readSafetensors, safetensorsParts } from "../io/safetensors.ts";
import { withSource } from "../io/source.ts";
import type { Module } from "../nn/module.ts";
import { FormatError, ValueError } from "../errors/errors.ts";
import type { Variable } from "../tensor/variable.ts";
import type { Epoch } from "./epochs.ts";

/** Where training is, and what it has measured. */
export interface Position {
  /** The epoch under way, from 0, and the steps done in it. */
  readonly epoch: number;
  readonly step: number;
  /** Sums over the samples of these steps. */
  readonly samples: number;
  readonly sums: Readonly<Record<string, number>>;
  /** The epochs before. */
  readonly history: readonly Epoch[];
}

/** What must be the same for the steps to be the same. */
export type Setup = Readonly<Record<"optimizer" | "samples" | "batchSize" | "shuffle" | "seed", string | number | boolean>>;

const VERSION = 1;

export class Checkpoint {
  readonly #path: string;
  readonly #setup: Setup;
  readonly #variables: Readonly<Record<string, Variable>>;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, model: Module, optimizerState: Readonly<Record<string, Variable>>, setup: Setup) {
    this.#path = path;
    this.#setup = setup;
    this.#variables = Object.fromEntries([
      ...Object.entries(model.variables()).map(([name, variable]) => [`model.${name}`, variable] as const),
      ...Object.entries(optimizerState).map(([name, variable]) => [`optimizer.${name}`, variable] as const),
    ]);
  }

  /** Gives model and optimizer the state of the file; throws a typed error, and changes nothing, where it does not fit. */
  async restore(): Promise<Position> {
    const { tensors, metadata } = await withSource(this.#path, readSafetensors);
    const { setup, position } = parse(metadata["checkpoint"], this.#path);
    for (const [name, value] of Object.entries(this.#setup)) {
      if (setup[name] !== value) {
        throw new ValueError(`"${this.#path}" was written with ${name} ${String(setup[name])}, and now it is ${String(value)}.`, "Resume with what it was, or start anew.");
      }
    }
    assignAll(tensors, this.#variables, `"${this.#path}"`, "the model with its optimizer");
    return position;
  }

  /** Takes the state as it is now; it is written while training goes on. Throws where the write before failed. */
  async save(position: Position): Promise<void> {
    const parts = safetensorsParts(await archiveOf(this.#variables, { format: "nabla", checkpoint: describe(this.#setup, position) }));
    await this.#writing;
    this.#writing = files().writeAtomic(this.#path, parts);
    // It is thrown where it is awaited.
    this.#writing.catch(() => undefined);
  }

  /** Waits for the last write. */
  async written(): Promise<void> {
    await this.#writing;
  }
}

/** JSON has no NaN and infinities, which a metric may be. */
function describe(setup: Setup, position: Position): string {
  return JSON.stringify({ version: VERSION, setup, position }, (_, value: unknown) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value));
}

function parse(text: string | undefined, path: string): { readonly setup: Readonly<Record<string, unknown>>; readonly position: Position } {
  if (text === undefined) throw new FormatError(`"${path}" is not a checkpoint.`, "Pass a file that a training with `checkpoint` wrote; io.load reads models.");
  const broken = new FormatError(`"${path}" is a checkpoint whose description cannot be read.`, "Start anew without resuming.");
  let content: unknown;
  try {
    content = JSON.parse(text, (_, value: unknown) => (value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value));
  } catch {
    throw broken;
  }
  if (!isRecord(content) || !isRecord(content["setup"]) || !isPosition(content["position"])) throw broken;
  if (content["version"] !== VERSION) throw new FormatError(`"${path}" is a checkpoint of version ${String(content["version"])}, and this is nabla's version ${VERSION}.`, "Resume with the nabla that wrote it.");
  return { setup: content["setup"], position: content["position"] };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is Readonly<Record<string, number>> {
  return isRecord(value) && Object.values(value).every((each) => typeof each === "number");
}

function isPosition(value: unknown): value is Position {
  return isRecord(value) && [value["epoch"], value["step"], value["samples"]].every((each) => Number.isSafeInteger(each) && (each as number) >= 0)
    && isNumbers(value["sums"]) && Array.isArray(value["history"]) && value["history"].every(isEpoch);
}

function isEpoch(value: unknown): value is Epoch {
  if (!isRecord(value)) return false;
  const { validation, interrupted, ...numbers } = value;
  return isNumbers(numbers) && typeof numbers["index"] === "number" && typeof numbers["loss"] === "number"
    && typeof interrupted === "boolean" && (validation === undefined || isNumbers(validation));
}
