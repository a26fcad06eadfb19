import { expect, test } from "vitest";
import { describe, list, NablaError } from "./errors.ts";

test("nothing in a message commands a terminal, and none is long", () => {
  const { message, fix } = new NablaError(`a\u001b[2Jb\u202ec\u009bd\ne ${"x".repeat(3_000_000)}.`, "Do\u0007 it.");
  expect(message.startsWith("a\\u001b[2Jb\\u202ec\\u009bd\ne xxx")).toBe(true);
  expect(message.endsWith("x… Do\\u0007 it.")).toBe(true);
  expect(message.length).toBeLessThan(2100);
  expect(fix).toBe("Do\\u0007 it.");
});

test("values and names are described in a few words", () => {
  expect(describe("y".repeat(1000))).toBe(`"${"y".repeat(100)}…"`);
  expect(describe(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i])))).toBe("an object with k0, k1, k2, k3, k4, k5, k6, k7 and 992 more");
  expect(list(["layers.0.weight", "a b", "\u001b[31m"])).toBe('layers.0.weight, "a b", "\\u001b[31m"');
});
