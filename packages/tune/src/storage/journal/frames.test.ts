// A journal under damage: every bit flipped, every byte cut, zeros where a write did not arrive.
import { describe, expect, test } from "vitest";
import { StorageCorruptError, StorageError } from "../../errors/errors.ts";
import { encode, frames, HEADER } from "./frames.ts";

/** 200 frames, and where each begins. */
const parts = [HEADER, ...Array.from({ length: 200 }, (_, trial) => encode({ trial, of: trial % 7 === 0 ? "{é}" : "" }))];
const journal = Buffer.concat(parts);
const starts: number[] = [];
for (let at = 0, i = 0; i < parts.length; at += parts[i++]!.length) if (i > 0) starts.push(at);

const read = (bytes: Buffer): string[] => Array.from(frames(bytes, "a.journal"), ({ payload }) => payload);
const whole = read(journal);

/** The frame that holds a byte, −1 for the header. */
const frameOf = (at: number): number => starts.findLastIndex((start) => start <= at);

describe("frames of a journal", () => {
  test("are what was written", () => {
    expect(whole.map((payload) => (JSON.parse(payload) as { trial: number }).trial)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test("any bit flipped: an error names the frame's byte, and nothing is taken for a torn end", () => {
    const bytes = Buffer.from(journal);
    const wrong: string[] = [];
    for (let bit = 0; bit < 8 * journal.length; bit++) {
      const at = bit >> 3;
      bytes[at]! ^= 1 << (bit & 7);
      let said = "nothing";
      try {
        read(bytes);
      } catch (error) {
        said = error instanceof StorageError ? error.message : String(error);
      }
      bytes[at]! ^= 1 << (bit & 7);
      const frame = frameOf(at);
      if (!said.startsWith(frame < 0 ? "a.journal is " : `a.journal is damaged at byte ${starts[frame]!}:`)) wrong.push(`bit ${bit}: ${said}`);
    }
    expect(wrong).toEqual([]);
  });

  test("cut at any byte: every frame before the cut is read", () => {
    for (let length = 0; length <= journal.length; length++) {
      const complete = starts.filter((_, i) => (starts[i + 1] ?? journal.length) <= length).length;
      expect(read(journal.subarray(0, length))).toEqual(whole.slice(0, complete));
    }
  });

  test("a byte lost or doubled in the middle is damage", () => {
    for (let at = HEADER.length; at < starts.at(-1)!; at += 13) {
      const lost = Buffer.concat([journal.subarray(0, at), journal.subarray(at + 1)]);
      const doubled = Buffer.concat([journal.subarray(0, at + 1), journal.subarray(at)]);
      for (const bytes of [lost, doubled]) expect(() => read(bytes)).toThrow(StorageCorruptError);
    }
  });

  test("zeros at the end, where a file system made room for a write that did not arrive, are a torn end", () => {
    const last = starts.at(-1)!;
    for (let arrived = last; arrived < journal.length; arrived++) {
      const bytes = Buffer.from(journal);
      bytes.fill(0, arrived);
      expect(read(bytes)).toEqual(whole.slice(0, -1));
    }
    expect(read(Buffer.concat([journal, Buffer.alloc(4096)]))).toEqual(whole);
  });

  test("damage says from which byte on the journal is sound again", () => {
    const bytes = Buffer.from(journal);
    bytes.fill(0xff, starts[50]!, starts[60]! + 3);
    expect(() => read(bytes)).toThrow(`damaged at byte ${starts[50]!}: ${starts[61]! - starts[50]!} bytes; from byte ${starts[61]!} on it is sound again`);
  });
});
