// What a caller without types may get wrong and TypeScript would have told.
// Each check says what came and what belongs there.
import { describe, ValueError } from "./errors.ts";

/** A record: options, unless `what` is another. */
export function requireRecord(operation: string, value: unknown, example: string, what = "options"): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ValueError(`${operation}: the ${what} are ${describe(value)}.`, `Pass an object, e.g. ${example}.`);
  }
}

/** A function of tensors. */
export function requireFunction(operation: string, value: unknown, example = "(x) => x.square().sum()"): void {
  if (typeof value !== "function") throw new ValueError(`${operation}: the function is ${describe(value)}.`, `Pass a function, e.g. ${example}.`);
}
