// Colours that people with colour-vision deficiencies can tell apart, on white.
// Categories: Okabe & Ito 2008, ordered by contrast; magnitudes: the viridis ramp, dark for best.
import type { TrialStateName } from "../../contract/contract.ts";

export const CATEGORIES: readonly string[] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222"];

export const STATE_COLOURS: Readonly<Record<TrialStateName, string>> = {
  COMPLETE: "#0072b2",
  PRUNED: "#e69f00",
  FAIL: "#d55e00",
  RUNNING: "#009e73",
  PAUSED: "#cc79a7",
  WAITING: "#999999",
};

/** Marks of what does not count: dominated, infeasible. */
export const FADED = "#999999";

const RAMP: readonly (readonly [number, number, number])[] = [
  [0x44, 0x01, 0x54], [0x41, 0x44, 0x87], [0x2a, 0x78, 0x8e], [0x22, 0xa8, 0x84], [0x7a, 0xd1, 0x51], [0xfd, 0xe7, 0x25],
];

/** The colour at `fraction` of the ramp: 0 dark violet, 1 yellow. */
export function ramp(fraction: number): string {
  const at = Math.min(1, Math.max(0, fraction)) * (RAMP.length - 1);
  const low = RAMP[Math.floor(at)]!;
  const high = RAMP[Math.ceil(at)]!;
  return `#${low.map((c, i) => Math.round(c + (high[i]! - c) * (at % 1)).toString(16).padStart(2, "0")).join("")}`;
}

/** The i-th category's colour; they repeat after seven. */
export function category(i: number): string {
  return CATEGORIES[i % CATEGORIES.length]!;
}
