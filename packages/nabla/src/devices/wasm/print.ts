// Prints functions of the loop IR as WebAssembly: one local per IR local, one v128 per vector.
// Float and vector constants live in locals set at the top of the function: V8 rebuilds a v128.const in a loop every iteration.
import { cellBytes } from "../../loops/build.ts";
import type { BinaryIr, Cell, Expr, IrFunction, Kind, Local, Statement, UnaryIr } from "../../loops/ir.ts";
import { Code, type MemoryOp, type ModuleAssembler, type PlainOp, type TablePlace, type ValueType } from "./assemble.ts";

/** What the engine that compiles the module understands. */
export interface WasmFeatures {
  /** relaxed_madd. Without it a·b + c rounds twice. */
  readonly relaxedSimd: boolean;
}

/**
 * Adds `functions` and everything they call to `module`; returns the index of each, for `Code.call` and exports.
 * The functions take their parameters and return nothing. Recursion is not supported.
 */
export function printFunctions(module: ModuleAssembler, functions: readonly IrFunction[], features: WasmFeatures): Map<IrFunction, number> {
  const indices = new Map<IrFunction, number>();
  const add = (fn: IrFunction): void => {
    if (indices.has(fn)) return;
    for (const callee of calleesOf(fn.body)) add(callee);
    const printer = new FunctionPrinter(fn, (callee) => placeOf(module, indices, fn, callee), features);
    indices.set(fn, module.addFunction(printer.print()));
  };
  functions.forEach(add);
  return indices;
}

function placeOf(module: ModuleAssembler, indices: ReadonlyMap<IrFunction, number>, fn: IrFunction, callee: IrFunction): TablePlace {
  const index = indices.get(callee);
  if (index === undefined) throw new Error(`${fn.name} calls ${callee.name}, which calls it back.`);
  return module.indirect(index);
}

function calleesOf(statements: readonly Statement[]): IrFunction[] {
  return statements.flatMap((statement) => {
    switch (statement.op) {
      case "call":
        return [statement.callee];
      case "loop":
        return calleesOf(statement.body);
      case "if":
        return [...calleesOf(statement.then), ...calleesOf(statement.otherwise)];
      default:
        return [];
    }
  });
}

type Loop = Extract<Statement, { op: "loop" }>;

/**
 * How a value of `kind` and `lanes` is named in instructions: f32, f64x2, … Two lanes of 32 bits lie in the lower half of a vector.
 * Masks are i32, i32x4 or (two lanes, whatever they were compared from) i64x2.
 */
type Form = "f32" | "f64" | "i32" | "i64" | "f32x4" | "f64x2" | "i32x4" | "i64x2";

const scalarForms: Readonly<Record<Kind, Form>> = { f32: "f32", f64: "f64", i32: "i32", i64: "i64", mask: "i32" };
const vectorForms: Readonly<Record<Kind, Readonly<Record<number, Form>>>> = {
  f32: { 2: "f32x4", 4: "f32x4" }, f64: { 2: "f64x2" }, i32: { 2: "i32x4", 4: "i32x4" }, i64: { 2: "i64x2" }, mask: { 2: "i64x2", 4: "i32x4" },
};

/** Bytes of a lane, where it lies in a vector. */
const laneBytes = (kind: Kind, lanes: number): number => (kind === "f64" || kind === "i64" || (kind === "mask" && lanes === 2) ? 8 : 4);

/** Byte selectors of a shuffle that picks 32-bit words of two vectors. */
const words = (...order: readonly number[]): number[] => order.flatMap((word) => [0, 1, 2, 3].map((byte) => 4 * word + byte));

function formOf(kind: Kind, lanes: number): Form {
  const form = lanes === 1 ? scalarForms[kind] : vectorForms[kind][lanes];
  if (form === undefined) throw new Error(`A vector of ${lanes} ${kind} does not fit a WebAssembly vector.`);
  return form;
}

function valueTypeOf(kind: Kind, lanes: number): ValueType {
  if (lanes > 1) return "v128";
  return kind === "mask" ? "i32" : kind;
}

const arithmetic: Readonly<Partial<Record<BinaryIr, string>>> = {
  add: "add", sub: "sub", mul: "mul", div: "div", min: "min", max: "max",
};

const comparisons: Readonly<Partial<Record<BinaryIr, string>>> = { eq: "eq", ne: "ne", lt: "lt", le: "le", gt: "gt", ge: "ge" };

const bitwise: Readonly<Partial<Record<BinaryIr, "and" | "or" | "xor">>> = { and: "and", or: "or", xor: "xor" };

const shifts: Readonly<Partial<Record<BinaryIr, string>>> = { shl: "shl", shrS: "shr_s", shrU: "shr_u" };

const loadOps: Readonly<Record<Cell, MemoryOp>> = { f32: "f32.load", f64: "f64.load", i32: "i32.load", u8: "i32.load8_u" };

const storeOps: Readonly<Record<Cell, MemoryOp>> = { f32: "f32.store", f64: "f64.store", i32: "i32.store", u8: "i32.store8" };

const reinterpretations: Readonly<Partial<Record<Kind, PlainOp>>> = {
  f32: "f32.reinterpret_i32", f64: "f64.reinterpret_i64", i32: "i32.reinterpret_f32", i64: "i64.reinterpret_f64",
};

/** Byte selectors of a shuffle that gathers the low byte of four 32-bit lanes. */
const lowBytes: readonly number[] = [0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12];

class FunctionPrinter {
  private readonly fn: IrFunction;
  private readonly placeOf: (callee: IrFunction) => TablePlace;
  private readonly features: WasmFeatures;
  private readonly code = new Code();
  /** Sets the constants; runs before `code`. */
  private readonly prologue = new Code();
  private readonly scalars = new Constants();
  private readonly vectors = new Constants();
  /** By id. */
  private readonly localIndices: (number | undefined)[] = [];
  private readonly locals: ValueType[] = [];
  /** The local that holds 0, 1, 2, 3, if any. */
  private laneNumbers: number | undefined;
  /** Indices of locals whose loop has ended. */
  private readonly free = new Map<ValueType, number[]>();

  constructor(fn: IrFunction, placeOf: (callee: IrFunction) => TablePlace, features: WasmFeatures) {
    this.fn = fn;
    this.placeOf = placeOf;
    this.features = features;
    fn.parameters.forEach((parameter, index) => (this.localIndices[parameter.id] = index));
  }

  print(): { parameters: ValueType[]; results: ValueType[]; locals: ValueType[]; code: Code } {
    const { result } = this.fn;
    this.statements(this.fn.body);
    if (result !== undefined) this.expr(result);
    return {
      parameters: this.fn.parameters.map(({ kind, lanes }) => valueTypeOf(kind, lanes)),
      results: result === undefined ? [] : [valueTypeOf(result.kind, result.lanes)],
      locals: this.locals,
      code: new Code().append(this.prologue.bytes).append(this.code.bytes),
    };
  }

  private newLocal(type: ValueType): number {
    return this.fn.parameters.length + this.locals.push(type) - 1;
  }

  private indexOf(local: Local): number {
    let index = this.localIndices[local.id];
    if (index === undefined) {
      const type = valueTypeOf(local.kind, local.lanes);
      index = this.free.get(type)?.pop() ?? this.newLocal(type);
      this.localIndices[local.id] = index;
    }
    return index;
  }

  private statements(statements: readonly Statement[]): void {
    for (const statement of statements) this.statement(statement);
  }

  private statement(statement: Statement): void {
    const { code } = this;
    switch (statement.op) {
      case "set":
        this.expr(statement.value);
        code.localSet(this.indexOf(statement.local));
        return;
      case "store":
        this.store(statement);
        return;
      case "loop":
        this.loop(statement);
        return;
      case "if":
        this.expr(statement.condition);
        code.if();
        this.statements(statement.then);
        if (statement.otherwise.length > 0) {
          code.op("else");
          this.statements(statement.otherwise);
        }
        code.op("end");
        return;
      case "call":
        for (const argument of statement.arguments) this.expr(argument);
        code.callIndirect(this.placeOf(statement.callee));
        if (statement.into !== undefined) code.localSet(this.indexOf(statement.into));
        return;
    }
  }

  private store({ cell, address, offset, value }: Extract<Statement, { op: "store" }>): void {
    const { code } = this;
    const base = this.address(address, offset);
    this.expr(value);
    if (value.lanes === 1) code.memory(storeOps[cell], base);
    else if (cell === "u8") {
      // The low bytes move together, then leave as one lane.
      const packed = this.newLocal("v128");
      code.localTee(packed).localGet(packed).shuffle(lowBytes).storeLane(value.lanes === 2 ? "v128.store16_lane" : "v128.store32_lane", base, 0);
    } else if (value.lanes * cellBytes[cell] === 8) code.storeLane("v128.store64_lane", base, 0);
    else code.memory("v128.store", base);
  }

  /** Tested at the bottom; the guard before it goes where both ends are known. */
  private loop(statement: Loop): void {
    const { counter, start, end, step, body } = statement;
    const { code } = this;
    const index = this.indexOf(counter);
    const known = start.op === "const" && end.op === "const";
    if (known && start.value >= end.value) return;
    const pushEnd = this.loopEnd(end, counter);
    this.expr(start);
    code.localSet(index);
    if (!known) {
      code.localGet(index);
      pushEnd();
      code.op("i32.lt_s").if();
    }
    code.loop();
    this.statements(body);
    this.forget(statement);
    code.localGet(index).i32Const(step).op("i32.add").localTee(index);
    pushEnd();
    code.op("i32.lt_s").branchIf(0).op("end");
    if (!known) code.op("end");
    this.release(statement);
  }

  /**
   * Clears the vectors that live within one turn of a loop. V8 carries every local that a loop sets to its next turn,
   * and takes that for a use of each half of a pair of vectors, which then do not pay for being fused.
   */
  private forget({ locals }: Loop): void {
    const vectors = locals.filter(({ lanes }) => lanes > 1);
    if (vectors.length === 0) return;
    const zero = this.vectorConstant("i32", 0);
    for (const local of vectors) this.code.localGet(zero).localSet(this.indexOf(local));
  }

  /** What a loop named is over: later loops take its places, and the function has fewer locals to carry around. */
  private release({ locals }: Loop): void {
    for (const local of locals) {
      const type = valueTypeOf(local.kind, local.lanes);
      const free = this.free.get(type);
      if (free === undefined) this.free.set(type, [this.indexOf(local)]);
      else free.push(this.indexOf(local));
    }
  }

  private loopEnd(end: Expr, counter: Local): () => void {
    if (end.op === "const") return () => this.code.i32Const(end.value);
    if (end.op === "get" && end.local === counter) throw new Error(`${this.fn.name}: a loop counts ${counter.name} up to itself.`);
    const bound = this.newLocal("i32");
    this.expr(end);
    this.code.localSet(bound);
    return () => this.code.localGet(bound);
  }

  /** Pushes an address and returns the offset immediate; offset immediates are unsigned. */
  private address(address: Expr, offset: number): number {
    this.expr(address);
    if (offset >= 0) return offset;
    this.code.i32Const(offset).op("i32.add");
    return 0;
  }

  private expr(expr: Expr): void {
    const { code } = this;
    switch (expr.op) {
      case "const":
        this.constant(expr.kind, expr.lanes, expr.value);
        return;
      case "get":
        code.localGet(this.indexOf(expr.local));
        return;
      case "unary":
        this.unary(expr.name, expr.a, expr.kind, expr.lanes);
        return;
      case "binary":
        this.binary(expr.name, expr.a, expr.b, expr.kind, expr.lanes);
        return;
      case "madd":
      case "nmadd":
        this.multiplyAdd(expr);
        return;
      case "select":
        this.expr(expr.a);
        this.expr(expr.b);
        this.expr(expr.mask);
        if (expr.lanes === 2 && laneBytes(expr.kind, 2) === 4) this.narrowMask();
        code.op(expr.lanes === 1 ? "select" : "v128.bitselect");
        return;
      case "splat":
        this.splat(expr.a, expr.lanes);
        return;
      case "extract":
        this.expr(expr.a);
        this.extract(expr.kind, expr.a.lanes, expr.lane);
        return;
      case "shuffle": {
        const bytes = laneBytes(expr.kind, expr.lanes);
        const { lanes } = expr;
        this.expr(expr.a);
        this.expr(expr.b);
        const picked = expr.order.flatMap((lane) => {
          const first = lane < lanes ? lane * bytes : 16 + (lane - lanes) * bytes;
          return Array.from({ length: bytes }, (_, byte) => first + byte);
        });
        code.shuffle(Array.from({ length: 16 }, (_, byte) => picked[byte % picked.length]!));
        return;
      }
      case "half":
        this.expr(expr.a);
        if (expr.lanes !== 2) throw new Error(`Half of ${expr.a.lanes} lanes is not supported.`);
        if (expr.kind === "mask") code.op(expr.upper ? "i64x2.extend_high_i32x4_s" : "i64x2.extend_low_i32x4_s");
        else if (expr.upper) this.shuffled(words(2, 3, 2, 3));
        return;
      case "join":
        this.expr(expr.a);
        this.expr(expr.b);
        if (expr.lanes !== 4) throw new Error(`A join of ${expr.lanes} lanes is not supported.`);
        code.shuffle(expr.kind === "mask" ? words(0, 2, 4, 6) : words(0, 1, 4, 5));
        return;
      case "laneIndex":
        if (expr.lanes === 1) code.i32Const(0);
        else code.localGet((this.laneNumbers ??= this.hoisted("v128", () => this.prologue.v128Const(new Uint8Array(Int32Array.of(0, 1, 2, 3).buffer)))));
        return;
      case "load":
        this.load(expr);
        return;
      case "loadSplat": {
        const base = this.address(expr.address, expr.offset);
        if (expr.lanes === 1) code.memory(loadOps[expr.cell], base);
        else if (expr.cell === "u8") code.memory("i32.load8_u", base).op("i32x4.splat");
        else code.memory(expr.cell === "f64" ? "v128.load64_splat" : "v128.load32_splat", base);
        return;
      }
    }
  }

  private load({ cell, lanes, address, offset }: Extract<Expr, { op: "load" }>): void {
    const base = this.address(address, offset);
    if (lanes === 1) this.code.memory(loadOps[cell], base);
    else if (cell === "u8") {
      if (lanes === 2) this.code.memory("i32.load16_u", base).op("i32x4.splat");
      else this.code.memory("v128.load32_zero", base);
      this.code.op("i16x8.extend_low_i8x16_u").op("i32x4.extend_low_i16x8_u");
    } else this.code.memory(lanes * cellBytes[cell] === 8 ? "v128.load64_zero" : "v128.load", base);
  }

  /** Picks bytes of the vector on the stack. */
  private shuffled(bytes: readonly number[]): void {
    const whole = this.newLocal("v128");
    this.code.localTee(whole).localGet(whole).shuffle(bytes);
  }

  /** Turns a mask of two 64-bit lanes into one of two 32-bit lanes, and back. */
  private narrowMask(): void {
    this.shuffled(words(0, 2, 0, 2));
  }

  private widenMask(lanes: number): void {
    if (lanes === 2) this.code.op("i64x2.extend_low_i32x4_s");
  }

  private constant(kind: Kind, lanes: number, value: number): void {
    if (lanes > 1) this.code.localGet(this.vectorConstant(kind, value));
    else if (kind === "f32" || kind === "f64") {
      this.code.localGet(this.scalars.find(kind, value, () =>
        this.hoisted(kind, () => (kind === "f32" ? this.prologue.f32Const(value) : this.prologue.f64Const(value)))));
    } else if (kind === "i64") this.code.i64Const(BigInt(value));
    else this.code.i32Const(kind === "mask" ? Number(value !== 0) : value);
  }

  private vectorConstant(kind: Kind, value: number): number {
    return this.vectors.find(kind, value, () => this.hoisted("v128", () => this.prologue.v128Const(vectorBytes(kind, value))));
  }

  /** A local that the prologue sets to what `push` pushes. */
  private hoisted(type: ValueType, push: () => void): number {
    const index = this.newLocal(type);
    push();
    this.prologue.localSet(index);
    return index;
  }

  private splat(a: Expr, lanes: number): void {
    if (a.op === "const") {
      this.constant(a.kind, lanes, a.value);
      return;
    }
    const form = formOf(a.kind, lanes);
    if (a.kind === "mask") {
      this.code.i32Const(0);
      this.expr(a);
      this.code.op("i32.sub").op("i32x4.splat");
      return;
    }
    this.expr(a);
    if (form === "f32x4" || form === "f64x2" || form === "i32x4") this.code.op(`${form}.splat`);
  }

  private extract(kind: Kind, lanes: number, lane: number): void {
    if (lanes === 1) return;
    if (kind === "mask") {
      this.code.extractLane("i32x4.extract_lane", lane * (4 / lanes)).i32Const(1).op("i32.and");
    } else if (kind === "f64") this.code.extractLane("f64x2.extract_lane", lane);
    else this.code.extractLane(kind === "f32" ? "f32x4.extract_lane" : "i32x4.extract_lane", lane);
  }

  private unary(name: UnaryIr, a: Expr, kind: Kind, lanes: number): void {
    const { code } = this;
    const from = formOf(a.kind, a.lanes);
    switch (name) {
      case "neg":
      case "abs":
        this.scalarIntegerOr(name, a, from);
        return;
      case "sqrt":
      case "floor":
        this.expr(a);
        code.op(`${from}.${name}` as PlainOp);
        return;
      case "not":
        this.expr(a);
        if (lanes > 1) code.op("v128.not");
        else if (kind === "mask") code.op("i32.eqz");
        else code.i32Const(-1).op("i32.xor");
        return;
      case "toInt":
        this.expr(a);
        if (from === "f32") code.op("i32.trunc_sat_f32_s");
        else if (from === "f64") code.op("i32.trunc_sat_f64_s");
        else if (from === "f32x4") code.op("i32x4.trunc_sat_f32x4_s");
        else if (from === "f64x2") code.op("i32x4.trunc_sat_f64x2_s_zero");
        else throw new Error(`toInt of ${from} is not supported.`);
        return;
      case "convert":
        this.expr(a);
        this.convert(a.kind, kind, lanes);
        return;
      case "bitcast":
        this.expr(a);
        if (lanes === 1 && a.kind !== kind) code.op(reinterpretations[kind]!);
        return;
      case "any":
        this.expr(a);
        if (a.lanes > 1) code.op("v128.any_true");
        return;
      case "test":
        this.expr(a);
        this.constant("i32", a.lanes, 0);
        code.op(lanes === 1 ? "i32.ne" : "i32x4.ne");
        this.widenMask(lanes);
    }
  }

  private scalarIntegerOr(name: "neg" | "abs", a: Expr, form: Form): void {
    const { code } = this;
    if (form === "f64x2") {
      // By the sign bit: V8 (13.6) shifts the mask of a fused f64x2.neg by too little.
      this.expr(a);
      this.constant("f64", 2, -0);
      code.op(name === "neg" ? "v128.xor" : "v128.andnot");
    } else if (form !== "i32") {
      this.expr(a);
      code.op(`${form}.${name}` as PlainOp);
    } else if (name === "neg") {
      code.i32Const(0);
      this.expr(a);
      code.op("i32.sub");
    } else {
      const value = this.newLocal("i32");
      this.expr(a);
      code.localTee(value).i32Const(0).localGet(value).op("i32.sub").localGet(value).i32Const(0).op("i32.ge_s").op("select");
      // select keeps its first operand where the condition holds: value ≥ 0 ? value : −value.
    }
  }

  private convert(from: Kind, to: Kind, lanes: number): void {
    const { code } = this;
    if (from === to) return;
    if (lanes > 1) {
      if (from === "mask") {
        if (lanes === 2 && laneBytes(to, 2) === 4) this.narrowMask();
        this.constant(to, lanes, 1);
        code.op("v128.and");
      } else if (from === "i32" && to === "f32") code.op("f32x4.convert_i32x4_s");
      else if (from === "i32" && to === "f64") code.op("f64x2.convert_low_i32x4_s");
      else if (from === "f32" && to === "f64") code.op("f64x2.promote_low_f32x4");
      else if (from === "f64" && to === "f32") code.op("f32x4.demote_f64x2_zero");
      else throw new Error(`convert of ${lanes} ${from} to ${to} is scalar only.`);
      return;
    }
    if (to === "i32" && from === "mask") return;
    if (to === "i32" && from === "i64") code.op("i32.wrap_i64");
    else if (to === "f32") code.op(from === "f64" ? "f32.demote_f64" : "f32.convert_i32_s");
    else if (to === "f64") code.op(from === "f32" ? "f64.promote_f32" : "f64.convert_i32_s");
    else throw new Error(`convert of ${from} to ${to}: use toInt or test.`);
  }

  private binary(name: BinaryIr, a: Expr, b: Expr, kind: Kind, lanes: number): void {
    const { code } = this;
    const form = formOf(a.kind, a.lanes);
    const bits = bitwise[name];
    if (bits !== undefined) {
      this.expr(a);
      this.expr(b);
      code.op(lanes > 1 ? `v128.${bits}` : kind === "i64" ? `i64.${bits}` : `i32.${bits}`);
      return;
    }
    const shift = shifts[name];
    if (shift !== undefined) {
      this.expr(a);
      this.shiftCount(b);
      if (form === "i64") code.op("i64.extend_i32_u");
      code.op(`${form}.${shift}` as PlainOp);
      return;
    }
    const compare = comparisons[name];
    if (compare !== undefined) {
      this.expr(a);
      this.expr(b);
      const signed = (form === "i32" || form === "i32x4") && name !== "eq" && name !== "ne";
      code.op(`${form}.${compare}${signed ? "_s" : ""}` as PlainOp);
      if (laneBytes(a.kind, a.lanes) === 4) this.widenMask(lanes);
      return;
    }
    if (name === "remU") {
      if (form !== "i32") throw new Error("remU is scalar only.");
      this.expr(a);
      this.expr(b);
      code.op("i32.rem_u");
      return;
    }
    if (name === "fastMin" || name === "fastMax" || ((name === "min" || name === "max") && kind === "i32")) {
      this.minMax(name === "fastMin" || name === "min" ? "min" : "max", a, b, form);
      return;
    }
    this.expr(a);
    this.expr(b);
    if (form === "i32" && name === "div") code.op("i32.div_s");
    else code.op(`${form}.${arithmetic[name]!}` as PlainOp);
  }

  /** The shift count of a vector is one scalar. */
  private shiftCount(b: Expr): void {
    if (b.lanes === 1) this.expr(b);
    else if (b.op === "const") this.code.i32Const(b.value);
    else if (b.op === "splat") this.expr(b.a);
    else throw new Error("A vector is shifted by one count: pass a constant, a scalar or its splat.");
  }

  /** One instruction on vectors; scalars go through the vector unit too, so that tails have the bits of full vectors. */
  private minMax(name: "min" | "max", a: Expr, b: Expr, form: Form): void {
    const { code } = this;
    switch (form) {
      case "i32x4":
        this.expr(a);
        this.expr(b);
        code.op(`i32x4.${name}_s`);
        return;
      case "i32":
        this.widened(a, "i32x4");
        this.widened(b, "i32x4");
        code.op(`i32x4.${name}_s`).extractLane("i32x4.extract_lane", 0);
        return;
      case "f32":
      case "f32x4":
      case "f64":
      case "f64x2": {
        const vector = form === "f32" || form === "f32x4" ? "f32x4" : "f64x2";
        this.widened(a, vector);
        this.widened(b, vector);
        code.op(`${vector}.p${name}`);
        if (form === "f32" || form === "f64") code.extractLane(`${vector}.extract_lane`, 0);
        return;
      }
      case "i64":
      case "i64x2":
        throw new Error(`${name} of ${form} is not supported.`);
    }
  }

  private widened(a: Expr, vector: "f32x4" | "f64x2" | "i32x4"): void {
    this.expr(a);
    if (a.lanes === 1) this.code.op(`${vector}.splat`);
  }

  /** Scalars are fused as vectors are, so that tails have the bits of full vectors. */
  private multiplyAdd({ op, a, b, c, kind, lanes }: Extract<Expr, { op: "madd" | "nmadd" }>): void {
    const { code } = this;
    const form = formOf(kind, lanes);
    if (form === "i32" || form === "i32x4" || !this.features.relaxedSimd) {
      const product: Expr = { op: "binary", kind, lanes, name: "mul", a, b };
      if (op === "madd") this.binary("add", product, c, kind, lanes);
      else this.binary("sub", c, product, kind, lanes);
      return;
    }
    const vector = kind === "f64" ? "f64x2" : "f32x4";
    for (const operand of [a, b, c]) this.widened(operand, vector);
    code.op(`${vector}.relaxed_${op}`);
    if (lanes === 1) code.extractLane(`${vector}.extract_lane`, 0);
  }
}

/** Locals of constants, by kind and value: −0 is not 0, and every NaN is the same. */
class Constants {
  readonly #known = new Map<Kind, Map<number | "-0", number>>();

  find(kind: Kind, value: number, make: () => number): number {
    let values = this.#known.get(kind);
    if (values === undefined) this.#known.set(kind, (values = new Map()));
    const key = Object.is(value, -0) ? "-0" : value;
    let index = values.get(key);
    if (index === undefined) values.set(key, (index = make()));
    return index;
  }
}

/** A whole vector, however many of its lanes are used. */
function vectorBytes(kind: Kind, value: number): Uint8Array {
  switch (kind) {
    case "f32":
      return new Uint8Array(new Float32Array(4).fill(value).buffer);
    case "f64":
      return new Uint8Array(new Float64Array(2).fill(value).buffer);
    case "i32":
      return new Uint8Array(new Int32Array(4).fill(value).buffer);
    case "i64":
      return new Uint8Array(new BigInt64Array(2).fill(BigInt(value)).buffer);
    case "mask":
      return new Uint8Array(16).fill(value === 0 ? 0 : 0xff);
  }
}
