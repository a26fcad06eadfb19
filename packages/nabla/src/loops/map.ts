// Elementwise kernels: one vectorised loop nest over the merged domain, cut into units along its outer axes.
// The body is emitted by body.ts; the epilogues of products use the same loops on a rectangle of their tile.
import { BodyEmitter, vectorLoop } from "./body.ts";
import { add, binary, cellBytes, divideBy, type FunctionBuilder, FunctionBuilder as Builder, i32, load, loadSplat, mul, remainderBy, smaller } from "./build.ts";
import { coordinatesOf, mergeAxes, remapBody, remapStores, storeOrder, stridesOf, unitSize } from "./domain.ts";
import type { Expr, LoweredKernel, Target } from "./ir.ts";
import type { Access, Instruction, MapKernel, Store } from "../kernels/kernel.ts";
import { cellOf, costOf, lanesOf } from "./scalar.ts";
import { transposedMap, transposedUnits } from "./transpose.ts";
import { bytesPerElement } from "../ops/dtype.ts";
import { sizeOf } from "../ops/shape.ts";

/** Lanes for a body: one where it only moves scattered elements. */
export function bodyLanes(body: readonly Instruction[], stores: readonly Store[], vectorAxis: number, target: Target): number {
  const lanes = lanesOf(body, stores, target.lanes);
  const contiguous = ({ strides }: Access): boolean => Math.abs(strides[vectorAxis] ?? 0) <= 1;
  const moves = body.every(({ op }) => op === "load" || op === "index" || op === "constant");
  const allContiguous =
    stores.every(({ access }) => contiguous(access)) &&
    body.every((instruction) => instruction.op !== "load" || (contiguous(instruction.access) && instruction.access.indirect === undefined));
  return moves && !allContiguous && body.some(({ op }) => op === "load") ? scatteredLanes(body, vectorAxis, lanes) : lanes;
}

/** Plain moves of rows found through an index still go by vectors. */
function scatteredLanes(body: readonly Instruction[], vectorAxis: number, lanes: number): number {
  const rowsContiguous = body.every(
    (instruction) => instruction.op !== "load" || instruction.access.indirect === undefined || instruction.access.strides[vectorAxis] === 1,
  );
  const strided = body.some((instruction) => instruction.op === "load" && Math.abs(instruction.access.strides[vectorAxis] ?? 0) > 1);
  return rowsContiguous && !strided ? lanes : 1;
}

/** Vectors unrolled: eight pay for the loop around them; long bodies have parallelism of their own. */
export function unrolling(body: readonly Instruction[]): number {
  const work = body.reduce((sum, instruction) => sum + costOf(instruction), 0);
  return work > 40 ? 1 : work > 2.5 ? 2 : 8;
}

/** Groups a turn of the loop runs: bodies of middling length have no registers for more vectors at once, but the loop is a third of their instructions. */
function roundsOf(body: readonly Instruction[], copies: number): number {
  return copies === 2 && body.every((instruction) => costOf(instruction) < 2) ? 4 : 1;
}

/** Nanoseconds for `elements` runs of a body on one core: arithmetic, or memory traffic where that is slower. */
export function bodyCost(body: readonly Instruction[], stores: readonly Store[], elements: number, lanes: number): number {
  const arithmetic = body.reduce((sum, instruction) => sum + costOf(instruction), 0) / lanes;
  const bytes = [...body.flatMap((instruction) => (instruction.op === "load" ? [instruction.access] : [])), ...stores.map(({ access }) => access)]
    .filter(({ strides }) => strides.some((stride) => stride !== 0))
    .reduce((sum, { dtype }) => sum + bytesPerElement[dtype], 0);
  return elements * Math.max(arithmetic, bytes / 40) + 20;
}

/** Lowers an elementwise kernel. */
export function lowerMap(kernel: MapKernel, target: Target): LoweredKernel {
  const f = new Builder("map");
  const args = f.parameter("args");
  const start = f.parameter("start");
  const end = f.parameter("end");
  f.parameter("scratch");
  const total = sizeOf(kernel.domain);
  if (total === 0) return { entry: f.finish(), units: 0, cost: 0, setup: 0, scratchBytes: 0 };

  const merged = mergeAxes(kernel.domain, storeOrder(kernel.domain.length, kernel.stores), stridesOf(kernel.body, kernel.stores));
  const body = asMoves(remapBody(kernel.body, merged.axes));
  const stores = remapStores(kernel.stores, merged.axes);
  const { extents } = merged;
  const transposed = transposedMap(extents, body, stores, unrolling(body) > 2, target);
  if (transposed !== undefined) {
    const { units, run } = transposedUnits(f, args, transposed);
    f.if(binary("lt", start, end), () => run(start, end));
    return { entry: f.finish(), units, cost: bodyCost(kernel.body, kernel.stores, total, transposed.lanes), setup: 0, scratchBytes: 0 };
  }
  const rank = extents.length;
  const inner = extents[rank - 1]!;
  const middle = rank > 1 ? extents[rank - 2]! : 1;
  const outer = extents.slice(0, Math.max(0, rank - 2));

  const lanes = bodyLanes(body, stores, rank - 1, target);
  const copies = unrolling(body);
  const size = unitSize(total);
  const innerBlock = inner >= 2 * size ? Math.ceil(size / 64) * 64 : inner;
  const middleBlock = Math.min(middle, Math.max(1, Math.floor(size / innerBlock)));
  const innerBlocks = Math.ceil(inner / innerBlock);
  const middleBlocks = innerBlocks > 1 ? middle : Math.ceil(middle / middleBlock);
  const units = sizeOf(outer) * middleBlocks * innerBlocks;

  const depths = extents.map((_, axis) => (axis === rank - 1 ? 3 : axis === rank - 2 ? 2 : 1));
  const emitter = new BodyEmitter(f, args, { body, stores, depths, vectorAxis: rank - 1, lanes });
  const columns = (from: Expr, to: Expr, multiple: number): void => {
    vectorLoop(f, from, to, { lanes, copies, rounds: roundsOf(body, copies), multiple }, (at, group) => {
      if ((group.first ?? 0) > 0) emitter.proceed(group);
      else emitter.enter(3, [[rank - 1, at]], group);
      emitter.store();
    });
  };
  const rows = (from: Expr, to: Expr, [first, last]: readonly [Expr, Expr], multiple: number): void => {
    const row = (m: Expr): void => {
      emitter.enter(2, rank > 1 ? [[rank - 2, m]] : []);
      columns(first, last, multiple);
    };
    if (middle === 1) row(i32(0));
    else f.loop("m", from, to, 1, row);
  };
  const whole = [i32(0), i32(inner)] as const;

  f.if(binary("lt", start, end), () => {
    emitter.start();
    if (units === 1) {
      emitter.enter(1, []);
      rows(i32(0), i32(middle), whole, inner);
    } else if (outer.length === 0 && middleBlocks === 1) {
      // One long axis: neighbouring units run as one loop.
      emitter.enter(1, []);
      const from = f.let("from", mul(start, innerBlock));
      rows(i32(0), i32(1), [from, f.let("to", smaller(mul(end, innerBlock), inner))], divisor(inner));
    } else if (outer.length === 0 && innerBlocks === 1) {
      emitter.enter(1, []);
      rows(f.let("from", mul(start, middleBlock)), f.let("to", smaller(mul(end, middleBlock), middle)), whole, inner);
    } else {
      f.loop("unit", start, end, 1, (unit) => {
        const row = f.let("row", divideBy(unit, innerBlocks));
        const first = f.let("first", mul(remainderBy(unit, innerBlocks), innerBlock));
        const segment = innerBlocks === 1 ? whole : ([first, f.let("last", smaller(add(first, innerBlock), inner))] as const);
        emitter.enter(1, coordinatesOf(f, divideBy(row, middleBlocks), outer));
        const step = innerBlocks > 1 ? 1 : middleBlock;
        const from = f.let("from", mul(remainderBy(row, middleBlocks), step));
        rows(from, f.let("to", smaller(add(from, step), middle)), segment, divisor(inner));
      });
    }
  });
  return { entry: f.finish(), units, cost: bodyCost(kernel.body, kernel.stores, total, lanes), setup: 0, scratchBytes: 0 };
}

/** A body that only moves truth values moves their bytes. */
function asMoves(body: readonly Instruction[]): readonly Instruction[] {
  if (!body.every((instruction) => instruction.op === "load")) return body;
  return body.map((instruction) => (instruction.type === "bool" ? { ...instruction, type: "int32" } : instruction));
}

/** The largest power of two up to 64 that divides `extent`: blocks are multiples of 64. */
function divisor(extent: number): number {
  return Math.min(64, extent & -extent);
}

/** A rectangle of the last two axes of a domain batch ++ [m, n], and where the product lies in memory. */
export interface Rectangle {
  /** Coordinates of the batch axes. */
  readonly batch: readonly Expr[];
  /** Rows [from, to) and columns [from, to), scalar i32; columns must not be empty. */
  readonly rows: readonly [from: Expr, to: Expr];
  readonly columns: readonly [from: Expr, to: Expr];
  /** Byte address of the product's element at the rectangle's first row and column, and bytes from row to row. */
  readonly accumulator: { readonly address: Expr; readonly rowBytes: Expr | number };
}

/** Emits an epilogue over rectangles; `start` goes where the function begins, before loops. */
export interface EpilogueEmitter {
  start(): void;
  emit(rectangle: Rectangle): void;
}

/** The epilogue of a product of `type` over batch ++ [m, n] with `rank` batch axes: accumulator 0 is read where the rectangle says. */
export function epilogueEmitter(
  f: FunctionBuilder,
  args: Expr,
  { type, epilogue, stores, rank }: { readonly type: "float32" | "float64"; readonly epilogue: readonly Instruction[]; readonly stores: readonly Store[]; readonly rank: number },
  target: Target,
): EpilogueEmitter {
  const vectorAxis = rank + 1;
  const lanes = bodyLanes(epilogue, stores, vectorAxis, target);
  const cell = cellOf[type];
  let product: Expr = i32(0);
  const emitter = new BodyEmitter(f, args, {
    body: epilogue,
    stores,
    depths: [...Array.from({ length: rank }, () => 1), 2, 3],
    vectorAxis,
    lanes,
    accumulator(_, copy, { single }) {
      const offset = copy * (single ? 1 : lanes) * cellBytes[cell];
      return f.let("product", single ? loadSplat(cell, product, offset, lanes) : load(cell, product, offset, lanes));
    },
  });
  return {
    start: () => emitter.start(),
    emit({ batch, rows, columns: [first, last], accumulator: { address, rowBytes } }) {
      emitter.enter(
        1,
        batch.map((coordinate, axis) => [axis, coordinate] as const),
      );
      f.loop("row", rows[0], rows[1], 1, (row) => {
        emitter.enter(2, [[rank, row]]);
        const stride = typeof rowBytes === "number" ? i32(rowBytes) : rowBytes;
        const productRow = f.let("productRow", add(address, mul(binary("sub", row, rows[0]), stride)));
        vectorLoop(f, first, last, { lanes, copies: unrolling(epilogue) }, (at, group) => {
          product = f.let("productAt", add(productRow, mul(binary("sub", at, first), cellBytes[cell])));
          emitter.enter(3, [[vectorAxis, at]], group);
          emitter.store();
        });
      });
    },
  };
}
