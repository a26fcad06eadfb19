// Architecture: what a network is made of, as plain data beside its weights in a file. Nothing in it is ever evaluated.
// One entry a kind of layer. A network with any other layer has no description: its file holds weights only.
import { describe, FormatError, NablaError } from "../errors/errors.ts";
import type { DType } from "../ops/dtype.ts";
import type { Shape } from "../ops/shape.ts";
import { key } from "../random/key.ts";
import { zeros } from "../tensor/creation.ts";
import { Activation, activation, activationNames, isNamed } from "./activations.ts";
import { BatchNorm } from "./batch-norm.ts";
import { Dense } from "./dense.ts";
import { Dropout } from "./dropout.ts";
import { LocalResponseNorm } from "./local-response-norm.ts";
import type { Layer } from "./module.ts";
import { Scaler } from "./scaler.ts";
import { Sequential } from "./sequential.ts";

/** A layer as JSON: its kind, and its options by name. */
export interface LayerDescription {
  readonly layer: string;
  readonly [option: string]: unknown;
}

/** What is read is bounded, since files may come from anywhere: layers in all, and sequences inside each other. */
const MAX_LAYERS = 10_000;
const MAX_DEPTH = 32;

type Below<From, To> = (each: From) => To;
type Written = Readonly<Record<string, unknown>> | undefined;

interface Kind {
  /** The options of a layer of this kind; undefined for any other. */
  write(layer: Layer, below: Below<Layer, LayerDescription | undefined>): Written;
  /** The layer with zeros for weights. */
  read(options: Options, below: Below<unknown, Layer>): Layer;
}

/** A subclass is another kind: it may compute something else. */
function kind<L extends Layer>(type: abstract new (...args: never[]) => L, { write, read }: { readonly write: (layer: L, below: Below<Layer, LayerDescription | undefined>) => Written; readonly read: Kind["read"] }): Kind {
  return { read, write: (layer, below) => (layer.constructor === type ? write(layer as L, below) : undefined) };
}

const kinds: Readonly<Record<string, Kind>> = {
  sequential: kind(Sequential, {
    write({ layers }, below) {
      const described = layers.map((layer) => below(layer));
      return described.includes(undefined) ? undefined : { layers: described };
    },
    read: (options, below) => new Sequential(options.list("layers").map((each) => below(each))),
  }),
  dense: kind(Dense, {
    write: ({ weight: { shape: [inputs, outputs], dtype }, bias }) => ({ inputs, outputs, bias: bias !== undefined, dtype }),
    read(options) {
      const dtype = options.dtype("dtype");
      return new Dense(options.number("inputs"), options.number("outputs"), { bias: options.flag("bias"), key: key(0), init: (_, shape) => zeros(shape, dtype) });
    },
  }),
  batchNorm: kind(BatchNorm, {
    write: ({ weight, epsilon, momentum }) => ({ features: weight.shape[0], epsilon, momentum }),
    read: (options) => new BatchNorm(options.number("features"), { epsilon: options.number("epsilon"), momentum: options.number("momentum") }),
  }),
  dropout: kind(Dropout, {
    write: ({ rate }) => ({ rate }),
    read: (options) => new Dropout(options.number("rate"), { key: key(0) }),
  }),
  localResponseNorm: kind(LocalResponseNorm, {
    write: ({ size, alpha, beta, k }) => ({ size, alpha, beta, k }),
    read: (options) => new LocalResponseNorm({ size: options.number("size"), alpha: options.number("alpha"), beta: options.number("beta"), k: options.number("k") }),
  }),
  scaler: kind(Scaler, {
    write: ({ offset: { shape, dtype } }) => ({ shape, dtype }),
    read(options) {
      const [shape, dtype] = [options.shape("shape"), options.dtype("dtype")];
      return new Scaler(zeros(shape, dtype), zeros(shape, dtype));
    },
  }),
  ...Object.fromEntries(activationNames.map((name) => [name, kind(Activation, {
    write: (layer) => (layer.name === name && isNamed(layer) ? {} : undefined),
    read: () => activation(name),
  })])),
};

/** The description of a network; undefined where it has layers of other kinds, or parts that occur twice. */
export function describeLayer(network: Layer): LayerDescription | undefined {
  const seen = new Set<Layer>();
  const describeAt = (layer: Layer, depth: number): LayerDescription | undefined => {
    // A layer that occurs twice would become two.
    if (seen.has(layer) || seen.size >= MAX_LAYERS || depth > MAX_DEPTH) return undefined;
    seen.add(layer);
    for (const [name, each] of Object.entries(kinds)) {
      const options = each.write(layer, (below) => describeAt(below, depth + 1));
      if (options !== undefined) return { layer: name, ...options };
    }
    return undefined;
  };
  const description = describeAt(network, 0);
  const variables = [...seen].flatMap((layer) => (layer instanceof Sequential ? [] : Object.values(layer.variables())));
  return new Set(variables).size === variables.length ? description : undefined;
}

/** The network of a description, with zeros for weights; throws {@link FormatError} on what is none. `file` is for messages. */
export function buildLayer(description: unknown, file: string): Layer {
  let count = 0;
  const build = (value: unknown, depth: number): Layer => {
    if (++count > MAX_LAYERS || depth > MAX_DEPTH) throw unreadable(file, `it has more than ${MAX_LAYERS} layers, or more than ${MAX_DEPTH} sequences inside each other`);
    if (!isRecord(value) || typeof value["layer"] !== "string") throw unreadable(file, `a layer is ${describe(value)}`);
    const { layer: name, ...options } = value;
    if (!Object.hasOwn(kinds, name as string)) throw unreadable(file, `a layer is called ${describe(name)}, which this version does not have`);
    const reader = new Options(options, `${name as string} of ${file}`);
    try {
      const layer = kinds[name as string]!.read(reader, (below) => build(below, depth + 1));
      reader.end();
      return layer;
    } catch (error) {
      if (error instanceof FormatError || !(error instanceof NablaError)) throw error;
      throw unreadable(file, error.message.replace(/\.$/, ""));
    }
  };
  return build(description, 0);
}

function unreadable(file: string, what: string): FormatError {
  return new FormatError(`${file} does not describe a network: ${what}.`, "Build the model yourself and pass it to io.load(file, model).");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Options of one layer: each is checked as it is read, and none may be left over. */
class Options {
  readonly #values: Map<string, unknown>;
  readonly #where: string;

  constructor(values: Readonly<Record<string, unknown>>, where: string) {
    this.#values = new Map(Object.entries(values));
    this.#where = where;
  }

  number(name: string): number {
    return this.#take(name, (value) => typeof value === "number") as number;
  }

  flag(name: string): boolean {
    return this.#take(name, (value) => typeof value === "boolean") as boolean;
  }

  list(name: string): readonly unknown[] {
    return this.#take(name, Array.isArray) as readonly unknown[];
  }

  shape(name: string): Shape {
    return this.#take(name, (value) => Array.isArray(value) && value.every((extent) => Number.isSafeInteger(extent) && (extent as number) > 0)) as Shape;
  }

  dtype(name: string): DType {
    return this.#take(name, (value) => value === "float32" || value === "float64") as DType;
  }

  /** A newer version's options would be lost silently. */
  end(): void {
    for (const name of this.#values.keys()) throw new FormatError(`${this.#where}: the option ${describe(name)} is unknown.`, "Read it with the version of nabla that wrote it, or a newer one.");
  }

  #take(name: string, accepts: (value: unknown) => boolean): unknown {
    const value = this.#values.get(name);
    if (!accepts(value)) throw new FormatError(`${this.#where}: the option "${name}" is ${describe(value)}.`, "The file is damaged or made by another program; save the model again.");
    this.#values.delete(name);
    return value;
  }
}
