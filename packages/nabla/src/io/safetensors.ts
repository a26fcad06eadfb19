// safetensors: u64 header length, JSON header, raw little-endian data. Everything read is bounds-checked first.
// Format: github.com/huggingface/safetensors, "Format" in its README.
import { bytesPerElement, type DType, hostArray, type TypedArray } from "../ops/dtype.ts";
import { describe, FormatError } from "../errors/errors.ts";
import { formatShape, type Shape, sizeOf } from "../ops/shape.ts";

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
  readonly dtype: DType;
  readonly shape: Shape;
  readonly begin: number;
  readonly end: number;
}

/** Reserved for the metadata. */
const METADATA = "__metadata__";

/** The format's own limit. */
const MAX_HEADER = 100_000_000;

const names: { readonly [D in DType]: string } = { float32: "F32", float64: "F64", int32: "I32", uint8: "U8", bool: "BOOL" };
const dtypes = new Map<string, DType>(Object.entries(names).map(([dtype, name]) => [name, dtype as DType]));

/** Writes an archive; entries are ordered by descending element size so that all data is aligned. */
export function encodeSafetensors({ tensors, metadata }: Archive): Uint8Array<ArrayBuffer> {
  const wrong = Object.entries<unknown>(metadata).find(([, value]) => typeof value !== "string");
  if (wrong !== undefined) throw new FormatError(`The metadata "${wrong[0]}" is ${describe(wrong[1])}.`, "Pass strings, e.g. of JSON.stringify.");
  const entries = Object.entries(tensors).sort(([, a], [, b]) => bytesPerElement[b.dtype] - bytesPerElement[a.dtype]);
  const described: [name: string, value: unknown][] = Object.keys(metadata).length > 0 ? [[METADATA, metadata]] : [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    if (name === METADATA) throw new FormatError(`A tensor cannot be called "${METADATA}".`, "Rename it: the format keeps this name for itself.");
    if (data.length !== sizeOf(shape)) throw new FormatError(`"${name}" has ${data.length} values for shape ${formatShape(shape)}.`, "Pass as many values as the shape has elements.");
    const end = offset + data.byteLength;
    described.push([name, { dtype: names[dtype], shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(described)));
  const headerLength = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.fill(0x20, 8, 8 + headerLength);
  bytes.set(text, 8);
  let position = 8 + headerLength;
  for (const [, { data }] of entries) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return bytes;
}

/** Reads an archive; throws {@link FormatError} on anything truncated, overlapping or not what it says. `file` is for messages. */
export function decodeSafetensors(bytes: Uint8Array, file = "the file"): Archive {
  const { header, dataStart } = readHeader(bytes, file);
  const { [METADATA]: metadata, ...entries } = header;
  const available = bytes.length - dataStart;
  const spans = Object.entries(entries).map(([name, entry]) => ({ name, ...readEntry(name, entry, available, file) }));
  requireTiling(spans, available, file);
  const tensors = spans.map(({ name, dtype, shape, begin, end }): [string, HostTensor] => {
    const data = hostArray(dtype, sizeOf(shape));
    // Copied: the file's data need not be aligned for its type.
    new Uint8Array(data.buffer).set(bytes.subarray(dataStart + begin, dataStart + end));
    if (dtype === "bool" && data.some((value) => value > 1)) throw corrupt(file, `"${name}" is BOOL but holds bytes other than 0 and 1`);
    return [name, { dtype, shape, data }];
  });
  return { tensors: Object.fromEntries(tensors), metadata: readMetadata(metadata, file) };
}

/** The format allows neither overlaps nor holes. */
function requireTiling(spans: readonly Span[], available: number, file: string): void {
  let position = 0;
  for (const { name, begin, end } of spans.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < position) throw corrupt(file, `the data of "${name}" overlaps another tensor's`);
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

function readHeader(bytes: Uint8Array, file: string): { header: Readonly<Record<string, unknown>>; dataStart: number } {
  if (bytes.length < 8) throw corrupt(file, `it has ${bytes.length} bytes, fewer than the 8 of the header length`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER) throw corrupt(file, `its header would be ${length} bytes long`);
  if (8 + length > bytes.length) throw corrupt(file, `its header of ${length} bytes goes beyond its ${bytes.length} bytes`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch {
    throw corrupt(file, "its header is not JSON");
  }
  if (!isRecord(header)) throw corrupt(file, "its header is not an object");
  return { header, dataStart: 8 + length };
}

function readEntry(name: string, entry: unknown, available: number, file: string): Omit<Span, "name"> {
  if (!isRecord(entry)) throw corrupt(file, `"${name}" is not described`);
  const { dtype: dtypeName, shape, data_offsets: offsets } = entry;
  const dtype = typeof dtypeName === "string" ? dtypes.get(dtypeName) : undefined;
  if (dtype === undefined) {
    throw new FormatError(`${file}: "${name}" has dtype ${String(dtypeName)}.`, `nabla reads ${[...dtypes.keys()].join(", ")}; convert it first.`);
  }
  if (!isSizes(shape)) throw corrupt(file, `"${name}" has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2) throw corrupt(file, `"${name}" has no valid offsets`);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > available) throw corrupt(file, `"${name}" lies at bytes ${begin} to ${end} of ${available}`);
  if (end - begin !== sizeOf(shape) * bytesPerElement[dtype]) {
    throw corrupt(file, `"${name}" of shape ${formatShape(shape)} and dtype ${String(dtypeName)} has ${end - begin} bytes`);
  }
  return { dtype, shape, begin, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size: unknown) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function readMetadata(metadata: unknown, file: string): Record<string, string> {
  if (metadata === undefined) return {};
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) throw corrupt(file, "its metadata is not a map of strings");
  return metadata as Record<string, string>;
}
