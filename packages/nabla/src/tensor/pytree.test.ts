import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { ValueError } from "../errors/errors.ts";
import { ones, tensor, zeros } from "./creation.ts";
import { flatten, map } from "./pytree.ts";

onEveryDevice("trees", () => {
  test("flatten names every leaf, rebuild restores the structure", () => {
    const tree = { layers: [{ w: ones([2, 3]), b: zeros([3]) }], scale: tensor(2) };
    const flat = flatten(tree);
    expect(flat.leaves.map(({ path }) => path)).toEqual(["layers[0].w", "layers[0].b", "scale"]);
    const sizes = flat.rebuild(flat.leaves.map(({ tensor }) => tensor.size));
    const first: number = sizes.layers[0]!.w;
    expect([first, sizes]).toEqual([6, { layers: [{ w: 6, b: 3 }], scale: 1 }]);
    expect(() => flat.rebuild([1])).toThrow(ValueError);
  });

  test("a tensor alone is a tree; restore is exact", () => {
    const x = ones([2]);
    expect(flatten(x).leaves[0]!.path).toBe("");
    expect(flatten({ a: [x] }).restore([x]).a[0]).toBe(x);
    expect(flatten([]).leaves).toEqual([]);
  });

  test("map keeps names, even odd ones", () => {
    const odd = JSON.parse('{"__proto__": 1}') as Record<string, unknown>;
    expect(Object.keys(map({ b: ones([1]), a: ones([2]) }, (t) => t.size))).toEqual(["b", "a"]);
    expect(() => flatten(odd)).toThrow(/"__proto__" is 1, not a tensor/);
  });

  test("what is no tree is named", () => {
    expect(() => flatten({ a: { b: 3 } })).toThrow(/"a.b" is 3, not a tensor/);
    expect(() => flatten([new Map()])).toThrow(/"\[0\]" is a Map/);
    expect(() => flatten(null)).toThrow(/The value is null/);
  });
});
