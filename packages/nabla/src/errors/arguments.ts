// What may come where options, functions and numbers belong: from callers without types anything, from all others any number.
// Each check says what came and what belongs there.
import { describe, ValueError } from "./errors.ts";

/** A record: options, unless `what` is another. */
export function requireRecord(operation: string, value: unknown, example: string, what = "options"): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ValueError(`${operation}: the ${what} are ${describe(value)}.`, `Pass an object, e.g. ${example}.`);
  }
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
