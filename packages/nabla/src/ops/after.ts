// An order between values that do not depend on each other: x again, but not before something else is known.
// What is computed from it is kept apart from what is computed from x itself, so a value given up can be computed anew.
import type { GraphNode } from "./graph.ts";
import { apply, correctlyRounded, type Rule } from "./rule.ts";
import { spread } from "./sample.ts";

/** `x`, but what is computed from it waits for `others`, and is kept apart from what is computed from `x` itself. */
export function after(x: GraphNode, others: readonly GraphNode[]): GraphNode<"after"> {
  return apply(afterRule, [x, ...others], {});
}

export const afterRule: Rule<"after"> = {
  op: "after",
  kind: "movement",
  cost: 0,
  shape: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  reference: ([x], _, out) => out.data.set(x!.data),
  roundingError: correctlyRounded,
  vjp: ({ inputs: [, ...others] }, cotangent) => [cotangent, ...others.map(() => null)],
  jvp: ({ inputs: [, ...others] }, [tangent]) => (tangent ? after(tangent, others) : null),
  batch: ([x, ...others]) => after(x!, others),
  samples: () => [
    { inputs: [spread("float32", [3, 7], -3, 3), spread("float32", [2], -3, 3)], params: {} },
    { inputs: [spread("float64", [5], -3, 3)], params: {}, name: "after nothing" },
    { inputs: [spread("int32", [3], 0, 9), spread("float32", [], 0, 1), spread("bool", [2], 0, 2)], params: {}, name: "after several, of other dtypes" },
    { inputs: [spread("float32", [0], 0, 1), spread("float32", [1], 0, 1)], params: {}, name: "empty" },
  ],
  errors: [],
};
