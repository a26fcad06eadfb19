// The table on stderr while a study runs: progress, best, and what each worker is at. On a terminal it is redrawn
// in place; elsewhere every finished trial becomes a line.
import type { FrozenTrial, Study } from "@nabla/tune";
import type { Streams } from "./main.ts";

const REDRAW = 200;
const BAR = 24;
const ROWS = 12;

export class LiveTable {
  private readonly study: Study<unknown>;
  private readonly trials: number;
  private readonly stream: Streams["stderr"];
  private readonly began = performance.now();
  private readonly timer: ReturnType<typeof setInterval> | null;
  private lines = 0;
  private ended = 0;
  private message = "";
  /** What trials printed of a line that has not ended. */
  private partial = "";

  constructor(study: Study<unknown>, trials: number, stream: Streams["stderr"]) {
    this.study = study;
    this.trials = trials;
    this.stream = stream;
    this.timer = stream.isTTY === true ? setInterval(() => { this.draw(); }, REDRAW) : null;
  }

  /** Notes a finished trial. */
  finished(trial: FrozenTrial): void {
    this.ended++;
    if (this.timer === null) this.stream.write(`${describeTrial(trial)}${this.share()}\n`);
  }

  /** Shows a message. */
  say(message: string): void {
    this.message = message;
    if (this.timer === null) this.stream.write(`${message}\n`);
  }

  /** Shows what trials print, in whole lines above the picture. */
  print(text: string): void {
    const end = text.lastIndexOf("\n") + 1;
    const whole = this.partial + text.slice(0, end);
    this.partial = end === 0 ? this.partial + text : text.slice(end);
    if (end === 0) return;
    this.erase();
    this.stream.write(whole);
    if (this.timer !== null) this.draw();
  }

  /** Leaves the last picture standing. */
  close(): void {
    if (this.partial !== "") this.print("\n");
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.draw();
  }

  private share(): string {
    return this.trials === Infinity ? "" : `  [${done(this.study)}/${this.trials}]`;
  }

  /** Takes the picture away; what is written next stands in its place. */
  private erase(): void {
    if (this.lines > 0) this.stream.write(`\x1b[${this.lines}A\x1b[0J`);
    this.lines = 0;
  }

  private draw(): void {
    const width = this.stream.columns || 80;
    // A picture higher than the screen could not be drawn over.
    const picture = this.picture(Math.min(ROWS, (this.stream.rows || 24) - 5)).slice(0, (this.stream.rows || 24) - 1);
    const lines = picture.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
    const up = this.lines === 0 ? "" : `\x1b[${this.lines}A`;
    this.stream.write(`${up}${lines.map((line) => `\x1b[2K${line}\n`).join("")}\x1b[0J`);
    this.lines = lines.length;
  }

  private picture(rows: number): string[] {
    const { study } = this;
    const narrow = (this.stream.columns || 80) < 60;
    const seconds = (performance.now() - this.began) / 1000;
    const rate = this.ended / seconds;
    const lines = [`${printable(study.name)}  ${bar(done(study), this.trials, narrow ? BAR / 3 : BAR)}  ${duration(seconds)}${rate > 0 && this.trials !== Infinity ? `, ${duration((this.trials - done(study)) / rate)} left` : ""}`];
    const best = study.directions.length === 1 ? study.best : null;
    if (best !== null) lines.push(`best   ${describeTrial(best)}`);
    else if (study.directions.length > 1) lines.push(`front  ${study.front.length} trials`);
    for (const number of study.view.running.slice(0, Math.max(0, rows))) {
      const trial = study.view.trial(number);
      const report = trial.reports.at(-1);
      const progress = report === undefined ? "" : `  step ${report.step}: ${Object.entries(report.metrics).map(([name, x]) => `${printable(name)} ${short(x)}`).join(", ")}`;
      // Progress first: a narrow screen cuts off the parameters.
      lines.push(`${String(number).padStart(6)}${progress}  ${parameters(trial)}`);
    }
    if (study.view.running.length > rows) lines.push(`       and ${study.view.running.length - Math.max(0, rows)} more`);
    if (this.message !== "") lines.push(this.message);
    return lines;
  }
}

/** Evaluations that have ended; duplicates cost nothing. */
export function done(study: Study<unknown>): number {
  return study.evaluations - study.view.running.length - study.view.paused.length;
}

/** One line on a trial. */
export function describeTrial(trial: FrozenTrial): string {
  const result = trial.values === null ? "" : ` ${trial.values.map(short).join(" ")}`;
  const reason = trial.state === "FAIL" ? `  ${String(trial.systemAttributes["fail_reason"] ?? "").split("\n")[0]!}` : "";
  return `trial ${trial.number} ${trial.state}${result}  ${parameters(trial)}${printable(reason)}`;
}

function parameters(trial: FrozenTrial): string {
  return Object.entries(trial.params).map(([name, value]) => `${printable(name)}=${typeof value === "number" ? short(value) : JSON.stringify(value)}`).join(" ");
}

/** Without what would steer a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "\ufffd");
}

function short(x: number): string {
  return Number.isInteger(x) ? String(x) : String(Number(x.toPrecision(5)));
}

function bar(count: number, total: number, width: number): string {
  if (total === Infinity) return `${count} trials`;
  const full = Math.round((width * Math.min(count, total)) / total);
  return `${"█".repeat(full)}${"░".repeat(width - full)} ${count}/${total}`;
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
