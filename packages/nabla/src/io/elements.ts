// The element types of safetensors, and what each is read as. Types that nabla lacks become the narrowest that holds every value.
// Format of F16 and BF16: IEEE 754-2019 binary16, and the upper half of binary32.
import type { DType, TypedArray } from "../ops/dtype.ts";

/** The values of a tensor as nabla holds them. */
export interface Values {
  readonly dtype: DType;
  readonly data: TypedArray;
}

export interface ElementType {
  readonly bytes: number;
  /** `bytes` begin where their buffer does, so that they are aligned. Undefined: some value is not one of the type, or none that a number holds. */
  read(bytes: Uint8Array<ArrayBuffer>): Values | undefined;
}

const same = (bytes: number, dtype: DType, view: (buffer: ArrayBuffer) => TypedArray): ElementType => ({ bytes, read: ({ buffer }) => ({ dtype, data: view(buffer) }) });

export const elementTypes: ReadonlyMap<string, ElementType> = new Map(Object.entries<ElementType>({
  F64: same(8, "float64", (buffer) => new Float64Array(buffer)),
  F32: same(4, "float32", (buffer) => new Float32Array(buffer)),
  F16: { bytes: 2, read: ({ buffer }) => ({ dtype: "float32", data: fromHalf(new Uint16Array(buffer)) }) },
  BF16: { bytes: 2, read: ({ buffer }) => ({ dtype: "float32", data: fromBfloat(new Uint16Array(buffer)) }) },
  I64: { bytes: 8, read: ({ buffer }) => fromPairs(new Uint32Array(buffer), (high) => high | 0) },
  U64: { bytes: 8, read: ({ buffer }) => fromPairs(new Uint32Array(buffer), (high) => high) },
  I32: same(4, "int32", (buffer) => new Int32Array(buffer)),
  U32: { bytes: 4, read: ({ buffer }) => narrowest(new Uint32Array(buffer)) },
  I16: { bytes: 2, read: ({ buffer }) => ({ dtype: "int32", data: Int32Array.from(new Int16Array(buffer)) }) },
  U16: { bytes: 2, read: ({ buffer }) => ({ dtype: "int32", data: Int32Array.from(new Uint16Array(buffer)) }) },
  I8: { bytes: 1, read: ({ buffer }) => ({ dtype: "int32", data: Int32Array.from(new Int8Array(buffer)) }) },
  U8: same(1, "uint8", (buffer) => new Uint8Array(buffer)),
  BOOL: { bytes: 1, read: (data) => (data.every((value) => value <= 1) ? { dtype: "bool", data } : undefined) },
}));

/** What each dtype is written as. */
export const elementNames: { readonly [D in DType]: string } = { float32: "F32", float64: "F64", int32: "I32", uint8: "U8", bool: "BOOL" };

function fromHalf(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  halves.forEach((half, i) => {
    const [sign, exponent, mantissa] = [(half & 0x8000) << 16, (half >> 10) & 31, half & 1023];
    // Subnormal: a multiple of 2⁻²⁴.
    if (exponent === 0) values[i] = (sign === 0 ? 1 : -1) * mantissa * 2 ** -24;
    else bits[i] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13);
  });
  return values;
}

function fromBfloat(halves: Uint16Array): Float32Array {
  const bits = Uint32Array.from(halves, (half) => half << 16);
  return new Float32Array(bits.buffer);
}

/** 64-bit integers as pairs of their lower and higher 32 bits; undefined where a float64 would round one. */
function fromPairs(pairs: Uint32Array, signed: (high: number) => number): Values | undefined {
  const values = new Float64Array(pairs.length / 2);
  for (let i = 0; i < values.length; i++) {
    const value = signed(pairs[2 * i + 1]!) * 2 ** 32 + pairs[2 * i]!;
    if (!Number.isSafeInteger(value)) return undefined;
    values[i] = value;
  }
  return narrowest(values);
}

/** int32 where every value is one, float64 otherwise. */
function narrowest(values: Float64Array | Uint32Array): Values {
  return values.every((value) => value === (value | 0)) ? { dtype: "int32", data: Int32Array.from(values) } : { dtype: "float64", data: Float64Array.from(values) };
}
