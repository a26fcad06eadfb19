import { afterEach, expect, test, vi } from "vitest";
import { Pace } from "./pace.ts";

afterEach(() => vi.restoreAllMocks());

test("the first step, which compiles, counts only while it is the only one; pauses between epochs never do", () => {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const pace = new Pace();
  expect(pace.stepsPerSecond).toBe(0);
  pace.start();
  now = 500;
  pace.add(128);
  expect([pace.stepsPerSecond, pace.samplesPerSecond]).toEqual([2, 256]);
  for (let step = 0; step < 4; step++) {
    now += 10;
    pace.add(128);
  }
  expect(pace.stepsPerSecond).toBeCloseTo(100);
  expect(pace.samplesPerSecond).toBeCloseTo(12_800);
  now += 5000;
  pace.start();
  now += 10;
  pace.add(128);
  expect(pace.stepsPerSecond).toBeCloseTo(100);
});
