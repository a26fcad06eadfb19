import { expect, test } from "vitest";
import { referenceDirections } from "./nsga.ts";

test("reference directions lie on the simplex", () => {
  const directions = referenceDirections(3, 50);
  expect(directions.length).toBe(45);
  for (const direction of directions) expect(direction.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
});
