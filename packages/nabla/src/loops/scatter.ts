// Scatter-add: each unit owns rows or columns of the output and takes all updates in order, so no two units write one element.
// A thread's units are neighbours and run as one range: the indices are read once a thread.
import { vectorLoop } from "./body.ts";
import { add, binary, cellBytes, constant, FunctionBuilder, i32, load, loadSplat, mul, extract, smaller } from "./build.ts";
import type { Expr, LoweredKernel, Target } from "./ir.ts";
import type { ScatterAddKernel } from "../kernels/kernel.ts";
import { cellOf } from "./scalar.ts";

/** Rows this long are shared out by columns: an even split, whatever the indices. */
const sharedColumns = 64;
const columnsPerUnit = 16;
const mostRowUnits = 256;

/** Lowers a scatter-add kernel. */
export function lowerScatterAdd(kernel: ScatterAddKernel, target: Target): LoweredKernel {
  const { rows, inner, count } = kernel;
  const f = new FunctionBuilder("scatterAdd");
  const args = f.parameter("args");
  const start = f.parameter("start");
  const end = f.parameter("end");
  f.parameter("scratch");
  if (rows * inner === 0) return { entry: f.finish(), units: 0, cost: 0, setup: 0, scratchBytes: 0 };

  const byColumns = inner >= sharedColumns;
  const unit = byColumns ? columnsPerUnit : Math.ceil(rows / mostRowUnits);
  const units = Math.ceil((byColumns ? inner : rows) / unit);
  const cell = cellOf[kernel.dtype];
  const bytes = cellBytes[cell];
  const lanes = cell === "f64" ? 1 : target.lanes;

  f.if(binary("lt", start, end), () => {
    const address = ({ buffer, offset }: ScatterAddKernel["out"], size: number): Expr =>
      f.let("base", add(load("i32", args, 4 * buffer), offset * size));
    const out = address(kernel.out, bytes);
    const updates = address(kernel.updates, bytes);
    const indices = address(kernel.indices, 4);
    const from = f.let("from", mul(start, unit));
    const to = f.let("to", smaller(mul(end, unit), byColumns ? inner : rows));
    const [firstRow, lastRow] = byColumns ? [i32(0), i32(rows)] : [from, to];
    const [firstColumn, lastColumn] = byColumns ? [from, to] : [i32(0), i32(inner)];

    /** Stores one value for each vector of columns of the row at `target`. */
    const eachColumn = (row: Expr, value: (at: Expr, offset: number, single: boolean) => Expr): void => {
      vectorLoop(f, firstColumn, lastColumn, { lanes, copies: 4 }, (column, { copies, single }) => {
        const shift = f.let("shift", mul(column, bytes));
        const place = f.let("place", add(row, shift));
        const offsets = Array.from({ length: copies }, (_, copy) => copy * (single ? 1 : lanes) * bytes);
        const values = offsets.map((offset) => f.let("value", value(shift, offset, single)));
        offsets.forEach((offset, copy) => f.store(cell, place, single ? extract(values[copy]!, 0) : values[copy]!, offset));
      });
    };
    const read = (base: Expr, offset: number, single: boolean): Expr =>
      single ? loadSplat(cell, base, offset, lanes) : load(cell, base, offset, lanes);

    f.loop("row", firstRow, lastRow, 1, (row) => {
      const zeros = constant(cell === "u8" ? "i32" : cell, 0, lanes);
      eachColumn(f.let("target", add(out, mul(row, inner * bytes))), () => zeros);
    });
    f.loop("update", 0, count, 1, (update) => {
      const row = f.let("row", load("i32", add(indices, mul(update, 4))));
      f.if(binary("and", binary("ge", row, firstRow), binary("lt", row, lastRow)), () => {
        const target = f.let("target", add(out, mul(row, inner * bytes)));
        const source = f.let("source", add(updates, mul(update, inner * bytes)));
        eachColumn(target, (shift, offset, single) => add(read(add(target, shift), offset, single), read(add(source, shift), offset, single)));
      });
    });
  });
  const cost = 20 + (rows * inner * bytes) / 40 + count * (2 + (inner * bytes) / 20);
  return { entry: f.finish(), units, cost, setup: 0, scratchBytes: 0 };
}
