// Matrix products: blocks of A and B are packed so that the micro-kernel streams them from cache (Goto and van de Geijn 2008).
// Generated for one static shape; a unit of work is one strip of rows or one panel of columns, so any split gives the same bits.
import { FunctionBuilder, add, binary, cellBytes, divideBy, get, i32, load, mul, select, smaller, sub } from "./build.ts";
import type { Expr, IrFunction, LoweredKernel, Target } from "./ir.ts";
import type { Access, GemmKernel } from "../kernels/kernel.ts";
import { type LayoutA, type LayoutB, type Precision, copyTile, dotKernel, microKernel } from "./microkernel.ts";
import { coordinatesOf } from "./domain.ts";
import { bodyCost, epilogueEmitter, type EpilogueEmitter } from "./map.ts";
import { OperandEmitter, plainMatrix, type Matrix, type PlainMatrix } from "./operand.ts";
import { rowMajorStrides, sizeOf } from "../ops/shape.ts";
import { packSlack, packStrips } from "./pack.ts";

/** Sizes of the blocks, chosen for caches of 32 KiB (L1) and 512 KiB (L2), of which another thread may use half. */
export interface Blocking {
  /** Steps of k in one pass: a strip of A and a panel of B fit L1. */
  readonly kc: number;
  /** Columns of the packed block of B. */
  readonly nc: number;
  /** Rows of the packed block of A, which stays in L2 while the panels of B pass. */
  readonly mc: number;
}

export const defaultBlocking: Blocking = { kc: 256, nc: 1024, mc: 66 };

/** Panels of B that a strip of A meets in turn: the rows of C that they write follow each other, and are fetched ahead. */
const panelGroup = 4;

/** Up to this many columns it does not pay to pack A where its rows or columns are contiguous. */
const unpackedColumns = 64;

/** The rows of C cut into `count` tiles: `bigCount` of `big` rows, then those of `small`. */
interface Tiling {
  readonly count: number;
  readonly big: number;
  readonly bigCount: number;
  readonly small: number;
}

/** Rows of a tile whose accumulators hide the latency of the multiply-add: fewer take as long. */
const latencyRows = 4;
/** What a short last tile may cost: its code is smaller, and products of other shapes more often share it. */
const shortTileCost = 1.04;

/** Tiles of `most` rows and a shorter last one; of two heights as even as possible where that is clearly faster. */
function rowTiles(rows: number, most: number): Tiling {
  const count = Math.ceil(rows / most);
  const big = Math.ceil(rows / count);
  const even: Tiling = { count, big, bigCount: rows - count * (big - 1), small: big - 1 };
  const whole = Math.floor(rows / most);
  const full: Tiling = { count, big: most, bigCount: whole, small: rows % most };
  const time = ({ big: high, bigCount, small }: Tiling): number =>
    bigCount * Math.max(latencyRows, high) + (count - bigCount) * Math.max(latencyRows, small);
  return whole > 0 && time(full) <= shortTileCost * time(even) ? full : even;
}

/** First row of tile `index`. */
function rowOf({ count, big, bigCount, small }: Tiling, index: Expr): Expr {
  return count === bigCount ? mul(index, big) : add(mul(index, small), mul(smaller(index, bigCount), big - small));
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

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

/** From so many rows on it pays to pack B: in place, where its rows lie far apart, nothing fetches it ahead. */
const packedRows = 6;

/** Enough pieces for a few threads to share evenly. */
const finePieces = 16;

/** Up to this many rows, sums over contiguous k go by dot products of so many columns at once. */
const dotRows = 3;
const dotColumns = 4;

/** Nanoseconds to move an element. */
const packCost = 0.2;

/** Part of a product's time that may go to packing so that threads share its rows. */
const rowsAreWorth = 0.03;

/** Everything decided before code is written. */
class Plan {
  readonly kernel: GemmKernel;
  readonly precision: Precision;
  readonly bytes: number;
  /** Undefined where the operand must be computed. */
  readonly a: PlainMatrix | undefined;
  readonly b: PlainMatrix | undefined;
  readonly tileRows: number;
  readonly rows: Tiling;
  readonly vectors: number;
  readonly panelWidth: number;
  readonly panels: number;
  /** Columns of the last panel when it is not full, and its vectors. */
  readonly edge: { readonly columns: number; readonly vectors: number } | undefined;
  /** Few rows of operands that are contiguous along k: dot products in place, without blocks. */
  readonly dot: boolean;
  readonly layoutA: LayoutA;
  readonly layoutB: LayoutB;
  readonly splitRows: boolean;
  /** Steps of k, tiles of rows and panels of columns in a block. */
  readonly kBlock: number;
  readonly tileBlock: number;
  readonly panelBlock: number;
  readonly batchSize: number;

  constructor(kernel: GemmKernel, target: Target, blocking: Blocking) {
    this.kernel = kernel;
    const { m, n, k } = kernel;
    this.precision = kernel.type === "float32" ? { cell: "f32", lanes: target.lanes } : { cell: "f64", lanes: target.lanes / 2 };
    const { cell, lanes } = this.precision;
    this.bytes = cellBytes[cell];
    this.a = plainMatrix(kernel.a, kernel, 1);
    this.b = plainMatrix(kernel.b, kernel, 0);
    this.batchSize = sizeOf(kernel.batch);

    this.tileRows = target.tileRows;
    this.rows = rowTiles(m, target.tileRows);
    const panelKind = { lanes, pairs: target.tileColumns > 2 * target.lanes };
    this.vectors = panelVectors(n, vectorsOf(this.rows.big, target), panelKind);
    this.dot = m <= dotRows && this.a?.kStride === this.bytes && this.b?.kStride === this.bytes && this.b.layout === "k";
    this.panelWidth = this.dot ? dotColumns : this.vectors * lanes;
    this.panels = Math.ceil(n / this.panelWidth);
    const rest = n % this.panelWidth;
    this.edge = rest === 0 ? undefined : { columns: rest, vectors: panelVectors(rest, this.vectors, panelKind) };

    this.layoutA = this.dot ? "rows" : layoutOfA(this.a, n);
    this.layoutB = this.dot || (this.b?.layout === "lanes" && m < packedRows) ? "rows" : "packed";
    this.splitRows = this.rowsAreBetterUnits();

    const depths = this.dot ? 1 : Math.max(1, Math.ceil(k / blocking.kc));
    this.kBlock = Math.max(4, roundUp(Math.ceil(k / depths), 4));
    this.tileBlock = Math.min(this.rows.count, Math.max(1, Math.floor(blocking.mc / this.rows.big)));
    this.panelBlock = Math.min(this.panels, Math.max(1, Math.floor(blocking.nc / this.panelWidth)));
  }

  /**
   * Rows, if they are fine enough and columns would not save much: then the rows of a batch that one layer leaves in a core's cache are
   * those that the core reads for the next.
   */
  private rowsAreBetterUnits(): boolean {
    const { rows, panels } = this;
    const [fineRows, finePanels] = [rows.count >= finePieces, panels >= finePieces];
    if (fineRows !== finePanels) return fineRows;
    if (!fineRows) return rows.count > panels;
    return this.setupOf(true) - this.setupOf(false) <= rowsAreWorth * this.cost;
  }

  /** Tiles or panels that one product is cut into. */
  get pieces(): number {
    return this.splitRows ? this.rows.count : this.panels;
  }

  get units(): number {
    return this.pieces * this.batchSize;
  }

  get fullPanels(): number {
    return this.edge === undefined ? this.panels : this.panels - 1;
  }

  /** Steps of k that a block has room for. */
  get depth(): number {
    return Math.min(this.kBlock, roundUp(this.kernel.k, 4));
  }

  get hasEpilogue(): boolean {
    return this.kernel.stores.length > 0 && !isCopyOntoItself(this.kernel);
  }

  /** Whether a block of C is finished where it was made and never reaches memory. */
  get finishesInPlace(): boolean {
    return this.hasEpilogue && !this.kernel.kept && this.kernel.k <= this.kBlock;
  }

  /** Bytes between rows of C: of a thread's own block one cache line more than its columns, so that rows do not meet in one set. */
  get rowBytes(): number {
    return this.finishesInPlace ? this.panelBlock * this.panelWidth * this.bytes + 64 : this.kernel.n * this.bytes;
  }

  /** Offsets of a thread's scratch: packed A at 0, packed B, the tile of a panel that passes the edge, blocks of computed operands, one of C. */
  get scratch(): { readonly b: number; readonly tile: number; readonly computedA: number; readonly computedB: number; readonly c: number; readonly bytes: number } {
    const blockA = this.tileBlock * this.rows.big * this.depth * this.bytes;
    const blockB = this.panelBlock * this.panelWidth * this.depth * this.bytes;
    const packedB = !this.dot && (this.layoutB === "packed" || this.edge !== undefined);
    const b = this.layoutA === "packed" ? roundUp(blockA + packSlack, 64) : 0;
    const tile = b + (packedB ? roundUp(blockB + packSlack, 64) : 0);
    const computedA = tile + (this.edge === undefined || this.dot ? 0 : roundUp(this.rows.big * this.panelWidth * this.bytes, 64));
    const computedB = computedA + (this.a === undefined ? roundUp(blockA, 64) : 0);
    const c = computedB + (this.b === undefined ? roundUp(blockB, 64) : 0);
    return { b, tile, computedA, computedB, c, bytes: c + (this.finishesInPlace ? this.tileBlock * this.rows.big * this.rowBytes : 0) };
  }

  /** Threads that share the rows each pack all of B, and those that share the columns all of A. */
  private setupOf(splitRows: boolean): number {
    const { m, n, k } = this.kernel;
    if (splitRows) return this.layoutB === "packed" ? packCost * n * k : 0;
    return this.layoutA === "packed" ? packCost * m * k : 0;
  }

  get setup(): number {
    return this.setupOf(this.splitRows);
  }

  get cost(): number {
    const { m, n, k, epilogue, stores } = this.kernel;
    const moved = packCost * (m * k + k * n + m * n);
    const finished = this.hasEpilogue ? bodyCost(epilogue, stores, m * n, this.precision.lanes) : 0;
    return this.batchSize * ((2 * m * n * k) / 80 + moved + finished);
  }
}

function layoutOfA(a: PlainMatrix | undefined, n: number): LayoutA {
  if (a === undefined || n > unpackedColumns) return "packed";
  return a.layout === "lanes" ? "columns" : a.layout === "k" ? "rows" : "packed";
}

/** True for the epilogue that stores the product where it already is. */
function isCopyOntoItself({ epilogue, stores, scratch, type, batch, m, n }: GemmKernel): boolean {
  const [only, second] = stores;
  if (only === undefined || second !== undefined || epilogue[only.value]?.op !== "accumulator") return false;
  const { buffer, dtype, offset, strides } = only.access;
  const own = rowMajorStrides([...batch, m, n]);
  return buffer === scratch.buffer && dtype === type && offset === scratch.offset && strides.every((stride, axis) => stride === own[axis]);
}

/** Writes the function of a plan. */
class GemmWriter {
  private readonly f = new FunctionBuilder("gemm");
  private readonly plan: Plan;
  private readonly args: Expr;
  private readonly start: Expr;
  private readonly end: Expr;
  private readonly scratch: Expr;
  private readonly epilogue: EpilogueEmitter | undefined;
  private readonly computedA: OperandEmitter | undefined;
  private readonly computedB: OperandEmitter | undefined;

  constructor(plan: Plan, target: Target) {
    const { f } = this;
    const { kernel, precision } = plan;
    this.plan = plan;
    this.args = f.parameter("args");
    this.start = f.parameter("start");
    this.end = f.parameter("end");
    this.scratch = f.parameter("scratch");
    const rank = kernel.batch.length;
    if (plan.hasEpilogue) {
      this.epilogue = epilogueEmitter(f, this.args, { type: kernel.type, epilogue: kernel.epilogue, stores: kernel.stores, rank }, target);
    }
    if (plan.a === undefined) this.computedA = new OperandEmitter(f, this.args, kernel.a, rank, 1, precision);
    if (plan.b === undefined) this.computedB = new OperandEmitter(f, this.args, kernel.b, rank, 0, precision);
  }

  write(): IrFunction {
    const { f, plan, start, end } = this;
    f.if(binary("lt", start, end), () => {
      for (const emitter of [this.epilogue, this.computedA, this.computedB]) emitter?.start();
      if (plan.batchSize === 1) {
        this.product(i32(0), start, end);
        return;
      }
      const { pieces } = plan;
      const last = add(divideBy(sub(end, 1), pieces), 1);
      f.loop("batch", divideBy(start, pieces), last, 1, (batch) => {
        const first = f.let("first", mul(batch, pieces));
        const from = f.let("from", select(binary("lt", start, first), i32(0), sub(start, first)));
        this.product(batch, from, f.let("to", smaller(sub(end, first), pieces)));
      });
    });
    return f.finish();
  }

  /** Pieces [from, to) of product `batch`. */
  private product(batch: Expr, from: Expr, to: Expr): void {
    const { f, plan } = this;
    const { m, n, batch: extents, scratch } = plan.kernel;
    const coordinates = coordinatesOf(f, batch, extents).sort(([a], [b]) => a - b).map(([, coordinate]) => coordinate);
    const base = (name: string, matrix: PlainMatrix | undefined): Expr =>
      matrix === undefined ? i32(0) : f.let(name, this.elementAddress(matrix.access, coordinates));
    const operands: Operands = {
      batch: coordinates,
      a: base("a", plan.a),
      b: base("b", plan.b),
      c: f.let("c", add(add(load("i32", this.args, 4 * scratch.buffer), scratch.offset * plan.bytes), mul(batch, m * n * plan.bytes))),
    };
    const tiles: Range = plan.splitRows ? [from, to] : [i32(0), i32(plan.rows.count)];
    const panels: Range = plan.splitRows ? [i32(0), i32(plan.panels)] : [from, to];
    this.blocks("panel", panels, plan.panels, plan.panelBlock, (panelBlock) => {
      const { k } = plan.kernel;
      this.blocks("k0", [i32(0), i32(Math.max(1, k))], Math.max(1, k), plan.kBlock, ([k0, k1]) => {
        const single = k <= plan.kBlock;
        const depth: Depth = { k0, kc: single ? i32(k) : f.let("kc", sub(k1, k0)), last: single ? undefined : binary("eq", k1, i32(k)) };
        if (!plan.dot) this.packB(operands, panelBlock, depth);
        this.blocks("tile", tiles, plan.rows.count, plan.tileBlock, (tileBlock) => this.multiplyBlock(operands, tileBlock, panelBlock, depth));
      });
    });
  }

  private elementAddress(access: Access, coordinates: readonly Expr[]): Expr {
    const { bytes } = this.plan;
    return coordinates.reduce(
      (address, coordinate, axis) => add(address, mul(coordinate, access.strides[axis]! * bytes)),
      add(load("i32", this.args, 4 * access.buffer), access.offset * bytes),
    );
  }

  /** Cuts a range, at most `most` long, into blocks; one block needs no loop. */
  private blocks(name: string, [from, to]: Range, most: number, block: number, body: (range: Range) => void): void {
    const { f } = this;
    if (most <= block) body([from, to]);
    else f.loop(name, from, to, block, (start) => body([start, f.let(`${name}End`, smaller(add(start, block), to))]));
  }

  private packB({ b, batch }: Operands, [start, end]: Range, { k0, kc }: Depth): void {
    const { f, plan, computedB } = this;
    const { panelWidth, bytes, edge, fullPanels, kernel } = plan;
    let matrix: Matrix;
    let origin: Expr;
    if (computedB !== undefined) {
      matrix = computedB.layout(plan.panelBlock * panelWidth, plan.depth);
      origin = f.let("block", add(this.scratch, plan.scratch.computedB));
      const columns: Range = [mul(start, panelWidth), smaller(mul(end, panelWidth), kernel.n)];
      computedB.emit({ batch, lanes: columns, k: [k0, add(k0, kc)] }, origin, matrix.layout === "k" ? matrix.laneStride : matrix.kStride);
    } else {
      matrix = plan.b!;
      origin = f.let("block", add(add(b, mul(start, panelWidth * matrix.laneStride)), mul(k0, matrix.kStride)));
    }
    const { layout, laneStride, kStride } = matrix;
    const pack = (from: Expr, count: Expr, width: number, padded: number): void => {
      const ahead = sub(from, start);
      const target = add(add(this.scratch, plan.scratch.b), mul(mul(ahead, kc), panelWidth * bytes));
      const source = add(origin, mul(ahead, panelWidth * laneStride));
      f.call(packStrips(plan.precision, layout, width, padded), source, target, kc, count, i32(laneStride), i32(kStride));
    };
    if (plan.layoutB === "packed" && fullPanels > 0) pack(start, sub(smaller(end, fullPanels), start), panelWidth, panelWidth);
    if (edge !== undefined) {
      f.if(binary("gt", end, i32(fullPanels)), () => pack(i32(fullPanels), i32(1), edge.columns, edge.vectors * plan.precision.lanes));
    }
  }

  private packA({ a, batch }: Operands, { tiles: [start, end], middle, firstRow }: BlockA, { k0, kc }: Depth): void {
    const { f, plan, computedA } = this;
    let matrix: Matrix;
    let origin: Expr;
    if (computedA !== undefined) {
      matrix = computedA.layout(plan.tileBlock * plan.rows.big, plan.depth);
      origin = f.let("block", add(this.scratch, plan.scratch.computedA));
      const rows: Range = [firstRow, f.let("endRow", rowOf(plan.rows, end))];
      computedA.emit({ batch, lanes: rows, k: [k0, add(k0, kc)] }, origin, matrix.layout === "k" ? matrix.laneStride : matrix.kStride);
    } else {
      matrix = plan.a!;
      origin = f.let("block", add(add(a, mul(firstRow, matrix.laneStride)), mul(k0, matrix.kStride)));
    }
    const { layout, laneStride, kStride } = matrix;
    const pack = (from: Expr, to: Expr, rows: number): void => {
      const ahead = f.let("ahead", sub(rowOf(plan.rows, from), firstRow));
      const target = add(this.scratch, mul(mul(ahead, kc), plan.bytes));
      const source = add(origin, mul(ahead, laneStride));
      f.call(packStrips(plan.precision, layout, rows, rows), source, target, kc, sub(to, from), i32(laneStride), i32(kStride));
    };
    const { count, big, bigCount, small } = plan.rows;
    pack(start, middle, big);
    if (count !== bigCount) pack(middle, end, small);
  }

  /** One block of A against one block of B, a few panels at a time, which stay close while the strips of A pass. Then the epilogue. */
  private multiplyBlock(operands: Operands, tiles: Range, panels: Range, depth: Depth): void {
    const { f, plan } = this;
    const [start, end] = tiles;
    const { count, bigCount } = plan.rows;
    const middle = count === bigCount ? end : f.let("middle", smaller(end, select(binary("lt", start, i32(bigCount)), i32(bigCount), start)));
    const firstRow = f.let("firstRow", rowOf(plan.rows, start));
    const c = plan.finishesInPlace
      ? sub(add(this.scratch, plan.scratch.c), mul(panels[0], plan.panelWidth * plan.bytes))
      : add(operands.c, mul(firstRow, plan.rowBytes));
    const block: BlockA = { tiles, middle, firstRow, c: f.let("blockC", c) };
    if (plan.layoutA === "packed") this.packA(operands, block, depth);
    if (plan.dot) this.strips(operands, block, depth, (rows, strip, rowC) => this.dotStrip(operands, rows, strip, rowC, panels));
    else this.multiplyPanels(operands, block, panels, depth);
    if (this.epilogue === undefined) return;
    const finish = (): void => this.finishBlock(operands, block, panels);
    if (depth.last === undefined) finish();
    else f.if(depth.last, finish);
  }

  /** Runs `body` for each strip of a block with its rows, the address of its A and that of its first row of C. */
  private strips({ a }: Operands, { tiles: [start, end], middle, firstRow, c }: BlockA, { k0, kc }: Depth, body: (rows: number, strip: Expr, rowC: Expr) => void): void {
    const { f, plan } = this;
    const { bytes, rowBytes, layoutA } = plan;
    const { count, big, bigCount, small } = plan.rows;
    const inPlace = (): Expr => add(add(a, mul(firstRow, plan.a!.laneStride)), mul(k0, plan.a!.kStride));
    const strip = f.variable("strip", layoutA === "packed" ? this.scratch : inPlace());
    const rowC = f.variable("rowC", c);
    const run = (from: Expr, to: Expr, rows: number): void =>
      f.loop("tile", from, to, 1, () => {
        body(rows, get(strip), get(rowC));
        f.set(strip, add(get(strip), layoutA === "packed" ? mul(kc, rows * bytes) : rows * plan.a!.laneStride));
        f.set(rowC, add(get(rowC), rows * rowBytes));
      });
    run(start, middle, big);
    if (count !== bigCount) run(middle, end, small);
  }

  private finishBlock({ batch }: Operands, { tiles: [, end], firstRow, c }: BlockA, panels: Range): void {
    const { f, plan } = this;
    const { kernel, bytes, rowBytes } = plan;
    const first = mul(panels[0], plan.panelWidth);
    this.epilogue!.emit({
      batch,
      rows: [firstRow, f.let("endRow", rowOf(plan.rows, end))],
      columns: [first, f.let("endColumn", smaller(mul(panels[1], plan.panelWidth), kernel.n))],
      accumulator: { address: f.let("block", add(c, mul(first, bytes))), rowBytes },
    });
  }

  private dotStrip({ b }: Operands, rows: number, strip: Expr, rowC: Expr, [start, end]: Range): void {
    const { f, plan } = this;
    const { precision, bytes, fullPanels, panelWidth, kernel, edge } = plan;
    const [strideA, strideB] = [plan.a!.laneStride, plan.b!.laneStride];
    const dots = (panel: Expr, columns: number): void => {
      const from = add(b, mul(panel, panelWidth * strideB));
      const c = add(rowC, mul(panel, panelWidth * bytes));
      f.call(dotKernel(precision, rows, columns), strip, from, c, i32(plan.rowBytes), i32(kernel.k), i32(strideA), i32(strideB));
    };
    f.loop("panel", start, smaller(end, fullPanels), 1, (panel) => dots(panel, panelWidth));
    if (edge !== undefined) f.if(binary("gt", end, i32(fullPanels)), () => dots(i32(fullPanels), edge.columns));
  }

  private multiplyPanels(operands: Operands, block: BlockA, [start, end]: Range, depth: Depth): void {
    const { f, plan } = this;
    const { edge, layoutA, layoutB, precision, panelWidth, bytes, fullPanels } = plan;
    const { k0, kc, last } = depth;
    const accumulate = last === undefined ? i32(0) : k0;
    const rowBytes = i32(plan.rowBytes);
    const strideA = i32(layoutA === "rows" ? plan.a!.laneStride : layoutA === "columns" ? plan.a!.kStride : 0);
    const strideB = i32(layoutB === "rows" ? plan.b!.kStride : 0);
    const packed = (panel: Expr): Expr => add(add(this.scratch, plan.scratch.b), mul(mul(sub(panel, start), kc), panelWidth * bytes));
    if (fullPanels > 0) {
      const inPlace = (panel: Expr): Expr => add(add(operands.b, mul(panel, panelWidth * bytes)), mul(k0, plan.b!.kStride));
      this.blocks("group", [start, smaller(end, fullPanels)], plan.panelBlock, panelGroup, ([first, last]) => {
        this.strips(operands, block, depth, (rows, strip, rowC) => {
          const micro = microKernel(precision, rows, plan.vectors, layoutA, layoutB, plan.tileRows);
          f.loop("panel", first, last, 1, (panel) => {
            const from = layoutB === "packed" ? packed(panel) : inPlace(panel);
            f.call(micro, strip, from, add(rowC, mul(panel, panelWidth * bytes)), rowBytes, kc, accumulate, strideA, strideB);
          });
        });
      });
    }
    if (edge === undefined) return;
    const { columns, vectors } = edge;
    const padded = vectors * precision.lanes;
    f.if(binary("gt", end, i32(fullPanels)), () => {
      const from = f.let("panelB", packed(i32(fullPanels)));
      this.strips(operands, block, depth, (rows, strip, rowC) => {
        const micro = microKernel(precision, rows, vectors, layoutA, "packed", plan.tileRows);
        const c = add(rowC, fullPanels * panelWidth * bytes);
        if (columns === padded) {
          f.call(micro, strip, from, c, rowBytes, kc, accumulate, strideA, i32(0));
          return;
        }
        const tile = add(this.scratch, plan.scratch.tile);
        f.call(micro, strip, from, tile, i32(padded * bytes), kc, i32(0), strideA, i32(0));
        f.call(copyTile(precision, rows, columns, padded), tile, c, rowBytes, accumulate);
      });
    });
  }
}

type Range = readonly [from: Expr, to: Expr];

/** One product of the batch: its coordinates, and the addresses of element (0, 0) of each matrix. */
interface Operands {
  readonly batch: readonly Expr[];
  readonly a: Expr;
  readonly b: Expr;
  readonly c: Expr;
}

/** Tiles [start, middle) of the larger height and [middle, end) of the smaller, from row `firstRow` on; `c`: where that row's column 0 is or would be. */
interface BlockA {
  readonly tiles: Range;
  readonly middle: Expr;
  readonly firstRow: Expr;
  readonly c: Expr;
}

/** A block of k: [k0, k0 + kc). `last` says whether it ends the product; undefined where there is only one. */
interface Depth {
  readonly k0: Expr;
  readonly kc: Expr;
  readonly last: Expr | undefined;
}

/** Lowers a product for `target`; `blocking` is for measuring. */
export function lowerGemm(kernel: GemmKernel, target: Target, blocking: Blocking = defaultBlocking): LoweredKernel {
  if (kernel.m * kernel.n * sizeOf(kernel.batch) === 0) {
    const f = new FunctionBuilder("gemm");
    for (const name of ["args", "start", "end", "scratch"]) f.parameter(name);
    return { entry: f.finish(), units: 0, cost: 0, setup: 0, scratchBytes: 0 };
  }
  const plan = new Plan(kernel, target, blocking);
  return { entry: new GemmWriter(plan, target).write(), units: plan.units, cost: plan.cost, setup: plan.setup, scratchBytes: plan.scratch.bytes };
}
