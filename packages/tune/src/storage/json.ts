// JSON with the three numbers that JSON lacks, written as Python's json module does: NaN, Infinity, -Infinity.
// Journals and Optuna's databases hold them; standard text takes the fast built-in path.
import type { Json } from "../contract/contract.ts";
import { StorageCorruptError, ValueError } from "../errors/errors.ts";

/** The text of a JSON value; non-finite numbers become NaN, Infinity, -Infinity. */
export function stringifyJson(value: unknown): string {
  let finite = true;
  const text = JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner === "number" && !Number.isFinite(inner)) finite = false;
    return inner;
  });
  return finite ? text : write(value);
}

/** The value as every storage gives it back, and no part of what the caller may go on changing; throws ValueError when JSON cannot hold it. */
export function copyJson(what: string, value: unknown): Json {
  let copy: Json | undefined;
  let fault = `is ${typeof value}`;
  try {
    const text = stringifyJson(value) as string | undefined;
    if (text !== undefined) copy = parseJson(text);
  } catch (error) {
    fault = `has no JSON (${(error as Error).message.split("\n")[0]!})`;
  }
  if (copy === undefined) throw new ValueError(`${what} ${fault}; give null, booleans, numbers, strings, lists and plain objects of these.`);
  return copy;
}

function write(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value).filter(([, v]) => v !== undefined).map(([k, v]) => `${JSON.stringify(k)}:${write(v)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** The value of a JSON text; throws StorageCorruptError when it is none. */
export function parseJson(text: string): Json {
  if (!/NaN|Infinity/.test(text)) {
    try {
      return JSON.parse(text) as Json;
    } catch (error) {
      throw new StorageCorruptError(`not JSON: ${text.slice(0, 80)}`, { cause: error });
    }
  }
  return new Parser(text).document();
}

class Parser {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  document(): Json {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) throw this.wrong();
    return value;
  }

  private value(depth: number): Json {
    if (depth > 200) throw new StorageCorruptError("JSON is nested deeper than 200 levels.");
    this.space();
    const c = this.text[this.at];
    if (c === "{") return this.object(depth);
    if (c === "[") return this.list(depth);
    if (c === '"') return this.string();
    const token = /^(?:NaN|-?Infinity|true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(this.text.slice(this.at, this.at + 400))?.[0];
    if (token === undefined) throw this.wrong();
    this.at += token.length;
    switch (token) {
      case "true": return true;
      case "false": return false;
      case "null": return null;
      default: return Number(token);
    }
  }

  private object(depth: number): Json {
    const object: Record<string, Json> = {};
    this.at++;
    for (this.space(); this.text[this.at] !== "}"; this.space()) {
      const key = this.string();
      this.space();
      this.expect(":");
      // A key such as __proto__ must stay a plain property.
      Object.defineProperty(object, key, { value: this.value(depth + 1), enumerable: true, writable: true, configurable: true });
      this.space();
      if (this.text[this.at] !== "}") { this.expect(","); this.space(); }
    }
    this.at++;
    return object;
  }

  private list(depth: number): Json {
    const list: Json[] = [];
    this.at++;
    for (this.space(); this.text[this.at] !== "]"; this.space()) {
      list.push(this.value(depth + 1));
      this.space();
      if (this.text[this.at] !== "]") this.expect(",");
    }
    this.at++;
    return list;
  }

  private string(): string {
    const start = this.at;
    if (this.text[start] !== '"') throw this.wrong();
    let end = start + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === "\\" ? 2 : 1;
    this.at = end + 1;
    try {
      return JSON.parse(this.text.slice(start, end + 1)) as string;
    } catch {
      throw this.wrong();
    }
  }

  private expect(c: string): void {
    if (this.text[this.at] !== c) throw this.wrong();
    this.at++;
  }

  private space(): void {
    while (/\s/.test(this.text[this.at] ?? "x")) this.at++;
  }

  private wrong(): StorageCorruptError {
    return new StorageCorruptError(`not JSON at character ${this.at}: ${this.text.slice(Math.max(0, this.at - 20), this.at + 20)}`);
  }
}
