// PNG, by the library pngjs: every depth and colour type, palettes, transparency, interlaced or not.
// The header is read here first, since the library unpacks whatever a file claims. Format: W3C "Portable Network Graphics", third edition.
import { inflateSync } from "node:zlib";
import { PNG } from "pngjs";
import { AGAIN, type Fail, type GreyImage, greyOf, requireSize } from "./grey-image.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Where the fields of the header chunk are, which is the first. */
const [WIDTH, HEIGHT, DEPTH, COLOUR, INTERLACED, END] = [16, 20, 24, 25, 28, 33];

/** The kind of chunk that holds the packed image. */
const IDAT = 0x49444154;

/** Channels by colour type. */
const channelsOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((value, index) => bytes[index] === value);
}

export function readPng(bytes: Uint8Array, fail: Fail): GreyImage {
  if (bytes.length < END) throw fail("is a PNG image that is cut off", AGAIN);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(WIDTH), view.getUint32(HEIGHT)];
  requireSize(width, height, fail);
  try {
    requireUnpacked(bytes, view, unpackedBytes(width, height, bytes[DEPTH]! * (channelsOf[bytes[COLOUR]!] ?? 4), bytes[INTERLACED] !== 0));
    const { data } = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return greyOf(data, width, height);
  } catch (error) {
    throw fail(`is a PNG image that cannot be read (${error instanceof Error ? error.message : String(error)})`, AGAIN);
  }
}

/** The whole image, and the passes of Adam7: where each begins, and its steps. */
const whole = [[0, 0, 1, 1]] as const;
const passes = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]] as const;

/** Bytes of an image before it is packed: each line of each pass has a filter byte. */
function unpackedBytes(width: number, height: number, bitsPerPixel: number, interlaced: boolean): number {
  return (interlaced ? passes : whole).reduce((sum, [x, y, stepX, stepY]) => {
    const [columns, lines] = [Math.ceil((width - x) / stepX), Math.ceil((height - y) / stepY)];
    return columns > 0 && lines > 0 ? sum + lines * (1 + Math.ceil((columns * bitsPerPixel) / 8)) : sum;
  }, 0);
}

/** Throws where the packed data are not of so many bytes: the library takes fewer for black, and unpacks more whatever it takes. */
function requireUnpacked(bytes: Uint8Array, view: DataView, expected: number): void {
  const parts: Uint8Array[] = [];
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (view.getUint32(at + 4) === IDAT) parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  if (inflateSync(Buffer.concat(parts), { maxOutputLength: expected }).length < expected) throw new Error("it ends too early");
}
