// Against a plain list in the order of use.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ProgramCache } from "./cache.ts";

test("keeps what was used last, and disposes of each of the others once", () => {
  const step = fc.record({ kind: fc.constantFrom("get", "set", "take"), key: fc.nat(7) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const gone: string[] = [];
    const cache = new ProgramCache<number, string>(4, (program) => gone.push(program));
    let kept: { key: number; program: string }[] = [];
    const expectedGone: string[] = [];
    steps.forEach(({ kind, key }, index) => {
      const known = kept.find((each) => each.key === key);
      const rest = kept.filter((each) => each !== known);
      if (kind === "set") {
        cache.set(key, `${key} of ${index}`);
        kept = [...rest, { key, program: `${key} of ${index}` }];
        if (kept.length > 4) expectedGone.push(kept.shift()!.program);
      } else {
        expect(kind === "get" ? cache.get(key) : cache.take(key)).toBe(known?.program);
        if (known !== undefined) kept = kind === "get" ? [...rest, known] : rest;
      }
      expect(cache.size).toBe(kept.length);
    });
    expect(gone).toEqual(expectedGone);
  }));
});
