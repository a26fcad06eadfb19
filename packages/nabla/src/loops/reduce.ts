// Reductions in two shapes: along the lanes (rows of contiguous elements), or with the lanes along a kept axis (columns).
// Sums run in parallel chains cut every few hundred additions, so float32 errors grow with the chain, not with the length.
import { accumulate, begin, joinAll, joinLanes, type Reduction, reset, type Running, type State, stateOf } from "./accumulate.ts";
import { BodyEmitter, fusesEvenly, type Group, vectorLoop } from "./body.ts";
import { add, binary, cellBytes, divideBy, FunctionBuilder, i32, load, mul, remainderBy, smaller } from "./build.ts";
import { coordinatesOf, mergeAxes, remapBody, remapStores, storeOrder, stridesOf, unitSize } from "./domain.ts";
import type { Cell, Expr, LoweredKernel, Target } from "./ir.ts";
import type { Instruction, ReduceKernel, Store } from "../kernels/kernel.ts";
import { bodyCost } from "./map.ts";
import { convert, costOf, kindOf, lanesOf } from "./scalar.ts";
import { rowMajorStrides, sizeOf } from "../ops/shape.ts";

/** Additions in one chain before it is added to a total. */
const chainLength = 512;
/** Vectors of independent accumulators along a row. */
const rowCopies = 8;

/** A reduction over merged axes: body coordinates are kept ++ reduced. */
interface Plan {
  readonly kept: readonly number[];
  readonly reduced: readonly number[];
  readonly body: readonly Instruction[];
  readonly epilogue: readonly Instruction[];
  readonly stores: readonly Store[];
  readonly reductions: readonly (Reduction & { readonly value: number; readonly position: number; readonly result: ReduceKernel["accumulators"][number] })[];
  readonly lanes: number;
  /** Whether V8 fuses all pairs of vectors or none, see {@link fusesEvenly}. Where accumulators share values it fuses one accumulator only. */
  readonly even: boolean;
}

function planReduction(kernel: ReduceKernel, target: Target): Plan {
  const { domain, reduced } = kernel;
  const rank = domain.length;
  const positionStrides = [...domain.map(() => 0), ...rowMajorStrides(reduced)];
  const ordered = kernel.accumulators.some(({ op }) => op === "argmax");
  const body: Instruction[] = ordered ? [...kernel.body, { op: "index", type: "int32", offset: 0, strides: positionStrides }] : [...kernel.body];
  const extents = [...domain, ...reduced];
  const bodyStrides = stridesOf(body, []);
  const firstLoad = bodyStrides[0] ?? positionStrides;
  const reducedOrder = reduced.map((_, axis) => rank + axis);
  // argmax wants ascending positions; the others the order of memory.
  if (!ordered) reducedOrder.sort((a, b) => Math.abs(firstLoad[b]!) - Math.abs(firstLoad[a]!) || a - b);
  const kept = mergeAxes(extents, storeOrder(rank, kernel.stores), [...bodyStrides, ...stridesOf(kernel.epilogue, kernel.stores)]);
  const folded = mergeAxes(extents, reducedOrder, bodyStrides);
  return {
    kept: kept.extents,
    reduced: folded.extents,
    body: remapBody(body, [...kept.axes, ...folded.axes]),
    epilogue: remapBody(kernel.epilogue, kept.axes),
    stores: remapStores(kernel.stores, kept.axes),
    reductions: kernel.accumulators.map((result) => {
      const kind = kindOf[kernel.body[result.value]!.type];
      return { op: result.op, kind: kind === "mask" ? "i32" : kind, value: result.value, position: body.length - 1, result };
    }),
    lanes: lanesOf([...body, ...kernel.epilogue], kernel.stores, target.lanes),
    even: kernel.accumulators.length === 1 && fusesEvenly(body),
  };
}

/** Loads that cannot be read as vectors, or repeated, along `axis`. */
function scattered(body: readonly Instruction[], axis: number): number {
  return body.filter((instruction) => instruction.op === "load" && Math.abs(instruction.access.strides[axis] ?? 0) > 1).length;
}

/** Lowers a reduction. Sums in float32 are of chains of at most 512 additions and of the totals of those chains. */
export function lowerReduce(kernel: ReduceKernel, target: Target): LoweredKernel {
  const kept = sizeOf(kernel.domain);
  if (kept === 0) {
    const f = new FunctionBuilder("reduce");
    for (const name of ["args", "start", "end", "scratch"]) f.parameter(name);
    return { entry: f.finish(), units: 0, cost: 0, setup: 0, scratchBytes: 0 };
  }
  const plan = planReduction(kernel, target);
  const keptInner = plan.kept.length - 1;
  const reducedInner = plan.kept.length + plan.reduced.length - 1;
  const keptScattered = scattered(plan.body, keptInner);
  const reducedScattered = scattered(plan.body, reducedInner);
  const wide = plan.kept[keptInner]! >= plan.lanes;
  const columns = wide && (keptScattered < reducedScattered || (keptScattered === reducedScattered && plan.reduced.at(-1)! < plan.lanes));
  const generator = columns ? new ColumnReduction(plan) : new RowReduction(plan);
  const elements = kept * sizeOf(kernel.reduced);
  const cost = bodyCost(kernel.body, [], elements, plan.lanes) + bodyCost(kernel.epilogue, kernel.stores, kept, columns ? plan.lanes : 1);
  return { entry: generator.entry(), units: generator.units, cost, setup: 0, scratchBytes: generator.scratchBytes };
}

/** What both shapes share: the entry, the loops over reduced axes, and chains of sums. */
abstract class ReductionGenerator {
  protected readonly plan: Plan;
  protected readonly f: FunctionBuilder = new FunctionBuilder("reduce");
  protected readonly args: Expr;
  private readonly start: Expr;
  private readonly end: Expr;
  protected readonly scratch: Expr;
  abstract readonly units: number;
  abstract readonly scratchBytes: number;

  constructor(plan: Plan) {
    this.plan = plan;
    this.args = this.f.parameter("args");
    this.start = this.f.parameter("start");
    this.end = this.f.parameter("end");
    this.scratch = this.f.parameter("scratch");
  }

  entry(): LoweredKernel["entry"] {
    const { f } = this;
    f.if(binary("lt", this.start, this.end), () => this.range(this.start, this.end));
    return f.finish();
  }

  protected abstract range(start: Expr, end: Expr): void;

  /**
   * Nested loops over `extents`; `innermost(from, to)` runs the last. `advance` is the number of elements of the last axis that one addition takes.
   * Where chains would grow long, running sums are moved to totals on the way; returns where the sums are in the end.
   */
  protected chains(
    extents: readonly number[],
    advance: number,
    running: readonly (readonly Running[])[],
    step: (axis: number, at: Expr) => void,
    innermost: (from: Expr, to: Expr, multiple: number) => void,
  ): readonly (readonly Running[])[] {
    const { f } = this;
    const { reductions } = this.plan;
    const cut = this.cutOf(extents, advance);
    const totals = running.map((copies, index) =>
      cut === undefined || reductions[index]!.op !== "sum" ? copies : copies.map(() => begin(f, reductions[index]!, this.plan.lanes)),
    );
    const flush = (): void =>
      running.forEach((copies, index) => {
        if (totals[index] === copies) return;
        copies.forEach((chain, copy) => {
          accumulate(f, reductions[index]!, totals[index]![copy]!, stateOf(chain));
          reset(f, chain);
        });
      });
    const last = extents.length - 1;
    const axisLoop = (axis: number, from: Expr, to: Expr, multiple: number): void => {
      if (axis === last) innermost(from, to, multiple);
      else {
        f.loop("r", from, to, 1, (at) => {
          step(axis, at);
          nest(axis + 1);
        });
      }
    };
    const nest = (axis: number): void => {
      const extent = extents[axis]!;
      if (cut?.axis !== axis) {
        axisLoop(axis, i32(0), i32(extent), 1);
        return;
      }
      const whole = extent - (extent % cut.block);
      f.loop("chain", 0, whole, cut.block, (from) => {
        axisLoop(axis, from, f.let("chainEnd", add(from, cut.block)), cut.block);
        flush();
      });
      if (whole < extent) {
        axisLoop(axis, i32(whole), i32(extent), 1);
        flush();
      }
    };
    nest(0);
    return totals;
  }

  /** The axis whose loop is cut into blocks, so that a chain has about `chainLength` additions. */
  private cutOf(extents: readonly number[], advance: number): { readonly axis: number; readonly block: number } | undefined {
    if (!this.plan.reductions.some(({ op, kind }) => op === "sum" && kind !== "i32")) return undefined;
    let additions = 1 / advance;
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      if (additions * extents[axis]! > 2 * chainLength) return { axis, block: Math.max(1, Math.floor(chainLength / additions)) };
      additions *= extents[axis]!;
    }
    return undefined;
  }

  /** The state that a body's values bring to a reduction. */
  protected taken(emitter: BodyEmitter, index: number, copy: number): State {
    const { kind, op, value, position } = this.plan.reductions[index]!;
    const taken = convert(emitter.value(value, copy), kind);
    return op === "argmax" ? [taken, emitter.value(position, copy)] : [taken];
  }

  /** What an epilogue reads of a finished reduction. */
  protected result(index: number, state: State): Expr {
    const { op, result } = this.plan.reductions[index]!;
    return op === "argmax" ? state[1]! : this.f.let("result", convert(state[0]!, kindOf[result.type]));
  }
}

/** Lanes along the innermost reduced axis; a unit is a number of rows. */
class RowReduction extends ReductionGenerator {
  readonly units: number;
  readonly scratchBytes: number;
  private readonly rows: number;
  private readonly rowsPerUnit: number;
  private readonly copies: number;
  private readonly body: BodyEmitter;
  private readonly epilogue: BodyEmitter;
  private results: readonly Expr[] = [];

  constructor(plan: Plan) {
    super(plan);
    const { kept, reduced, lanes, reductions } = plan;
    this.rows = sizeOf(kept);
    const size = sizeOf(reduced);
    this.rowsPerUnit = Math.min(this.rows, Math.max(1, Math.floor(unitSize(this.rows * size) / Math.max(1, size))));
    this.units = Math.ceil(this.rows / this.rowsPerUnit);
    const inner = reduced.at(-1)!;
    const arithmetic = plan.body.reduce((sum, instruction) => sum + costOf(instruction), 0);
    const most = arithmetic > 12 ? 2 : Math.max(2, Math.floor(rowCopies / reductions.length));
    this.copies = Math.max(1, Math.min(most, Math.floor(inner / lanes)));
    this.scratchBytes = this.throughMemory ? 16 * this.copies * Math.ceil(lanes / 4) : 0;
    const keptDepths = kept.map(() => 1);
    this.body = new BodyEmitter(this.f, this.args, {
      body: plan.body,
      stores: [],
      depths: [...keptDepths, ...reduced.map((_, axis) => 2 + axis)],
      vectorAxis: kept.length + reduced.length - 1,
      lanes,
    });
    this.epilogue = new BodyEmitter(this.f, this.args, {
      body: plan.epilogue,
      stores: plan.stores,
      depths: keptDepths,
      vectorAxis: kept.length - 1,
      lanes,
      accumulator: (index) => this.results[index]!,
    });
  }

  /**
   * Long rows: accumulators leave through adjacent stores, which lets V8 fuse pairs of them into wider registers.
   * Not where something is left over, which is taken by the first accumulator or by one of its own: see {@link fusesEvenly}.
   */
  private get throughMemory(): boolean {
    const { lanes, reduced, even } = this.plan;
    const inner = reduced.at(-1)!;
    return lanes > 1 && this.copies >= 2 && inner >= 4 * lanes * this.copies && inner % (lanes * this.copies) === 0 && even;
  }

  protected range(start: Expr, end: Expr): void {
    const { f, rowsPerUnit, rows, plan } = this;
    this.body.start();
    this.epilogue.start();
    const to = rowsPerUnit === 1 ? end : f.let("to", smaller(mul(end, rowsPerUnit), rows));
    f.loop("row", rows === 1 ? i32(0) : mul(start, rowsPerUnit), rows === 1 ? i32(1) : to, 1, (row) => {
      const coordinates = coordinatesOf(f, row, plan.kept);
      this.body.enter(1, coordinates);
      this.results = this.reduceRow();
      this.epilogue.enter(1, coordinates, { copies: 1, single: true });
      this.epilogue.store();
    });
  }

  private reduceRow(): Expr[] {
    const { f, copies } = this;
    const { lanes, kept, reduced, reductions } = this.plan;
    const inner = reduced.at(-1)!;
    const vectors = reductions.map((reduction) => Array.from({ length: inner < lanes ? 0 : copies }, () => begin(f, reduction, lanes)));
    const singles = reductions.map((reduction) => (inner > 0 && inner % lanes === 0 ? [] : [begin(f, reduction, lanes)]));
    const chains = reductions.map((_, index) => [...vectors[index]!, ...singles[index]!]);
    const sums = this.chains(
      reduced,
      lanes * copies,
      chains,
      (axis, at) => this.body.enter(2 + axis, [[kept.length + axis, at]]),
      (from, to, multiple) =>
        vectorLoop(f, from, to, { lanes, copies, multiple }, (at, group: Group) => {
          this.body.enter(1 + reduced.length, [[kept.length + reduced.length - 1, at]], group);
          reductions.forEach((reduction, index) => {
            for (let copy = 0; copy < group.copies; copy++) {
              const running = group.single && lanes > 1 ? singles[index]![0]! : vectors[index]![copy]!;
              accumulate(f, reduction, running, this.taken(this.body, index, copy));
            }
          });
        }),
    );
    return reductions.map((reduction, index) => {
      const running = sums[index]!.slice(0, vectors[index]!.length);
      const single = sums[index]!.slice(running.length).map(stateOf);
      if (running.length === 0) return this.result(index, joinAll(f, reduction, single));
      const joined = joinLanes(f, reduction, joinAll(f, reduction, this.gatherStates(reduction, running)));
      return this.result(index, joinAll(f, reduction, [joined, ...single]));
    });
  }

  private gatherStates(reduction: Reduction, running: readonly Running[]): State[] {
    const { f, scratch } = this;
    if (!this.throughMemory || reduction.op === "argmax") return running.map(stateOf);
    const cell = reduction.kind satisfies Cell;
    const bytes = cellBytes[cell] * this.plan.lanes;
    f.storeVectors(cell, scratch, running.map((local) => stateOf(local)[0]!), (copy) => copy * bytes);
    return running.map((_, copy) => [f.let("chain", load(cell, scratch, copy * bytes, this.plan.lanes))]);
  }
}

/** Lanes along the innermost kept axis; a unit is a block of its columns. */
class ColumnReduction extends ReductionGenerator {
  readonly units: number;
  readonly scratchBytes = 0;
  private readonly copies: number;
  private readonly columns: number;
  private readonly block: number;
  private readonly blocks: number;
  private readonly body: BodyEmitter;
  private readonly epilogue: BodyEmitter;
  private results: readonly (readonly Expr[])[] = [];

  constructor(plan: Plan) {
    super(plan);
    const { kept, reduced, lanes, reductions } = plan;
    const inner = kept.length - 1;
    this.columns = kept[inner]!;
    const arithmetic = plan.body.reduce((sum, instruction) => sum + costOf(instruction), 0);
    // A long epilogue, such as an optimizer's update, is written out once for each copy.
    const after = plan.epilogue.reduce((sum, instruction) => sum + costOf(instruction), 0);
    this.copies = arithmetic > 12 ? 2 : after > 2.5 ? 2 : reductions.length > 1 ? 4 : 8;
    const size = Math.max(1, sizeOf(reduced));
    const step = 8 * lanes;
    this.block = Math.min(this.columns, Math.max(step, Math.ceil(unitSize(size * sizeOf(kept)) / size / step) * step));
    this.blocks = Math.ceil(this.columns / this.block);
    this.units = sizeOf(kept.slice(0, inner)) * this.blocks;
    const keptDepths = kept.map((_, axis) => (axis === inner ? 2 : 1));
    this.body = new BodyEmitter(this.f, this.args, {
      body: plan.body,
      stores: [],
      depths: [...keptDepths, ...reduced.map((_, axis) => 3 + axis)],
      vectorAxis: inner,
      lanes,
    });
    this.epilogue = new BodyEmitter(this.f, this.args, {
      body: plan.epilogue,
      stores: plan.stores,
      depths: keptDepths,
      vectorAxis: inner,
      lanes,
      apart: !plan.even || !fusesEvenly([...plan.body, ...plan.epilogue]),
      accumulator: (index, copy) => this.results[index]![copy]!,
    });
  }

  protected range(start: Expr, end: Expr): void {
    const { f, plan, blocks, block, columns } = this;
    const { kept, lanes } = plan;
    const inner = kept.length - 1;
    this.body.start();
    this.epilogue.start();
    f.loop("unit", start, end, 1, (unit) => {
      const coordinates = coordinatesOf(f, divideBy(unit, blocks), kept.slice(0, inner));
      this.body.enter(1, coordinates);
      this.epilogue.enter(1, coordinates);
      const first = f.let("first", mul(remainderBy(unit, blocks), block));
      const [from, to] = blocks === 1 ? [i32(0), i32(columns)] : [first, f.let("last", smaller(add(first, block), columns))];
      const multiple = columns % (this.copies * lanes) === 0 ? this.copies * lanes : columns % lanes === 0 ? lanes : 1;
      vectorLoop(f, from, to, { lanes, copies: this.copies, multiple }, (at, group) => {
        this.body.enter(2, [[inner, at]], group);
        this.results = this.reduceColumns(group);
        this.epilogue.enter(2, [[inner, at]], group);
        this.epilogue.store();
      });
    });
  }

  private reduceColumns({ copies }: Group): Expr[][] {
    const { f } = this;
    const { lanes, kept, reduced, reductions } = this.plan;
    const chains = reductions.map((reduction) => Array.from({ length: copies }, () => begin(f, reduction, lanes)));
    const take = (axis: number, at: Expr): void => {
      this.body.enter(3 + axis, [[kept.length + axis, at]]);
    };
    const sums = this.chains(reduced, 1, chains, take, (from, to) => {
      f.loop("r", from, to, 1, (at) => {
        take(reduced.length - 1, at);
        reductions.forEach((reduction, index) => {
          for (let copy = 0; copy < copies; copy++) accumulate(f, reduction, chains[index]![copy]!, this.taken(this.body, index, copy));
        });
      });
    });
    return reductions.map((_, index) => sums[index]!.map((running) => this.result(index, stateOf(running))));
  }
}
