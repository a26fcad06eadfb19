import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import type { Progress } from "../train/epochs.ts";
import { terminalReporter } from "./progress.ts";

function progress(changes: Partial<Progress> = {}): Progress {
  return { epoch: 3, epochs: 10, step: 123, steps: 469, stepsPerSecond: 312.4, samplesPerSecond: 39_987, secondsLeft: 65, means: { loss: 0.23456, accuracy: 0.9321 }, ...changes };
}

const epoch = { loss: 0.2, accuracy: 0.95, validation: { loss: 0.3, accuracy: 0.94 } };
const ended = progress({ step: 469, means: { loss: 0.2, accuracy: 0.95 }, ended: { ...epoch, index: 2, seconds: 1.55, interrupted: false } });

/** What is written on a terminal of `columns`, or elsewhere. */
function written(columns: number | undefined, ...shown: readonly Progress[]): string {
  let text = "";
  const reporter = terminalReporter({ ...(columns === undefined ? {} : { isTTY: true, columns }), write: (part) => (text += part) });
  for (const each of shown) reporter.show(each);
  reporter.end();
  return text;
}

const line = (columns: number, changes: Partial<Progress> = {}): string => stripVTControlCharacters(written(columns, progress(changes))).replace(/[\r\n]/g, "");

describe("terminal reporter", () => {
  test("a wide terminal shows everything", () => {
    expect(line(120)).toBe("epoch 3/10 ━━━━━━────────────────── 123/469 loss 0.2346 accuracy 0.9321  312 steps/s 40.0k samples/s ETA 1:05");
  });

  test("at no width does the line wrap, and the loss outlives the rest", () => {
    for (let columns = 1; columns <= 160; columns++) expect(line(columns).length).toBeLessThan(Math.max(columns, 2));
    expect(line(80)).toBe("epoch 3/10 ━━━─────── 123/469 loss 0.2346 accuracy 0.9321  312 steps/s ETA 1:05");
    expect(line(50)).toMatch(/loss 0\.2346 ETA 1:05$/);
    expect(line(34)).toMatch(/loss 0\.2346$/);
  });

  test("its width stays the same through an epoch", () => {
    const widths = [1, 10, 100, 469].map((step) => line(100, { step, stepsPerSecond: step * 3, samplesPerSecond: step * 400 }).length);
    expect(new Set(widths).size).toBe(1);
  });

  test("repaints one line and leaves one line an epoch", () => {
    const text = written(120, progress({ step: 1 }), progress({ step: 2 }), ended);
    expect(text.split("\n").length).toBe(2);
    expect(text.split("\r\x1b[2K").length).toBe(4);
    expect(text.split("\x1b[2K").at(-1)).toBe("epoch 3/10  loss 0.2000 accuracy 0.9500  validation loss 0.3000 accuracy 0.9400  1.6 s  40.0k samples/s\n");
  });

  test("an epoch's line fits the terminal as long as its measures do", () => {
    const shown = (columns: number): string => written(columns, ended).trimEnd();
    expect(shown(120)).toMatch(/validation loss .* 1\.6 s  40\.0k samples\/s$/);
    expect(shown(90)).toMatch(/validation loss .* 1\.6 s$/);
    expect(shown(80)).toBe("epoch 3/10  loss 0.2000 accuracy 0.9500  val loss 0.3000 accuracy 0.9400  1.6 s");
    expect(shown(20)).toMatch(/val loss 0\.3000 accuracy 0\.9400$/);
  });

  test("a training that fails ends its line", () => {
    expect(written(100, progress()).endsWith("\n")).toBe(true);
  });

  test("no terminal: one plain line an epoch", () => {
    expect(written(undefined, progress(), progress(), ended)).toBe("epoch 3/10  loss 0.2000 accuracy 0.9500  validation loss 0.3000 accuracy 0.9400  1.6 s  40.0k samples/s\n");
  });

  test("says when an epoch was interrupted, and shows small and large values", () => {
    const interrupted = progress({ means: { loss: 1.5e-6, penalty: 123_456 }, ended: { index: 0, loss: 1.5e-6, seconds: 0.1, interrupted: true }, samplesPerSecond: 2.5 });
    expect(written(undefined, interrupted)).toBe("epoch 3/10  loss 1.50e-6 penalty 1.23e+5  0.1 s  2.5 samples/s  interrupted\n");
  });

  test.each([[7, "0:07"], [59.6, "1:00"], [7209, "2:00:09"]])("%d seconds left are shown as %s", (secondsLeft, text) => {
    expect(line(120, { secondsLeft }).endsWith(`ETA ${text}`)).toBe(true);
  });
});
