// An epoch in one line of text, for terminals and consoles.
// Numbers keep their width from epoch to epoch.
import type { Progress } from "./epochs.ts";

/** At most `width` columns where that leaves the measures whole. */
export function epochLine({ epoch, epochs, ended, means, samplesPerSecond }: Progress, width: number): string {
  const { validation, seconds, interrupted } = ended!;
  const line = (word: string, ...rest: readonly string[]): string =>
    [`epoch ${epoch}/${epochs}`, describeMeasures(means), ...(validation === undefined ? [] : [`${word} ${describeMeasures(validation)}`]), ...rest, ...(interrupted ? ["interrupted"] : [])].join("  ");
  const [time, speed] = [`${seconds.toFixed(1)} s`, `${compact(samplesPerSecond)} samples/s`];
  const forms = [line("validation", time, speed), line("validation", time), line("val", time)];
  return forms.find((form) => form.length <= width) ?? line("val");
}

/** `loss 0.2346 accuracy 0.9321`. */
export function describeMeasures(means: Readonly<Record<string, number>>): string {
  return Object.entries(means).map(([name, value]) => `${name} ${precise(value)}`).join(" ");
}

/** Four decimals, or an exponent where they would show nothing. */
function precise(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e4) && size < Infinity ? value.toExponential(2) : value.toFixed(4);
}

/** `7`, `950`, `12.3k`, `1.2M`. */
export function compact(value: number): string {
  if (value >= 999_950) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 9_995) return `${(value / 1e3).toFixed(1)}k`;
  return value.toFixed(value < 9.95 ? 1 : 0);
}
