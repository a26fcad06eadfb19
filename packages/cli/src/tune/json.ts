// JSON for other programs. It has no NaN and no infinities: they are written as the strings "NaN", "Infinity" and "-Infinity".

export function json(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "number" && !Number.isFinite(inner) ? String(inner) : inner), indent);
}

/** One value on a line of its own. */
export function jsonLine(value: unknown): string {
  return `${json(value)}\n`;
}
