// Reading grey images: PNG (8 bits a channel, not interlaced) and binary PGM, with every bound checked.
// Formats: W3C "Portable Network Graphics", third edition; netpbm's pgm(5).
import { crc32, inflateSync } from "node:zlib";
import { FormatError } from "nabla";

/** Grey pixels, 0 black to 255 white, row by row. */
export interface GreyImage {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Largest width and height that are read. */
const LARGEST = 16_384;
const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Throws {@link FormatError} on what is neither PNG nor PGM, is damaged, or is of a kind that is not read. */
export function readImage(bytes: Uint8Array, path: string): GreyImage {
  const fail = (what: string, fix: string): FormatError => new FormatError(`"${path}" ${what}.`, fix);
  if (PNG_SIGNATURE.every((value, index) => bytes[index] === value)) return readPng(bytes, fail);
  if (bytes[0] === 0x50 && bytes[1] === 0x35) return readPgm(bytes, fail);
  throw fail("is neither a PNG nor a binary PGM image", "Convert it to PNG, e.g. with an image editor.");
}

type Fail = (what: string, fix: string) => FormatError;
const AGAIN = "It may be truncated or damaged; save it again.";

function readPgm(bytes: Uint8Array, fail: Fail): GreyImage {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 512));
  const header = /^P5(?:\s+|#[^\n]*\n)+(\d+)(?:\s+|#[^\n]*\n)+(\d+)(?:\s+|#[^\n]*\n)+(\d+)\s/.exec(text);
  if (header === null) throw fail("is a PGM image whose header cannot be read", AGAIN);
  const [width, height, most] = [Number(header[1]), Number(header[2]), Number(header[3])];
  requireSize(width, height, fail);
  if (most < 1 || most > 255) throw fail(`is a PGM image with values up to ${most}`, "Save it with 8 bits a pixel.");
  const pixels = bytes.subarray(header[0].length, header[0].length + width * height);
  if (pixels.length < width * height) throw fail(`is a PGM image that ends after ${pixels.length} of ${width * height} pixels`, AGAIN);
  return { width, height, pixels: pixels.map((value) => Math.min(255, Math.round((255 * value) / most))) };
}

/** Channels by colour type. */
const channelsOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

function readPng(bytes: Uint8Array, fail: Fail): GreyImage {
  const { header, palette, data } = readChunks(bytes, fail);
  if (header?.length !== 13) throw fail("is a PNG image without a header", AGAIN);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, , , interlaced] = header.subarray(8) as unknown as [number, number, number, number, number];
  const channels = channelsOf[colour];
  requireSize(width, height, fail);
  if (depth !== 8 || channels === undefined || interlaced !== 0) throw fail(`is a PNG image of ${depth} bits a channel${interlaced === 0 ? "" : ", interlaced"}`, "Save it with 8 bits a channel, not interlaced.");
  if (colour === 3 && palette === undefined) throw fail("is a PNG image without its palette", AGAIN);
  const stride = width * channels;
  let lines: Uint8Array;
  try {
    lines = inflateSync(data, { maxOutputLength: height * (stride + 1) });
  } catch {
    throw fail("is a PNG image whose data cannot be unpacked", AGAIN);
  }
  if (lines.length !== height * (stride + 1)) throw fail("is a PNG image that ends too early", AGAIN);
  const raw = unfilter(lines, height, stride, channels, fail);
  const pixels = new Uint8Array(width * height);
  for (let at = 0; at < pixels.length; at++) pixels[at] = greyOf(raw, at * channels, colour, palette);
  return { width, height, pixels };
}

function readChunks(bytes: Uint8Array, fail: Fail): { header: Uint8Array | undefined; palette: Uint8Array | undefined; data: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let header: Uint8Array | undefined;
  let palette: Uint8Array | undefined;
  for (let at = PNG_SIGNATURE.length; ; ) {
    if (at + 12 > bytes.length) throw fail("is a PNG image that is cut off", AGAIN);
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > bytes.length) throw fail("is a PNG image that is cut off", AGAIN);
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) throw fail("is a damaged PNG image", AGAIN);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, end);
    if (kind === "IHDR") header = content;
    else if (kind === "PLTE") palette = content;
    else if (kind === "IDAT") parts.push(content);
    else if (kind === "IEND") return { header, palette, data: Buffer.concat(parts) };
    at = end + 4;
  }
}

/** Undoes each line's filter: PNG, chapter 9. */
function unfilter(lines: Uint8Array, height: number, stride: number, channels: number, fail: Fail): Uint8Array {
  const raw = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (stride + 1)]!;
    if (filter > 4) throw fail("is a PNG image with an unknown filter", AGAIN);
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const left = x >= channels ? raw[at - channels]! : 0;
      const above = y > 0 ? raw[at - stride]! : 0;
      const corner = x >= channels && y > 0 ? raw[at - stride - channels]! : 0;
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter]!;
      raw[at] = lines[y * (stride + 1) + 1 + x]! + predicted;
    }
  }
  return raw;
}

function paeth(left: number, above: number, corner: number): number {
  const estimate = left + above - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

/** Luma (Rec. 601) over black. */
function greyOf(raw: Uint8Array, at: number, colour: number, palette: Uint8Array | undefined): number {
  const luma = (from: Uint8Array, index: number): number => 0.299 * (from[index] ?? 0) + 0.587 * (from[index + 1] ?? 0) + 0.114 * (from[index + 2] ?? 0);
  if (colour === 0) return raw[at]!;
  if (colour === 4) return (raw[at]! * raw[at + 1]!) / 255;
  if (colour === 3) return luma(palette!, 3 * raw[at]!);
  return colour === 2 ? luma(raw, at) : (luma(raw, at) * raw[at + 3]!) / 255;
}

function requireSize(width: number, height: number, fail: Fail): void {
  if (!(width >= 1 && height >= 1 && width <= LARGEST && height <= LARGEST)) throw fail(`is an image of ${width} × ${height} pixels`, `Pass one of at most ${LARGEST} × ${LARGEST}.`);
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
