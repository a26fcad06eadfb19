// The terminal's progress: one line that repaints on a terminal, one line an epoch elsewhere. Always on stderr.
import { styleText } from "node:util";
import type { Progress } from "../train/epochs.ts";
import type { Reporter } from "../train/reporter.ts";

const BAR_WIDTH = 24;

/** A reporter for one training. */
export function terminalReporter(): Reporter {
  const stream = process.stderr;
  return (progress) => {
    if (progress.ended !== undefined) {
      stream.write(`${stream.isTTY ? "\r\x1b[2K" : ""}${epochLine(progress)}\n`);
    } else if (stream.isTTY) {
      stream.write(`\r\x1b[2K${barLine(progress).slice(0, Math.max(40, (stream.columns ?? 100) + STYLE_LENGTH))}`);
    }
  };
}

/** Escape sequences do not take columns. */
const STYLE_LENGTH = styleText("cyan", "").length;

function barLine({ epoch, epochs, step, steps, stepsPerSecond, samplesPerSecond, secondsLeft, means }: Progress): string {
  const filled = Math.round((BAR_WIDTH * step) / steps);
  const bar = styleText("cyan", `${"━".repeat(filled)}${"─".repeat(BAR_WIDTH - filled)}`);
  const speed = `${stepsPerSecond.toFixed(0)} steps/s ${samplesPerSecond.toFixed(0)} samples/s`;
  return `epoch ${epoch}/${epochs} ${bar} ${step}/${steps}  ${describe(means)}  ${speed}  ETA ${duration(secondsLeft)}`;
}

function epochLine({ epoch, epochs, ended, samplesPerSecond }: Progress): string {
  const { training, validation, seconds } = ended!;
  const validated = validation === undefined ? "" : `  validation ${describe(validation)}`;
  return `epoch ${epoch}/${epochs}  ${describe(training)}${validated}  ${seconds.toFixed(1)} s  ${samplesPerSecond.toFixed(0)} samples/s`;
}

function describe(means: Readonly<Record<string, number>>): string {
  return Object.entries(means).map(([name, value]) => `${name} ${value.toFixed(4)}`).join(" ");
}

/** `1:05`, or `0:07`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
