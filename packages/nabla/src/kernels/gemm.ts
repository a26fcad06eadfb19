// Matrix products: blocks of A and B are packed so that the micro-kernel streams them from cache (Goto and van de Geijn 2008).
// Generated for one static shape; a unit of work is one strip of rows or one panel of columns, so any split gives the same bits.
import { FunctionBuilder, add, binary, cellBytes, divideBy, i32, load, mul, remainderBy, select, smaller, sub } from "./build.ts";
import type { Expr, IrFunction, LoweredKernel, Target } from "./ir.ts";
import type { Access, GemmKernel, MatrixOperand } from "./kernel.ts";
import { type LayoutA, type LayoutB, type Precision, copyTile, microKernel } from "./microkernel.ts";
import { type StripLayout, packSlack, packStrips } from "./pack.ts";

/** Sizes of the blocks, chosen for caches of 32 KiB (L1) and 512 KiB (L2). */
export interface Blocking {
  /** Steps of k in one pass: a strip of A stays in L1. */
  readonly kc: number;
  /** Columns of the packed block of B, which streams through the cache for each strip of A. */
  readonly nc: number;
  /** Rows of the packed block of A, which stays in L2. */
  readonly mc: number;
  /** Up to this many columns A is read in place. */
  readonly unpackedColumns: number;
}

export const defaultBlocking: Blocking = { kc: 256, nc: 512, mc: 192, unpackedColumns: 64 };

/** One direction of C cut into pieces: `big` until `bigCount`, then one less (rows), or `big` and a narrower last (columns). */
interface Tiling {
  readonly count: number;
  readonly big: number;
  readonly bigCount: number;
}

/** ceil(extent / most) pieces of two heights as even as possible. */
function evenTiles(extent: number, most: number): Tiling {
  const count = Math.ceil(extent / most);
  const big = Math.ceil(extent / count);
  return { count, big, bigCount: extent - count * (big - 1) };
}

/** First row of tile `index`. */
function rowOf({ count, big, bigCount }: Tiling, index: Expr): Expr {
  return count === bigCount ? mul(index, big) : add(mul(index, big - 1), smaller(index, bigCount));
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** How a plain operand lies in memory, in bytes. */
interface Matrix {
  readonly access: Access;
  readonly laneStride: number;
  readonly kStride: number;
  readonly layout: StripLayout;
}

/** `kAxis` of the two last coordinates is k; the other runs along the lanes of a strip. */
function plainMatrix(operand: MatrixOperand, kernel: GemmKernel, kAxis: 0 | 1): Matrix | undefined {
  const [only] = operand.body;
  if (operand.body.length !== 1 || only?.op !== "load") return undefined;
  const { access } = only;
  if (access.indirect !== undefined || access.dtype !== kernel.type) return undefined;
  return matrixOf(access, kernel, kAxis);
}

function matrixOf(access: Access, kernel: GemmKernel, kAxis: 0 | 1): Matrix {
  const rank = kernel.batch.length;
  const lane = access.strides[rank + 1 - kAxis]!;
  const k = access.strides[rank + kAxis]!;
  const bytes = kernel.type === "float32" ? 4 : 8;
  const layout = lane === 1 ? "lanes" : k === 1 || kernel.k === 1 ? "k" : "strided";
  return { access, laneStride: lane * bytes, kStride: k * bytes, layout };
}

/** Vectors of one tile's row, so that accumulators, a row of B and an element of A fit the registers. */
function vectorsOf(rows: number, target: Target): number {
  const base = target.tileColumns / target.lanes;
  if (rows >= 4) return base;
  return rows === 3 ? base * 1.5 : rows === 2 ? base * 2 : base * 4;
}

/** The narrowest panel that holds `columns`: pairs of vectors fuse where the target has wide tiles. */
function panelVectors(columns: number, most: number, { lanes, pairs }: { lanes: number; pairs: boolean }): number {
  const needed = Math.ceil(columns / lanes);
  if (needed >= most) return most;
  return needed === 1 || !pairs ? needed : roundUp(needed, 2);
}

/** Above this many tiles of rows it pays to pack B. */
const unpackedRowTiles = 2;

class GemmGenerator {
  readonly kernel: GemmKernel;
  readonly precision: Precision;
  readonly bytes: number;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly rows: Tiling;
  readonly vectors: number;
  readonly panelWidth: number;
  readonly panels: number;
  /** Columns of the last panel when it is not full, and its vectors. */
  readonly edge: { readonly columns: number; readonly vectors: number } | undefined;
  readonly layoutA: LayoutA;
  readonly layoutB: LayoutB;
  readonly splitRows: boolean;
  /** Steps of k in a block, rows tiles and panels in a block. */
  readonly kb: number;
  readonly tileBlock: number;
  readonly panelBlock: number;
  readonly batchSize: number;

  constructor(kernel: GemmKernel, target: Target, blocking: Blocking) {
    this.kernel = kernel;
    const { m, n, k } = kernel;
    this.precision = kernel.type === "float32" ? { cell: "f32", lanes: target.lanes } : { cell: "f64", lanes: target.lanes / 2 };
    const { cell, lanes } = this.precision;
    this.bytes = cellBytes[cell];
    const a = plainMatrix(kernel.a, kernel, 1);
    const b = plainMatrix(kernel.b, kernel, 0);
    if (a === undefined || b === undefined) throw new Error("gemm: prologue bodies are not generated yet.");
    this.a = a;
    this.b = b;
    this.batchSize = kernel.batch.reduce((size, extent) => size * extent, 1);

    this.rows = evenTiles(m, 6);
    const widest = vectorsOf(this.rows.big, target);
    const panelKind = { lanes, pairs: target.tileColumns > 2 * target.lanes };
    this.vectors = panelVectors(n, widest, panelKind);
    this.panelWidth = this.vectors * lanes;
    this.panels = Math.ceil(n / this.panelWidth);
    const rest = n % this.panelWidth;
    this.edge = rest === 0 ? undefined : { columns: rest, vectors: panelVectors(rest, this.vectors, panelKind) };

    this.layoutA = n > blocking.unpackedColumns || this.a.layout === "strided" ? "packed" : this.a.layout === "k" ? "rows" : "columns";
    this.layoutB = this.b.layout === "lanes" && this.rows.count <= unpackedRowTiles ? "rows" : "packed";
    this.splitRows = this.rows.count > 1 && (m >= n || this.panels === 1);

    this.kb = Math.max(4, roundUp(Math.ceil(k / Math.max(1, Math.ceil(k / blocking.kc))), 4));
    this.tileBlock = Math.min(this.rows.count, Math.max(1, Math.floor(blocking.mc / this.rows.big)));
    this.panelBlock = Math.min(this.panels, Math.max(1, Math.floor(blocking.nc / this.panelWidth)));
  }

  private get tiles(): number {
    return this.splitRows ? this.rows.count : this.panels;
  }

  get units(): number {
    return this.kernel.m * this.kernel.n * this.batchSize === 0 ? 0 : this.tiles * this.batchSize;
  }

  /** Packed A, packed B, and a tile for the panel that passes the edge. */
  private get scratch(): { readonly b: number; readonly tile: number; readonly bytes: number } {
    const kb = Math.min(this.kb, roundUp(this.kernel.k, 4));
    const a = this.layoutA === "packed" ? roundUp(this.tileBlock * this.rows.big * kb * this.bytes + packSlack, 64) : 0;
    const b = this.layoutB === "packed" || this.edge !== undefined ? roundUp(this.panelBlock * this.panelWidth * kb * this.bytes + packSlack, 64) : 0;
    const tile = this.edge === undefined ? 0 : roundUp(this.rows.big * this.panelWidth * this.bytes, 64);
    return { b: a, tile: a + b, bytes: a + b + tile };
  }

  lower(): LoweredKernel {
    const { m, n, k } = this.kernel;
    const elements = this.batchSize * (m * k + k * n + m * n);
    return {
      entry: this.entry(),
      units: this.units,
      cost: (2 * this.batchSize * m * n * k) / 80 + elements * 0.15,
      scratchBytes: this.scratch.bytes,
    };
  }

  private entry(): IrFunction {
    const f = new FunctionBuilder("gemm");
    const args = f.parameter("args");
    const start = f.parameter("start");
    const end = f.parameter("end");
    const scratch = f.parameter("scratch");
    if (this.units === 0) return f.finish();
    const product = (batch: Expr, from: Expr, to: Expr): void => {
      const whole = (count: number): [Expr, Expr] => [i32(0), i32(count)];
      const [t0, t1] = this.splitRows ? [from, to] : whole(this.rows.count);
      const [p0, p1] = this.splitRows ? whole(this.panels) : [from, to];
      new ProductEmitter(f, this, args, scratch, batch).emit(t0, t1, p0, p1);
    };
    if (this.batchSize === 1) {
      product(i32(0), start, end);
    } else {
      const { tiles } = this;
      const last = f.let("last", add(divideBy(sub(end, 1), tiles), 1));
      f.if(binary("lt", start, end), () => {
        f.loop("batch", divideBy(start, tiles), last, 1, (batch) => {
          const first = f.let("first", mul(batch, tiles));
          const from = f.let("from", select(binary("lt", start, first), i32(0), sub(start, first)));
          product(batch, from, f.let("to", smaller(sub(end, first), tiles)));
        });
      });
    }
    return f.finish();
  }

  get scratchLayout(): { readonly b: number; readonly tile: number } {
    return this.scratch;
  }
}

/** Emits the loops of one product of the batch over tiles [t0, t1) × panels [p0, p1). */
class ProductEmitter {
  private readonly f: FunctionBuilder;
  private readonly g: GemmGenerator;
  private readonly a: Expr;
  private readonly b: Expr;
  private readonly c: Expr;
  private readonly packedA: Expr;
  private readonly packedB: Expr;
  private readonly edgeTile: Expr;

  constructor(f: FunctionBuilder, g: GemmGenerator, args: Expr, scratch: Expr, batch: Expr) {
    this.f = f;
    this.g = g;
    const { m, n } = g.kernel;
    this.a = this.base("a", args, g.a.access, batch);
    this.b = this.base("b", args, g.b.access, batch);
    this.c = f.let("c", add(load("i32", args, 4 * g.kernel.scratch), mul(batch, m * n * g.bytes)));
    this.packedA = scratch;
    this.packedB = f.let("packedB", add(scratch, g.scratchLayout.b));
    this.edgeTile = f.let("edgeTile", add(scratch, g.scratchLayout.tile));
  }

  /** Byte address of an operand's element (0, 0) in product `batch`. */
  private base(name: string, args: Expr, access: Access, batch: Expr): Expr {
    const { f, g } = this;
    let address = add(load("i32", args, 4 * access.buffer), access.offset * g.bytes);
    let rest = batch;
    for (let axis = g.kernel.batch.length - 1; axis >= 0; axis--) {
      const extent = g.kernel.batch[axis]!;
      const coordinate = axis === 0 ? rest : remainderBy(rest, extent);
      if (g.batchSize > 1 && access.strides[axis] !== 0) address = add(address, mul(coordinate, access.strides[axis]! * g.bytes));
      if (axis > 0) rest = divideBy(rest, extent);
    }
    return f.let(name, address);
  }

  emit(t0: Expr, t1: Expr, p0: Expr, p1: Expr): void {
    const { f, g } = this;
    const depth = Math.max(1, g.kernel.k);
    this.blocks("panel", p0, p1, g.panels, g.panelBlock, (panelStart, panelEnd) => {
      this.blocks("k0", i32(0), i32(depth), depth, g.kb, (k0) => {
        const kc = g.kernel.k <= g.kb ? i32(g.kernel.k) : f.let("kc", smaller(sub(i32(g.kernel.k), k0), g.kb));
        const accumulate = g.kernel.k <= g.kb ? i32(0) : k0;
        this.packB(panelStart, panelEnd, k0, kc);
        this.blocks("tile", t0, t1, g.rows.count, g.tileBlock, (tileStart, tileEnd) => {
          const firstRow = f.let("firstRow", rowOf(g.rows, tileStart));
          if (g.layoutA === "packed") this.packA(tileStart, tileEnd, firstRow, k0, kc);
          this.heights(tileStart, tileEnd, (from, to, rows) => {
            f.loop("tile", from, to, 1, (tile) => {
              const row = f.let("row", rowOf(g.rows, tile));
              const strip = f.let("strip", this.stripA(row, firstRow, k0, kc));
              const rowC = f.let("rowC", add(this.c, mul(row, g.kernel.n * g.bytes)));
              this.multiplyStrip(rows, strip, rowC, panelStart, panelEnd, k0, kc, accumulate);
            });
          });
        });
      });
    });
  }

  /** Cuts [from, to), at most `most` long, into blocks; one block needs no loop. */
  private blocks(name: string, from: Expr, to: Expr, most: number, block: number, body: (start: Expr, end: Expr) => void): void {
    const { f } = this;
    if (most <= block) body(from, to);
    else f.loop(name, from, to, block, (start) => body(start, f.let(`${name}End`, smaller(add(start, block), to))));
  }

  /** Runs `body` for the tiles of each of the two heights. */
  private heights(start: Expr, end: Expr, body: (from: Expr, to: Expr, rows: number) => void): void {
    const { f, g } = this;
    const { count, big, bigCount } = g.rows;
    if (count === bigCount) {
      body(start, end, big);
      return;
    }
    const middle = f.let("middle", smaller(end, select(binary("lt", start, i32(bigCount)), i32(bigCount), start)));
    body(start, middle, big);
    body(middle, end, big - 1);
  }

  private packA(start: Expr, end: Expr, firstRow: Expr, k0: Expr, kc: Expr): void {
    const { f, g } = this;
    const { laneStride, kStride, layout } = g.a;
    this.heights(start, end, (from, to, rows) => {
      const row = f.let("row", rowOf(g.rows, from));
      const source = add(add(this.a, mul(row, laneStride)), mul(k0, kStride));
      const target = add(this.packedA, mul(mul(sub(row, firstRow), kc), g.bytes));
      f.call(packStrips(g.precision, layout, rows, rows), source, target, kc, sub(to, from), i32(laneStride), i32(kStride));
    });
  }

  private stripA(row: Expr, firstRow: Expr, k0: Expr, kc: Expr): Expr {
    const { g } = this;
    if (g.layoutA === "packed") return add(this.packedA, mul(mul(sub(row, firstRow), kc), g.bytes));
    return add(add(this.a, mul(row, g.a.laneStride)), mul(k0, g.a.kStride));
  }

  private packB(start: Expr, end: Expr, k0: Expr, kc: Expr): void {
    const { f, g } = this;
    const { laneStride, kStride, layout } = g.b;
    const { fullPanels } = this;
    const pack = (from: Expr, count: Expr, width: number, padded: number): void => {
      const source = add(add(this.b, mul(from, g.panelWidth * laneStride)), mul(k0, kStride));
      const target = add(this.packedB, mul(mul(sub(from, start), kc), g.panelWidth * g.bytes));
      f.call(packStrips(g.precision, layout, width, padded), source, target, kc, count, i32(laneStride), i32(kStride));
    };
    if (g.layoutB === "packed" && fullPanels > 0) pack(start, sub(smaller(end, fullPanels), start), g.panelWidth, g.panelWidth);
    const { edge } = g;
    if (edge !== undefined) {
      f.if(binary("gt", end, i32(fullPanels)), () => pack(i32(fullPanels), i32(1), edge.columns, edge.vectors * g.precision.lanes));
    }
  }

  private get fullPanels(): number {
    return this.g.edge === undefined ? this.g.panels : this.g.panels - 1;
  }

  private multiplyStrip(rows: number, strip: Expr, rowC: Expr, start: Expr, end: Expr, k0: Expr, kc: Expr, accumulate: Expr): void {
    const { f, g } = this;
    const { edge, layoutA, layoutB, precision, panelWidth, bytes } = g;
    const { fullPanels } = this;
    const strideA = i32(layoutA === "columns" ? g.a.kStride : g.a.laneStride);
    const strideB = i32(g.b.kStride);
    const packed = (panel: Expr): Expr => add(this.packedB, mul(mul(sub(panel, start), kc), panelWidth * bytes));
    f.loop("panel", start, smaller(end, fullPanels), 1, (panel) => {
      const c = add(rowC, mul(panel, panelWidth * bytes));
      const b = layoutB === "packed" ? packed(panel) : add(add(this.b, mul(panel, panelWidth * bytes)), mul(k0, g.b.kStride));
      f.call(microKernel(precision, rows, g.vectors, layoutA, layoutB), strip, b, c, i32(g.kernel.n * bytes), kc, accumulate, strideA, strideB);
    });
    if (edge === undefined) return;
    const { columns, vectors } = edge;
    const padded = vectors * precision.lanes;
    const micro = microKernel(precision, rows, vectors, layoutA, "packed");
    f.if(binary("gt", end, i32(fullPanels)), () => {
      const b = packed(i32(fullPanels));
      const c = add(rowC, fullPanels * panelWidth * bytes);
      if (columns === padded) {
        f.call(micro, strip, b, c, i32(g.kernel.n * bytes), kc, accumulate, strideA, strideB);
      } else {
        f.call(micro, strip, b, this.edgeTile, i32(padded * bytes), kc, i32(0), strideA, strideB);
        f.call(copyTile(precision, rows, columns, padded), this.edgeTile, c, i32(g.kernel.n * bytes), accumulate);
      }
    });
  }
}

/** Lowers a product for `target`; `blocking` is for measuring. */
export function lowerGemm(kernel: GemmKernel, target: Target, blocking: Blocking = defaultBlocking): LoweredKernel {
  return new GemmGenerator(kernel, target, blocking).lower();
}
