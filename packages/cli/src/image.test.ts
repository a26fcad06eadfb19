import { crc32, deflateSync } from "node:zlib";
import { FormatError } from "nabla";
import { describe, expect, test } from "vitest";
import { brightOnDark, readImage, resize } from "./image.ts";

function chunk(kind: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** A PNG file of `lines`, each with its filter byte. */
function png(width: number, height: number, colour: number, lines: readonly number[], { depth = 8, interlaced = 0, palette = [] as readonly number[], chunks = 1 } = {}): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced], 8);
  const data = deflateSync(Uint8Array.from(lines));
  const parts = Array.from({ length: chunks }, (_, part) => chunk("IDAT", data.subarray(Math.floor((part * data.length) / chunks), Math.floor(((part + 1) * data.length) / chunks))));
  return Buffer.concat([Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), chunk("IHDR", header), ...(palette.length > 0 ? [chunk("PLTE", Uint8Array.from(palette))] : []), ...parts, chunk("IEND", Buffer.alloc(0))]);
}

const pixels = (bytes: Uint8Array): number[] => [...readImage(bytes, "x.png").pixels];

describe("PNG", () => {
  test("every filter gives the pixels back", () => {
    const image = [[10, 200, 30], [40, 50, 255], [7, 80, 9], [100, 110, 1], [130, 14, 150]];
    const paeth = (a: number, b: number, c: number): number => [a, b, c].sort((p, q) => Math.abs(a + b - c - p) - Math.abs(a + b - c - q) || [a, b, c].indexOf(p) - [a, b, c].indexOf(q))[0]!;
    const lines = image.flatMap((row, y) => [y, ...row.map((value, x) => {
      const [left, above, corner] = [row[x - 1] ?? 0, image[y - 1]?.[x] ?? 0, x > 0 ? (image[y - 1]?.[x - 1] ?? 0) : 0];
      return (value - [0, left, above, (left + above) >> 1, paeth(left, above, corner)][y]!) & 255;
    })]);
    for (const chunks of [1, 2, 5]) expect(pixels(png(3, 5, 0, lines, { chunks }))).toEqual(image.flat());
  });

  test("colours become grey, and what is transparent black", () => {
    expect(pixels(png(2, 1, 2, [0, 255, 0, 0, 255, 255, 255]))).toEqual([76, 255]);
    expect(pixels(png(2, 1, 4, [0, 200, 255, 200, 0]))).toEqual([200, 0]);
    expect(pixels(png(1, 1, 6, [0, 255, 255, 255, 51]))).toEqual([51]);
    expect(pixels(png(2, 1, 3, [0, 1, 0], { palette: [9, 9, 9, 0, 0, 255] }))).toEqual([29, 9]);
  });

  test("cut off anywhere, or with a bit flipped, it is refused as a damaged file", () => {
    const bytes = png(2, 2, 0, [0, 1, 2, 1, 3, 4]);
    for (let length = 0; length < bytes.length; length++) expect(() => readImage(bytes.subarray(0, length), "x.png"), `${length}`).toThrow(FormatError);
    for (let at = 0; at < bytes.length; at++) {
      const broken = Uint8Array.from(bytes);
      broken[at]! ^= 4;
      expect(() => readImage(broken, "x.png"), `${at}`).toThrow(FormatError);
    }
  });

  test("kinds that are not read say how to save it", () => {
    expect(() => readImage(png(2, 1, 0, [0, 1], { depth: 4 }), "x.png")).toThrow('"x.png" is a PNG image of 4 bits a channel. Save it with 8 bits a channel, not interlaced.');
    expect(() => readImage(png(1, 1, 0, [0, 1], { interlaced: 1 }), "x.png")).toThrow(/interlaced/);
    expect(() => readImage(png(99_999, 1, 0, [0]), "x.png")).toThrow(/99999 × 1 pixels/);
    expect(() => readImage(png(1, 1, 0, [9, 1]), "x.png")).toThrow(/unknown filter/);
    expect(() => readImage(png(1, 1, 3, [0, 0]), "x.png")).toThrow(/without its palette/);
    expect(() => readImage(png(2, 2, 0, [0, 1, 2]), "x.png")).toThrow(/ends too early/);
    expect(() => readImage(png(1, 1, 0, [0, 1, 2, 3]), "x.png")).toThrow(/cannot be unpacked/);
    expect(() => readImage(Buffer.from("GIF89a"), "x.gif")).toThrow('"x.gif" is neither a PNG nor a binary PGM image. Convert it to PNG');
  });
});

describe("PGM", () => {
  test("is read, with comments and other ranges", () => {
    const image = readImage(Buffer.from("P5 # a comment\n2 1\n100\n\x00\x32", "latin1"), "x.pgm");
    expect({ ...image, pixels: [...image.pixels] }).toEqual({ width: 2, height: 1, pixels: [0, 128] });
  });

  test.each([["P5 2 1 255\n\x01", /ends after 1 of 2/], ["P5 2 x", /header/], ["P5 2 1 65535\n....", /values up to 65535/], ["P5 0 1 255\n", /0 × 1/]])("refuses %j", (text, message) => {
    expect(() => readImage(Buffer.from(text, "latin1"), "x.pgm")).toThrow(message);
  });
});

test("resizing keeps the mean, whatever the sizes", () => {
  const image = { width: 5, height: 3, pixels: Uint8Array.from({ length: 15 }, (_, at) => at * 17) };
  for (const [width, height] of [[5, 3], [2, 2], [7, 9], [1, 1]] as const) {
    const { pixels: resized } = resize(image, width, height);
    expect(resized.reduce((sum, value) => sum + value, 0) / resized.length).toBeCloseTo(119, -0.5);
  }
  expect([...resize(image, 5, 3).pixels]).toEqual([...image.pixels]);
});

test("dark on bright is turned over, bright on dark is not", () => {
  const dark = { width: 3, height: 3, pixels: Uint8Array.of(255, 255, 255, 255, 0, 255, 255, 255, 255) };
  const turned = brightOnDark(dark);
  expect([...turned.pixels]).toEqual([0, 0, 0, 0, 255, 0, 0, 0, 0]);
  expect(brightOnDark(turned)).toBe(turned);
});
