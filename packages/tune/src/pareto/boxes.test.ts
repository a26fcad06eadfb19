import fc from "fast-check";
import { expect, test } from "vitest";
import { nonDominatedBoxes } from "./boxes.ts";
import { hypervolume } from "./hypervolume.ts";

test.each([1, 2, 3, 4])("the boxes measure what a new point adds to the hypervolume, %i objectives, ties included", (m) => {
  const point = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: m, maxLength: m });
  fc.assert(fc.property(fc.array(point, { maxLength: 8 }), point, (front, added) => {
    const reference = Array.from({ length: m }, () => 5);
    const { count, low, high } = nonDominatedBoxes(front, reference);
    let gain = 0;
    for (let b = 0; b < count; b++) {
      let volume = 1;
      for (let k = 0; k < m; k++) volume *= Math.max(0, high[b * m + k]! - Math.max(low[b * m + k]!, added[k]!));
      gain += volume;
    }
    expect(gain).toBeCloseTo(hypervolume([...front, added], reference) - hypervolume(front, reference), 8);
  }), { numRuns: 200 });
});

test("merging keeps three objectives near two boxes a point", () => {
  const front = Array.from({ length: 40 }, (_, i) => {
    const a = ((i * 0.618034) % 1) * Math.PI / 2, b = ((i * 0.754878) % 1) * Math.PI / 2;
    return [Math.cos(a) * Math.cos(b), Math.cos(a) * Math.sin(b), Math.sin(a)];
  });
  expect(nonDominatedBoxes(front, [1.1, 1.1, 1.1]).count).toBeLessThan(3 * 40);
});
