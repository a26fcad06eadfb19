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

/** An integer from 0. */
export function count(text: string): number {
  return parsed(text, isIndex, "Pass an integer from 0.");
}

/** Any number, also "NaN", "Infinity" and "-Infinity". */
export function number(text: string): number {
  if (text.trim().toLowerCase() === "nan") return NaN;
  return parsed(text, (value) => !Number.isNaN(value), "Pass a number.");
}

/** Names, separated by commas. */
export function names(text: string): string[] {
  return text.split(",");
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

/** A time with its unit, in milliseconds. */
export function duration(text: string): number {
  const [, size = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|min|h)$/.exec(text) ?? [];
  const milliseconds = Number(size) * (UNITS[unit] ?? NaN);
  if (!(milliseconds > 0)) throw new InvalidArgumentError("Pass a time above 0 with its unit: 500ms, 90s, 10min or 2h.");
  return milliseconds;
}

/** Adds one "NAME=value" to those before. */
export function environment(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const [, name = "", value = ""] = /^([A-Za-z_]\w*)=([^]*)$/.exec(text) ?? [];
  if (name === "") throw new InvalidArgumentError("Pass NAME=value.");
  return { ...before, [name]: value };
}
