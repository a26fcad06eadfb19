// The five element types and how each is held in memory on the host.
// Registers know fewer kinds: uint8 widens to int32, see kernels/kernel.ts.

/** Element type of a tensor. */
export type DType = "float32" | "float64" | "int32" | "uint8" | "bool";

/** Host storage of a dtype; bool is one byte, 0 or 1. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

export const bytesPerElement: { readonly [D in DType]: number } = {
  float32: 4,
  float64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
};

/** A host array of `length` elements: the start of `memory`, or zeros. */
export function hostArray(dtype: DType, length: number, memory: ArrayBuffer = new ArrayBuffer(length * bytesPerElement[dtype])): TypedArray {
  switch (dtype) {
    case "float32":
      return new Float32Array(memory, 0, length);
    case "float64":
      return new Float64Array(memory, 0, length);
    case "int32":
      return new Int32Array(memory, 0, length);
    case "uint8":
    case "bool":
      return new Uint8Array(memory, 0, length);
  }
}

export function isFloating(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64";
}

const promotionOrder: readonly DType[] = ["bool", "uint8", "int32", "float32", "float64"];

/** The dtype of an operation on `a` and `b`: the wider of the two in bool < uint8 < int32 < float32 < float64. */
export function promote(a: DType, b: DType): DType {
  return promotionOrder.indexOf(a) >= promotionOrder.indexOf(b) ? a : b;
}
