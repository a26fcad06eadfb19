// Binary PGM of 8 bits: netpbm's pgm(5).
// Its header is read a character at a time, so that no header takes long.
import { AGAIN, type Fail, type GreyImage, requireSize } from "./grey-image.ts";

/** Longest header, comments included. */
const MOST_HEADER = 4096;
const SPACES = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20]);
const [HASH, NEWLINE, ZERO, NINE] = [0x23, 0x0a, 0x30, 0x39];

export function isPgm(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x35;
}

export function readPgm(bytes: Uint8Array, fail: Fail): GreyImage {
  const header = readHeader(bytes);
  if (header === undefined) throw fail("is a PGM image whose header cannot be read", AGAIN);
  const { numbers: [width, height, most], end } = header;
  requireSize(width, height, fail);
  if (most < 1 || most > 255) throw fail(`is a PGM image with values up to ${most}`, "Save it with 8 bits a pixel.");
  const pixels = bytes.subarray(end, end + width * height);
  if (pixels.length < width * height) throw fail(`is a PGM image that ends after ${pixels.length} of ${width * height} pixels`, AGAIN);
  return { width, height, pixels: pixels.map((value) => Math.min(255, Math.round((255 * value) / most))) };
}

/** Width, height and the largest value, each after white space and comments; one white space ends the header. */
function readHeader(bytes: Uint8Array): { readonly numbers: readonly [number, number, number]; readonly end: number } | undefined {
  const numbers: number[] = [];
  let at = 2;
  while (numbers.length < 3) {
    const begin = at;
    while (SPACES.has(bytes[at]!) || bytes[at] === HASH) {
      if (bytes[at] === HASH) while (at < MOST_HEADER && bytes[at] !== NEWLINE && at < bytes.length) at++;
      at++;
    }
    let digits = "";
    for (; digits.length < 10 && bytes[at]! >= ZERO && bytes[at]! <= NINE; at++) digits += String.fromCharCode(bytes[at]!);
    if (at === begin || digits === "" || at > MOST_HEADER) return undefined;
    numbers.push(Number(digits));
  }
  return SPACES.has(bytes[at]!) ? { numbers: numbers as [number, number, number], end: at + 1 } : undefined;
}
