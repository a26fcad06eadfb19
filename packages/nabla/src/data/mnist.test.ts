import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { FileError } from "../io/files.ts";
import { FormatError } from "../errors/errors.ts";
import { mnist, parseIdx } from "./mnist.ts";

/** An idx file of bytes. */
function idx(shape: readonly number[], data: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x800 + shape.length);
  shape.forEach((extent, axis) => view.setUint32(4 + 4 * axis, extent));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

describe("parseIdx", () => {
  test("reads shape and data, wherever the bytes lie", () => {
    const file = idx([2, 3], [1, 2, 3, 4, 5, 6]);
    const shifted = new Uint8Array(file.length + 3);
    shifted.set(file, 3);
    const { shape, data } = parseIdx(shifted.subarray(3), "f");
    expect(shape).toEqual([2, 3]);
    expect([...data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("cut off at any byte it is refused by name", () => {
    const file = idx([2, 3], [1, 2, 3, 4, 5, 6]);
    for (let length = 0; length < file.length; length++) expect(() => parseIdx(file.subarray(0, length), "digits"), `${length}`).toThrow(FormatError);
    expect(() => parseIdx(file.subarray(0, 15), "digits")).toThrow('"digits" is not a valid idx file: it holds 3 bytes for 2 × 3 = 6.');
  });

  test("trailing bytes, foreign types, gzip and absurd sizes are refused", () => {
    expect(() => parseIdx(Uint8Array.of(...idx([1], [1]), 0), "f")).toThrow(/holds 2 bytes for 1 = 1/);
    expect(() => parseIdx(Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 0), "f")).toThrow(/magic number is 0x00000d01/);
    expect(() => parseIdx(Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0), "f")).toThrow(/magic number is 0x1f8b0800/);
    expect(() => parseIdx(idx([0xffffffff, 0xffffffff, 0xffffffff], []), "f")).toThrow(FormatError);
    expect(() => parseIdx(Uint8Array.of(0, 0, 8, 0), "f")).toThrow(FormatError);
  });
});

describe("mnist", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "nabla-mnist-"));
    await write("train", [3, 1, 2], [0, 255, 1, 2, 3, 4], [7, 0, 9]);
    await write("t10k", [1, 1, 2], [5, 6], [2]);
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function write(part: string, shape: number[], pixels: number[], labels: number[]): Promise<void> {
    await writeFile(join(folder, `${part}-images-idx3-ubyte`), idx(shape, pixels));
    await writeFile(join(folder, `${part}-labels-idx1-ubyte`), idx([labels.length], labels));
  }

  onEveryDevice("a folder", () => {
    test("gives images in [0, 1] and int32 labels", async () => {
      const { trainSet, testSet } = await mnist({ folder });
      expect([trainSet.length, testSet.length]).toEqual([3, 1]);
      const { images, labels } = trainSet.batch([0, 2]);
      expect(images.toArray()).toEqual([[[0, 1]], [[Math.fround(3 / 255), Math.fround(4 / 255)]]]);
      expect([labels.dtype, labels.toArray()]).toEqual(["int32", [7, 9]]);
    });
  });

  test("the package has 60,000 and 10,000", async () => {
    const { trainSet, testSet } = await mnist();
    expect([trainSet.length, testSet.length]).toEqual([60_000, 10_000]);
    expect([...trainSet.columns.labels.data.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
  });

  test("a missing file, a cut one and files that do not belong together are named", async () => {
    await rm(join(folder, "t10k-labels-idx1-ubyte"));
    await expect(mnist({ folder })).rejects.toThrow(FileError);
    await expect(mnist({ folder })).rejects.toThrow(/t10k-labels-idx1-ubyte/);
    await write("t10k", [1, 1, 2], [5, 6], [2, 3]);
    await expect(mnist({ folder })).rejects.toThrow(/The t10k files in .* hold 1 × 1 × 2 and 2 bytes/);
    await writeFile(join(folder, "train-images-idx3-ubyte"), idx([3, 1, 2], [0, 1]));
    await expect(mnist({ folder })).rejects.toThrow(FormatError);
  });
});
