// The version of the command, as its package says.
import { readFileSync } from "node:fs";

export function version(): string {
  const { version: text } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  return text;
}
