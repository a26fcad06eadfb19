// JPEG, by the library jpeg-js: baseline and progressive, grey, YCbCr and CMYK.
// The library checks the size that the frame claims before it allocates.
import { decode } from "jpeg-js";
import { AGAIN, type Fail, type GreyImage, greyOf, MOST_PIXELS, requireSize } from "./grey-image.ts";

/** Memory for coefficients and planes, in MiB. */
const MOST_MEMORY = 512;

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

export function readJpeg(bytes: Uint8Array, fail: Fail): GreyImage {
  let image: ReturnType<typeof decode>;
  try {
    image = decode(bytes, { useTArray: true, tolerantDecoding: false, maxResolutionInMP: MOST_PIXELS / 1e6, maxMemoryUsageInMB: MOST_MEMORY }) as ReturnType<typeof decode>;
  } catch (error) {
    throw fail(`is a JPEG image that cannot be read (${error instanceof Error ? error.message : String(error)})`, `${AGAIN} At most ${MOST_PIXELS} pixels are read.`);
  }
  requireSize(image.width, image.height, fail);
  return greyOf(image.data, image.width, image.height);
}
