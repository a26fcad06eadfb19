// Emits a kernel's scalar body inside loops: addresses and instructions are placed at the outermost loop where they vary.
// One axis runs along vector lanes; everything that does not vary along it is computed once and repeated in every lane.
import type { Access, Instruction, RegisterType, Store } from "../kernels/kernel.ts";
import { add, binary, cellBytes, constant, extract, type FunctionBuilder, i32, laneIndex, load, loadSplat, madd, mul, nmadd, select, shuffle, splat, unary } from "./build.ts";
import type { Expr } from "./ir.ts";
import { transpose } from "./lanes.ts";
import { cellOf, type Computed, convert, emitComputed, kindOf, operandsOf } from "./scalar.ts";

/** How the vector axis is stepped: `copies` vectors at once, or single elements held in lane 0. */
export interface Group {
  readonly copies: number;
  readonly single: boolean;
  /** Vectors between the coordinate and the first copy; default 0. */
  readonly first?: number;
}

export interface BodyOptions {
  readonly body: readonly Instruction[];
  readonly stores: readonly Store[];
  /** Loop depth of each axis of the domain, from 1, outermost first. */
  readonly depths: readonly number[];
  /** The axis that runs along lanes. */
  readonly vectorAxis: number;
  readonly lanes: number;
  /** The axis that the vectors of a group step along, in place of the lanes' own: squares of it and the lanes are transposed where they are read. */
  readonly tileAxis?: number;
  /** Whether neighbouring vectors are stored so that nothing they are made of is fused. */
  readonly apart?: boolean;
  /** Value of accumulator `index` for vector `copy` of the group. */
  readonly accumulator?: (index: number, copy: number, group: Group) => Expr;
}

/**
 * Whether V8 fuses all pairs of a body's vectors or none. Not where copies have constants of their own (positions), or where one copy
 * may read what another reads elsewhere: a value that two pairs share fuses in one of them only.
 *
 * What runs around a loop must be all fused or all not. V8 (13.6, 14.6) starts the loop with one load of the constant that all of it
 * begins with where that was spilled, as narrow as the narrowest wants it, and the upper halves of the others are lost.
 */
export function fusesEvenly(body: readonly Instruction[]): boolean {
  const seen = new Map<number, string>();
  return body.every((instruction) => {
    if (instruction.op === "index" || instruction.op === "randomBits") return false;
    if (instruction.op !== "load") return true;
    const { buffer, offset } = instruction.access;
    const place = `${pointerKey(instruction.access)} ${offset}`;
    const known = seen.get(buffer);
    seen.set(buffer, place);
    return known === undefined || known === place;
  });
}

/** A place in memory that moves with the loops; accesses that differ by a constant share one. */
interface Pointer {
  readonly access: Access;
  readonly offset: number;
  readonly bytes: number;
}

const pointerKey = ({ buffer, dtype, strides, indirect }: Access): string =>
  `${buffer} ${dtype} ${strides.join()} ${indirect === undefined ? "" : `${indirect.row} ${indirect.stride} ${indirect.rows}`}`;

/** Emits one body. Call {@link start}, then {@link enter} for each loop depth in order, then {@link store} in the innermost. */
export class BodyEmitter {
  private readonly f: FunctionBuilder;
  private readonly args: Expr;
  private readonly options: BodyOptions;
  private readonly vectorDepth: number;
  private readonly pointers = new Map<string, Pointer>();
  /** Addresses by depth, then pointer. */
  private readonly addresses: Map<string, Expr>[] = [new Map()];
  /** Depth of each instruction, and whether it varies along the lanes. */
  private readonly depthOf: number[] = [];
  private readonly along: boolean[] = [];
  /** Products that only one sum reads: they become its multiply-add. */
  private readonly contracted = new Set<number>();
  /** Values by instruction, then copy; one where it does not vary along the lanes. */
  private readonly values: Expr[][] = [];
  /** The accesses of rows found through an index, by pointer. */
  private readonly indirect: [string, Access & Required<Pick<Access, "indirect">>][] = [];
  /** Bytes to the indirect rows that do not vary along the lanes, by pointer. */
  private readonly rows = new Map<string, Expr>();
  private readonly coordinates: (Expr | undefined)[];
  private group: Group = { copies: 1, single: false };

  constructor(f: FunctionBuilder, args: Expr, options: BodyOptions) {
    this.f = f;
    this.args = args;
    this.options = options;
    this.coordinates = new Array<undefined>(options.depths.length).fill(undefined);
    this.vectorDepth = options.depths[options.vectorAxis] ?? 0;
    for (const { access } of options.stores) this.declareAccess(access);
    for (const instruction of options.body) {
      if (instruction.op === "load") this.declareAccess(instruction.access);
      this.place(instruction);
    }
    this.contract();
  }

  private contract(): void {
    const { body, stores, lanes } = this.options;
    if (lanes === 1) return;
    const readers = new Array<number>(body.length).fill(0);
    for (const instruction of body) for (const operand of operandsOf(instruction)) readers[operand]!++;
    for (const { value } of stores) readers[value]!++;
    body.forEach((instruction, index) => {
      if (instruction.type !== "float32" || (instruction.op !== "add" && instruction.op !== "sub")) return;
      const isProduct = (operand: number): boolean =>
        body[operand]!.op === "mul" && readers[operand] === 1 && this.depthOf[operand] === this.depthOf[index] && this.along[operand] === this.along[index];
      if (isProduct(instruction.b)) this.contracted.add(instruction.b);
      else if (instruction.op === "add" && isProduct(instruction.a)) this.contracted.add(instruction.a);
    });
  }

  private declareAccess(access: Access): void {
    const key = pointerKey(access);
    const known = this.pointers.get(key);
    if (known === undefined && access.indirect !== undefined) this.indirect.push([key, { ...access, indirect: access.indirect }]);
    const offset = Math.min(access.offset, known?.offset ?? Infinity);
    this.pointers.set(key, { access, offset, bytes: cellBytes[cellOf[access.dtype]] });
  }

  private place(instruction: Instruction): void {
    const { depths, vectorAxis, tileAxis } = this.options;
    const operands = operandsOf(instruction);
    let depth = Math.max(0, ...operands.map((index) => this.depthOf[index]!));
    let along = operands.some((index) => this.along[index]);
    const strides = instruction.op === "load" ? instruction.access.strides : instruction.op === "index" ? instruction.strides : [];
    strides.forEach((stride, axis) => {
      if (stride === 0) return;
      depth = Math.max(depth, depths[axis]!);
      along ||= axis === vectorAxis || axis === tileAxis;
    });
    if (instruction.op === "accumulator") {
      depth = Math.max(0, ...depths);
      along = true;
    }
    this.depthOf.push(depth);
    this.along.push(along);
  }

  /** Buffer addresses and what varies with no coordinate; before all loops. */
  start(): void {
    for (const [key, { access, offset, bytes }] of this.pointers) {
      const base = this.f.let("buffer", load("i32", this.args, 4 * access.buffer));
      this.addresses[0]!.set(key, this.f.let("base", add(base, offset * bytes)));
    }
    this.compute(0);
  }

  /** Inside the loop of `depth`: gives the coordinates of its axes; `group` where the vector axis is among them. */
  enter(depth: number, coordinates: readonly (readonly [axis: number, value: Expr])[], group?: Group): void {
    if (group !== undefined) this.group = group;
    for (const [axis, value] of coordinates) this.coordinates[axis] = value;
    const outer = this.addresses[depth - 1]!;
    const addresses = new Map<string, Expr>();
    for (const [key, { access, bytes }] of this.pointers) {
      let address = outer.get(key)!;
      for (const [axis, value] of coordinates) {
        const stride = access.strides[axis]!;
        if (stride !== 0) address = add(address, mul(value, stride * bytes));
      }
      addresses.set(key, this.f.let("at", address));
    }
    this.addresses[depth] = addresses;
    this.compute(depth);
  }

  /** The next vectors at the same coordinates. */
  proceed(group: Group): void {
    this.group = group;
    this.compute(this.vectorDepth);
  }

  /** Value of an instruction in vector `copy` of the group. */
  value(index: number, copy: number): Expr {
    const copies = this.values[index]!;
    return copies[copy] ?? copies[0]!;
  }

  private compute(depth: number): void {
    // One instruction for all copies at a time: every load of the group stands before its first store.
    this.options.body.forEach((instruction, index) => {
      if (this.depthOf[index] !== depth || this.contracted.has(index)) return;
      const copies = this.along[index] ? this.group.copies : 1;
      const values = this.transposed(instruction, depth) ?? this.f.interleaved(copies, (copy) => this.emit(instruction, copy, this.along[index]!, depth));
      this.values[index] = this.along[index] ? values : [this.repeated(values[0]!, instruction.op)];
      if (!this.along[index]) this.findRows(index);
    });
  }

  /** A value that is the same in every lane, as a splat: V8 fuses pairs over splats and constants only. */
  private repeated(value: Expr, op: Instruction["op"]): Expr {
    const { f } = this;
    if (value.lanes === 1 || value.op === "const" || op === "load") return value;
    return f.let("repeated", splat(f.let("scalar", extract(value, 0)), value.lanes));
  }

  private emit(instruction: Instruction, copy: number, along: boolean, depth: number): Expr {
    switch (instruction.op) {
      case "load":
        return this.load(instruction.access, instruction.type, copy, along, depth);
      case "index":
        return this.index(instruction.offset, instruction.strides, copy);
      case "accumulator": {
        const { accumulator } = this.options;
        if (accumulator === undefined) throw new Error("An accumulator is read where nothing accumulates.");
        return accumulator(instruction.index, copy, this.group);
      }
      case "add":
      case "sub": {
        const { a, b } = instruction;
        if (this.contracted.has(b)) return this.multiplyAdd(instruction.op, b, a, copy);
        if (this.contracted.has(a)) return this.multiplyAdd("add", a, b, copy);
        return this.computed(instruction, copy);
      }
      default:
        return this.computed(instruction, copy);
    }
  }

  private computed(instruction: Computed, copy: number): Expr {
    return emitComputed(this.f, instruction, this.options.lanes, (operand) => this.value(operand, copy));
  }

  /** addend ± product, rounded once. */
  private multiplyAdd(op: "add" | "sub", product: number, addend: number, copy: number): Expr {
    const factors = this.options.body[product] as Extract<Instruction, { readonly b: number }>;
    const [a, b, c] = [this.value(factors.a, copy), this.value(factors.b, copy), this.value(addend, copy)];
    return this.f.let("madd", op === "add" ? madd(a, b, c) : nmadd(a, b, c));
  }

  /** Elements from the coordinate to the first of vector `copy`, for what walks by `strides`. */
  private advance(strides: readonly number[], copy: number): number {
    const { first = 0, single } = this.group;
    const { lanes, tileAxis, vectorAxis } = this.options;
    if (tileAxis !== undefined) return (first + copy) * strides[tileAxis]!;
    return (first + copy) * (single ? 1 : lanes) * (strides[vectorAxis] ?? 0);
  }

  /** The vectors of a square that lies in memory the other way round; undefined where a load is not of one. */
  private transposed(instruction: Instruction, depth: number): Expr[] | undefined {
    const { lanes, tileAxis, vectorAxis } = this.options;
    if (instruction.op !== "load" || tileAxis === undefined || this.group.single || this.group.copies !== lanes) return undefined;
    const { access, type } = instruction;
    if (access.strides[tileAxis] !== 1 || Math.abs(access.strides[vectorAxis]!) <= 1) return undefined;
    const { f } = this;
    const cell = cellOf[access.dtype];
    const { address, offset, laneBytes } = this.addressOf(access, depth);
    const first = offset + this.advance(access.strides, 0) * cellBytes[cell];
    const rows = Array.from({ length: lanes }, (_, lane) => f.let("row", load(cell, address, first + lane * laneBytes, lanes)));
    return transpose(f, rows).map((value) => this.register(value, type));
  }

  private register(value: Expr, type: RegisterType): Expr {
    const { f } = this;
    return type === "bool" ? f.let("mask", convert(value, "mask")) : f.let("value", convert(value, kindOf[type]));
  }

  private addressOf(access: Access, depth: number): { readonly address: Expr; readonly offset: number; readonly laneBytes: number } {
    const key = pointerKey(access);
    const { offset, bytes } = this.pointers.get(key)!;
    const address = this.addresses[depth]!.get(key)!;
    return { address, offset: (access.offset - offset) * bytes, laneBytes: access.strides[this.options.vectorAxis]! * bytes };
  }

  private load(access: Access, type: RegisterType, copy: number, along: boolean, depth: number): Expr {
    const { f } = this;
    const { lanes } = this.options;
    const cell = cellOf[access.dtype];
    const { address, offset, laneBytes } = this.addressOf(access, depth);
    const first = offset + (depth >= this.vectorDepth ? this.advance(access.strides, copy) * cellBytes[cell] : 0);
    const rows = this.rowOffsets(access, copy);
    const rowsVary = access.indirect !== undefined && this.along[access.indirect.row]!;
    const at = (lane: number): Expr => (rows === undefined ? address : add(address, rowsVary ? extract(rows, lane) : rows));
    let value: Expr;
    if (!along && lanes > 1 && cell !== "u8") value = splat(f.let("scalar", load(cell, at(0), first, 1)), lanes);
    else if (!along || this.group.single || lanes === 1) value = loadSplat(cell, at(0), first, lanes);
    else if (laneBytes === 0 && !rowsVary) value = loadSplat(cell, at(0), first, lanes);
    else if (laneBytes === cellBytes[cell] && !rowsVary) value = load(cell, at(0), first, lanes);
    else if (laneBytes === -cellBytes[cell] && !rowsVary) {
      const backward = f.let("backward", load(cell, at(0), first + (lanes - 1) * laneBytes, lanes));
      value = shuffle(backward, backward, Array.from({ length: lanes }, (_, lane) => lanes - 1 - lane));
    }
    else value = this.gather(Array.from({ length: lanes }, (_, lane) => loadSplat(cell, at(lane), first + lane * laneBytes, lanes)));
    return this.register(f.let("load", value), type);
  }

  /** One vector of lanes that were each loaded into all lanes. */
  private gather(parts: readonly Expr[]): Expr {
    const { f } = this;
    const { lanes } = this.options;
    const named = parts.map((part) => f.let("part", part));
    let vector = named[0]!;
    for (let lane = 1; lane < lanes; lane++) {
      vector = f.let("gather", select(f.let("lane", binary("eq", laneIndex(lanes), lane)), named[lane]!, vector));
    }
    return vector;
  }

  /** Computes where the rows that instruction `index` names begin, outside the loops in which they stay. */
  private findRows(index: number): void {
    for (const [key, access] of this.indirect) {
      if (access.indirect.row === index) this.rows.set(key, this.rowOffset(access, access.indirect, 0));
    }
  }

  /** Bytes from the access to its indirect row: one scalar, or a vector where rows vary along the lanes. */
  private rowOffsets(access: Access, copy: number): Expr | undefined {
    const { indirect } = access;
    return indirect && (this.along[indirect.row] ? this.rowOffset(access, indirect, copy) : this.rows.get(pointerKey(access))!);
  }

  private rowOffset(access: Access, indirect: NonNullable<Access["indirect"]>, copy: number): Expr {
    const { f } = this;
    const bytes = cellBytes[cellOf[access.dtype]];
    const row = this.value(indirect.row, copy);
    const whole = this.along[indirect.row]! ? row : extract(row, 0);
    const last = constant("i32", indirect.rows - 1, whole.lanes);
    const low = f.let("row", select(binary("lt", whole, 0), constant("i32", 0, whole.lanes), whole));
    const clamped = f.let("row", select(binary("gt", low, last), last, low));
    return f.let("row", mul(clamped, indirect.stride * bytes));
  }

  private index(offset: number, strides: readonly number[], copy: number): Expr {
    const { f } = this;
    const { lanes, vectorAxis } = this.options;
    let scalar: Expr = i32(offset);
    strides.forEach((stride, axis) => {
      if (stride === 0) return;
      scalar = add(scalar, mul(this.coordinates[axis]!, stride));
    });
    const stride = strides[vectorAxis] ?? 0;
    const advance = this.advance(strides, copy);
    if (stride === 0 || lanes === 1) return f.let("index", splat(add(scalar, advance), lanes));
    const base = f.let("first", add(splat(f.let("at", scalar), lanes), mul(laneIndex(lanes), stride)));
    return f.let("index", add(base, advance));
  }

  /** Writes the stores of all copies. */
  store(): void {
    const { f } = this;
    const { lanes, stores } = this.options;
    const depth = this.addresses.length - 1;
    for (const { access, value } of stores) {
      const cell = cellOf[access.dtype];
      const { address, offset, laneBytes } = this.addressOf(access, depth);
      const first = (copy: number): number => offset + this.advance(access.strides, copy) * cellBytes[cell];
      const values = Array.from({ length: this.group.copies }, (_, copy) => {
        const given = this.value(value, copy);
        return given.kind === "mask" ? unary("convert", given, "i32") : given;
      });
      if (this.group.single || lanes === 1) values.forEach((stored, copy) => f.store(cell, address, extract(stored, 0), first(copy)));
      else if (laneBytes === cellBytes[cell]) {
        if (this.options.apart === true) f.storeApart(cell, address, values, first);
        else f.storeVectors(cell, address, values, first);
      } else {
        values.forEach((stored, copy) => {
          const named = f.let("stored", stored);
          for (let lane = 0; lane < lanes; lane++) f.store(cell, address, extract(named, lane), first(copy) + lane * laneBytes);
        });
      }
    }
  }
}

/**
 * Runs `body` over [from, to), not empty, along the vector axis: groups of `copies` vectors, then vectors, then single elements.
 * A turn of the loop over groups runs `rounds` of them. `multiple` divides the length; tails that cannot occur are left out.
 */
export function vectorLoop(
  f: FunctionBuilder,
  from: Expr,
  to: Expr,
  { lanes, copies, rounds = 1, multiple = 1 }: { readonly lanes: number; readonly copies: number; readonly rounds?: number; readonly multiple?: number },
  body: (at: Expr, group: Group) => void,
): void {
  const wide = lanes * copies * rounds;
  const turn = (at: Expr): void => {
    for (let round = 0; round < rounds; round++) body(at, { copies, single: false, first: round * copies });
  };
  const repeat = (name: string, start: Expr, end: Expr, step: number, run: (at: Expr) => void): void => {
    if (start.op === "const" && end.op === "const" && end.value - start.value <= step) {
      if (start.value < end.value) run(start);
    } else f.loop(name, start, end, step, run);
  };
  const vector = (at: Expr): void => body(at, { copies: 1, single: false });
  if (from.op === "const" && to.op === "const") {
    const length = to.value - from.value;
    const main = from.value + length - (length % wide);
    const vectors = Math.floor((length % wide) / lanes);
    const singles = length % lanes;
    repeat("j", from, i32(main), wide, turn);
    // Pairs go with pairs (see fusesEvenly), a last vector goes alone.
    const pairs = vectors - (vectors % 2);
    if (rounds > 1) repeat("v", i32(main), i32(main + vectors * lanes), lanes, vector);
    else {
      if (pairs > 0) body(i32(main), { copies: pairs, single: false });
      if (vectors > pairs) vector(i32(main + pairs * lanes));
    }
    if (singles > 0) body(i32(main + vectors * lanes), { copies: singles, single: true });
    return;
  }
  const cut = (start: Expr, width: number): Expr => f.let("cut", add(start, binary("and", binary("sub", to, start), -width)));
  let at = from;
  if (copies > 1 || lanes > 1) {
    const wideEnd = multiple % wide === 0 ? to : cut(at, wide);
    repeat("j", at, wideEnd, wide, turn);
    at = wideEnd;
  }
  if (lanes > 1 && wide > lanes && multiple % wide !== 0) {
    const vectorEnd = multiple % lanes === 0 ? to : cut(at, lanes);
    repeat("v", at, vectorEnd, lanes, vector);
    at = vectorEnd;
  }
  if (multiple % lanes !== 0 || lanes === 1) repeat("s", at, to, 1, (single) => body(single, { copies: 1, single: true }));
}

