import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DType, hostArray } from "../ops/dtype.ts";
import { FormatError } from "../errors/errors.ts";
import { sizeOf } from "../ops/shape.ts";
import { type Archive, decodeSafetensors, encodeSafetensors, type HostTensor } from "./safetensors.ts";

/** A file of any header and `data` bytes. */
function file(header: unknown, data: number | Uint8Array = 0, padding = ""): Uint8Array {
  const text = new TextEncoder().encode((typeof header === "string" ? header : JSON.stringify(header)) + padding);
  const body = typeof data === "number" ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
}

/** JSON.stringify, of what is too deep for it too. */
function deepJson(value: unknown): string {
  let depth = 0;
  for (let each = value; Array.isArray(each); each = each[0]) depth++;
  return depth > 0 ? "[".repeat(depth) + "]".repeat(depth) : JSON.stringify(value);
}

const f32 = (shape: readonly number[], begin: number, end: number): object => ({ dtype: "F32", shape, data_offsets: [begin, end] });

const dtypes: readonly DType[] = ["float32", "float64", "int32", "uint8", "bool"];

const hostTensors: fc.Arbitrary<HostTensor> = fc
  .record({ dtype: fc.constantFrom(...dtypes), shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }), seed: fc.infiniteStream(fc.integer({ min: 0, max: 255 })) })
  .map(({ dtype, shape, seed }) => {
    const data = hostArray(dtype, sizeOf(shape));
    const bytes = new Uint8Array(data.buffer);
    for (let i = 0; i < bytes.length; i++) bytes[i] = dtype === "bool" ? seed.next().value! & 1 : seed.next().value!;
    return { dtype, shape, data };
  });

const archives: fc.Arbitrary<Archive> = fc.record({
  tensors: fc.dictionary(fc.string().filter((name) => name !== "__metadata__"), hostTensors, { maxKeys: 6 }),
  metadata: fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
});

const bytesOf = ({ data }: HostTensor): number[] => [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];

/** Bit for bit, NaN payloads included. */
function expectSame(actual: Archive, expected: Archive): void {
  expect(new Map(Object.entries(actual.metadata))).toEqual(new Map(Object.entries(expected.metadata)));
  expect(Object.keys(actual.tensors).toSorted()).toEqual(Object.keys(expected.tensors).toSorted());
  for (const [name, tensor] of Object.entries(expected.tensors)) {
    const read = Object.entries(actual.tensors).find(([each]) => each === name)![1];
    expect([read.dtype, read.shape]).toEqual([tensor.dtype, tensor.shape]);
    expect(bytesOf(read)).toEqual(bytesOf(tensor));
  }
}

const sample: Archive = {
  tensors: {
    flag: { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
    "layer.weight": { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, -0, NaN, 1e-40) },
    scalar: { dtype: "float64", shape: [], data: Float64Array.of(Math.PI) },
    empty: { dtype: "int32", shape: [0, 5], data: new Int32Array(0) },
  },
  metadata: { format: "pt", note: "∇ é 🙂" },
};

describe("safetensors", () => {
  test("what is written is read: every dtype, empty tensors, any name", () => {
    fc.assert(fc.property(archives, (archive) => expectSame(decodeSafetensors(encodeSafetensors(archive)), archive)), { numRuns: 150 });
  });

  test.each(["__proto__", "constructor", "toString", "", "0", "a.b[0]"])("a tensor may be called %j", (name) => {
    const tensors = Object.fromEntries([[name, sample.tensors["scalar"]!]]);
    const read = decodeSafetensors(encodeSafetensors({ tensors, metadata: {} })).tensors;
    expect(Object.entries(read)).toEqual(Object.entries(tensors));
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  });

  test("the layout is the format's: 8-byte length, padded JSON, aligned contiguous data", () => {
    const bytes = encodeSafetensors(sample);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    expect(bytes[8]).toBe("{".charCodeAt(0));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, { data_offsets: number[] }>;
    expect(header["__metadata__"]).toEqual(sample.metadata);
    expect([header["scalar"], header["layer.weight"], header["empty"], header["flag"]].map((entry) => entry!.data_offsets)).toEqual([[0, 8], [8, 24], [24, 24], [24, 27]]);
  });

  test("a view into a larger array is written as what it shows", () => {
    const data = Float32Array.of(0, 1, 2, 3).subarray(1, 3);
    const read = decodeSafetensors(encodeSafetensors({ tensors: { x: { dtype: "float32", shape: [2], data } }, metadata: {} }));
    expect([...read.tensors["x"]!.data]).toEqual([1, 2]);
  });

  test("reads what PyTorch's writer lays out: metadata first, names sorted within a dtype, spaces after the header, odd offsets", () => {
    const body = new Uint8Array(13);
    new DataView(body.buffer).setFloat32(0, 1.5, true);
    new DataView(body.buffer).setInt32(5, -7, true);
    const header = { __metadata__: { format: "pt" }, "fc.bias": f32([1], 0, 4), mask: { dtype: "BOOL", shape: [1], data_offsets: [4, 5] }, steps: { dtype: "I32", shape: [2], data_offsets: [5, 13] } };
    for (const shift of [0, 1, 3]) {
      const plain = file(header, body, " ".repeat(5));
      const shifted = new Uint8Array(plain.length + shift);
      shifted.set(plain, shift);
      const { tensors, metadata } = decodeSafetensors(shifted.subarray(shift));
      expect(metadata).toEqual({ format: "pt" });
      expect([...tensors["fc.bias"]!.data, ...tensors["steps"]!.data]).toEqual([1.5, -7, 0]);
    }
  });

  test("cut off at any byte it is refused", () => {
    const bytes = encodeSafetensors(sample);
    for (let length = 0; length < bytes.length; length++) expect(() => decodeSafetensors(bytes.subarray(0, length)), `${length}`).toThrow(FormatError);
    expect(() => decodeSafetensors(Uint8Array.of(...bytes, 0))).toThrow(FormatError);
  });

  test("a flipped byte is either refused or changes values only: never another kind of error", () => {
    const bytes = encodeSafetensors(sample);
    fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const broken = Uint8Array.from(bytes);
      broken[at]! ^= flip;
      try {
        decodeSafetensors(broken);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }), { numRuns: 400 });
  });

  test("random bytes are refused", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      fc.pre(!(bytes[0] === 2 && bytes[8] === 123));
      expect(() => decodeSafetensors(bytes)).toThrow(FormatError);
    }));
  });

  test.each<[name: string, header: unknown, data: number, message: RegExp]>([
    ["no JSON", "{", 0, /header is not JSON/],
    ["an array", [], 0, /header is not an object/],
    ["null", null, 0, /header is not an object/],
    ["an entry that is none", { x: 3 }, 0, /"x" is not described/],
    ["overlapping data", { x: f32([2], 0, 8), y: f32([2], 4, 12) }, 12, /"y" overlaps/],
    ["the same data twice", { x: f32([2], 0, 8), y: f32([2], 0, 8) }, 8, /"y" overlaps/],
    ["a hole", { x: f32([1], 0, 4), y: f32([1], 8, 12) }, 12, /bytes 4 to 8 belong to no tensor/],
    ["unused data at the end", { x: f32([1], 0, 4) }, 8, /end at byte 4 of 8/],
    ["a name twice", '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8, /a name twice/],
    ["an empty name twice", '{"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', 0, /a name twice/],
    ["a name twice, written in two ways", '{"x\\\\":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0078\\\\":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}', 0, /a name twice/],
    ["a dtype twice", '{"x":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}', 4, /a name twice/],
    ["metadata twice", '{"__metadata__":{"a":"1","a":"2"}}', 0, /a name twice/],
    ["a byte order mark", '\ufeff{}', 0, /header is not JSON/],
    ["data beyond the end", { x: f32([4], 0, 16) }, 8, /bytes 0 to 16 of 8/],
    ["offsets backwards", { x: f32([1], 4, 0) }, 4, /bytes 4 to 0/],
    ["negative offsets", { x: f32([1], -4, 0) }, 4, /no valid offsets/],
    ["fractions", { x: f32([1], 0, 4.5) }, 8, /no valid offsets/],
    ["a shape of another size", { x: f32([3], 0, 4) }, 4, /shape \[3\] and dtype F32 has 4 bytes/],
    ["a negative extent", { x: f32([-1], 0, 4) }, 4, /no valid shape/],
    ["an extent beyond safe integers", { x: f32([2 ** 53], 0, 4) }, 4, /no valid shape/],
    ["sizes whose product overflows", { x: f32([2 ** 40, 2 ** 40, 2 ** 40], 0, 4) }, 4, /has 4 bytes/],
    ["a shape that is no list", { x: { dtype: "F32", shape: { length: 1 }, data_offsets: [0, 4] } }, 4, /no valid shape/],
    ["metadata that is no map of strings", { __metadata__: { a: 1 } }, 0, /metadata is not a map of strings/],
    ["a bool of 2", { x: { dtype: "BOOL", shape: [1], data_offsets: [0, 1] } }, -1, /bytes other than 0 and 1/],
  ])("refuses %s", (_, header, data, message) => {
    const bytes = file(header, data < 0 ? Uint8Array.of(2) : data);
    expect(() => decodeSafetensors(bytes, '"m.safetensors"')).toThrow(FormatError);
    expect(() => decodeSafetensors(bytes, '"m.safetensors"')).toThrow(message);
    expect(() => decodeSafetensors(bytes, '"m.safetensors"')).toThrow('"m.safetensors" is not a valid safetensors file');
  });

  test("a header longer than the file, or than the format allows, allocates nothing", () => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    for (const length of [9n, 100_000_001n, 2n ** 63n, 2n ** 64n - 1n]) {
      view.setBigUint64(0, length, true);
      expect(() => decodeSafetensors(bytes)).toThrow(FormatError);
    }
  });

  test.each<[unknown, string]>([["F8_E4M3", "F8_E4M3"], ["f32", "f32"], [5, "5"], [null, "null"], [JSON.parse("[".repeat(20_000) + "]".repeat(20_000)), "an array"], ["\u001b[2J\n", '"\\u001b[2J\\n"']])("the dtype %# is named with what can be read", (dtype, said) => {
    const bytes = file(JSON.stringify({ x: { dtype: "?", shape: [1], data_offsets: [0, 2] } }).replace('"?"', deepJson(dtype)), 2);
    expect(() => decodeSafetensors(bytes)).toThrow(FormatError);
    expect(() => decodeSafetensors(bytes)).toThrow(`"x" has dtype ${said}. nabla reads F64, F32, F16, BF16, I64, U64, I32, U32, I16, U16, I8, U8, BOOL; convert it first.`);
  });

  test("types that nabla lacks are read; integers that would be rounded are refused", () => {
    const body = new Uint8Array(12);
    new DataView(body.buffer).setBigInt64(0, -5n, true);
    new DataView(body.buffer).setUint16(8, 0x3c00, true);
    new DataView(body.buffer).setUint16(10, 0xbf80, true);
    const header = { steps: { dtype: "I64", shape: [], data_offsets: [0, 8] }, half: { dtype: "F16", shape: [1], data_offsets: [8, 10] }, brain: { dtype: "BF16", shape: [1], data_offsets: [10, 12] } };
    const { tensors } = decodeSafetensors(file(header, body));
    expect(Object.values(tensors).map(({ dtype, shape, data }) => [dtype, shape, data[0]])).toEqual([["int32", [], -5], ["float32", [1], 1], ["float32", [1], -1]]);
    new DataView(body.buffer).setBigInt64(0, 2n ** 60n, true);
    expect(() => decodeSafetensors(file(header, body))).toThrow('the file: "steps" (I64) holds integers beyond 2^53, which no number holds. Convert it first, e.g. to I32 or F64.');
  });

  test("no metadata may be said as null or {}, as published files do", () => {
    for (const metadata of [null, {}]) expect(decodeSafetensors(file({ __metadata__: metadata, x: f32([1], 0, 4) }, 4)).metadata).toEqual({});
  });

  test("messages stay short and printable, whatever names and values a file has", () => {
    const wild = fc.oneof(fc.constantFrom<unknown>("\u001b]0;x\u0007".repeat(9), "x".repeat(3_000_000), "\u202e\u009b", -1, 1e308, true, null, [], {}, [[[]]]), fc.jsonValue());
    const entries = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("\u001b[31m", "y".repeat(1_000_000), "__metadata__", "__proto__")), fc.oneof(wild, fc.record({ dtype: fc.oneof(wild, fc.constantFrom("F32", "I64", "BOOL")), shape: fc.oneof(wild, fc.array(fc.nat(3))), data_offsets: fc.oneof(wild, fc.tuple(fc.nat(8), fc.nat(8))) }, { requiredKeys: [] })), { maxKeys: 4 });
    fc.assert(fc.property(entries, fc.nat(8), (header, data) => {
      try {
        decodeSafetensors(file(header, data), '"m.safetensors"');
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        const { message } = error as FormatError;
        expect(message.length).toBeLessThan(600);
        expect(message).not.toMatch(/\p{Cc}|\p{Bidi_Control}/u);
      }
    }), { numRuns: 300 });
  });

  test("writing refuses data of another size and the reserved name", () => {
    const wrong: HostTensor = { dtype: "float32", shape: [3], data: new Float32Array(2) };
    expect(() => encodeSafetensors({ tensors: { wrong }, metadata: {} })).toThrow(/"wrong" has 2 values for shape \[3\]/);
    expect(() => encodeSafetensors({ tensors: { __metadata__: sample.tensors["scalar"]! }, metadata: {} })).toThrow(FormatError);
  });
});
