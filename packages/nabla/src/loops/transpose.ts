// Elementwise kernels that read an operand across its rows: squares of one vector a side are transposed in registers.
// Sixteen elements of each row of the operand are taken at once, a whole cache line of most dtypes.
import { BodyEmitter } from "./body.ts";
import { add, binary, divideBy, type FunctionBuilder, i32, mul, remainderBy, smaller } from "./build.ts";
import { coordinatesOf } from "./domain.ts";
import type { Expr, Target } from "./ir.ts";
import type { Instruction, Store } from "../kernels/kernel.ts";
import { lanesOf } from "./scalar.ts";
import { sizeOf } from "../ops/shape.ts";

/** Entries of the tile axis that one turn takes where the body is short. */
const mostEntries = 16;
/** Elements of a unit. Its columns are rows of the operand: so many pages of memory stay known to the core. */
const unitElements = 16_384;
const unitColumns = 256;

/** A kernel over `extents`, of which the last runs along lanes and the stores, and `tileAxis` along rows of an operand. */
export interface TransposedMap {
  readonly extents: readonly number[];
  readonly body: readonly Instruction[];
  readonly stores: readonly Store[];
  readonly tileAxis: number;
  readonly lanes: number;
  /** Entries of the tile axis that one turn takes. */
  readonly turn: number;
}

/** The kernel as one of squares, where an operand lies across the stores' rows. */
export function transposedMap(extents: readonly number[], body: readonly Instruction[], stores: readonly Store[], short: boolean, target: Target): TransposedMap | undefined {
  const last = extents.length - 1;
  const lanes = lanesOf(body, stores, target.lanes);
  const across = body.flatMap((instruction) => (instruction.op === "load" && Math.abs(instruction.access.strides[last] ?? 0) > 1 ? [instruction.access] : []));
  const tileAxis = extents.findIndex((extent, axis) => axis !== last && extent >= lanes && across.some(({ strides }) => strides[axis] === 1));
  const plain = stores.every(({ access }) => access.strides[last] === 1) && body.every((instruction) => instruction.op !== "load" || instruction.access.indirect === undefined);
  return lanes > 1 && tileAxis >= 0 && plain && extents[last]! >= lanes ? { extents, body, stores, tileAxis, lanes, turn: short ? mostEntries : lanes } : undefined;
}

/** How many units the kernel has, and what emits a loop over some of them. */
export function transposedUnits(f: FunctionBuilder, args: Expr, { extents, body, stores, tileAxis, lanes, turn }: TransposedMap): {
  readonly units: number;
  readonly run: (start: Expr, end: Expr) => void;
} {
  const last = extents.length - 1;
  const outerAxes = extents.map((_, axis) => axis).filter((axis) => axis !== last && axis !== tileAxis);
  const outer = outerAxes.map((axis) => extents[axis]!);
  const [entries, columns] = [extents[tileAxis]!, extents[last]!];
  const entryBlock = Math.min(Math.ceil(entries / turn) * turn, unitElements / unitColumns);
  const columnBlock = Math.ceil(unitElements / entryBlock / lanes) * lanes;
  const [entryBlocks, columnBlocks] = [Math.ceil(entries / entryBlock), Math.ceil(columns / columnBlock)];
  const emitter = new BodyEmitter(f, args, {
    body, stores, depths: extents.map((_, axis) => (axis === last || axis === tileAxis ? 2 : 1)), vectorAxis: last, tileAxis, lanes,
  });
  /** `count` entries from `entry` on, at vectors or single elements of the last axis. */
  const squares = (entry: Expr, column: Expr, count: number, single: boolean): void => {
    const copies = Math.min(count, lanes);
    for (let first = 0; first < count; first += copies) {
      const group = { copies, single, first };
      if (first === 0) emitter.enter(2, [[tileAxis, entry], [last, column]], group);
      else emitter.proceed(group);
      emitter.store();
    }
  };
  const strip = (entry: Expr, count: number, [from, whole, to]: readonly [Expr, Expr, Expr]): void => {
    f.loop("column", from, whole, lanes, (column) => squares(entry, column, count, false));
    if (columns % lanes !== 0) f.loop("column", whole, to, 1, (column) => squares(entry, column, count, true));
  };
  /** The part of [from, to) that whole steps of `step` cover ends here. */
  const wholeEnd = (from: Expr, to: Expr, step: number): Expr => f.let("whole", add(from, binary("and", binary("sub", to, from), i32(-step))));
  const run = (start: Expr, end: Expr): void => {
    emitter.start();
    f.loop("unit", start, end, 1, (unit) => {
      const block = f.let("block", divideBy(unit, columnBlocks));
      const coordinates = coordinatesOf(f, divideBy(block, entryBlocks), outer);
      emitter.enter(1, coordinates.map(([index, coordinate]) => [outerAxes[index]!, coordinate] as const));
      const from = f.let("from", mul(remainderBy(unit, columnBlocks), columnBlock));
      const to = f.let("to", smaller(add(from, columnBlock), columns));
      const range = [from, wholeEnd(from, to, lanes), to] as const;
      const first = f.let("first", mul(remainderBy(block, entryBlocks), entryBlock));
      const past = f.let("past", smaller(add(first, entryBlock), entries));
      const whole = wholeEnd(first, past, turn);
      f.loop("entry", first, whole, turn, (entry) => strip(entry, turn, range));
      if (entries % turn !== 0) f.loop("entry", whole, past, 1, (entry) => strip(entry, 1, range));
    });
  };
  return { units: sizeOf(outer) * entryBlocks * columnBlocks, run };
}
