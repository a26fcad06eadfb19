import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { dense, dropout, relu, sequential } from "../nn/index.ts";
import type { Module } from "../nn/module.ts";
import { DTypeError, FormatError, ShapeError, ValueError } from "../errors/errors.ts";
import { ones, tensor } from "../tensor/creation.ts";
import { decode, encode, FileError, load, metadata, save } from "./index.ts";

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
    expect(await metadata(path)).toEqual({ note: "x" });
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
