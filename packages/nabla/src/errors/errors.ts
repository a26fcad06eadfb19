// What nabla throws: every error says what, where, and the fix.
// `where` grows on the way up: layers prepend their path (`model.0.dense`).

/** What an error calls a value that is not what it should be: `3`, `"mse"`, `an array`, `a Promise`, `an object with x, y`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || prototype === Object.prototype) return `an object with ${Object.keys(value).join(", ") || "nothing in it"}`;
  const { name } = prototype.constructor;
  return `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}

/** Base of every error nabla throws on purpose. */
export class NablaError extends Error {
  // Written out in every class: minifiers rename classes.
  override readonly name: string = "NablaError";
  /** What to do about it, one sentence. */
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(`${message} ${fix}`);
    this.fix = fix;
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
