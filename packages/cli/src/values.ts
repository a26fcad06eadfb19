// Option values of the command line, checked as they are read.
// A wrong one is a usage error that names the option.
import { InvalidArgumentError } from "commander";

function parsed(text: string, accepts: (value: number) => boolean, fix: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!accepts(value)) throw new InvalidArgumentError(fix);
  return value;
}

const isIndex = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const isCount = (value: number): boolean => isIndex(value) && value > 0;

export function positiveInteger(text: string): number {
  return parsed(text, isCount, "Pass a positive integer.");
}

export function positive(text: string): number {
  return parsed(text, (value) => value > 0 && value < Infinity, "Pass a positive number.");
}

/** [0, 1). */
export function rate(text: string): number {
  return parsed(text, (value) => value >= 0 && value < 1, "Pass a number from 0 up to but not 1.");
}

export function seed(text: string): number {
  return parsed(text, isIndex, "Pass an integer from 0.");
}

/** Integers from 0, separated by commas. */
export function integers(text: string): number[] {
  return text.split(",").map((part) => parsed(part, isIndex, "Pass integers from 0 separated by commas, e.g. 0,7,42."));
}

/** Positive integers, separated by commas. */
export function positiveIntegers(text: string): number[] {
  return text.split(",").map((part) => parsed(part, isCount, "Pass positive integers separated by commas, e.g. 512,256."));
}
