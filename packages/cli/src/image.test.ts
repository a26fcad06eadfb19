import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import fc from "fast-check";
import { encode } from "jpeg-js";
import { FormatError } from "nabla";
import { describe, expect, test } from "vitest";
import { brightOnDark, readImage, readImageFile, resize } from "./image.ts";

function chunk(kind: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), content]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

interface PngOptions {
  readonly depth?: number;
  readonly interlaced?: number;
  readonly palette?: readonly number[];
  readonly transparent?: readonly number[];
  readonly chunks?: number;
}

/** A PNG file of `lines`, each with its filter byte. */
function png(width: number, height: number, colour: number, lines: readonly number[] | Uint8Array, { depth = 8, interlaced = 0, palette = [], transparent = [], chunks = 1 }: PngOptions = {}): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced], 8);
  const data = deflateSync(Uint8Array.from(lines));
  const parts = Array.from({ length: chunks }, (_, part) => chunk("IDAT", data.subarray(Math.floor((part * data.length) / chunks), Math.floor(((part + 1) * data.length) / chunks))));
  const optional = [["PLTE", palette], ["tRNS", transparent]] as const;
  return Buffer.concat([
    Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), chunk("IHDR", header), ...optional.flatMap(([kind, bytes]) => (bytes.length > 0 ? [chunk(kind, Uint8Array.from(bytes))] : [])), ...parts, chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A line of samples of `depth` bits, unfiltered. */
function line(samples: readonly number[], depth: number): number[] {
  if (depth === 16) return [0, ...samples.flatMap((value) => [value >> 8, value & 255])];
  const bytes = new Array<number>(Math.ceil((samples.length * depth) / 8)).fill(0);
  samples.forEach((value, at) => { bytes[Math.floor((at * depth) / 8)]! |= value << (8 - depth - ((at * depth) % 8)); });
  return [0, ...bytes];
}

/** The lines of a picture of `channels` samples a pixel, in the passes of Adam7 or in one. */
function linesOf(width: number, height: number, channels: number, depth: number, interlaced: boolean, sample: (x: number, y: number, channel: number) => number): number[] {
  const passes = interlaced ? [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]] as const : [[0, 0, 1, 1]] as const;
  return passes.flatMap(([left, top, stepX, stepY]) => {
    const lines: number[] = [];
    for (let y = top; y < height && left < width; y += stepY) {
      const samples: number[] = [];
      for (let x = left; x < width; x += stepX) for (let channel = 0; channel < channels; channel++) samples.push(sample(x, y, channel));
      lines.push(...line(samples, depth));
    }
    return lines;
  });
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

  test("every depth and colour type, interlaced or not, is the same picture", () => {
    const kinds = [[0, 1, [1, 2, 4, 8, 16]], [2, 3, [8, 16]], [3, 1, [1, 2, 4, 8]], [4, 2, [8, 16]], [6, 4, [8, 16]]] as const;
    for (const [colour, channels, depths] of kinds) {
      for (const depth of depths) {
        for (const [width, height] of [[1, 1], [3, 5], [9, 13], [16, 8]] as const) {
          const most = 2 ** depth - 1;
          // Opaque: the last channel of types with alpha. Values are those of the smallest depth, so that nothing is rounded.
          const level = (x: number, y: number): number => (x * x + y) % 2;
          const sample = (x: number, y: number, channel: number): number => (colour >= 4 && channel === channels - 1 ? most : level(x, y) * (colour === 3 ? 1 : most));
          const palette = colour === 3 ? [0, 0, 0, 255, 255, 255] : [];
          const expected = Array.from({ length: width * height }, (_, at) => 255 * level(at % width, Math.floor(at / width)));
          for (const interlaced of [0, 1]) {
            expect(pixels(png(width, height, colour, linesOf(width, height, channels, depth, interlaced === 1, sample), { depth, interlaced, palette })), `${colour} ${depth} ${width} ${interlaced}`).toEqual(expected);
          }
        }
      }
    }
    expect(pixels(png(3, 1, 0, line([0x0000, 0x80ff, 0xffff], 16), { depth: 16 }))).toEqual([0, 128, 255]);
    expect(pixels(png(3, 1, 0, line([0, 5, 15], 4), { depth: 4 }))).toEqual([0, 85, 255]);
  });

  test("what is drawn on nothing is seen, bright or dark, however the file says so", () => {
    // One pixel in the middle of nine.
    const seen = (file: Buffer): number[] => [...brightOnDark(readImage(file, "x.png")).pixels];
    for (const ink of [0, 255]) {
      const other = 255 - ink;
      expect(seen(png(3, 3, 4, [0, ink, 0, ink, 0, ink, 0, 0, ink, 0, ink, 255, ink, 0, 0, ink, 0, ink, 0, ink, 0]))).toEqual([0, 0, 0, 0, 255, 0, 0, 0, 0]);
      expect(seen(png(3, 3, 4, [0, other, 0, other, 0, other, 0, 0, other, 0, ink, 255, other, 0, 0, other, 0, other, 0, other, 0]))).toEqual([0, 0, 0, 0, 255, 0, 0, 0, 0]);
      const lines = [0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1];
      expect(seen(png(3, 3, 3, lines, { palette: [ink, ink, ink, other, other, other], transparent: [255, 0] }))).toEqual([0, 0, 0, 0, 255, 0, 0, 0, 0]);
      const grey = lines.map((value, at) => (at % 4 === 0 ? 0 : value === 1 ? 77 : ink));
      expect(seen(png(3, 3, 0, grey, { transparent: [0, 77] }))).toEqual([0, 0, 0, 0, 255, 0, 0, 0, 0]);
    }
  });

  test("what is damaged or too large is refused before it takes memory", () => {
    expect(() => readImage(png(99_999, 9_999, 0, [0]), "x.png")).toThrow('"x.png" is an image of 99999 × 9999 pixels. Pass one of at most 16777216 pixels, e.g. 4096 × 4096.');
    expect(() => readImage(png(16_384, 16_384, 0, new Uint8Array(0)), "x.png")).toThrow(/16384 × 16384 pixels/);
    expect(() => readImage(png(0, 1, 0, [0]), "x.png")).toThrow(/0 × 1 pixels/);
    expect(() => readImage(png(1, 1, 0, [9, 1]), "x.png")).toThrow(/cannot be read \(.*filter/);
    expect(() => readImage(png(1, 1, 3, [0, 0]), "x.png")).toThrow(FormatError);
    expect(() => readImage(png(1, 1, 3, [0, 7], { palette: [1, 2, 3] }), "x.png")).toThrow(/index 7 not in palette/);
    expect(() => readImage(png(2, 2, 0, [0, 1, 2]), "x.png")).toThrow(/ends too early/);
    expect(() => readImage(png(1, 1, 0, [0, 1, 2, 3]), "x.png")).toThrow(FormatError);
    expect(() => readImage(Buffer.from("GIF89a"), "x.gif")).toThrow('"x.gif" is neither a PNG, a JPEG nor a binary PGM image. Convert it to PNG');
    // 64 MB of zeros in 64 kB.
    for (const interlaced of [0, 1]) {
      const before = process.memoryUsage().arrayBuffers;
      try {
        readImage(png(8, 8, 0, new Uint8Array(2 ** 26), { interlaced }), "x.png");
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 27);
    }
  });
});

describe("JPEG", () => {
  const [width, height] = [20, 13];
  const rgba = Buffer.from(Array.from({ length: width * height }, (_, at) => { const grey = 12 * (at % width); return [grey, grey, grey, 255]; }).flat());
  const bytes = encode({ width, height, data: rgba }, 95).data;

  test("is read", () => {
    const image = readImage(bytes, "x.jpg");
    expect([image.width, image.height]).toEqual([width, height]);
    image.pixels.forEach((value, at) => expect(Math.abs(value - 12 * (at % width))).toBeLessThan(6));
  });

  test("damaged or too large it is refused as a FormatError", () => {
    for (let length = 3; length < bytes.length - 2; length += 7) expect(() => readImage(bytes.subarray(0, length), "x.jpg"), `${length}`).toThrow(FormatError);
    const large = Uint8Array.from(bytes);
    const frame = large.findIndex((value, at) => value === 0xff && large[at + 1] === 0xc0);
    large.set([0xff, 0xff, 0xff, 0xff], frame + 5);
    expect(() => readImage(large, "x.jpg")).toThrow(/maxResolutionInMP limit exceeded.* At most 16777216 pixels are read/);
  });

  test("with bytes changed it is read or refused, and nothing else", () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
      const broken = Uint8Array.from(bytes);
      for (const [at, value] of changes) broken[at] = value;
      try {
        readImage(broken, "x.jpg");
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }), { numRuns: 200 });
  });
});

test("files that are too large, or none, are not read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "nabla-image-"));
  const path = join(folder, "large.png");
  await writeFile(path, "");
  await truncate(path, 2 ** 33);
  await expect(readImageFile(path)).rejects.toThrow(/large\.png" has 8589934592 bytes\. Pass one of at most 32 MiB/);
  await expect(readImageFile(join(folder, "none.png"))).rejects.toThrow(/Cannot read the image ".*none\.png"\. Check the path/);
  await expect(readImageFile(folder)).rejects.toThrow(/Cannot read the image/);
  await rm(folder, { recursive: true });
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

test("no header takes long", () => {
  // Each was exponential or quadratic for a regular expression.
  for (const header of [`P5${" ".repeat(34)}`, `P5${" ".repeat(1e6)}`, `P5${"#\n".repeat(1e6)}`, `P5 ${"9".repeat(1e6)}`, `P5#${"x".repeat(1e6)}`, "P5"]) {
    expect(() => readImage(Buffer.from(header), "x.pgm")).toThrow(FormatError);
  }
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
