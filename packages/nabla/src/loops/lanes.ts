// Values taken apart by lanes: float32 vectors as pairs of float64 vectors, and the few lanes that need a function call.
import { extract, type FunctionBuilder, get, half, join, select, shuffle, splat, unary } from "./build.ts";
import type { Expr, Kind } from "./ir.ts";

/** `compute` on `inputs` (f32 or i32) as f64, whose result `back` turns into the inputs' number of lanes. */
export function inDoubles(f: FunctionBuilder, inputs: readonly Expr[], compute: (doubles: readonly Expr[]) => Expr, back: (result: Expr) => Expr): Expr {
  const part = (parts: readonly Expr[]): Expr => f.let("part", back(compute(parts.map((x) => f.let("double", unary("convert", x, "f64"))))));
  if (inputs[0]!.lanes <= 2) return part(inputs);
  const [low, high] = [false, true].map((upper) => part(inputs.map((x) => f.let("half", half(x, upper)))));
  return f.let("joined", join(low!, high!));
}

/** A vector of scalars. */
function gatherLanes(f: FunctionBuilder, scalars: readonly Expr[]): Expr {
  const { length } = scalars;
  if (length === 1) return f.let("lane", scalars[0]!);
  let vectors = scalars.map((scalar) => f.let("lane", splat(scalar, length)));
  // Interleaves halves: after log2(length) rounds lane i is scalar i.
  for (let filled = 1; filled < length; filled *= 2) {
    const order = Array.from({ length }, (_, lane) => {
      const position = lane % (2 * filled);
      return position < filled ? position : length + position - filled;
    });
    vectors = vectors.filter((_, index) => index % 2 === 0).map((low, index) => f.let("lanes", shuffle(low, vectors[2 * index + 1]!, order)));
  }
  return vectors[0]!;
}

/** `usual`, but compute(lane of x) in the lanes of the mask `rare`; nothing is computed where no lane is rare. */
export function rarely(f: FunctionBuilder, x: Expr, rare: Expr, usual: Expr, compute: (lane: Expr) => Expr): Expr {
  const result = f.variable("value", usual);
  const mask = f.let("rare", rare);
  f.if(x.lanes === 1 ? mask : unary("any", mask), () => {
    const lanes = Array.from({ length: x.lanes }, (_, lane) => f.let("lane", compute(f.let("lane", extract(x, lane)))));
    f.set(result, select(mask, gatherLanes(f, lanes), get(result)));
  });
  return get(result);
}

/** `value` as another kind of floating number. */
export const as = (value: Expr, kind: Kind): Expr => (value.kind === kind ? value : unary("convert", value, kind));

/** The columns of a square block given by rows. */
export function transpose(f: FunctionBuilder, rows: readonly Expr[]): Expr[] {
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
