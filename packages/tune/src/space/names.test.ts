// Names that no storage could hold are refused where they are declared, and leave nothing behind.
import { describe, expect, test } from "vitest";
import { NameError, SpaceError } from "../errors/errors.ts";
import { createStudy } from "../study/study.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { space } from "./builder.ts";

const BAD: readonly (readonly [string, string, RegExp])[] = [
  ["empty", "", /is empty/], ["long", "n".repeat(481), /481 characters/], ["NUL", "a\0b", /"a\\u0000b" holds a NUL/], ["lone surrogate", "a\ud800", /"a\\ud800" holds half of a surrogate pair/],
];

describe.each(BAD)("%s", (_, name, message) => {
  const refused = (make: () => unknown): void => {
    expect(make).toThrow(NameError);
    expect(make).toThrow(message);
  };

  test("parameters, fields and branches", async () => {
    refused(() => space.object({ [name]: space.int(0, 1) }));
    refused(() => space.choice({ [name]: {} }));
    refused(() => space.choice({ a: { [name]: space.int(0, 1) } }));
    const study = await createStudy();
    const trial = await study.ask();
    refused(() => trial.float(name, 0, 1));
    await expect(study.enqueue({ [name]: 1 })).rejects.toThrow(message);
    await expect(study.enqueue({ x: 1 }, { [name]: 1 })).rejects.toThrow(NameError);
    expect([study.view.length, study.view.parameters.size]).toEqual([1, 0]);
  });

  test("studies, metrics, attributes and constraints", async () => {
    const storage = new MemoryStorage();
    await expect(createStudy({ storage, name })).rejects.toThrow(message);
    await expect(createStudy({ storage, metricNames: [name] })).rejects.toThrow(message);
    expect(await storage.names()).toEqual([]);
    const study = await createStudy();
    const trial = await study.ask();
    refused(() => { study.setAttribute(name, 1); });
    refused(() => { trial.setAttribute(name, 1); });
    refused(() => { trial.constraint(name, 1); });
  });
});

test("a nested name may be too long where its parts are not", async () => {
  const part = "p".repeat(250);
  const nested = space.object({ [part]: space.object({ [part]: space.int(0, 1) }) });
  const storage = new MemoryStorage();
  await expect(createStudy({ storage, space: nested })).rejects.toThrow(NameError);
  expect(await storage.names()).toEqual([]);
});

test("names that a plain object or a branch's value could not hold", async () => {
  expect(() => space.object({ ["__proto__"]: space.int(0, 1) })).toThrow(NameError);
  expect(() => space.choice({ sgd: { kind: space.int(0, 1) } })).toThrow(SpaceError);
  expect(() => space.choice({ "a.b": {} })).toThrow(/dot/);
  expect(() => space.choice({ a: { "b.c": space.int(0, 1) } })).toThrow(/dot/);
  const trial = await (await createStudy()).ask();
  expect(() => trial.float("__proto__", 0, 1)).toThrow(NameError);
});

test("a parameter under the name of another's component would overwrite it in Optuna's tables", async () => {
  expect(() => space.object({ w: space.simplex(3), "w[2]": space.float(0, 1) }).search).toThrow(/"w" and "w\[2\]" clash/);
  expect(() => space.object({ "w[2]": space.float(0, 1), w: space.simplex(3) }).search).toThrow(/clash/);
  expect(space.object({ w: space.simplex(3), "w[3]": space.float(0, 1), "v[0]": space.float(0, 1), v: space.int(0, 1) }).search.parameters).toHaveLength(4);
  const trial = await (await createStudy()).ask();
  trial.simplex("w", 3);
  trial.float("v[0]", 0, 1);
  expect(() => trial.float("w[0]", 0, 1)).toThrow(NameError);
  expect(() => trial.permutation("v", [1, 2])).toThrow(NameError);
  expect(trial.float("w[3]", 0, 1)).toBeLessThan(1);
});

test("the longest name goes through every part", async () => {
  const name = "\u{1F52C}".repeat(240);
  const study = await createStudy({ name, metricNames: [name] });
  await study.optimize((trial) => { trial.constraint(name, 0); return { [name]: trial.float(name, 0, 1) }; }, { trials: 1 });
  expect(Object.keys(study.trials()[0]!.params)).toEqual([name]);
});
