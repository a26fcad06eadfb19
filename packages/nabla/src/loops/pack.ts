// Packing: copies strips of a matrix into the order the micro-kernel reads, `padded` elements for each k, whatever its strides.
// A strip has `width` lanes (rows of A, columns of B); lanes from width to padded become zeros.
import { FunctionBuilder, add, binary, cellBytes, constant, get, load, mul } from "./build.ts";
import type { Expr, IrFunction, Local } from "./ir.ts";
import { transpose } from "./lanes.ts";
import { type Precision, shared } from "./microkernel.ts";

/** Which of the strip's two directions is contiguous in memory: its lanes, k, or neither. */
export type StripLayout = "lanes" | "k" | "strided";

/** Bytes that packing may write past the last strip. */
export const packSlack = 64;

interface Strips {
  readonly f: FunctionBuilder;
  readonly precision: Precision;
  readonly width: number;
  readonly padded: number;
  readonly from: Expr;
  readonly to: Expr;
  readonly kc: Expr;
  readonly count: Expr;
  readonly laneStride: Expr;
  readonly kStride: Expr;
}

/**
 * to[(strip·kc + k)·padded + lane] ← from[(strip·width + lane)·laneStride + k·kStride] for strip < count, k < kc.
 * Parameters: from, to, kc, count, laneStride, kStride (bytes). May write {@link packSlack} bytes past the end.
 */
export function packStrips(precision: Precision, layout: StripLayout, width: number, padded: number): IrFunction {
  return shared(`pack_${precision.cell}x${precision.lanes}_${layout}_${width}_${padded}`, (name) => {
    const f = new FunctionBuilder(name);
    const [from, to, kc, count] = [f.parameter("from"), f.parameter("to"), f.parameter("kc"), f.parameter("count")];
    const strips: Strips = { f, precision, width, padded, from, to, kc, count, laneStride: f.parameter("laneStride"), kStride: f.parameter("kStride") };
    if (layout === "lanes") copyLanes(strips);
    else eachStrip(strips, layout === "k" ? transposeStrip : gatherStrip);
    return f.finish();
  });
}

/** Offsets of the vectors that cover `width` lanes without passing its end; the last may overlap its neighbour. */
function coveringOffsets(width: number, lanes: number): number[] {
  const offsets: number[] = [];
  for (let lane = 0; lane + lanes <= width; lane += lanes) offsets.push(lane);
  if (width > lanes && width % lanes !== 0) offsets.push(width - lanes);
  return offsets;
}

/** Contiguous lanes: a few k at a time across all strips, so that memory is read along its rows. */
function copyLanes({ f, precision: { cell, lanes }, width, padded, from, to, kc, count, kStride }: Strips): void {
  const bytes = cellBytes[cell];
  const vectors = coveringOffsets(width, lanes);
  const scalars = vectors.length > 0 ? [] : Array.from({ length: width }, (_, lane) => lane);
  const zeros = Array.from({ length: Math.ceil((padded - width) / lanes) }, (_, index) => padded - (index + 1) * lanes);
  const stripBytes = f.let("stripBytes", mul(kc, padded * bytes));
  const source = f.variable("source", from);
  const target = f.variable("target", to);
  const copy = (steps: number): void => {
    const sources = Array.from({ length: steps }, (_, step) => f.variable(`source${step}`, add(get(source), mul(kStride, step))));
    const written = f.variable("written", get(target));
    f.loop("strip", 0, count, 1, () => {
      const rows = sources.map((row, step) => vectors.map((lane) => f.let(`v${step}_${lane}`, load(cell, get(row), lane * bytes, lanes))));
      rows.forEach((row, step) => {
        // Zeros first: they may cover the row's last lanes.
        for (const lane of zeros) f.store(cell, get(written), constant(cell, 0, lanes), (step * padded + lane) * bytes);
        f.storeVectors(cell, get(written), row, (index) => (step * padded + vectors[index]!) * bytes);
        for (const lane of scalars) f.store(cell, get(written), load(cell, get(sources[step]!), lane * bytes), (step * padded + lane) * bytes);
      });
      for (const row of sources) f.set(row, add(get(row), width * bytes));
      f.set(written, add(get(written), stripBytes));
    });
    f.set(source, add(get(source), mul(kStride, steps)));
    f.set(target, add(get(target), steps * padded * bytes));
  };
  const whole = f.let("whole", binary("and", kc, -4));
  f.loop("k", 0, whole, 4, () => copy(4));
  f.loop("k", whole, kc, 1, () => copy(1));
}

function eachStrip(strips: Strips, pack: (strip: Strips) => void): void {
  const { f, width, padded, kc, laneStride, precision } = strips;
  const from = f.variable("stripFrom", strips.from);
  const to = f.variable("stripTo", strips.to);
  f.loop("strip", 0, strips.count, 1, () => {
    pack({ ...strips, from: get(from), to: get(to) });
    f.set(from, add(get(from), mul(laneStride, width)));
    f.set(to, add(get(to), mul(kc, padded * cellBytes[precision.cell])));
  });
}

/** Groups of lanes that one pass over k transposes: more streams than this would compete for cache sets. */
const groupsPerPass = 2;

/**
 * Lanes that are contiguous along k: square blocks of one vector a side are transposed in registers.
 * A partial group stores whole vectors: what passes its k's end is overwritten by the next k, pass or strip (hence the last pass first).
 */
function transposeStrip({ f, precision, width, padded, from, to, kc, laneStride }: Strips): void {
  const { cell, lanes } = precision;
  const bytes = cellBytes[cell];
  const whole = f.let("whole", binary("and", kc, -lanes));
  const groups = Math.ceil(padded / lanes);
  for (let first = Math.floor((groups - 1) / groupsPerPass) * groupsPerPass; first >= 0; first -= groupsPerPass) {
    const firstLane = first * lanes;
    const passLanes = Math.min(groupsPerPass * lanes, padded - firstLane);
    const present = Math.max(0, Math.min(passLanes, width - firstLane));
    const sources: Local[] = Array.from({ length: present }, (_, lane) => f.variable(`lane${lane}`, add(from, mul(laneStride, firstLane + lane))));
    const target = f.variable("target", add(to, firstLane * bytes));
    f.loop("k", 0, whole, lanes, () => {
      const columns = Array.from({ length: Math.ceil(passLanes / lanes) }, (_, group) => {
        const rows = Array.from({ length: lanes }, (_unused, lane) => {
          const source = sources[group * lanes + lane];
          return source === undefined ? constant(cell, 0, lanes) : f.let(`r${group}_${lane}`, load(cell, get(source), 0, lanes));
        });
        return transpose(f, rows);
      });
      for (let step = 0; step < lanes; step++) {
        f.storeVectors(cell, get(target), columns.map((column) => column[step]!), (group) => (step * padded + group * lanes) * bytes);
      }
      for (const source of sources) f.set(source, add(get(source), lanes * bytes));
      f.set(target, add(get(target), lanes * padded * bytes));
    });
    f.loop("k", whole, kc, 1, () => {
      for (let lane = 0; lane < passLanes; lane++) {
        const source = sources[lane];
        f.store(cell, get(target), source === undefined ? constant(cell, 0) : load(cell, get(source)), lane * bytes);
      }
      for (const source of sources) f.set(source, add(get(source), bytes));
      f.set(target, add(get(target), padded * bytes));
    });
  }
}

function gatherStrip({ f, precision: { cell }, width, padded, from, to, kc, laneStride, kStride }: Strips): void {
  const bytes = cellBytes[cell];
  const source = f.variable("source", from);
  const target = f.variable("target", to);
  f.loop("k", 0, kc, 1, () => {
    const lane = f.variable("lane", get(source));
    for (let index = 0; index < padded; index++) {
      f.store(cell, get(target), index < width ? load(cell, get(lane)) : constant(cell, 0), index * bytes);
      if (index + 1 < width) f.set(lane, add(get(lane), laneStride));
    }
    f.set(source, add(get(source), kStride));
    f.set(target, add(get(target), padded * bytes));
  });
}
