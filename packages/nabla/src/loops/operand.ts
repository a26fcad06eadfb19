// The operands of a product as strips see them: either strides into a buffer, or a body that is computed into a block first.
import { BodyEmitter, vectorLoop } from "./body.ts";
import { add, binary, cellBytes, extract, type FunctionBuilder, mul } from "./build.ts";
import type { Expr } from "./ir.ts";
import type { Access, GemmKernel, Instruction, MatrixOperand } from "../kernels/kernel.ts";
import type { StripLayout } from "./pack.ts";
import type { Precision } from "./microkernel.ts";
import { lanesOf } from "./scalar.ts";

/** How an operand, or a block of it, lies in memory; strides in bytes. */
export interface Matrix {
  readonly laneStride: number;
  readonly kStride: number;
  readonly layout: StripLayout;
}

/** An operand that is there in a buffer. */
export interface PlainMatrix extends Matrix {
  readonly access: Access;
}

/** The operand as it lies in memory, if it need not be computed. `kAxis` of the two last coordinates is k; the other runs along the lanes of a strip. */
export function plainMatrix(operand: MatrixOperand, kernel: GemmKernel, kAxis: 0 | 1): PlainMatrix | undefined {
  const [only] = operand.body;
  if (operand.body.length !== 1 || only?.op !== "load") return undefined;
  const { access } = only;
  if (access.indirect !== undefined || access.dtype !== kernel.type) return undefined;
  const rank = kernel.batch.length;
  const lane = access.strides[rank + 1 - kAxis]!;
  const k = access.strides[rank + kAxis]!;
  const bytes = kernel.type === "float32" ? 4 : 8;
  const layout = lane === 1 ? "lanes" : k === 1 || kernel.k <= 1 ? "k" : "strided";
  return { access, laneStride: lane * bytes, kStride: k * bytes, layout };
}

/** Which of the two last axes most loads of `body` walk contiguously: 0 rows, 1 columns. */
function contiguousAxis(body: readonly Instruction[], rank: number): 0 | 1 {
  const along = (axis: number): number =>
    body.filter((instruction) => instruction.op === "load" && instruction.access.strides[axis] === 1).length;
  return along(rank) > along(rank + 1) ? 0 : 1;
}

/** A block of a computed operand: rows × columns (one of them k), each [from, to). */
export interface Block {
  readonly batch: readonly Expr[];
  readonly lanes: readonly [from: Expr, to: Expr];
  readonly k: readonly [from: Expr, to: Expr];
}

/** Computes blocks of an operand into scratch, contiguous along the axis its loads walk. */
export class OperandEmitter {
  private readonly f: FunctionBuilder;
  private readonly emitter: BodyEmitter;
  private readonly precision: Precision;
  private readonly rank: number;
  private readonly kContiguous: boolean;
  private readonly last: number;
  private readonly vectorLanes: number;
  private readonly vectorAxis: number;
  private readonly rowAxis: number;

  constructor(f: FunctionBuilder, args: Expr, { body }: MatrixOperand, rank: number, kAxis: 0 | 1, precision: Precision) {
    this.f = f;
    this.precision = precision;
    this.rank = rank;
    const vector = contiguousAxis(body, rank);
    this.kContiguous = vector === kAxis;
    this.last = body.length - 1;
    this.vectorLanes = precision.cell === "f64" ? precision.lanes : lanesOf(body, [], precision.lanes);
    const depths = [...Array.from({ length: rank }, () => 1), vector === 1 ? 2 : 3, vector === 1 ? 3 : 2];
    this.emitter = new BodyEmitter(f, args, { body, stores: [], depths, vectorAxis: rank + vector, lanes: this.vectorLanes });
    this.vectorAxis = rank + vector;
    this.rowAxis = rank + 1 - vector;
  }

  /** Before all loops. */
  start(): void {
    this.emitter.start();
  }

  /** The strides of a block whose contiguous axis has room for `most` elements. */
  layout(mostLanes: number, mostK: number): Matrix {
    const bytes = cellBytes[this.precision.cell];
    return this.kContiguous
      ? { layout: "k", kStride: bytes, laneStride: mostK * bytes }
      : { layout: "lanes", kStride: mostLanes * bytes, laneStride: bytes };
  }

  /** Computes `block` to address `to`; rows of the block are `rowBytes` apart. */
  emit(block: Block, to: Expr, rowBytes: number): void {
    const { f, emitter, precision, rank } = this;
    const { cell } = precision;
    const [rows, columns] = this.kContiguous ? [block.lanes, block.k] : [block.k, block.lanes];
    emitter.enter(1, block.batch.slice(0, rank).map((coordinate, axis) => [axis, coordinate] as const));
    f.loop("row", rows[0], rows[1], 1, (row) => {
      emitter.enter(2, [[this.rowAxis, row]]);
      const target = f.let("blockRow", add(to, mul(binary("sub", row, rows[0]), rowBytes)));
      vectorLoop(f, columns[0], columns[1], { lanes: this.vectorLanes, copies: 2 }, (at, group) => {
        const written = f.let("written", add(target, mul(binary("sub", at, columns[0]), cellBytes[cell])));
        emitter.enter(3, [[this.vectorAxis, at]], group);
        const values = Array.from({ length: group.copies }, (_, copy) => emitter.value(this.last, copy));
        if (this.vectorLanes > 1 && !group.single) f.storeVectors(cell, written, values, (copy) => copy * this.vectorLanes * cellBytes[cell]);
        else values.forEach((value, copy) => f.store(cell, written, extract(value, 0), copy * cellBytes[cell]));
      });
    });
  }
}
