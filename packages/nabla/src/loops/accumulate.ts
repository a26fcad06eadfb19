// The running state of a reduction in registers: start, take a value, join two states, join the lanes of one.
// Orders are fixed by the code alone, so results do not depend on how units are shared out.
import { add, binary, constant, type FunctionBuilder, get, select, shuffle, unary } from "./build.ts";
import type { Expr, Kind, Local } from "./ir.ts";
import type { ReduceOp } from "../kernels/kernel.ts";
import { extremum } from "./scalar.ts";

/** A reduction of values of `kind`; "argmax" also holds positions. */
export interface Reduction {
  readonly op: ReduceOp;
  readonly kind: Exclude<Kind, "mask" | "i64">;
}

/** The value, and for argmax its position. */
export type State = readonly Expr[];

/** A state kept in locals through loops. */
export type Running = readonly Local[];

function least(kind: Reduction["kind"]): number {
  return kind === "i32" ? -(2 ** 31) : -Infinity;
}

/** New locals holding the reduction of nothing. */
export function begin(f: FunctionBuilder, { op, kind }: Reduction, lanes: number): Running {
  const value = f.variable("sum", constant(kind, op === "sum" ? 0 : least(kind), lanes));
  return op === "argmax" ? [value, f.variable("position", constant("i32", 0, lanes))] : [value];
}

/** Back to the reduction of nothing. */
export function reset(f: FunctionBuilder, running: Running): void {
  for (const local of running) f.set(local, constant(local.kind, 0, local.lanes));
}

export const stateOf = (running: Running): State => running.map(get);

/** a > b, where NaN is above every number. */
function exceeds(a: Expr, b: Expr): Expr {
  const above = binary("gt", a, b);
  return a.kind === "i32" ? above : binary("or", above, binary("and", binary("ne", a, a), binary("eq", b, b)));
}

/** running ← running joined with `state`, which comes later. */
export function accumulate(f: FunctionBuilder, { op }: Reduction, running: Running, [value, position]: State): void {
  const [best, at] = running;
  switch (op) {
    case "sum":
      f.set(best!, add(get(best!), value!));
      return;
    case "max":
      f.set(best!, extremum(f, "gt", get(best!), value!));
      return;
    case "argmax": {
      const better = f.let("better", exceeds(value!, get(best!)));
      f.set(best!, select(better, value!, get(best!)));
      f.set(at!, select(better, position!, get(at!)));
    }
  }
}

/** Two states in any order: equal maxima give the earlier position. */
function join(f: FunctionBuilder, { op }: Reduction, a: State, b: State): State {
  switch (op) {
    case "sum":
      return [f.let("sum", add(a[0]!, b[0]!))];
    case "max":
      return [extremum(f, "gt", a[0]!, b[0]!)];
    case "argmax": {
      const level = unary("not", binary("or", exceeds(a[0]!, b[0]!), exceeds(b[0]!, a[0]!)));
      const earlier = binary("and", level, binary("lt", b[1]!, a[1]!));
      const better = f.let("better", binary("or", exceeds(b[0]!, a[0]!), earlier));
      return [f.let("best", select(better, b[0]!, a[0]!)), f.let("position", select(better, b[1]!, a[1]!))];
    }
  }
}

/** Joins states pairwise, neighbours first. */
export function joinAll(f: FunctionBuilder, reduction: Reduction, states: readonly State[]): State {
  let level = states;
  while (level.length > 1) {
    level = Array.from({ length: Math.ceil(level.length / 2) }, (_, index) => {
      const [a, b] = [level[2 * index]!, level[2 * index + 1]];
      return b === undefined ? a : join(f, reduction, a, b);
    });
  }
  return level[0]!;
}

/** Joins the lanes of a state; every lane of the result holds it. */
export function joinLanes(f: FunctionBuilder, reduction: Reduction, state: State): State {
  const { lanes } = state[0]!;
  let joined = state;
  for (let distance = lanes / 2; distance >= 1; distance /= 2) {
    const order = Array.from({ length: lanes }, (_, lane) => lane ^ distance);
    joined = join(
      f,
      reduction,
      joined,
      joined.map((value) => f.let("other", shuffle(value, value, order))),
    );
  }
  return joined;
}
