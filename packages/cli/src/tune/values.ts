// Option texts as numbers, with errors that name the option.
import { UsageError } from "./main.ts";

/** A whole number of at least `least`, or undefined when the option is absent. */
export function wholeNumber(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < least) throw new UsageError(`--${name} must be a whole number of at least ${least}, not "${text}".`);
  return value;
}

/** A number above 0, or undefined when the option is absent. */
export function positiveNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new UsageError(`--${name} must be a number above 0, not "${text}".`);
  return value;
}
