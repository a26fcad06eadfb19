// Random allocations and frees: ranges never overlap, stay aligned, and coalesce to the one block they came from.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OutOfMemoryError } from "../errors.ts";
import { alignment, Allocator, type Allocation } from "./memory.ts";

/** The ranges tile the space without gaps, and no two free neighbours exist. */
function checkInvariants(allocator: Allocator, start: number, end: number, live: readonly { allocation: Allocation; bytes: number }[]): void {
  let at = start;
  let previousFree = false;
  const used = new Map<number, number>();
  for (const range of allocator.ranges()) {
    expect(range.address).toBe(at);
    expect(range.free && previousFree).toBe(false);
    previousFree = range.free;
    if (!range.free) used.set(range.address, range.bytes);
    at += range.bytes;
  }
  expect(at).toBe(end);
  expect(used.size).toBe(live.length);
  for (const { allocation, bytes } of live) {
    expect(allocation.address % alignment).toBe(0);
    expect(used.get(allocation.address)).toBeGreaterThanOrEqual(bytes);
  }
}

describe("Allocator", () => {
  test("any sequence of allocations and frees keeps ranges disjoint and ends in one block", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("allocate" as const), bytes: fc.oneof(fc.nat(200), fc.nat(70_000), fc.nat(3_000_000)) }),
      fc.record({ kind: fc.constant("free" as const), pick: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const start = 4096;
        const end = 4096 + 16 * 2 ** 20;
        const allocator = new Allocator(start, end);
        const live: { allocation: Allocation; bytes: number }[] = [];
        for (const s of steps) {
          if (s.kind === "allocate") {
            try {
              live.push({ allocation: allocator.allocate(s.bytes), bytes: s.bytes });
            } catch (error) {
              expect(error).toBeInstanceOf(OutOfMemoryError);
              const longest = Math.max(0, ...[...allocator.ranges()].filter((r) => r.free).map((r) => r.bytes));
              expect(longest).toBeLessThan(s.bytes);
            }
          } else if (live.length > 0) {
            const [gone] = live.splice(s.pick % live.length, 1);
            expect(allocator.free(gone!.allocation)).toBe(true);
          }
        }
        checkInvariants(allocator, start, end, live);
        for (const { allocation } of live) allocator.free(allocation);
        expect([...allocator.ranges()]).toEqual([{ address: start, bytes: end - start, free: true }]);
        expect(allocator.used).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test("hands out the whole of a 4 GiB space, to the last byte", () => {
    const allocator = new Allocator(0, 2 ** 32);
    const whole = allocator.allocate(2 ** 32);
    expect(() => allocator.allocate(1)).toThrow(OutOfMemoryError);
    allocator.free(whole);
    const halves = [allocator.allocate(2 ** 31), allocator.allocate(2 ** 31)];
    expect(halves.map((half) => half.address)).toEqual([0, 2 ** 31]);
  });

  test("reuses a freed range of the same size first", () => {
    const allocator = new Allocator(0, 2 ** 30);
    const blocks = Array.from({ length: 10 }, () => allocator.allocate(1000));
    allocator.free(blocks[4]!);
    expect(allocator.allocate(1000).address).toBe(blocks[4]!.address);
  });

  test("freeing twice is refused, even after the range was handed out again", () => {
    const allocator = new Allocator(0, 2 ** 20);
    const first = allocator.allocate(64);
    expect(allocator.free(first)).toBe(true);
    const second = allocator.allocate(64);
    expect(allocator.free(first)).toBe(false);
    expect(second.address).toBe(first.address);
    expect(allocator.used).toBe(64);
  });

  test("out of memory says how much was asked, used and there", () => {
    const allocator = new Allocator(0, 2 ** 20);
    allocator.allocate(2 ** 19);
    expect(() => allocator.allocate(2 ** 20)).toThrow(/Cannot allocate 1 MiB: 512 KiB of 1 MiB are in use/);
  });
});
