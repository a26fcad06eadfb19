// The terminal's progress: one line that repaints on a terminal, one line an epoch elsewhere. Always on stderr.
// The line fits the terminal: it leaves out what matters least first, and its bar takes the rest.
import { styleText } from "node:util";
import { compact, describeMeasures, epochLine } from "../train/epoch-line.ts";
import type { Progress } from "../train/epochs.ts";
import type { Reporter } from "../train/reporter.ts";

const BAR_LEAST = 6;
const BAR_MOST = 24;
const CLEAR = "\r\x1b[2K";

/** What is written to. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A reporter for one training. */
export function terminalReporter(stream: Terminal = process.stderr): Reporter {
  const terminal = stream.isTTY === true;
  let painted = false;
  return {
    show(progress) {
      if (progress.ended !== undefined) {
        stream.write(`${painted ? CLEAR : ""}${epochLine(progress, terminal ? (stream.columns || 80) - 1 : Infinity)}\n`);
        painted = false;
      } else if (terminal) {
        // The last column stays free: some terminals wrap when it is written.
        stream.write(`${CLEAR}${barLine(progress, (stream.columns || 80) - 1)}`);
        painted = true;
      }
    },
    end() {
      if (painted) stream.write("\n");
      painted = false;
    },
  };
}

/** At most `width` columns; what changes is padded, so that the line does not jump. */
function barLine({ epoch, epochs, step, steps, stepsPerSecond, samplesPerSecond, secondsLeft, means }: Progress, width: number): string {
  const { loss = NaN, ...metrics } = means;
  const head = `epoch ${epoch}/${epochs}`;
  const parts = [
    { text: `${padded(step, String(steps).length)}/${steps}`, weight: 4 },
    { text: describeMeasures({ loss }), weight: 5 },
    ...Object.entries(metrics).map(([name, value], index) => ({ text: describeMeasures({ [name]: value }), weight: 2 - index / 100 })),
    { text: `${padded(compact(stepsPerSecond), 4)} steps/s`, weight: 1 },
    { text: `${padded(compact(samplesPerSecond), 5)} samples/s`, weight: 0 },
    { text: `ETA ${duration(secondsLeft)}`, weight: 3 },
  ];
  const room = (): number => width - head.length - 1 - parts.reduce((sum, { text }) => sum + 1 + text.length, 0);
  while (room() < BAR_LEAST && parts.length > 0) {
    const least = Math.min(...parts.map(({ weight }) => weight));
    parts.splice(parts.findIndex(({ weight }) => weight === least), 1);
  }
  const bar = Math.max(0, Math.min(BAR_MOST, room()));
  const filled = Math.round((bar * step) / steps);
  if (bar === 0) return head.slice(0, width);
  return [head, styleText("cyan", `${"━".repeat(filled)}${"─".repeat(bar - filled)}`, { stream: process.stderr }), ...parts.map(({ text }) => text)].join(" ");
}

function padded(value: number | string, width: number): string {
  return String(value).padStart(width);
}

/** `0:07`, `1:05`, `2:00:09`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}
