// Gates and the table that shows them: what was measured, what must be reached, and whether it was.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One number with its bar; both in the same unit, smaller is better. */
export interface Gate {
  readonly group: string;
  readonly name: string;
  readonly measured: number;
  /** Null when the number is only shown. */
  readonly must: number | null;
  /** For gates that are bands. */
  readonly atLeast?: number;
  /** Where the bar comes from, or what the peer reaches. */
  readonly peer?: string;
  /** What the peer reached in the same run. */
  readonly inThisRun?: number;
}

export function holds({ measured, must, atLeast = -Infinity }: Gate): boolean {
  return must === null || (measured <= must && measured >= atLeast);
}

/** Prints gates as they come and keeps them. */
export class Report {
  readonly gates: Gate[] = [];
  private group = "";

  add(gate: Gate): void {
    this.gates.push(gate);
    if (gate.group !== this.group) console.log(`\n${(this.group = gate.group)}`);
    const must = gate.must === null ? "" : `must ${gate.atLeast === undefined ? "≤" : `${short(gate.atLeast)} …`} ${short(gate.must)}`;
    const notes = [gate.peer, gate.inThisRun === undefined ? undefined : `Optuna in this run ${short(gate.inThisRun)}`].filter((note) => note !== undefined);
    const peer = notes.length === 0 ? "" : `  (${notes.join("; ")})`;
    console.log(`  ${gate.must === null ? " " : holds(gate) ? "✓" : "✗"} ${gate.name.padEnd(44)} ${short(gate.measured).padStart(10)}  ${must.padEnd(24)}${peer}`);
  }

  /** Writes all gates to `bench/results/tune.json` and prints how many hold. */
  save(): void {
    const folder = join(import.meta.dirname, "..", "results");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "tune.json"), JSON.stringify({ date: new Date().toISOString(), node: process.version, gates: this.gates }, null, 1));
    const judged = this.gates.filter(({ must }) => must !== null);
    console.log(`\n${judged.filter(holds).length} of ${judged.length} gates hold; written to bench/results/tune.json`);
  }
}

function short(x: number): string {
  return x === 0 ? "0" : Math.abs(x) >= 1e4 ? x.toFixed(0) : String(Number(x.toPrecision(3)));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return 0.5 * (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!);
}

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
