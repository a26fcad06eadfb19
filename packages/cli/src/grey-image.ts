// A grey image, its limits, and how colours and transparency become grey: what the readers of all formats share.
import type { FormatError } from "nabla";

/** Grey pixels, 0 black to 255 white, row by row. */
export interface GreyImage {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Makes the error of one file. */
export type Fail = (what: string, fix: string) => FormatError;

/** What is read at most: bytes of a file, pixels of an image. */
export const MOST_BYTES: number = 32 * 2 ** 20;
export const MOST_PIXELS: number = 2 ** 24;

/** Fix for what cannot be read. */
export const AGAIN = "It may be truncated or damaged; save it again.";

export function requireSize(width: number, height: number, fail: Fail): void {
  if (!(width >= 1 && height >= 1 && width * height <= MOST_PIXELS)) throw fail(`is an image of ${width} × ${height} pixels`, `Pass one of at most ${MOST_PIXELS} pixels, e.g. 4096 × 4096.`);
}

/** Grey of RGBA pixels: luma (Rec. 601), over black where what is seen is mostly bright, over white where it is dark. */
export function greyOf(rgba: Uint8Array, width: number, height: number): GreyImage {
  const pixels = new Uint8Array(width * height);
  let ink = 0;
  let alphas = 0;
  for (let at = 0; at < pixels.length; at++) {
    const [alpha, luma] = [rgba[4 * at + 3]!, lumaAt(rgba, 4 * at)];
    alphas += alpha;
    ink += alpha * luma;
    pixels[at] = Math.round((alpha * luma) / 255);
  }
  const dark = alphas > 0 && ink / alphas < 128;
  if (dark && alphas < 255 * pixels.length) for (let at = 0; at < pixels.length; at++) pixels[at] = pixels[at]! + 255 - rgba[4 * at + 3]!;
  return { width, height, pixels };
}

function lumaAt(rgba: Uint8Array, at: number): number {
  return 0.299 * rgba[at]! + 0.587 * rgba[at + 1]! + 0.114 * rgba[at + 2]!;
}
