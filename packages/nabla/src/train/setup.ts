// Setup: what a training is made with. A resumed one gives the same bits only where all of it is the same.
// It is kept in checkpoints as text by name, so that what differs can be said.
import type { Column } from "../data/column.ts";
import { dtypeOf } from "../data/column.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Module } from "../nn/module.ts";
import { formatShape } from "../ops/shape.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Key } from "../random/index.ts";
import { tensor } from "../tensor/creation.ts";
import { Tensor } from "../tensor/tensor.ts";

export type Setup = Readonly<Record<string, string>>;

export interface SetupOptions {
  readonly batchSize: number;
  readonly dropLast: boolean;
  readonly columns: readonly [input: string, target: string];
  readonly shuffle: boolean;
  readonly seed: Key;
  readonly optimizer: Optimizer;
  readonly loss: { readonly name: string };
}

export async function setupOf(model: Module, set: Dataset, { batchSize, dropLast, columns: [input, target], shuffle, seed, optimizer, loss }: SetupOptions): Promise<Setup> {
  return {
    optimizer: optimizer.name, ...(await hyperOf(optimizer)), loss: loss.name,
    batchSize: String(batchSize), dropLast: String(dropLast), input, target, shuffle: String(shuffle), seed: seed.words.join(" "),
    samples: String(set.length), ...columnsOf(set), ...settingsOf(model),
  };
}

/** What differs between the setup of a checkpoint and today's, in words; undefined: nothing. */
export function difference(written: Readonly<Record<string, unknown>>, now: Setup): string | undefined {
  const names = [...new Set([...Object.keys(now), ...Object.keys(written)])].filter((name) => written[name] !== now[name]);
  const shown = (value: unknown): string => (typeof value === "string" ? value : "not there");
  const parts = names.slice(0, 8).map((name) => `${name} ${shown(written[name])}, and now it is ${shown(now[name])}`);
  if (names.length > parts.length) parts.push(`${names.length - parts.length} more`);
  return parts.length === 0 ? undefined : parts.join("; ");
}

/** Steps at which schedules are compared. */
const COMPARED = [0, 10, 1000, 100_000];

async function hyperOf({ hyper }: Optimizer): Promise<Setup> {
  const entries: [string, string][] = [];
  for (const [name, value] of Object.entries(hyper)) {
    if (typeof value === "number") entries.push([name, String(value)]);
    else {
      const values: number[] = [];
      for (const step of COMPARED) values.push((await value(tensor(step, { dtype: "float64" })).data())[0]!);
      entries.push([name, `scheduled, ${values.map((each, index) => `${each} at step ${COMPARED[index]}`).join(", ")}`]);
    }
  }
  return Object.fromEntries(entries);
}

function columnsOf(set: Dataset): Setup {
  return Object.fromEntries(Object.entries<Column>(set.columns).map(([name, { data, shape }]) => [`column ${name}`, `${dtypeOf(data)} ${formatShape(shape)} of checksum ${checksum(data)}`]));
}

/** Numbers, flags and texts of the modules: rates, sizes, names of activations. */
function settingsOf(model: Module): Setup {
  const settings = Object.entries(model.modules()).flatMap(([path, module]) =>
    Object.entries(module).filter(([name, value]) => name !== "training" && isPlain(value)).map(([name, value]) => [[path, name].filter((part) => part !== "").join("."), String(value)] as const));
  return Object.fromEntries(settings);
}

function isPlain(value: unknown): boolean {
  return !(value instanceof Tensor) && ["number", "boolean", "string"].includes(typeof value);
}

/** FNV-1a (Fowler, Noll & Vo) over the 32-bit words of the data, then its last bytes. */
function checksum({ buffer, byteOffset, byteLength }: Column["data"]): string {
  const words = byteOffset % 4 === 0 ? new Int32Array(buffer, byteOffset, byteLength >> 2) : new Int32Array(buffer.slice(byteOffset, byteOffset + (byteLength & ~3)));
  const rest = new Uint8Array(buffer, byteOffset + (byteLength & ~3), byteLength & 3);
  let hash = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i]!, 0x01000193) ^ (hash >>> 15);
  for (const byte of rest) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
