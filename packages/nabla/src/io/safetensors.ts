// safetensors: u64 header length, JSON header, raw little-endian data. Everything read is bounds-checked first.
// Format: github.com/huggingface/safetensors, "Format" in its README.
import { bytesPerElement, type DType, type TypedArray } from "../ops/dtype.ts";
import { describe, FormatError, list, quote } from "../errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../ops/shape.ts";
import { elementNames, elementTypes, type ElementType } from "./elements.ts";
import type { ByteSource } from "./files.ts";

/** A named array of a file. */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TypedArray;
}

/** What a safetensors file holds. */
export interface Archive {
  readonly tensors: Readonly<Record<string, HostTensor>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A tensor's bytes [begin, end) after the header. */
interface Span {
  readonly name: string;
  /** Its dtype as the format calls it. */
  readonly typeName: string;
  readonly type: ElementType;
  readonly shape: Shape;
  readonly begin: number;
  readonly end: number;
}

/** Reserved for the metadata. */
const METADATA = "__metadata__";

/** The format's own limit. */
const MAX_HEADER = 100_000_000;

/** A 64-bit number: how long the header is. */
const LENGTH_BYTES = 8;

/** The bytes of an archive. */
export function encodeSafetensors(archive: Archive): Uint8Array<ArrayBuffer> {
  const parts = safetensorsParts(archive);
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

/** The bytes of an archive as its header and each tensor's data, uncopied; by descending element size, so that all data is aligned. */
export function safetensorsParts({ tensors, metadata }: Archive): Uint8Array[] {
  const wrong = Object.entries<unknown>(metadata).find(([, value]) => typeof value !== "string");
  if (wrong !== undefined) throw new FormatError(`The metadata ${quote(wrong[0])} is ${describe(wrong[1])}.`, "Pass strings, e.g. of JSON.stringify.");
  const entries = Object.entries(tensors).sort(([, a], [, b]) => bytesPerElement[b.dtype] - bytesPerElement[a.dtype]);
  const described: [name: string, value: unknown][] = Object.keys(metadata).length > 0 ? [[METADATA, metadata]] : [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    if (name === METADATA) throw new FormatError(`A tensor cannot be called "${METADATA}".`, "Rename it: the format keeps this name for itself.");
    if (data.length !== sizeOf(shape)) throw new FormatError(`${quote(name)} has ${data.length} values for shape ${formatShape(shape)}.`, "Pass as many values as the shape has elements.");
    const end = offset + data.byteLength;
    described.push([name, { dtype: elementNames[dtype], shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(described)));
  const headerLength = Math.ceil(text.length / 8) * 8;
  const header = new Uint8Array(8 + headerLength).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerLength), true);
  header.set(text, 8);
  return [header, ...entries.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))];
}

/** Reads an archive; throws {@link FormatError} on anything truncated, overlapping or not what it says. `file` is for messages. */
export function decodeSafetensors(bytes: Uint8Array, file = "the file"): Archive {
  const headerLength = headerLengthOf(bytes.subarray(0, LENGTH_BYTES), bytes.length, file);
  const dataStart = LENGTH_BYTES + headerLength;
  const { spans, metadata } = readHeader(bytes.subarray(LENGTH_BYTES, dataStart), bytes.length - dataStart, file);
  // Copied: the file's data need not be aligned for its type.
  return { metadata, tensors: Object.fromEntries(spans.map((span) => [span.name, readTensor(span, Uint8Array.from(bytes.subarray(dataStart + span.begin, dataStart + span.end)), file)])) };
}

/** As {@link decodeSafetensors}, a tensor at a time: the file is never in memory as a whole. */
export async function readSafetensors(source: ByteSource, file: string): Promise<Archive> {
  const { spans, metadata, dataStart } = await openSafetensors(source, file);
  const tensors: [string, HostTensor][] = [];
  for (const span of spans) tensors.push([span.name, readTensor(span, await source.read(dataStart + span.begin, dataStart + span.end), file)]);
  return { metadata, tensors: Object.fromEntries(tensors) };
}

/** The metadata alone; of the tensors only the header is read. */
export async function readMetadata(source: ByteSource, file: string): Promise<Archive["metadata"]> {
  return (await openSafetensors(source, file)).metadata;
}

/** What the header says, checked. */
interface Header {
  readonly spans: readonly Span[];
  readonly metadata: Readonly<Record<string, string>>;
}

async function openSafetensors(source: ByteSource, file: string): Promise<Header & { readonly dataStart: number }> {
  const headerLength = headerLengthOf(await source.read(0, Math.min(LENGTH_BYTES, source.size)), source.size, file);
  const dataStart = LENGTH_BYTES + headerLength;
  return { ...readHeader(await source.read(LENGTH_BYTES, dataStart), source.size - dataStart, file), dataStart };
}

function readTensor({ name, type, typeName, shape }: Span, bytes: Uint8Array<ArrayBuffer>, file: string): HostTensor {
  const values = type.read(bytes);
  if (values === undefined) {
    if (typeName === "BOOL") throw corrupt(file, `${quote(name)} is BOOL but holds bytes other than 0 and 1`);
    throw new FormatError(`${file}: ${quote(name)} (${typeName}) holds integers beyond 2^53, which no number holds.`, "Convert it first, e.g. to I32 or F64.");
  }
  return { ...values, shape };
}

/** The format allows neither overlaps nor holes. */
function requireTiling(spans: readonly Span[], available: number, file: string): void {
  let position = 0;
  for (const { name, begin, end } of spans.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < position) throw corrupt(file, `the data of ${quote(name)} overlaps another tensor's`);
    if (begin > position) throw corrupt(file, `bytes ${position} to ${begin} belong to no tensor`);
    position = end;
  }
  if (position !== available) throw corrupt(file, `its tensors end at byte ${position} of ${available}`);
}

function corrupt(file: string, what: string): FormatError {
  return new FormatError(`${file} is not a valid safetensors file: ${what}.`, "It may be truncated or of another format; get or save it again.");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The length of the header, which the file's first bytes say. */
function headerLengthOf(start: Uint8Array, size: number, file: string): number {
  if (size < LENGTH_BYTES) throw corrupt(file, `it has ${size} bytes, fewer than the ${LENGTH_BYTES} of the header length`);
  const length = Number(new DataView(start.buffer, start.byteOffset, LENGTH_BYTES).getBigUint64(0, true));
  if (start[0] === 0x3c && length > MAX_HEADER) throw corrupt(file, "it begins like a web page");
  if (length > MAX_HEADER) throw corrupt(file, `its header would be ${length} bytes long`);
  if (LENGTH_BYTES + length > size) throw corrupt(file, `its header of ${length} bytes goes beyond its ${size} bytes`);
  return length;
}

/** `available` bytes of data follow. */
function readHeader(bytes: Uint8Array, available: number, file: string): Header {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    throw corrupt(file, "its header is not JSON");
  }
  if (!isRecord(header)) throw corrupt(file, "its header is not an object");
  requireDistinctKeys(text, header, file);
  const { [METADATA]: metadata, ...entries } = header;
  const spans = Object.entries(entries).map(([name, entry]) => readEntry(name, entry, available, file));
  requireTiling(spans, available, file);
  return { spans, metadata: checkedMetadata(metadata, file) };
}

/** JSON.parse keeps the last of equal keys silently; what a name means must not depend on the reader. */
function requireDistinctKeys(text: string, header: Readonly<Record<string, unknown>>, file: string): void {
  const expected = Object.values(header).reduce((sum: number, entry) => sum + (isRecord(entry) ? Object.keys(entry).length : 0), Object.keys(header).length);
  if (countKeys(text) !== expected) throw corrupt(file, "its header has a name twice");
}

/** Keys of the outer object and of those in it, in text that is valid JSON. */
function countKeys(text: string): number {
  let count = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '"') {
      do at = text.indexOf('"', at + 1); while (isEscaped(text, at));
    } else if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") depth--;
    else if (character === ":" && depth <= 2) count++;
  }
  return count;
}

/** An odd number of backslashes stands before it. */
function isEscaped(text: string, at: number): boolean {
  let start = at;
  while (text[start - 1] === "\\") start--;
  return (at - start) % 2 === 1;
}

function readEntry(name: string, entry: unknown, available: number, file: string): Span {
  if (!isRecord(entry)) throw corrupt(file, `${quote(name)} is not described`);
  const { dtype: typeName, shape, data_offsets: offsets } = entry;
  const type = typeof typeName === "string" ? elementTypes.get(typeName) : undefined;
  if (typeof typeName !== "string" || type === undefined) {
    throw new FormatError(`${file}: ${quote(name)} has dtype ${typeof typeName === "string" ? list([typeName]) : describe(typeName)}.`, `nabla reads ${[...elementTypes.keys()].join(", ")}; convert it first.`);
  }
  if (!isSizes(shape)) throw corrupt(file, `${quote(name)} has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2) throw corrupt(file, `${quote(name)} has no valid offsets`);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > available) throw corrupt(file, `${quote(name)} lies at bytes ${begin} to ${end} of ${available}`);
  if (end - begin !== sizeOf(shape) * type.bytes) {
    throw corrupt(file, `${quote(name)} of shape ${formatShape(shape)} and dtype ${typeName} has ${end - begin} bytes`);
  }
  return { name, typeName, type, shape, begin, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size: unknown) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function checkedMetadata(metadata: unknown, file: string): Readonly<Record<string, string>> {
  // The reference implementation takes null for none.
  if (metadata === undefined || metadata === null) return {};
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) throw corrupt(file, "its metadata is not a map of strings");
  return metadata as Record<string, string>;
}
