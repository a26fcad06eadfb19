// Option values of the command line, checked as they are read.
// A wrong one is a usage error that names the option.
import { InvalidArgumentError } from "commander";

/** A positive integer. */
export function integer(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Pass a positive integer.");
  return value;
}

/** A positive number. */
export function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new InvalidArgumentError("Pass a positive number.");
  return value;
}

/** Integers that are not negative, separated by commas. */
export function integers(text: string): number[] {
  const values = text.split(",").map(Number);
  if (!values.every((value) => Number.isInteger(value) && value >= 0)) throw new InvalidArgumentError("Pass integers separated by commas, e.g. 512,256.");
  return values;
}
