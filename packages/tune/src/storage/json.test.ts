// The codec against the built-in one on ordinary JSON, and on the three extra numbers.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson, stringifyJson } from "./json.ts";

test("agrees with the built-in JSON and keeps non-finite numbers", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const plain = JSON.parse(JSON.stringify(value)) as unknown;
    expect(parseJson(stringifyJson(value))).toEqual(plain);
    expect(parseJson(stringifyJson({ "NaN\u2028": [value, Number.NaN, -Infinity, "Infinity\"\\"] }))).toEqual({ "NaN\u2028": [plain, Number.NaN, -Infinity, "Infinity\"\\"] });
  }));
});

test("python's spacing, and nonsense", () => {
  expect(parseJson('{"choices": ["adam", null, true, 3, 2.5, NaN], "low": -Infinity}')).toEqual({ choices: ["adam", null, true, 3, 2.5, Number.NaN], low: -Infinity });
  for (const text of ["{NaN", "[NaN,]x", "NaN NaN", "{\"a\" NaN}", "[Infinity", "Nan"]) expect(() => parseJson(text)).toThrow(/not JSON/);
  expect(() => parseJson(`${"[".repeat(500)}NaN`)).toThrow(/nested/);
});
