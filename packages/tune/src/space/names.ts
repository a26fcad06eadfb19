// Which names there may be: those that every storage, Optuna's tables included, can hold and tell apart. They are
// checked where they are declared, before anything is kept under them.
import { NameError } from "../errors/errors.ts";

/** The longest name, in UTF-16 units: Optuna's columns have 512 characters, of which a prefix or an index takes some. */
const LONGEST = 480;

/** Throws NameError for a name of a `what` that some storage cannot hold. */
export function checkName(what: string, name: string): void {
  const fault = name === "" ? "is empty" : name.length > LONGEST ? `has ${name.length} characters` : name.includes("\0") ? "holds a NUL character" : !name.isWellFormed() ? "holds half of a surrogate pair" : null;
  if (fault !== null) throw new NameError(`the name of the ${what} ${JSON.stringify(shorten(name))} ${fault}; names have 1 to ${LONGEST} characters, no NUL and no lone surrogate.`);
}

/** Throws NameError for a name that a parameter cannot have. */
export function checkParameterName(name: string): void {
  checkName("parameter", name);
  if (name === "__proto__") throw new NameError('a parameter cannot be called "__proto__": no plain object can hold it; rename it.');
}

/**
 * Throws NameError when a parameter and the component of a wider one would lie under one name: Optuna's tables hold
 * the three numbers of `w` as `w[0]`, `w[1]` and `w[2]`. `widthOf` knows the numbers of those declared before.
 */
export function checkComponents(name: string, width: number, widthOf: (name: string) => number | undefined): void {
  const component = /^([^]*)\[(\d+)\]$/.exec(name);
  const clash = component !== null && isComponent(Number(component[2]), widthOf(component[1]!)) ? component[1]!
    : Array.from({ length: width > 1 ? width : 0 }, (_, i) => `${name}[${i}]`).find((other) => widthOf(other) !== undefined);
  if (clash !== undefined) throw new NameError(`the parameters "${clash}" and "${name}" clash: the numbers of the wider one are kept under its name and an index; rename one.`);
}

function isComponent(index: number, width: number | undefined): boolean {
  return width !== undefined && width > 1 && index < width;
}

function shorten(name: string): string {
  return name.length > 40 ? `${name.slice(0, 40)}…` : name;
}
