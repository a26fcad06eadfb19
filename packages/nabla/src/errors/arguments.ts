// What may come where options, functions and numbers belong: from callers without types anything, from all others any number.
// Each check says what came and what belongs there.
import { describe, quote, ValueError } from "./errors.ts";

/** A record: options, unless `what` is another. */
export function requireRecord(operation: string, value: unknown, example: string, what = "options"): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ValueError(`${operation}: the ${what} are ${describe(value)}.`, `Pass an object, e.g. ${example}.`);
  }
}

/** The names of all options; the type checker keeps them complete. */
export type OptionNames<Options> = { readonly [Name in keyof Options]-?: true };

/** Options: a record of `names` and no others, since a misspelt option would be left out silently. */
export function requireOptions<Options extends object>(operation: string, options: Options, names: OptionNames<Options>, example: string): void {
  requireRecord(operation, options, example);
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(names, name)) continue;
    const known = Object.keys(names);
    const near = nearestName(name, known);
    throw new ValueError(`${operation}: there is no option ${quote(name)}.`, near === undefined ? `The options are ${known.join(", ")}.` : `Did you mean "${near}"?`);
  }
}

/** The known name that was probably meant: one that it abbreviates (`lr`) or is part of, else one that few changes make of it. */
function nearestName(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.slice(0, 50).replace(/[^a-zA-Z0-9]/g, "").toLowerCase();
  const asked = plain(name);
  const longer = known.find((each) => (plain(each).startsWith(asked.slice(0, 1)) && isSubsequence(asked, plain(each))) || [asked, plain(each)].every((text) => text.length > 3) && (plain(each).includes(asked) || asked.includes(plain(each))));
  if (asked !== "" && longer !== undefined) return longer;
  const [nearest] = known.map((each) => ({ each, distance: editDistance(asked, plain(each)) })).sort((a, b) => a.distance - b.distance);
  return nearest !== undefined && nearest.distance <= Math.ceil(nearest.each.length / 3) ? nearest.each : undefined;
}

function isSubsequence(short: string, long: string): boolean {
  let at = 0;
  for (const character of long) if (character === short[at]) at++;
  return at === short.length;
}

/** Insertions, deletions and replacements that make `b` of `a` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** What a number may be. */
export interface Domain {
  readonly accepts: (value: number) => boolean;
  readonly description: string;
}

/** 1, 2, …: sizes and counts. */
export const positiveInteger: Domain = { accepts: (value) => Number.isInteger(value) && value >= 1, description: "a positive integer" };

/** ≥ 0: learning rates, decays. */
export const notNegative: Domain = { accepts: (value) => value >= 0 && value < Infinity, description: "a finite number that is not negative" };

/** [0, 1): decay rates of running means. */
export const fraction: Domain = { accepts: (value) => value >= 0 && value < 1, description: "a number from 0 up to but not 1" };

/** > 0. */
export const positive: Domain = { accepts: (value) => value > 0 && value < Infinity, description: "a finite positive number" };

/** A number of `domain`. */
export function requireNumber(operation: string, name: string, value: unknown, domain: Domain): void {
  if (typeof value !== "number" || !domain.accepts(value)) throw new ValueError(`${operation}: ${name} is ${String(value)}.`, `Pass ${domain.description}.`);
}

/** A function of tensors. */
export function requireFunction(operation: string, value: unknown, example = "(x) => x.square().sum()"): void {
  if (typeof value !== "function") throw new ValueError(`${operation}: the function is ${describe(value)}.`, `Pass a function, e.g. ${example}.`);
}
