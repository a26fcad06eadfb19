import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { Activation, batchNorm, Dense, dense, dropout, flatten, localResponseNorm, relu, sequential, softmax } from "../nn/index.ts";
import { type Layer, Module } from "../nn/module.ts";
import { DTypeError, FormatError, NablaError, ShapeError, ValueError } from "../errors/errors.ts";
import { key, normal } from "../random/index.ts";
import { standardScaler } from "../data/index.ts";
import { ones, tensor } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { decode, encode, FileError, load, loadModel, metadata, save } from "./index.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nabla-io-"));
});
afterEach(() => rm(folder, { recursive: true }));

const network = (hidden = 4): ReturnType<typeof sequential> => sequential(dense(3, hidden), relu(), dropout(0.5), dense(hidden, 2));

function state(model: Module): Record<string, unknown> {
  return Object.fromEntries(Object.entries(model.variables()).map(([path, variable]) => [path, variable.toArray()]));
}

onEveryDevice("io", () => {
  test("tensors by name, of every dtype, come back as they were", async () => {
    const tensors = { a: tensor([[1.5, -2]]), b: tensor([true, false]), c: tensor([1, 2], { dtype: "int32" }), d: tensor(Uint8Array.of(255)), e: tensor([Math.PI], { dtype: "float64" }) };
    const read = decode(await encode(tensors));
    expect(Object.keys(read).toSorted()).toEqual(["a", "b", "c", "d", "e"]);
    for (const [name, value] of Object.entries(tensors)) {
      expect([read[name]!.dtype, read[name]!.shape, read[name]!.toArray()]).toEqual([value.dtype, value.shape, value.toArray()]);
    }
  });

  test("a model comes back with all its variables, and computes the same", async () => {
    const path = join(folder, "m.safetensors");
    const model = network();
    await save(path, model, { note: "x" });
    const other = await load(path, network());
    expect(state(other)).toEqual(state(model));
    expect(await metadata(path)).toEqual({ note: "x", "nabla.network": expect.stringContaining('"sequential"') });
    const x = ones([2, 3]);
    expect(other.eval().forward(x).toArray()).toEqual(model.eval().forward(x).toArray());
    expect(Object.keys(await load(path))).toEqual(expect.arrayContaining(Object.keys(model.variables())));
  });

  test("what does not fit changes nothing, and every difference is named", async () => {
    const path = join(folder, "m.safetensors");
    const model = network();
    const before = state(model);
    await save(path, network(5));
    await expect(load(path, model)).rejects.toThrow(ShapeError);
    await expect(load(path, model)).rejects.toThrow(/layers\.0\.weight has shape \[3, 5\], and \[3, 4\] in the model/);

    const { "layers.3.bias": last, ...rest } = model.variables();
    await save(path, { ...rest, extra: ones([1]), constructor: ones([1]) });
    await expect(load(path, model)).rejects.toThrow(ValueError);
    await expect(load(path, model)).rejects.toThrow(/it lacks layers\.3\.bias; the model has no extra, constructor/);

    // The wrong one is the last: those before must not have been taken.
    const doubled = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, value.mul(2)]));
    await save(path, { ...doubled, "layers.3.bias": last!.cast("float64") });
    await expect(load(path, model)).rejects.toThrow(DTypeError);
    expect(state(model)).toEqual(before);
  });

  test("a corrupt file changes nothing and is named", async () => {
    const path = join(folder, "m.safetensors");
    const model = network();
    const before = state(model);
    const bytes = await encode(model);
    await writeFile(path, bytes.subarray(0, bytes.length - 1));
    await expect(load(path, model)).rejects.toThrow(FormatError);
    await expect(load(path, model)).rejects.toThrow(`"${path}" is not a valid safetensors file`);
    expect(state(model)).toEqual(before);
  });

  test("a file that is not there is named with the fix", async () => {
    await expect(load(join(folder, "none"))).rejects.toThrow(FileError);
    await expect(load(join(folder, "none"))).rejects.toThrow(/Cannot read ".*none" \(ENOENT\)\. Check the path/);
    await expect(load(folder)).rejects.toThrow(/Pass a file, not a folder/);
  });

  test("what is no tensor is named, and nothing is written", async () => {
    const path = join(folder, "m.safetensors");
    await expect(save(path, { a: ones([1]), b: 3 } as never)).rejects.toThrow('"b" is 3, not a tensor. Pass a module, or a record of tensors by name.');
    await expect(save(path, 3 as never)).rejects.toThrow("3 cannot be saved.");
    await expect(save(path, {}, { epoch: 3 } as never)).rejects.toThrow('The metadata "epoch" is 3. Pass strings');
    expect(await readdir(folder)).toEqual([]);
  });

  test("what cannot be encoded leaves the old file", async () => {
    const path = join(folder, "m.safetensors");
    await save(path, { x: ones([2]) });
    const before = await readFile(path);
    const gone = ones([1]);
    gone.dispose();
    await expect(save(path, { x: gone })).rejects.toThrow("This tensor was disposed.");
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).toEqual(["m.safetensors"]);
  });
});

/** A server that answers with `listener`, while `body` runs. */
async function served(listener: RequestListener, body: (url: URL) => Promise<void>): Promise<void> {
  const server: Server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    await body(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/m.safetensors`));
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

onEveryDevice("sources", () => {
  test("bytes, a blob, a file's URL and a fetched one give what the path gives", async () => {
    const path = join(folder, "m.safetensors");
    const model = network();
    await save(path, model);
    const bytes = await readFile(path);
    await served((_, response) => response.end(bytes), async (url) => {
      for (const from of [path, new Uint8Array(bytes), Uint8Array.from(bytes).buffer, new Blob([bytes]), pathToFileURL(path), url, url.href]) {
        expect(state(await load(from, network()))).toEqual(state(model));
        expect(Object.keys(await metadata(from))).toEqual(["nabla.network"]);
      }
    });
    for (const from of [3, null, { path }]) await expect(load(from as never)).rejects.toThrow(/cannot be loaded\. Pass the path of a file, a URL, a Blob/);
  });

  test("what is not fetched whole is refused", async () => {
    const bytes = Buffer.from(await encode({ x: ones([500]) }));
    await served((request, response) => {
      response.writeHead(request.url!.includes("none") ? 404 : 200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 700));
      setTimeout(() => response.destroy(), 20);
    }, async (url) => {
      await expect(load(url)).rejects.toThrow(FileError);
      await expect(load(url)).rejects.toThrow(/Cannot fetch "http.*m\.safetensors" \(.*\)\. Check the URL and the connection/);
      await expect(load(new URL("/none", url))).rejects.toThrow(/\(status 404\)/);
    });
    await served((_, response) => response.end("<!DOCTYPE html><p>Sign in"), async (url) => {
      await expect(load(url)).rejects.toThrow(/is not a valid safetensors file: it begins like a web page/);
    });
    await expect(load(new URL("http://127.0.0.1:1/"))).rejects.toThrow(FileError);
  });
});

onEveryDevice("loadModel", () => {
  const x = (): Tensor => normal(key(3), [4, 6]);

  test("makes the network again, from its file alone", async () => {
    const path = join(folder, "m.safetensors");
    const column = { data: Float32Array.from({ length: 12 }, (_, i) => i * i), shape: [6] };
    const model = sequential(flatten(), standardScaler(column), sequential(dense(6, 5, { bias: false }), batchNorm(5, { momentum: 0.3 })), relu(), localResponseNorm({ size: 3, alpha: 0.5 }), dropout(0.25), dense(5, 3), softmax());
    model.forward(x()).dataSync();
    await save(path, model);
    const read = await loadModel(path);
    expect(state(read)).toEqual(state(model));
    expect(read.training).toBe(false);
    expect(read.forward(x()).toArray()).toEqual(model.eval().forward(x()).toArray());
    // Trained on, it draws the same masks.
    expect(read.train().forward(x()).toArray()).toEqual(model.train().forward(x()).toArray());
  });

  test("a model with parts of its own, or with one part twice, has no description", async () => {
    class Own extends Dense {
      override forward(input: Tensor): Tensor {
        return super.forward(input).mul(2);
      }
    }
    class Pair extends Module {
      left = dense(6, 6);
      forward(input: Tensor): Tensor {
        return this.left.forward(input);
      }
    }
    const shared = dense(6, 6);
    const tied = sequential(dense(6, 6), dense(6, 6));
    Object.assign(tied.layers[1]!, { weight: tied.layers[0]!.variables()["weight"] });
    const models: Layer[] = [sequential(new Own(6, 6)), new Pair(), sequential(shared, relu(), shared), tied, sequential(new Activation("relu", (input) => input.neg()))];
    for (const model of models) {
      expect(Object.keys(await metadata(await encode(model, { "nabla.network": "of another model" })))).toEqual([]);
      await expect(loadModel(await encode(model))).rejects.toThrow("the file does not say what network it holds. Build the model yourself and pass it to io.load(file, model)");
    }
  });

  test("descriptions from outside are checked: every fault is a FormatError, a long one too", async () => {
    const model = sequential(dense(2, 3), dropout(0.5));
    const tensors = model.variables();
    const { "nabla.network": text } = await metadata(await encode(model));
    const [first, second] = (JSON.parse(text!) as { layers: Record<string, unknown>[] }).layers;
    const nested = (depth: number): string => '{"layer":"sequential","layers":['.repeat(depth) + "]}".repeat(depth);
    const dense3 = (changes: object): string => JSON.stringify({ layer: "sequential", layers: [{ ...first, ...changes }, second] });
    const failure = async (description: string): Promise<string> => {
      // As a record of tensors, it is saved with the metadata as they are, but for the name that is nabla's.
      const bytes = await encode(tensors, { "nabla.netwerk": description });
      const at = Buffer.from(bytes).indexOf("nabla.netwerk");
      bytes.set(Buffer.from("nabla.network"), at);
      const error: unknown = await loadModel(bytes).then(() => undefined, (reason: unknown) => reason);
      expect(error).toBeInstanceOf(NablaError);
      expect((error as NablaError).message.length).toBeLessThan(500);
      return `${(error as NablaError).name}: ${(error as NablaError).message}`;
    };
    expect(await failure("{")).toContain("FormatError: the file does not describe a network: a layer is undefined.");
    expect(await failure("[]")).toContain("a layer is an array");
    expect(await failure('{"layer":"constructor"}')).toContain('a layer is called "constructor", which this version does not have');
    expect(await failure('{"layer":"sequential","layers":{}}')).toContain('sequential of the file: the option "layers" is an object with nothing in it.');
    expect(await failure(dense3({ inputs: -1 }))).toContain("dense: inputs is -1. Pass a positive integer.");
    expect(await failure(dense3({ inputs: "2" }))).toContain('dense of the file: the option "inputs" is "2".');
    expect(await failure(dense3({ dtype: "float16" }))).toContain('the option "dtype" is "float16"');
    expect(await failure(dense3({ dilation: 2 }))).toContain('the option "dilation" is unknown');
    expect(await failure(dense3({ inputs: 2 ** 40 }))).toContain("ShapeError");
    expect(await failure(nested(40))).toContain("more than 32 sequences inside each other");
    expect(await failure(nested(100_000))).toContain("more than 32 sequences inside each other");
    expect(await failure(JSON.stringify({ layer: "sequential", layers: Array.from({ length: 200_001 }, () => ({ layer: "relu" })) }))).toContain("more than 10000 layers");
    expect(await failure(JSON.stringify({ layer: "sequential", layers: [first] }))).toContain("the network that it describes has no layers.1.key");
  });
});
