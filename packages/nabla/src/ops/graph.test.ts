import { describe, expect, test } from "vitest";
import { add, neg, source } from "./build.ts";
import { derivationOrder, type GraphNode, topologicalOrder } from "./graph.ts";

const leaf = (): GraphNode => source({ shape: [2], dtype: "float32" });
const evaluated = { version: 0 };

describe("orders", () => {
  test("inputs come before users, once each", () => {
    const x = leaf();
    const y = neg(x);
    const z = add(y, x);
    expect(topologicalOrder([z, y])).toEqual([x, y, z]);
  });

  test("nothing above a leaf is visited", () => {
    const x = leaf();
    const y = neg(x);
    const z = neg(y);
    expect(topologicalOrder([z], new Set([y]))).toEqual([y, z]);
    expect(derivationOrder([z], new Set([y]))).toEqual([y, z]);
  });

  test("evaluation stops at values, a derivative passes through those that kept their inputs", () => {
    const x = leaf();
    const y = neg(x);
    const z = neg(y);
    y.storage = evaluated;
    expect(topologicalOrder([z])).toEqual([y, z]);
    expect(derivationOrder([z])).toEqual([x, y, z]);
    y.inputs = [];
    expect(derivationOrder([z])).toEqual([y, z]);
  });

  test("what uses a tracked node is tracked", () => {
    const x = leaf();
    x.tracked = true;
    expect(add(leaf(), neg(x)).tracked).toBe(true);
    expect(neg(leaf()).tracked).toBe(false);
  });
});
