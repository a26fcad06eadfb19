// What nabla throws: every error says what, where, and the fix.
// `where` grows on the way up: layers prepend their path (`model.0.dense`).

/** Longest text that a message quotes, and longest message. */
const MOST_QUOTED = 100;
const MOST_SAID = 2000;

// Control characters, and those that turn the direction of a line: a terminal obeys them. New lines and tabs stay.
const UNPRINTABLE = /(?![\n\t])\p{Cc}|\p{Bidi_Control}|[\u2028\u2029]/gu;

/** Text from outside as messages show it: in quotes, escaped, not too long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > MOST_QUOTED ? `${text.slice(0, MOST_QUOTED)}…` : text);
}

/** Names as messages list them: the first few. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => (/^[\w.$-]{1,100}$/.test(name) ? name : quote(name)));
  return names.length > shown.length ? `${shown.join(", ")} and ${names.length - shown.length} more` : shown.join(", ");
}

/** Whatever a file or a program puts into a message, it stays a message. */
function printable(text: string): string {
  const escaped = text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return escaped.length > MOST_SAID ? `${escaped.slice(0, MOST_SAID)}…` : escaped;
}

/** What an error calls a value that is not what it should be: `3`, `"mse"`, `an array`, `a Promise`, `an object with x, y`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || prototype === Object.prototype) return `an object with ${list(Object.keys(value)) || "nothing in it"}`;
  const { name } = prototype.constructor;
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}

/** Base of every error nabla throws on purpose. */
export class NablaError extends Error {
  // Written out in every class: minifiers rename classes.
  override readonly name: string = "NablaError";
  /** What to do about it, one sentence; the message ends with it. */
  declare readonly fix: string;

  constructor(message: string, fix: string) {
    super(`${printable(message)} ${printable(fix)}`);
    // Consoles print what is enumerable after the message.
    Object.defineProperty(this, "fix", { value: printable(fix) });
  }
}

/** Shapes or axes that do not fit the operation. */
export class ShapeError extends NablaError {
  override readonly name: string = "ShapeError";
}

/** An element type the operation does not take. */
export class DTypeError extends NablaError {
  override readonly name: string = "DTypeError";
}

/** A value outside its domain: an option, an index, a label, NaN in data. */
export class ValueError extends NablaError {
  override readonly name: string = "ValueError";
}

/** A derivative that does not exist, or a value read where none exists yet. */
export class GradientError extends NablaError {
  override readonly name: string = "GradientError";
}

/** A use of a value whose memory was given up (disposed, or updated in place by a step). */
export class LifetimeError extends NablaError {
  override readonly name: string = "LifetimeError";
}

/** A file that is missing, truncated or not what it says. */
export class FormatError extends NablaError {
  override readonly name: string = "FormatError";
}
