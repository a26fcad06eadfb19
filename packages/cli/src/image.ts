// Grey images from files: PNG and JPEG by their libraries, binary PGM; then what makes of them digits as MNIST's.
// What a file claims is checked before it is decoded: a small file can unpack to gigabytes.
import { open } from "node:fs/promises";
import { FormatError, io } from "nabla";
import { type Fail, type GreyImage, MOST_BYTES } from "./grey-image.ts";
import { isJpeg, readJpeg } from "./jpeg.ts";
import { isPgm, readPgm } from "./pgm.ts";
import { isPng, readPng } from "./png.ts";

/** Throws {@link io.FileError} where the file cannot be read or is too large, otherwise as {@link readImage}. */
export async function readImageFile(path: string): Promise<GreyImage> {
  let bytes: Buffer;
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    if (size > MOST_BYTES) throw new io.FileError(`The image "${path}" has ${size} bytes.`, `Pass one of at most ${MOST_BYTES / 2 ** 20} MiB.`);
    bytes = await file.readFile();
  } catch (error) {
    if (error instanceof io.FileError) throw error;
    throw new io.FileError(`Cannot read the image "${path}".`, "Check the path, and that it is a file that you may read.");
  }
  return readImage(bytes, path);
}

/** Throws {@link FormatError} on what is no image of a known kind, is damaged, or has too many pixels. */
export function readImage(bytes: Uint8Array, path: string): GreyImage {
  const fail: Fail = (what, fix) => new FormatError(`"${path}" ${what}.`, fix);
  if (isPng(bytes)) return readPng(bytes, fail);
  if (isJpeg(bytes)) return readJpeg(bytes, fail);
  if (isPgm(bytes)) return readPgm(bytes, fail);
  throw fail("is neither a PNG, a JPEG nor a binary PGM image", "Convert it to PNG, e.g. with an image editor.");
}

/** Each new pixel is the mean of the area it covers. */
export function resize({ width, height, pixels }: GreyImage, toWidth: number, toHeight: number): GreyImage {
  const resized = new Uint8Array(toWidth * toHeight);
  for (let y = 0; y < toHeight; y++) {
    for (let x = 0; x < toWidth; x++) {
      resized[y * toWidth + x] = Math.round(meanOf(pixels, width, [(x * width) / toWidth, ((x + 1) * width) / toWidth], [(y * height) / toHeight, ((y + 1) * height) / toHeight]));
    }
  }
  return { width: toWidth, height: toHeight, pixels: resized };
}

function meanOf(pixels: Uint8Array, width: number, [left, right]: readonly [number, number], [top, bottom]: readonly [number, number]): number {
  let sum = 0;
  for (let y = Math.floor(top); y < bottom; y++) {
    const rows = Math.min(y + 1, bottom) - Math.max(y, top);
    for (let x = Math.floor(left); x < right; x++) sum += rows * (Math.min(x + 1, right) - Math.max(x, left)) * (pixels[y * width + x] ?? 0);
  }
  return sum / ((right - left) * (bottom - top));
}

/** Bright on dark, as the digits of MNIST are: an image with a bright border is turned over. */
export function brightOnDark(image: GreyImage): GreyImage {
  const { width, height, pixels } = image;
  let sum = 0;
  let count = 0;
  pixels.forEach((value, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    if (x > 0 && y > 0 && x < width - 1 && y < height - 1) return;
    sum += value;
    count++;
  });
  return sum / count > 127 ? { ...image, pixels: pixels.map((value) => 255 - value) } : image;
}
