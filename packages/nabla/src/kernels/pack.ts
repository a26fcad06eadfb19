// Packing: copies a strip of a matrix into the order the micro-kernel reads, `padded` elements for each k, whatever its strides.
// A strip has `width` lanes (rows of A, columns of B); lanes from width to padded become zeros.
import { FunctionBuilder, add, binary, cellBytes, constant, get, load, mul, shuffle } from "./build.ts";
import type { Expr, IrFunction, Local } from "./ir.ts";
import { type Precision, shared } from "./microkernel.ts";

/** Which of the strip's two directions is contiguous in memory: its lanes, k, or neither. */
export type StripLayout = "lanes" | "k" | "strided";

/** Bytes a strip of `padded` < lanes·n may write past its end; the next strip, or slack, takes them. */
export const packSlack = 64;

/**
 * to[k·padded + lane] ← from[lane·laneStride + k·kStride] for k < kc. Parameters: from, to, kc, laneStride, kStride (bytes).
 * May write up to {@link packSlack} bytes past the strip, so strips are packed in ascending order.
 */
export function packStrip(precision: Precision, layout: StripLayout, width: number, padded: number): IrFunction {
  return shared(`pack_${precision.cell}_${layout}_${width}_${padded}`, (name) => {
    const f = new FunctionBuilder(name);
    const from = f.parameter("from");
    const to = f.parameter("to");
    const kc = f.parameter("kc");
    const laneStride = f.parameter("laneStride");
    const kStride = f.parameter("kStride");
    const strip: Strip = { f, precision, from, to, kc, laneStride, kStride, width, padded };
    if (layout === "lanes") copyLanes(strip);
    else if (layout === "k") transposeLanes(strip);
    else gatherLanes(strip);
    return f.finish();
  });
}

interface Strip {
  readonly f: FunctionBuilder;
  readonly precision: Precision;
  readonly from: Expr;
  readonly to: Expr;
  readonly kc: Expr;
  readonly laneStride: Expr;
  readonly kStride: Expr;
  readonly width: number;
  readonly padded: number;
}

/** Offsets of the vectors that cover `width` lanes without passing its end; the last may overlap its neighbour. */
function coveringOffsets(width: number, lanes: number): number[] {
  const offsets: number[] = [];
  for (let lane = 0; lane + lanes <= width; lane += lanes) offsets.push(lane);
  if (width > lanes && width % lanes !== 0) offsets.push(width - lanes);
  return offsets;
}

/** Rows of contiguous lanes: whole vectors, the last one overlapping; single lanes only where a row is shorter than a vector. */
function copyLanes({ f, precision: { cell, lanes }, from, to, kc, kStride, width, padded }: Strip): void {
  const bytes = cellBytes[cell];
  const source = f.variable("source", from);
  const target = f.variable("target", to);
  const vectors = coveringOffsets(width, lanes);
  const scalars = vectors.length > 0 ? [] : Array.from({ length: width }, (_, lane) => lane);
  const zeroVectors = Math.ceil((padded - width) / lanes);
  const zeros = Array.from({ length: zeroVectors }, (_, index) => padded - (index + 1) * lanes);
  const copy = (steps: number): void => {
    for (let step = 0; step < steps; step++) {
      const row = vectors.map((lane, index) => f.let(`v${step}_${index}`, load(cell, get(source), lane * bytes, lanes)));
      // Zeros first: they may cover the row's last lanes.
      for (const lane of zeros) f.store(cell, get(target), constant(cell, 0, lanes), (step * padded + lane) * bytes);
      vectors.forEach((lane, index) => f.store(cell, get(target), row[index]!, (step * padded + lane) * bytes));
      for (const lane of scalars) f.store(cell, get(target), load(cell, get(source), lane * bytes), (step * padded + lane) * bytes);
      f.set(source, add(get(source), kStride));
    }
    f.set(target, add(get(target), steps * padded * bytes));
  };
  const whole = f.let("whole", binary("and", kc, -2));
  f.loop("k", 0, whole, 2, () => copy(2));
  f.loop("k", whole, kc, 1, () => copy(1));
}

/**
 * Lanes that are contiguous along k: square blocks of one vector a side are transposed in registers.
 * Groups of lanes are written last to first, so that the padding of a partial group is overwritten by the next k's first group.
 */
function transposeLanes({ f, precision, from, to, kc, laneStride, width, padded }: Strip): void {
  const { cell, lanes } = precision;
  const bytes = cellBytes[cell];
  const whole = f.let("whole", binary("and", kc, -lanes));
  const groups = Math.ceil(padded / lanes);
  for (let group = groups - 1; group >= 0; group--) {
    const present = Math.max(0, Math.min(lanes, width - group * lanes));
    const wanted = Math.min(lanes, padded - group * lanes);
    const sources: Local[] = Array.from({ length: present }, (_, row) => f.variable(`lane${row}`, add(from, mul(laneStride, group * lanes + row))));
    const target = f.variable("target", add(to, group * lanes * bytes));
    f.loop("k", 0, whole, lanes, () => {
      const rows = Array.from({ length: lanes }, (_, row) =>
        row < present ? f.let(`r${row}`, load(cell, get(sources[row]!), 0, lanes)) : constant(cell, 0, lanes),
      );
      transpose(f, rows).forEach((column, step) => f.store(cell, get(target), column, step * padded * bytes));
      for (const source of sources) f.set(source, add(get(source), lanes * bytes));
      f.set(target, add(get(target), lanes * padded * bytes));
    });
    f.loop("k", whole, kc, 1, () => {
      for (let row = 0; row < wanted; row++) {
        f.store(cell, get(target), row < present ? load(cell, get(sources[row]!)) : constant(cell, 0), row * bytes);
      }
      for (const source of sources) f.set(source, add(get(source), bytes));
      f.set(target, add(get(target), padded * bytes));
    });
  }
}

/** The columns of a square block given by rows. */
function transpose(f: FunctionBuilder, rows: readonly Expr[]): Expr[] {
  if (rows.length === 2) {
    const [a, b] = rows as [Expr, Expr];
    return [f.let("t0", shuffle(a, b, [0, 2])), f.let("t1", shuffle(a, b, [1, 3]))];
  }
  const [a, b, c, d] = rows as [Expr, Expr, Expr, Expr];
  const low = [0, 4, 1, 5];
  const high = [2, 6, 3, 7];
  const ab = [f.let("ab0", shuffle(a, b, low)), f.let("ab1", shuffle(a, b, high))];
  const cd = [f.let("cd0", shuffle(c, d, low)), f.let("cd1", shuffle(c, d, high))];
  return [0, 1].flatMap((half) => [
    f.let(`t${2 * half}`, shuffle(ab[half]!, cd[half]!, [0, 1, 4, 5])),
    f.let(`t${2 * half + 1}`, shuffle(ab[half]!, cd[half]!, [2, 3, 6, 7])),
  ]);
}

function gatherLanes({ f, precision: { cell }, from, to, kc, laneStride, kStride, width, padded }: Strip): void {
  const bytes = cellBytes[cell];
  const source = f.variable("source", from);
  const target = f.variable("target", to);
  f.loop("k", 0, kc, 1, () => {
    const lane = f.variable("lane", get(source));
    for (let index = 0; index < padded; index++) {
      if (index < width) f.store(cell, get(target), load(cell, get(lane)), index * bytes);
      else f.store(cell, get(target), constant(cell, 0), index * bytes);
      if (index + 1 < width) f.set(lane, add(get(lane), laneStride));
    }
    f.set(source, add(get(source), kStride));
    f.set(target, add(get(target), padded * bytes));
  });
}
