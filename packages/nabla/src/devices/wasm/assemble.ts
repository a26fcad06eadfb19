// A WebAssembly binary encoder: the instructions nabla emits (SIMD128, relaxed SIMD, atomics) and the sections around them.
// Knows nothing of kernels; print.ts drives it for the loop IR, the runtime for what the IR cannot say (barriers).

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

const valueTypeByte: Readonly<Record<ValueType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** Instructions without immediates. A prefixed one is its prefix byte, then 16 bits of code. */
const plain = {
  unreachable: 0x00, else: 0x05, end: 0x0b, return: 0x0f, drop: 0x1a, select: 0x1b,
  "i32.eqz": 0x45, "i32.eq": 0x46, "i32.ne": 0x47, "i32.lt_s": 0x48, "i32.lt_u": 0x49, "i32.gt_s": 0x4a, "i32.gt_u": 0x4b,
  "i64.eq": 0x51, "i64.ne": 0x52,
  "i32.le_s": 0x4c, "i32.le_u": 0x4d, "i32.ge_s": 0x4e, "i32.ge_u": 0x4f,
  "f32.eq": 0x5b, "f32.ne": 0x5c, "f32.lt": 0x5d, "f32.gt": 0x5e, "f32.le": 0x5f, "f32.ge": 0x60,
  "f64.eq": 0x61, "f64.ne": 0x62, "f64.lt": 0x63, "f64.gt": 0x64, "f64.le": 0x65, "f64.ge": 0x66,
  "i32.add": 0x6a, "i32.sub": 0x6b, "i32.mul": 0x6c, "i32.div_s": 0x6d, "i32.div_u": 0x6e, "i32.rem_s": 0x6f, "i32.rem_u": 0x70,
  "i32.and": 0x71, "i32.or": 0x72, "i32.xor": 0x73, "i32.shl": 0x74, "i32.shr_s": 0x75, "i32.shr_u": 0x76,
  "i64.add": 0x7c, "i64.sub": 0x7d, "i64.and": 0x83, "i64.or": 0x84, "i64.xor": 0x85, "i64.shl": 0x86, "i64.shr_u": 0x88,
  "i32.wrap_i64": 0xa7, "i64.extend_i32_u": 0xad, "i64.reinterpret_f64": 0xbd, "f64.reinterpret_i64": 0xbf,
  "f32.abs": 0x8b, "f32.neg": 0x8c, "f32.floor": 0x8e, "f32.sqrt": 0x91, "f32.add": 0x92, "f32.sub": 0x93, "f32.mul": 0x94,
  "f32.div": 0x95, "f32.min": 0x96, "f32.max": 0x97,
  "f64.abs": 0x99, "f64.neg": 0x9a, "f64.floor": 0x9c, "f64.sqrt": 0x9f, "f64.add": 0xa0, "f64.sub": 0xa1, "f64.mul": 0xa2,
  "f64.div": 0xa3, "f64.min": 0xa4, "f64.max": 0xa5,
  "f32.convert_i32_s": 0xb2, "f32.demote_f64": 0xb6, "f64.convert_i32_s": 0xb7, "f64.promote_f32": 0xbb,
  "i32.reinterpret_f32": 0xbc, "f32.reinterpret_i32": 0xbe,
  "i32.trunc_sat_f32_s": 0xfc0000, "i32.trunc_sat_f64_s": 0xfc0002,

  "i32x4.splat": 0xfd0011, "i64x2.splat": 0xfd0012, "f32x4.splat": 0xfd0013, "f64x2.splat": 0xfd0014,
  "i32x4.eq": 0xfd0037, "i32x4.ne": 0xfd0038, "i32x4.lt_s": 0xfd0039, "i32x4.gt_s": 0xfd003b,
  "i32x4.le_s": 0xfd003d, "i32x4.ge_s": 0xfd003f,
  "f32x4.eq": 0xfd0041, "f32x4.ne": 0xfd0042, "f32x4.lt": 0xfd0043, "f32x4.gt": 0xfd0044, "f32x4.le": 0xfd0045,
  "f32x4.ge": 0xfd0046,
  "f64x2.eq": 0xfd0047, "f64x2.ne": 0xfd0048, "f64x2.lt": 0xfd0049, "f64x2.gt": 0xfd004a, "f64x2.le": 0xfd004b,
  "f64x2.ge": 0xfd004c,
  "v128.any_true": 0xfd0053, "f32x4.demote_f64x2_zero": 0xfd005e, "f64x2.promote_low_f32x4": 0xfd005f,
  "i64x2.extend_low_i32x4_s": 0xfd00c7, "i64x2.extend_high_i32x4_s": 0xfd00c8, "i64x2.shl": 0xfd00cb, "i64x2.shr_u": 0xfd00cd,
  "i64x2.add": 0xfd00ce, "i64x2.sub": 0xfd00d1, "i64x2.eq": 0xfd00d6, "i64x2.ne": 0xfd00d7,
  "i32x4.trunc_sat_f64x2_s_zero": 0xfd00fc, "f64x2.convert_low_i32x4_s": 0xfd00fe,
  "v128.not": 0xfd004d, "v128.and": 0xfd004e, "v128.andnot": 0xfd004f, "v128.or": 0xfd0050, "v128.xor": 0xfd0051,
  "v128.bitselect": 0xfd0052,
  "f32x4.floor": 0xfd0068, "f64x2.floor": 0xfd0075,
  "i16x8.extend_low_i8x16_u": 0xfd0089, "i32x4.extend_low_i16x8_u": 0xfd00a9,
  "i32x4.abs": 0xfd00a0, "i32x4.neg": 0xfd00a1, "i32x4.shl": 0xfd00ab, "i32x4.shr_s": 0xfd00ac, "i32x4.shr_u": 0xfd00ad,
  "i32x4.add": 0xfd00ae, "i32x4.sub": 0xfd00b1, "i32x4.mul": 0xfd00b5, "i32x4.min_s": 0xfd00b6, "i32x4.max_s": 0xfd00b8,
  "f32x4.abs": 0xfd00e0, "f32x4.neg": 0xfd00e1, "f32x4.sqrt": 0xfd00e3, "f32x4.add": 0xfd00e4, "f32x4.sub": 0xfd00e5,
  "f32x4.mul": 0xfd00e6, "f32x4.div": 0xfd00e7, "f32x4.min": 0xfd00e8, "f32x4.max": 0xfd00e9, "f32x4.pmin": 0xfd00ea,
  "f32x4.pmax": 0xfd00eb,
  "f64x2.abs": 0xfd00ec, "f64x2.neg": 0xfd00ed, "f64x2.sqrt": 0xfd00ef, "f64x2.add": 0xfd00f0, "f64x2.sub": 0xfd00f1,
  "f64x2.mul": 0xfd00f2, "f64x2.div": 0xfd00f3, "f64x2.min": 0xfd00f4, "f64x2.max": 0xfd00f5, "f64x2.pmin": 0xfd00f6,
  "f64x2.pmax": 0xfd00f7,
  "i32x4.trunc_sat_f32x4_s": 0xfd00f8, "f32x4.convert_i32x4_s": 0xfd00fa,
  "f32x4.relaxed_madd": 0xfd0105, "f32x4.relaxed_nmadd": 0xfd0106, "f64x2.relaxed_madd": 0xfd0107,
  "f64x2.relaxed_nmadd": 0xfd0108,
} as const;

/** Instructions that take an address (and an offset immediate). Atomics trap unless naturally aligned. */
const memoryOps = {
  "i32.load": 0x28, "f32.load": 0x2a, "f64.load": 0x2b, "i32.load8_u": 0x2d, "i32.load16_u": 0x2f, "i32.store": 0x36, "f32.store": 0x38, "f64.store": 0x39,
  "i32.store8": 0x3a,
  "v128.load": 0xfd0000, "v128.load32_splat": 0xfd0009, "v128.load64_splat": 0xfd000a, "v128.store": 0xfd000b,
  "v128.load32_zero": 0xfd005c, "v128.load64_zero": 0xfd005d,
  "memory.atomic.notify": 0xfe0000, "memory.atomic.wait32": 0xfe0001, "i32.atomic.load": 0xfe0010,
  "i32.atomic.store": 0xfe0017, "i32.atomic.rmw.add": 0xfe001e, "i32.atomic.rmw.sub": 0xfe0025,
  "i32.atomic.rmw.xchg": 0xfe0041, "i32.atomic.rmw.cmpxchg": 0xfe0048,
} as const;

/** Stores of one lane of a vector. */
const laneStores = { "v128.store16_lane": 0xfd0059, "v128.store32_lane": 0xfd005a, "v128.store64_lane": 0xfd005b } as const;

const laneExtracts = { "i32x4.extract_lane": 0xfd001b, "f32x4.extract_lane": 0xfd001f, "f64x2.extract_lane": 0xfd0021 } as const;

export type PlainOp = keyof typeof plain;
export type MemoryOp = keyof typeof memoryOps;
export type LaneStoreOp = keyof typeof laneStores;
export type LaneExtractOp = keyof typeof laneExtracts;

/** Bytes of one function body or section, in the order they are appended. */
export class Code {
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(256);
  #length = 0;

  /** What was appended so far. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#buffer.length, this.#length + count));
    grown.set(this.#buffer);
    this.#buffer = grown;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  /** Unsigned LEB128. */
  unsigned(value: number): this {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.byte(rest);
  }

  /** Signed LEB128 of an int32. */
  signed(value: number): this {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  text(value: string): this {
    const encoded = new TextEncoder().encode(value);
    return this.unsigned(encoded.length).append(encoded);
  }

  append(bytes: ArrayLike<number>): this {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  private opcode(code: number): this {
    const prefix = code >> 16;
    return prefix === 0 ? this.byte(code) : this.byte(prefix).unsigned(code & 0xffff);
  }

  op(name: PlainOp): this {
    return this.opcode(plain[name]);
  }

  memory(name: MemoryOp, offset = 0): this {
    const code = memoryOps[name];
    const isAtomic = code >> 16 === 0xfe;
    return this.opcode(code).unsigned(isAtomic ? 2 : 0).unsigned(offset);
  }

  storeLane(name: LaneStoreOp, offset: number, lane: number): this {
    return this.opcode(laneStores[name]).unsigned(0).unsigned(offset).byte(lane);
  }

  extractLane(name: LaneExtractOp, lane: number): this {
    return this.opcode(laneExtracts[name]).byte(lane);
  }

  /** Bytes of the result, picked from the 32 bytes of two vectors. */
  shuffle(lanes: readonly number[]): this {
    return this.opcode(0xfd000d).append(lanes);
  }

  i32Const(value: number): this {
    return this.byte(0x41).signed(value);
  }

  i64Const(value: bigint): this {
    this.byte(0x42);
    let rest = value;
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  f32Const(value: number): this {
    return this.byte(0x43).append(new Uint8Array(Float32Array.of(value).buffer));
  }

  f64Const(value: number): this {
    return this.byte(0x44).append(new Uint8Array(Float64Array.of(value).buffer));
  }

  v128Const(bytes: Uint8Array): this {
    return this.opcode(0xfd000c).append(bytes);
  }

  localGet(index: number): this {
    return this.byte(0x20).unsigned(index);
  }

  localSet(index: number): this {
    return this.byte(0x21).unsigned(index);
  }

  localTee(index: number): this {
    return this.byte(0x22).unsigned(index);
  }

  /** Calls go through the table: direct ones V8 inlines, which takes it twice as long and runs no faster, or (14 and later, without Liftoff) aborts on. */
  callIndirect({ place, type }: TablePlace): this {
    return this.i32Const(place).byte(0x11).unsigned(type).byte(0);
  }

  /** Takes target, source and count of bytes from the stack. */
  memoryCopy(): this {
    return this.append([0xfc, 0x0a, 0, 0]);
  }

  /** Each of block, loop and if is closed by op("end"). */
  block(): this {
    return this.byte(0x02).byte(0x40);
  }

  loop(): this {
    return this.byte(0x03).byte(0x40);
  }

  if(): this {
    return this.byte(0x04).byte(0x40);
  }

  /** Branches to the `depth`-th enclosing label. */
  branch(depth: number): this {
    return this.byte(0x0c).unsigned(depth);
  }

  branchIf(depth: number): this {
    return this.byte(0x0d).unsigned(depth);
  }
}

export interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** A function with its body; locals are numbered after the parameters. */
export interface AssembledFunction extends Signature {
  readonly locals: readonly ValueType[];
  readonly code: Code;
}

/** Limits of the imported memory, in pages of 64 KiB. */
export interface MemoryImport {
  readonly module: string;
  readonly name: string;
  readonly minimum: number;
  readonly maximum: number;
  readonly shared: boolean;
}

function section(into: Code, id: number, content: Code): void {
  into.byte(id).unsigned(content.bytes.length).append(content.bytes);
}

/** Where a function stands in the module's table, and its type. */
export interface TablePlace {
  readonly place: number;
  readonly type: number;
}

/** Collects functions and writes the binary module. */
export class ModuleAssembler {
  private readonly types: string[] = [];
  private readonly typeCodes: Code[] = [];
  private readonly functions: { type: number; body: AssembledFunction }[] = [];
  private readonly exports: { name: string; index: number }[] = [];
  /** Functions of the table, in its order. */
  private readonly table: number[] = [];
  private readonly memory: MemoryImport;

  constructor(memory: MemoryImport) {
    this.memory = memory;
  }

  private typeIndex(signature: Signature): number {
    const key = `${signature.parameters.join()}>${signature.results.join()}`;
    const known = this.types.indexOf(key);
    if (known >= 0) return known;
    const code = new Code().byte(0x60);
    for (const types of [signature.parameters, signature.results]) {
      code.unsigned(types.length).append(types.map((type) => valueTypeByte[type]));
    }
    this.typeCodes.push(code);
    return this.types.push(key) - 1;
  }

  /** Adds a function and returns its index. */
  addFunction(body: AssembledFunction): number {
    return this.functions.push({ type: this.typeIndex(body), body }) - 1;
  }

  /** What `Code.callIndirect` needs of a defined function: its place in the table, and its type. */
  indirect(index: number): TablePlace {
    const known = this.table.indexOf(index);
    const place = known >= 0 ? known : this.table.push(index) - 1;
    return { place, type: this.functions[index]!.type };
  }

  exportFunction(name: string, index: number): void {
    this.exports.push({ name, index });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new Code().append([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);

    const types = new Code().unsigned(this.typeCodes.length);
    for (const code of this.typeCodes) types.append(code.bytes);
    section(out, 1, types);

    const imports = new Code().unsigned(1);
    const { minimum, maximum, shared } = this.memory;
    imports.text(this.memory.module).text(this.memory.name).byte(2).byte(shared ? 3 : 1).unsigned(minimum).unsigned(maximum);
    section(out, 2, imports);

    const declarations = new Code().unsigned(this.functions.length);
    for (const { type } of this.functions) declarations.unsigned(type);
    section(out, 3, declarations);

    if (this.table.length > 0) section(out, 4, new Code().append([1, 0x70, 0]).unsigned(this.table.length));

    const exports = new Code().unsigned(this.exports.length);
    for (const { name, index } of this.exports) exports.text(name).byte(0).unsigned(index);
    section(out, 7, exports);

    if (this.table.length > 0) {
      const elements = new Code().append([1, 0]).i32Const(0).op("end").unsigned(this.table.length);
      for (const index of this.table) elements.unsigned(index);
      section(out, 9, elements);
    }

    const bodies = new Code().unsigned(this.functions.length);
    for (const { body } of this.functions) {
      const code = new Code();
      const runs: { type: ValueType; count: number }[] = [];
      for (const type of body.locals) {
        const last = runs.at(-1);
        if (last?.type === type) last.count++;
        else runs.push({ type, count: 1 });
      }
      code.unsigned(runs.length);
      for (const { type, count } of runs) code.unsigned(count).byte(valueTypeByte[type]);
      code.append(body.code.bytes).op("end");
      bodies.unsigned(code.bytes.length).append(code.bytes);
    }
    section(out, 10, bodies);

    return out.bytes.slice();
  }
}
